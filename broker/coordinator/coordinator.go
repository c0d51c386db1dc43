// Package coordinator runs what is coordinated through the log of an internal
// topic: groups through __consumer_offsets, later transactions through
// __transaction_state. The broker that leads a partition of the topic holds its
// shard: a state that is folded from the log, and changed by appending to it.
//
// A Machine is one shard's state, and pure: an event asks it for a Decision, which
// is records and what to do when they are committed; Apply alone changes what is
// logged. The Runtime does the rest, as Kafka's CoordinatorRuntime does: one event
// of a shard at a time, in the order of a queue; records are applied at once,
// appended in batches, and answered when the high watermark has passed them; what
// could not be appended is reverted. A shard is loaded when this broker begins to
// lead its partition, and dropped when it ends to.
package coordinator

import (
	"time"

	"github.com/ktrial/ktrial/broker/coordinator/timeline"
	"github.com/ktrial/ktrial/broker/kafka"
	"github.com/ktrial/ktrial/broker/metadata"
	"github.com/ktrial/ktrial/broker/planted"
	"github.com/ktrial/ktrial/ledger"
)

// Record is one record of the internal topic. A nil Value is a tombstone.
type Record struct{ Key, Value []byte }

// Producer is the transactional producer of a record.
type Producer struct {
	ID    kafka.ProducerID
	Epoch kafka.ProducerEpoch
}

// NoProducer is the producer of a record that belongs to no transaction.
var NoProducer = Producer{kafka.NoProducer, kafka.NoEpoch}

// Machine is the state of one shard. It asks nothing but its Env and never blocks,
// and only Apply and ApplyMarker change what is on the Env's timeline.
//
// What a machine holds beside (members that wait to join, timers) is its own: it is
// not logged and not reverted, and lost with the shard.
type Machine interface {
	// Apply folds one record into the state: one of a Decision that was just made,
	// before it is appended, or one that is loaded. A type of record that it does not
	// know it skips. An error refuses the Decision; a record that is loaded is set
	// aside, and the shard loaded without it.
	Apply(at kafka.Offset, rec Record, by Producer) error
	// ApplyMarker ends the transaction of a producer in this partition.
	ApplyMarker(at kafka.Offset, by Producer, commit bool) error
	// Loaded is called once, after the log was folded and before the first event: it
	// starts the timers of sessions. It may change soft state only.
	Loaded()
	// Unloaded is called once, when the shard ends to be led here: all requests that
	// the machine has parked are answered NOT_COORDINATOR. Nothing is called after it.
	Unloaded()
	// MetadataChanged tells of a new image of the cluster, and what changed in it. It
	// may change soft state only: mark groups "refresh due".
	MetadataChanged(im *metadata.Image, ch *metadata.Changes)
}

// Marked is a Machine that is told when a marker, which it has applied, is appended.
type Marked interface{ MarkerAppended() }

// Hasher is a Machine that can be checked: equal logged states have equal hashes.
type Hasher interface{ Hash(timeline.Cut) uint64 }

// Env is what a shard gives its machine.
type Env interface {
	// Partition is the shard's partition of the internal topic.
	Partition() kafka.TopicPartition
	// LeaderEpoch is that in which the shard's partition is led here, and so the
	// coordinator epoch of transaction markers.
	LeaderEpoch() kafka.LeaderEpoch
	// NowMillis is the wall clock, as in Kafka's timestamps. It may step.
	NowMillis() int64
	// Uptime is the monotonic clock.
	Uptime() time.Duration
	// NewUUID draws one from the process's luck, for ids of members.
	NewUUID() kafka.UUID

	// Timer has event run as an ordinary event of the shard, after so long. It replaces
	// an earlier timer of the same key, even one that has fired and whose event waits in
	// the queue. Timers are not reverted with a failed append: when it runs, the
	// event looks at the state anew. An event whose records could not be written runs
	// again after retry; 0: it does not.
	Timer(key string, after, retry time.Duration, event func() Decision)
	// CancelTimer takes a timer back, if there is one.
	CancelTimer(key string)

	// Image is the cluster as this broker knows it. It is not to be changed, nor kept
	// beyond the call.
	Image() *metadata.Image
	// Timeline is where the machine's Maps and Values are made.
	Timeline() *timeline.Timeline

	// The ledger, as env.Host has it.
	Tell(ledger.Event)
	Traced() bool
	Reached(*ledger.Probe)
	Bugs() *planted.Set
}

// Decision is what an event decides.
type Decision struct {
	// Records are applied at once, in order, and written in one batch; if they are too
	// many for one, the event fails with MESSAGE_TOO_LARGE.
	Records []Record
	// Divisible: the records may be written in several batches, as when offsets expire.
	Divisible bool
	// Settled: without records, the answer holds at once. All that it was made from is
	// committed.
	Settled bool
	// Timeout, if not 0, bounds how long the records wait to be committed, instead of what
	// the event was started with.
	Timeout time.Duration
	// Done is called once, by a later event: with nil when the records are committed
	// (without records: when all is that was written before), else with the error that
	// answers the client. After REQUEST_TIMED_OUT (which clients are told as
	// COORDINATOR_NOT_AVAILABLE) the records may still be committed. May be nil.
	Done func(error)
	// Appended is called once, before Done: right after the records were appended here, or with
	// the reason why not, when they are reverted. Only if there are records. May be
	// nil. Soft state that goes with the records is changed or mended here.
	Appended func(error)
}
