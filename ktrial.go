// Package ktrial puts Kafka on trial: it runs a whole cluster in one process
// over a simulated network, clock and disk, hurts it, and judges what its
// clients saw. The same seed gives the same run, byte for byte.
package ktrial
