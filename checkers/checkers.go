// Package checkers judges histories: what clients saw of a Kafka cluster, any
// cluster. It knows neither a broker nor a simulator.
package checkers
