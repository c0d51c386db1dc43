package kafka

import (
	"math"
	"unicode/utf16"
)

// The topics that a cluster makes for itself, when they are first needed.
const (
	// OffsetsTopic holds consumer groups and the offsets that they committed.
	OffsetsTopic = "__consumer_offsets"
	// TransactionsTopic holds the states of transactions.
	TransactionsTopic = "__transaction_state"
)

// InternalTopics are all of them.
var InternalTopics = []string{OffsetsTopic, TransactionsTopic}

// CoordinatorPartition is the partition of an internal topic, of so many, in which
// a group or a transactional id is kept: its leader is the coordinator. Kafka
// takes Java's hash of the string, and 0 where that has no absolute value
// (Utils.abs).
func CoordinatorPartition(id string, partitions int32) int32 {
	var hash int32
	for _, unit := range utf16.Encode([]rune(id)) {
		hash = 31*hash + int32(unit)
	}
	switch {
	case hash == math.MinInt32:
		hash = 0
	case hash < 0:
		hash = -hash
	}
	return hash % partitions
}
