package kafka

import "unicode/utf16"

// The topics that a cluster makes for itself, when they are first needed.
const (
	// OffsetsTopic holds consumer groups and the offsets that they committed.
	OffsetsTopic = "__consumer_offsets"
	// TransactionsTopic holds the states of transactions.
	TransactionsTopic = "__transaction_state"
)

// InternalTopics are all of them.
var InternalTopics = []string{OffsetsTopic, TransactionsTopic}

// CoordinatorPartition is the partition of a coordinators' topic that a group or a
// transactional id belongs to: the hash of a Java string, modulo the number of partitions.
func CoordinatorPartition(key string, partitions int32) int32 {
	hash := JavaHash(key)
	if hash == -1<<31 {
		return 0 // it has no absolute value (Utils.abs)
	}
	return max(hash, -hash) % partitions
}

// JavaHash is Java's String.hashCode: over UTF-16 units, with overflow.
func JavaHash(s string) (hash int32) {
	for _, unit := range utf16.Encode([]rune(s)) {
		hash = 31*hash + int32(unit)
	}
	return hash
}
