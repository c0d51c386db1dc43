// Package witness holds what a node tells of itself: one small struct for each
// thing that happens to it, told once, where it happens, with env.Host.Tell.
// Laws keep their own account of the truth from these events, and people read
// their sentences. A node works the same whether anything reads them or not.
//
// The files are named by what tells: replica.go, quorum.go, controller.go,
// broker.go (the life of a broker), group.go and txn.go (coordinators), log.go (recovery), message.go (requests and
// answers).
package witness

import (
	"errors"

	"github.com/twmb/franz-go/pkg/kerr"

	"github.com/ktrial/ktrial/broker/kafka"
	"github.com/ktrial/ktrial/broker/record"
	"github.com/ktrial/ktrial/ledger"
)

// Replica says which copy of which partition an event is of. A replica makes one
// when it is opened and puts it into all of its events, so that what reads them
// may know the replica by its address. Members of the quorum have one too, of
// the metadata partition.
type Replica struct {
	ledger.Ref
	Node      kafka.NodeID         `json:"node"`
	Partition kafka.TopicPartition `json:"partition"`
	Topic     kafka.UUID           `json:"topic_id"`
}

// Subject is the partition. There is none in an event that is of no replica.
func (r *Replica) Subject() string {
	if r == nil {
		return ""
	}
	return r.Partition.String()
}

// Of is the replica that tells.
func (r *Replica) Of() *Replica { return r }

// ID is the partition and the id of its topic.
func (r *Replica) ID() PartitionID {
	if r == nil {
		return PartitionID{}
	}
	return PartitionID{r.Partition, r.Topic}
}

// PartitionID names a partition for good: a topic that is deleted and created
// again under its name has another id. It is in events that no replica tells.
type PartitionID struct {
	Partition kafka.TopicPartition `json:"partition"`
	Topic     kafka.UUID           `json:"topic_id"`
}

// Subject is the partition.
func (p *PartitionID) Subject() string { return p.Partition.String() }

// Batch is a record batch as events keep it.
type Batch struct {
	From  kafka.Offset      `json:"from"`
	End   kafka.Offset      `json:"end"` // one past the last record
	Epoch kafka.LeaderEpoch `json:"epoch"`
	// Digest distinguishes batches of one offset and epoch.
	Digest  uint64 `json:"digest,string"`
	Records int32  `json:"records"`
	Bytes   int32  `json:"bytes"`
	Control bool   `json:"control,omitempty"`
	// Transactional: its records are of a transaction, or it is a marker.
	Transactional bool                `json:"transactional,omitempty"`
	ProducerID    kafka.ProducerID    `json:"producer"` // -1: none
	ProducerEpoch kafka.ProducerEpoch `json:"producer_epoch"`
	FirstSequence kafka.Sequence      `json:"first_sequence"`
	LastSequence  kafka.Sequence      `json:"last_sequence"`
}

// BatchOf reads the header of b. The digest costs two loads: the checksum covers
// all but what leaders assign, offset and epoch, which stand beside it.
func BatchOf(b record.Batch) Batch {
	return Batch{
		From: b.BaseOffset(), End: b.NextOffset(), Epoch: b.LeaderEpoch(),
		Digest:  uint64(b.CRC())<<32 ^ uint64(len(b)),
		Records: b.Count(), Bytes: int32(len(b)), Control: b.IsControl(), Transactional: b.IsTransactional(),
		ProducerID: b.ProducerID(), ProducerEpoch: b.ProducerEpoch(), FirstSequence: b.BaseSequence(), LastSequence: b.LastSequence(),
	}
}

// Idempotent reports whether a producer numbers the batch.
func (b *Batch) Idempotent() bool { return b.ProducerID > kafka.NoProducer && !b.Control }

// Error is an error as events keep it.
type Error struct {
	Text string `json:"error"`
	// Name is the Kafka error that it is or wraps, such as NOT_LEADER_OR_FOLLOWER;
	// empty: none.
	Name string `json:"error_name,omitempty"`
}

// ErrorOf is err for an event.
func ErrorOf(err error) Error {
	e := Error{Text: err.Error()}
	if k := (*kerr.Error)(nil); errors.As(err, &k) {
		e.Name = k.Message
	}
	return e
}
