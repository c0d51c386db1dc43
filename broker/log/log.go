// Package log is one replica's log on disk, in Kafka's own format: segments
// with their indexes, the producers' state, the leader epochs; and the
// directory that holds a broker's logs with its checkpoints.
//
// The package keeps what it is told and finds it again after a crash. It does
// not know who leads or what is committed: the high watermark is an argument.
//
// Any call may block while the disk is slow, and another task may then call
// too. Those that change the log take turns, in the order of their calls;
// reads and Flush do not wait for them and see the log as it was before or
// after a change, never in between. What the disk refused to do closes the log
// to further changes (Failed), because nobody knows what is on disk then.
package log

import (
	"time"

	"github.com/ktrial/ktrial/broker/kafka"
	"github.com/ktrial/ktrial/broker/planted"
	"github.com/ktrial/ktrial/sim/env"
)

// Options is what a directory's checkpoints know of a log that is opened.
type Options struct {
	// RecoveryPoint: all below was synced; above, nothing is believed.
	RecoveryPoint kafka.Offset
	// LogStart is the log start offset that DeleteRecords or retention left.
	LogStart kafka.Offset
	// Clean: the broker was shut down in order, so nothing needs recovery.
	Clean bool
	// ProducerExpiry is producer.id.expiration.ms; zero is its default, a day.
	ProducerExpiry time.Duration
	Bugs           *planted.Set
}

// Log is the log of one replica.
type Log struct{}

// Open opens the log in dir, making it if there is none, and recovers it.
// It blocks.
func Open(host env.Host, dir string, tp kafka.TopicPartition, cfg Config, opts Options) (*Log, error) {
	panic("later")
}

// AppendInfo is what became of an append.
type AppendInfo struct {
	FirstOffset, LastOffset kafka.Offset
	// LogAppendTime is the time the log gave the batches, or -1: CreateTime.
	LogAppendTime int64
	MaxTimestamp  int64
	// Duplicate: nothing was appended, since the producer's batch is there
	// already: at the offsets given.
	Duplicate bool
}

// AppendAsLeader validates what a producer sent, gives it offsets and the
// leader's epoch, and appends it. The batches are rewritten in place and not
// kept. Errors are Kafka's own; nothing was appended then.
func (l *Log) AppendAsLeader(batches []byte, epoch kafka.LeaderEpoch) (AppendInfo, error) {
	panic("later")
}

// AppendInternal appends what the node itself writes as the leader: control
// batches (transaction markers, quorum leader changes), records of the
// coordinators and of the controller. Unlike AppendAsLeader it takes control
// batches, and ignores max.message.bytes.
func (l *Log) AppendInternal(batches []byte, epoch kafka.LeaderEpoch) (AppendInfo, error) {
	panic("later")
}

// AppendAsFollower appends what the leader sent, with its offsets and epochs.
// A batch that is cut off at the end is left out.
func (l *Log) AppendAsFollower(batches []byte) error { panic("later") }

// Read returns whole batches from the one that holds offset from, up to but
// excluding offset upTo. It returns at most maxBytes, but with minOneBatch the
// first batch whatever its size. from outside of [start, end] is
// OFFSET_OUT_OF_RANGE; from at or after upTo reads nothing. The result is the
// caller's own.
func (l *Log) Read(from, upTo kafka.Offset, maxBytes int32, minOneBatch bool) ([]byte, error) {
	panic("later")
}

// StartOffset is the first offset that may be read.
func (l *Log) StartOffset() kafka.Offset { panic("later") }

// EndOffset is the log end offset (LEO): that of the next record.
func (l *Log) EndOffset() kafka.Offset { panic("later") }

// RecoveryPoint is the offset below which all is synced.
func (l *Log) RecoveryPoint() kafka.Offset { panic("later") }

// LastStableOffset is the first offset of the oldest transaction that is open
// or whose end is not yet below hw; hw if there is none (KIP-98).
func (l *Log) LastStableOffset(hw kafka.Offset) kafka.Offset { panic("later") }

