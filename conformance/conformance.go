// Package conformance holds ktrial against Apache Kafka: its tools, its directories, real clients,
// and the same requests to both. What differs on purpose is listed with its reason.
package conformance

import _ "embed"

// Differences is differences.md.
//
//go:embed differences.md
var Differences string
