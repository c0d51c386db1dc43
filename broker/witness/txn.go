package witness

import (
	"fmt"

	"github.com/ktrial/ktrial/broker/kafka"
	"github.com/ktrial/ktrial/ledger"
)

// What a coordinator does with a transactional id, and what partitions are told of it.
type (
	// TxnState: the newest state of a transactional id is committed, by Kafka's names; From is
	// empty for an id that is new. To is Dead when it is forgotten.
	TxnState struct {
		TxnID            string                 `json:"txn_id"`
		ProducerID       kafka.ProducerID       `json:"producer"`
		Epoch            kafka.ProducerEpoch    `json:"producer_epoch"`
		From             string                 `json:"state_before"`
		To               string                 `json:"state"`
		Partitions       []kafka.TopicPartition `json:"partitions"`
		CoordinatorEpoch kafka.LeaderEpoch      `json:"coordinator_epoch"`
		// Version is the transaction.version by which the client, or the coordinator for it,
		// acted last.
		Version int8 `json:"txn_version"`
	}
	// TxnFenced: a producer's request is refused because another one has its
	// transactional id, or it has a newer epoch.
	TxnFenced struct {
		TxnID      string              `json:"txn_id"`
		ProducerID kafka.ProducerID    `json:"producer"`
		Epoch      kafka.ProducerEpoch `json:"producer_epoch"`
		// PresentID is the producer id that the transactional id has.
		PresentID kafka.ProducerID `json:"present_producer"`
		// Present is the epoch of it.
		Present kafka.ProducerEpoch `json:"present_epoch"`
	}
	// TxnTimedOut: a transaction was open for too long; its coordinator aborts it and
	// fences the producer.
	TxnTimedOut struct {
		TxnID      string                 `json:"txn_id"`
		ProducerID kafka.ProducerID       `json:"producer"`
		Epoch      kafka.ProducerEpoch    `json:"producer_epoch"`
		Partitions []kafka.TopicPartition `json:"partitions"`
	}
	// MarkerQueued: the end of a transaction is decided, and the coordinator begins to send
	// its marker to a partition.
	MarkerQueued struct {
		TxnID            string               `json:"txn_id"`
		Partition        kafka.TopicPartition `json:"partition"`
		ProducerID       kafka.ProducerID     `json:"producer"`
		Epoch            kafka.ProducerEpoch  `json:"producer_epoch"`
		CoordinatorEpoch int32                `json:"coordinator_epoch"`
		Commit           bool                 `json:"commit"`
	}
	// MarkerWritten: a leader has appended a marker.
	MarkerWritten struct {
		Partition        kafka.TopicPartition `json:"partition"`
		ProducerID       kafka.ProducerID     `json:"producer"`
		Epoch            kafka.ProducerEpoch  `json:"producer_epoch"`
		CoordinatorEpoch int32                `json:"coordinator_epoch"`
		Commit           bool                 `json:"commit"`
		At               kafka.Offset         `json:"at"`
	}
	// MarkerRefused: a coordinator was told that a marker is too old. The transaction
	// stays as it is until another coordinator takes over.
	MarkerRefused struct {
		TxnID            string               `json:"txn_id"`
		Partition        kafka.TopicPartition `json:"partition"`
		ProducerID       kafka.ProducerID     `json:"producer"`
		Epoch            kafka.ProducerEpoch  `json:"producer_epoch"`
		CoordinatorEpoch int32                `json:"coordinator_epoch"`
		Error
	}
)

var (
	txnState      = ledger.Declare[TxnState]("txn-state", "a transactional id is in another state", ledger.Detail)
	txnFenced     = ledger.Declare[TxnFenced]("txn-fenced", "a producer learns that another has its transactional id", ledger.Notable)
	txnTimedOut   = ledger.Declare[TxnTimedOut]("txn-timed-out", "a coordinator aborts a transaction that is open for too long", ledger.Notable)
	markerQueued  = ledger.Declare[MarkerQueued]("marker-queued", "a coordinator begins to send the marker of a transaction", ledger.Detail)
	markerWritten = ledger.Declare[MarkerWritten]("marker-written", "a leader appends the marker of a transaction", ledger.Detail)
	markerRefused = ledger.Declare[MarkerRefused]("marker-refused", "the marker of a transaction is refused for good", ledger.Notable)
)

func (e *TxnState) Kind() *ledger.Kind      { return txnState }
func (e *TxnFenced) Kind() *ledger.Kind     { return txnFenced }
func (e *TxnTimedOut) Kind() *ledger.Kind   { return txnTimedOut }
func (e *MarkerQueued) Kind() *ledger.Kind  { return markerQueued }
func (e *MarkerWritten) Kind() *ledger.Kind { return markerWritten }
func (e *MarkerRefused) Kind() *ledger.Kind { return markerRefused }

// Subject is the transactional id.
func (e *TxnState) Subject() string { return e.TxnID }

func (e *TxnState) Sentence() string {
	if e.From == "" {
		return fmt.Sprintf("transactional id %s is %s, producer %d, epoch %d", e.TxnID, e.To, e.ProducerID, e.Epoch)
	}
	return fmt.Sprintf("transactional id %s goes from %s to %s, producer %d, epoch %d, with %s", e.TxnID, e.From, e.To, e.ProducerID, e.Epoch, partitions(e.Partitions))
}

// Subject is the transactional id.
func (e *TxnFenced) Subject() string { return e.TxnID }

func (e *TxnFenced) Sentence() string {
	return fmt.Sprintf("transactional id %s refuses producer %d, epoch %d: it has producer %d, epoch %d", e.TxnID, e.ProducerID, e.Epoch, e.PresentID, e.Present)
}

// Subject is the transactional id.
func (e *TxnTimedOut) Subject() string { return e.TxnID }

func (e *TxnTimedOut) Sentence() string {
	return fmt.Sprintf("transaction of %s, producer %d, epoch %d, has timed out with %s", e.TxnID, e.ProducerID, e.Epoch, partitions(e.Partitions))
}

// Subject is the transactional id.
func (e *MarkerQueued) Subject() string { return e.TxnID }

func (e *MarkerQueued) Sentence() string {
	return fmt.Sprintf("sends the %s of %s, producer %d, epoch %d, to %v", outcome(e.Commit), e.TxnID, e.ProducerID, e.Epoch, e.Partition)
}

// Subject is the partition.
func (e *MarkerWritten) Subject() string { return e.Partition.String() }

func (e *MarkerWritten) Sentence() string {
	return fmt.Sprintf("appends the %s of producer %d, epoch %d, to %v at offset %d", outcome(e.Commit), e.ProducerID, e.Epoch, e.Partition, e.At)
}

// Subject is the transactional id.
func (e *MarkerRefused) Subject() string { return e.TxnID }

func (e *MarkerRefused) Sentence() string {
	return fmt.Sprintf("gives up the marker of %s, producer %d, epoch %d, on %v: %s", e.TxnID, e.ProducerID, e.Epoch, e.Partition, e.Text)
}

// outcome is a marker in words.
func outcome(commit bool) string {
	if commit {
		return "commit marker"
	}
	return "abort marker"
}