// Flush syncs all that is in the log at the call. It blocks.
func (l *Log) Flush() error { panic("later") }

// FlushIfDue flushes when flush.ms has passed since the last flush.
func (l *Log) FlushIfDue() error { panic("later") }

// TruncateTo removes what lies at or after o. When o is inside of a batch, the
// whole batch goes.
func (l *Log) TruncateTo(o kafka.Offset) error { panic("later") }

// TruncateFullyAndStartAt drops the log; it then begins, empty, at o.
func (l *Log) TruncateFullyAndStartAt(o kafka.Offset) error { panic("later") }

// SetStartOffset raises the log start offset, as DeleteRecords does; a lower
// one changes nothing. Segments below go with the next ApplyRetention.
func (l *Log) SetStartOffset(o kafka.Offset) error { panic("later") }

// EpochEntry says at which offset a leader epoch began.
type EpochEntry struct {
	Epoch kafka.LeaderEpoch
	Start kafka.Offset
}

// LatestEpoch is the last leader epoch in the log, or NoEpoch.
func (l *Log) LatestEpoch() kafka.LeaderEpoch { panic("later") }

// EndOffsetFor answers OffsetForLeaderEpoch: the largest epoch in the log that
// is not greater than the one asked for, and where it ended. The latest epoch
// ends at the log end. NoEpoch, NoOffset: the log cannot tell (KIP-101, KIP-279).
func (l *Log) EndOffsetFor(epoch kafka.LeaderEpoch) (kafka.LeaderEpoch, kafka.Offset) {
	panic("later")
}

// EpochAt is the leader epoch of the record at o, or NoEpoch.
func (l *Log) EpochAt(o kafka.Offset) kafka.LeaderEpoch { panic("later") }

// AssignEpochStart notes that epoch begins at o, as a new leader does before
// it appends. It is durable when the call returns.
func (l *Log) AssignEpochStart(epoch kafka.LeaderEpoch, o kafka.Offset) error { panic("later") }

// EpochEntries is a copy of all epochs.
func (l *Log) EpochEntries() []EpochEntry { panic("later") }

// TimestampOffset is a record found by its timestamp.
type TimestampOffset struct {
	Offset    kafka.Offset
	Timestamp int64
	Epoch     kafka.LeaderEpoch
}

// OffsetForTimestamp finds the first record whose timestamp is at least ts.
func (l *Log) OffsetForTimestamp(ts int64) (at TimestampOffset, ok bool, err error) {
	panic("later")
}

// OffsetOfMaxTimestamp finds the first record with the greatest timestamp (KIP-734).
func (l *Log) OffsetOfMaxTimestamp() (at TimestampOffset, ok bool, err error) { panic("later") }

// AbortedTxn is a transaction that was aborted: where its records begin and
// where its marker is.
type AbortedTxn struct {
	ProducerID  kafka.ProducerID
	First, Last kafka.Offset
	LastStable  kafka.Offset // when it was aborted
}

// AbortedTxns is the aborted transactions with records in [from, to).
func (l *Log) AbortedTxns(from, to kafka.Offset) []AbortedTxn { panic("later") }

// ApplyRetention rolls the active segment if its time has come, and deletes
// segments that are too old, too many, or below the log start offset; only
// those that end at or below hw.
func (l *Log) ApplyRetention(hw kafka.Offset) (deleted int, err error) { panic("later") }

// SetConfig takes a changed configuration.
func (l *Log) SetConfig(cfg Config) { panic("later") }

// Config is the configuration as it stands.
func (l *Log) Config() Config { panic("later") }

// Size is the size of all segments in bytes.
func (l *Log) Size() int64 { panic("later") }

// Failed is the disk's error that closed the log to changes, or nil.
func (l *Log) Failed() error { panic("later") }

// Close flushes the log, writes its producers' state and closes its files: a
// broker that shuts down in order.
func (l *Log) Close() error { panic("later") }
