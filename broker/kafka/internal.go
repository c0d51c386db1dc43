package kafka

// The topics that a cluster makes for itself, when they are first needed.
const (
	// OffsetsTopic holds consumer groups and the offsets that they committed.
	OffsetsTopic = "__consumer_offsets"
	// TransactionsTopic holds the states of transactions.
	TransactionsTopic = "__transaction_state"
)

// InternalTopics are all of them.
var InternalTopics = []string{OffsetsTopic, TransactionsTopic}
