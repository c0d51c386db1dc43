package txn

import (
	"slices"

	"github.com/ktrial/ktrial/broker/coordinator"
	"github.com/ktrial/ktrial/broker/kafka"
)

// State is what a transactional id is in the middle of, by Kafka's number.
type State int8

// The states of a transactional id. Dead is an id that has expired; PrepareEpochFence
// is in no log, and here in no memory either: an end that fences is one decision.
const (
	Empty State = iota
	Ongoing
	PrepareCommit
	PrepareAbort
	CompleteCommit
	CompleteAbort
	Dead
	PrepareEpochFence
)

var stateNames = [...]string{"Empty", "Ongoing", "PrepareCommit", "PrepareAbort", "CompleteCommit", "CompleteAbort", "Dead", "PrepareEpochFence"}

// String is Kafka's name of the state.
func (s State) String() string { return stateNames[s] }

// prepared: the end is decided, and its markers are being written.
func (s State) prepared() bool { return s == PrepareCommit || s == PrepareAbort }

// idle: no transaction is open or ending.
func (s State) idle() bool { return s == Empty || s == CompleteCommit || s == CompleteAbort }

// prepare is the state in which an end is decided; completed is that after it.
func prepare(commit bool) State {
	if commit {
		return PrepareCommit
	}
	return PrepareAbort
}

func completed(commit bool) State {
	if commit {
		return CompleteCommit
	}
	return CompleteAbort
}

// Transaction is what the log holds of a transactional id.
type Transaction struct {
	ProducerID kafka.ProducerID
	// Previous is the producer id before the last change of the record, Next the one
	// after it: they differ from ProducerID when its epochs are exhausted. -1: none.
	Previous, Next kafka.ProducerID
	Epoch          kafka.ProducerEpoch
	TimeoutMillis  int32
	State          State
	// Partitions are those of the open transaction, or of one whose end is prepared, in
	// the order of their names.
	Partitions []kafka.TopicPartition
	// Updated is when the record was decided, Started when the first partition was added: ms;
	// -1: no transaction since InitProducerId.
	Updated, Started int64
	// ClientVersion is the transaction.version by which the client, or the
	// coordinator for it, acted last: 2 gives each transaction an epoch of its own.
	ClientVersion int16
}

func (t *Transaction) producer() coordinator.Producer {
	return coordinator.Producer{ID: t.ProducerID, Epoch: t.Epoch}
}

// bumpsEpoch is the transaction.version from which each transaction has an epoch of its
// own.
const bumpsEpoch = 2

// lastUsableEpoch is the last that a producer may have. The one after it only fences, so
// that there is always one left to do so.
const lastUsableEpoch kafka.ProducerEpoch = 1<<15 - 2

func (t *Transaction) exhausted() bool { return t.Epoch >= lastUsableEpoch }

// has reports whether all of these partitions are in the transaction.
func (t *Transaction) has(partitions []kafka.TopicPartition) bool {
	for _, tp := range partitions {
		if _, ok := slices.BinarySearchFunc(t.Partitions, tp, kafka.TopicPartition.Compare); !ok {
			return false
		}
	}
	return true
}

// with are the partitions of the transaction and these.
func (t *Transaction) with(partitions []kafka.TopicPartition) []kafka.TopicPartition {
	all := slices.Concat(t.Partitions, partitions)
	slices.SortFunc(all, kafka.TopicPartition.Compare)
	return slices.Compact(all)
}
