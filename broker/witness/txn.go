package witness

import (
	"fmt"

	"github.com/ktrial/ktrial/broker/kafka"
	"github.com/ktrial/ktrial/ledger"
)

// What a producer does with its transactions, what a coordinator does with a transactional id, and what
// partitions are told of it.
type (
	// TransactionBegun: a producer begins a transaction, of which no broker knows yet.
	TransactionBegun struct {
		TxnID      string              `json:"txn_id"`
		ProducerID kafka.ProducerID    `json:"producer"`
		Epoch      kafka.ProducerEpoch `json:"producer_epoch"`
	}
	// EndAsked: a producer asks for the end of its transaction, for the first time or once more.
	EndAsked struct {
		TxnID      string              `json:"txn_id"`
		ProducerID kafka.ProducerID    `json:"producer"`
		Epoch      kafka.ProducerEpoch `json:"producer_epoch"`
		Commit     bool                `json:"commit"`
	}
	// EndAnswered: a coordinator answers that a transaction ends, with the producer id and epoch of
	// the next one (EndTxn 5, KIP-890).
	EndAnswered struct {
		TxnID      string              `json:"txn_id"`
		ProducerID kafka.ProducerID    `json:"producer"`
		Epoch      kafka.ProducerEpoch `json:"producer_epoch"`
	}
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
	// SentMarker is a marker that a coordinator sends to a partition.
	SentMarker struct {
		TxnID            string               `json:"txn_id"`
		Partition        kafka.TopicPartition `json:"partition"`
		ProducerID       kafka.ProducerID     `json:"producer"`
		Epoch            kafka.ProducerEpoch  `json:"producer_epoch"`
		CoordinatorEpoch int32                `json:"coordinator_epoch"`
		Commit           bool                 `json:"commit"`
	}
	// MarkerQueued: the end of a transaction is decided, and the coordinator begins to send
	// its marker to a partition.
	MarkerQueued struct {
		SentMarker
		// Next is the producer id that the transactional id has once all markers are written, as
		// the decision says; -1: the same.
		Next kafka.ProducerID `json:"next_producer"`
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
	// MarkerAnswered: a coordinator is told that a partition has a marker that it sent, as the
	// coordinator of CoordinatorEpoch.
	MarkerAnswered struct{ SentMarker }
	// LastStableOffsetMoved: what a replica shows readers of committed records ends at To. It is
	// told of a log from its first open transaction on; until then it is the high watermark.
	LastStableOffsetMoved struct {
		*Replica
		To    kafka.Offset      `json:"to"`
		Epoch kafka.LeaderEpoch `json:"epoch"`
		HW    kafka.Offset      `json:"hw"`
		Start kafka.Offset      `json:"start"` // of the log: below it nothing is unstable
	}
	// OffsetPending: a transaction is to commit a group's offset; that is committed.
	OffsetPending struct {
		Group         string               `json:"group"`
		Partition     kafka.TopicPartition `json:"partition"`
		Offset        kafka.Offset         `json:"pending"` // the offset
		ProducerID    kafka.ProducerID     `json:"producer"`
		ProducerEpoch kafka.ProducerEpoch  `json:"producer_epoch"`
		Generation    int32                `json:"generation"` // that the client named; -1: none
		Member        string               `json:"member"`
	}
	// OffsetDecided: the marker of a transaction is appended that had a group's offset pending.
	OffsetDecided struct {
		Group      string               `json:"group"`
		Partition  kafka.TopicPartition `json:"partition"`
		Offset     kafka.Offset         `json:"pending"` // the offset
		ProducerID kafka.ProducerID     `json:"producer"`
		Commit     bool                 `json:"commit"`
		// Kept: an offset that was committed later in the log stays instead.
		Kept bool `json:"kept,omitempty"`
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
	transactionBegun      = ledger.Declare[TransactionBegun]("transaction-begun", "a producer begins a transaction", ledger.Detail)
	endAsked              = ledger.Declare[EndAsked]("end-asked", "a producer asks its coordinator for the end of its transaction", ledger.Detail)
	endAnswered           = ledger.Declare[EndAnswered]("end-answered", "a coordinator answers with which producer id and epoch a producer goes on", ledger.Detail)
	txnState              = ledger.Declare[TxnState]("txn-state", "a transactional id is in another state", ledger.Detail)
	txnFenced             = ledger.Declare[TxnFenced]("txn-fenced", "a producer learns that another has its transactional id", ledger.Notable)
	txnTimedOut           = ledger.Declare[TxnTimedOut]("txn-timed-out", "a coordinator aborts a transaction that is open for too long", ledger.Notable)
	markerQueued          = ledger.Declare[MarkerQueued]("marker-queued", "a coordinator begins to send the marker of a transaction", ledger.Detail)
	markerWritten         = ledger.Declare[MarkerWritten]("marker-written", "a leader appends the marker of a transaction", ledger.Detail)
	markerAnswered        = ledger.Declare[MarkerAnswered]("marker-answered", "a coordinator is told that a partition has the marker of a transaction", ledger.Detail)
	lastStableOffsetMoved = ledger.Declare[LastStableOffsetMoved]("last-stable-offset-moved", "the end of what readers of committed records are shown has moved apart from the high watermark", ledger.Detail)
	offsetPending         = ledger.Declare[OffsetPending]("offset-pending", "a transaction is to commit a group's offset", ledger.Detail)
	offsetDecided         = ledger.Declare[OffsetDecided]("offset-decided", "a group's offset that was pending counts, or is forgotten", ledger.Detail)
	markerRefused         = ledger.Declare[MarkerRefused]("marker-refused", "the marker of a transaction is refused for good", ledger.Notable)
)

func (e *TransactionBegun) Kind() *ledger.Kind      { return transactionBegun }
func (e *EndAsked) Kind() *ledger.Kind              { return endAsked }
func (e *EndAnswered) Kind() *ledger.Kind           { return endAnswered }
func (e *TxnState) Kind() *ledger.Kind              { return txnState }
func (e *TxnFenced) Kind() *ledger.Kind             { return txnFenced }
func (e *TxnTimedOut) Kind() *ledger.Kind           { return txnTimedOut }
func (e *MarkerQueued) Kind() *ledger.Kind          { return markerQueued }
func (e *MarkerWritten) Kind() *ledger.Kind         { return markerWritten }
func (e *MarkerAnswered) Kind() *ledger.Kind        { return markerAnswered }
func (e *LastStableOffsetMoved) Kind() *ledger.Kind { return lastStableOffsetMoved }
func (e *OffsetPending) Kind() *ledger.Kind         { return offsetPending }
func (e *OffsetDecided) Kind() *ledger.Kind         { return offsetDecided }
func (e *MarkerRefused) Kind() *ledger.Kind         { return markerRefused }

// Subject is the transactional id.
func (e *TransactionBegun) Subject() string { return e.TxnID }

func (e *TransactionBegun) Sentence() string {
	return fmt.Sprintf("begins a transaction of %s, producer %d, epoch %d", e.TxnID, e.ProducerID, e.Epoch)
}

// Subject is the transactional id.
func (e *EndAsked) Subject() string { return e.TxnID }

func (e *EndAsked) Sentence() string {
	verb := "abort"
	if e.Commit {
		verb = "commit"
	}
	return fmt.Sprintf("asks to %s the transaction of %s, producer %d, epoch %d", verb, e.TxnID, e.ProducerID, e.Epoch)
}

// Subject is the transactional id.
func (e *EndAnswered) Subject() string { return e.TxnID }

func (e *EndAnswered) Sentence() string {
	return fmt.Sprintf("answers that the transaction of %s ends; the next is of producer %d, epoch %d", e.TxnID, e.ProducerID, e.Epoch)
}

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
func (m *SentMarker) Subject() string { return m.TxnID }

func (e *MarkerQueued) Sentence() string {
	return fmt.Sprintf("sends the %s of %s, producer %d, epoch %d, to %v", outcome(e.Commit), e.TxnID, e.ProducerID, e.Epoch, e.Partition)
}

// Subject is the partition.
func (e *MarkerWritten) Subject() string { return e.Partition.String() }

func (e *MarkerWritten) Sentence() string {
	return fmt.Sprintf("appends the %s of producer %d, epoch %d, to %v at offset %d", outcome(e.Commit), e.ProducerID, e.Epoch, e.Partition, e.At)
}

func (e *MarkerAnswered) Sentence() string {
	return fmt.Sprintf("is told that %v has the %s of %s, producer %d, epoch %d, which it sent in epoch %d", e.Partition, outcome(e.Commit), e.TxnID, e.ProducerID, e.Epoch, e.CoordinatorEpoch)
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

func (e *LastStableOffsetMoved) Sentence() string {
	if e.To == e.HW {
		return fmt.Sprintf("%s: all up to its high watermark %d is stable", e.Subject(), e.HW)
	}
	return fmt.Sprintf("%s: stable up to offset %d, high watermark %d", e.Subject(), e.To, e.HW)
}

// Subject is the group.
func (e *OffsetPending) Subject() string { return e.Group }

func (e *OffsetPending) Sentence() string {
	return fmt.Sprintf("group %s: producer %d, epoch %d, is to commit %v up to offset %d", e.Group, e.ProducerID, e.ProducerEpoch, e.Partition, e.Offset)
}

// Subject is the group.
func (e *OffsetDecided) Subject() string { return e.Group }

func (e *OffsetDecided) Sentence() string {
	switch {
	case !e.Commit:
		return fmt.Sprintf("group %s forgets that producer %d was to commit %v up to offset %d", e.Group, e.ProducerID, e.Partition, e.Offset)
	case e.Kept:
		return fmt.Sprintf("group %s keeps a later commit of %v than offset %d of producer %d", e.Group, e.Partition, e.Offset, e.ProducerID)
	}
	return fmt.Sprintf("group %s commits %v up to offset %d for producer %d", e.Group, e.Partition, e.Offset, e.ProducerID)
}
