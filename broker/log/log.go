// Package log is one replica's log on disk, in Kafka's own format: segments
// with their indexes, the producers' state, the leader epochs; and the
// directory that holds a broker's logs with its checkpoints.
//
// The package keeps what it is given and finds it again after a crash. It does
// not know which replica leads or what is committed: the high watermark is an
// argument.
//
// Any call may block while the disk is slow, and another task may then call
// too. Those that change the log take turns, in the order of their calls;
// reads and Flush do not wait for them and see the log as it was before or
// after a change, never in between. What the disk refused to do closes the log
// to further changes (Failed), because it is not known what is on disk then.
package log

import (
	"fmt"
	"slices"
	"sort"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"

	"github.com/ktrial/ktrial/broker/kafka"
	"github.com/ktrial/ktrial/broker/planted"
	"github.com/ktrial/ktrial/broker/record"
	"github.com/ktrial/ktrial/broker/witness"
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
	// Gaps: the log may lack offsets that compaction removed, here or at its leader.
	// Those between two segments lie below GapsBelow.
	Gaps      bool
	GapsBelow kafka.Offset
	// ProducerExpiry is producer.id.expiration.ms; zero is its default, a day.
	ProducerExpiry time.Duration
	// VerifyTransactions: transactional records are appended only to transactions that
	// are open here or were verified (transaction.partition.verification.enable).
	VerifyTransactions bool
	Bugs               *planted.Set
}

// Log is the log of one replica.
type Log struct {
	host env.Host
	disk env.Disk
	dir  string
	tp   kafka.TopicPartition
	cfg  Config
	opts Options

	// Invariant: start <= end, recoveryPoint <= end; end is the end of the active
	// segment.
	start, end    kafka.Offset
	recoveryPoint kafka.Offset
	// segments are in order and never none; the last is active. Invariant: the
	// base of each is the end of the one before. The slice is replaced rather
	// than changed, so that a task that blocks while ranging over it may go on.
	segments  []*segment
	recent    recent
	epochs    epochs
	producers producers
	// verifications of transactions that are not open here, and how many there ever
	// were.
	verifications verifications
	guards        Guard
	snapshots     []kafka.Offset // files of the producers' state, in order
	unsynced      []kafka.Offset // those of them that rolls made since the last flush
	// cuts counts truncations. What a reader or a flush saw of the log before a
	// blocking call is void when it has grown.
	cuts   int
	failed error
	closed bool
	// gaps: as in Options. Invariant: onGaps was called before.
	gaps bool
	// endsInGap: what a truncation left may not reach to the log end.
	endsInGap bool
	// cleaning: a cleaner is at work. uncleanable: none will be again, as the log's
	// records cannot be read.
	cleaning, uncleanable bool

	// Changes take turns at changing, flushes at flushing. A flush never waits
	// for a change, since a change may wait for a flush of its own.
	changing, flushing gate

	decoder  record.Decoder
	flushed  time.Duration // when the last flush ended
	flushDue bool          // a task is about to flush

	// checkpoint is called when the recovery point or the start went back, which
	// the directory's checkpoints must learn before the log is written again.
	checkpoint func() error
	// onGaps makes it durable that the log may have gaps.
	onGaps func() error
}

// Open opens the log in dir, making it if there is none, and recovers it.
// It blocks.
func Open(host env.Host, dir string, tp kafka.TopicPartition, cfg Config, opts Options) (*Log, error) {
	l := &Log{host: host, disk: host.Disk(), dir: dir, tp: tp, cfg: cfg, opts: opts, flushed: host.Uptime()}
	l.gaps = opts.Gaps
	l.setProducerExpiry(opts.ProducerExpiry)
	if err := l.load(); err != nil {
		return nil, fmt.Errorf("log: open %v: %w", tp, err)
	}
	return l, nil
}

func (l *Log) setProducerExpiry(after time.Duration) {
	if after == 0 {
		after = 24 * time.Hour
	}
	l.opts.ProducerExpiry = after
}

// StartOffset is the first offset that may be read.
func (l *Log) StartOffset() kafka.Offset { return l.start }

// EndOffset is the log end offset (LEO): that of the next record.
func (l *Log) EndOffset() kafka.Offset { return l.end }

// RecoveryPoint is the offset below which all is synced.
func (l *Log) RecoveryPoint() kafka.Offset { return l.recoveryPoint }

// LastStableOffset is the first offset of the oldest transaction that is open
// or whose end is not yet below hw; hw if there is none (KIP-98).
func (l *Log) LastStableOffset(hw kafka.Offset) kafka.Offset {
	if len(l.producers.txns) == 0 {
		return hw
	}
	l.producers.forget(hw)
	return max(min(hw, l.start), l.producers.lastStable(hw))
}

// HasOpenTxn reports whether the producer has an open transaction here.
func (l *Log) HasOpenTxn(id kafka.ProducerID) bool {
	p := l.producers.byID[id]
	return p != nil && p.txnStart != kafka.NoOffset
}

// ProducerState is what DescribeProducers says of a producer.
type ProducerState struct {
	ID               kafka.ProducerID
	Epoch            kafka.ProducerEpoch
	LastSequence     kafka.Sequence // -1: none in this epoch
	LastOffset       kafka.Offset   // of its last batch; -1: none in this epoch
	LastTimestamp    int64
	CoordinatorEpoch int32
	TxnStart         kafka.Offset // of the open transaction, or -1
}

// Producers lists the producers that the log knows, in order.
func (l *Log) Producers() []ProducerState {
	var out []ProducerState
	for _, p := range l.producers.sorted() {
		s := ProducerState{p.id, p.epoch, p.lastSequence(), kafka.NoOffset, p.timestamp, p.coordinatorEpoch, p.txnStart}
		if m := p.last(); m != nil {
			s.LastOffset = m.lastOffset
		}
		out = append(out, s)
	}
	return out
}

// ExpireProducers forgets the producers not heard of for producer.id.expiration.ms.
func (l *Log) ExpireProducers() {
	l.producers.expire(l.now(), l.opts.ProducerExpiry.Milliseconds())
	l.expireVerifications()
}

// LatestEpoch is the last leader epoch in the log, or NoEpoch.
func (l *Log) LatestEpoch() kafka.LeaderEpoch { return l.epochs.latest() }

// EndOffsetFor answers OffsetForLeaderEpoch: the largest epoch in the log that
// is not greater than the one asked for, and where it ended. The latest epoch
// ends at the log end. NoEpoch, NoOffset: the log does not know (KIP-101, KIP-279).
func (l *Log) EndOffsetFor(epoch kafka.LeaderEpoch) (kafka.LeaderEpoch, kafka.Offset) {
	return l.epochs.endOffset(epoch, l.end)
}

// EpochAt is the leader epoch of the record at o, or NoEpoch.
func (l *Log) EpochAt(o kafka.Offset) kafka.LeaderEpoch { return l.epochs.at(o) }

// EpochEntries is a copy of all epochs.
func (l *Log) EpochEntries() []EpochEntry { return slices.Clone(l.epochs) }

// AssignEpochStart records that epoch begins at o, as a new leader does before
// it appends. It is durable when the call returns. It blocks.
func (l *Log) AssignEpochStart(epoch kafka.LeaderEpoch, o kafka.Offset) error {
	if err := l.beginChange("assign epoch"); err != nil {
		return err
	}
	defer l.changing.leave()
	return l.assignEpoch(epoch, o)
}

// assignEpoch writes the checkpoint before any record of the epoch, so that no
// record is ever without its epoch (KAFKA-15046).
func (l *Log) assignEpoch(epoch kafka.LeaderEpoch, o kafka.Offset) error {
	if !l.epochs.assign(epoch, o) {
		return nil
	}
	return l.storeEpochs()
}

func (l *Log) storeEpochs() error {
	if err := slices.Clone(l.epochs).write(l.disk, l.path(epochsFile)); err != nil {
		return l.fail("write "+epochsFile, err)
	}
	return nil
}

// permitGaps is called before there is a gap in the offsets. Recovery takes a gap
// for damage in a log that never had one.
func (l *Log) permitGaps() error {
	if l.gaps || l.onGaps == nil {
		return nil
	}
	if err := l.onGaps(); err != nil {
		return l.fail("write "+cleanedOffsetsFile, err)
	}
	l.gaps = true
	return nil
}

// SetConfig takes a changed configuration.
func (l *Log) SetConfig(cfg Config) { l.cfg = cfg }

// Config is the configuration as it stands.
func (l *Log) Config() Config { return l.cfg }

// Size is the size of all segments in bytes.
func (l *Log) Size() (n int64) {
	for _, s := range l.segments {
		n += s.size
	}
	return n
}

// BeingCleaned reports whether a cleaner is at work on the log.
func (l *Log) BeingCleaned() bool { return l.cleaning }

// Failed is the disk's error that closed the log to changes, or nil.
func (l *Log) Failed() error { return l.failed }

// beginChange blocks until it is the caller's turn to change the log. Unless
// there is an error, the caller must leave l.changing.
func (l *Log) beginChange(doing string) error {
	l.changing.enter(l.host, "log change")
	if err := l.usable(doing); err != nil {
		l.changing.leave()
		return err
	}
	return nil
}

func (l *Log) usable(doing string) error {
	switch {
	case l.failed != nil:
		return fmt.Errorf("log: %s %v: %w", doing, l.tp, l.failed)
	case l.closed:
		return fmt.Errorf("log: %s %v: %w: closed", doing, l.tp, kerr.KafkaStorageError)
	}
	return nil
}

// fail closes the log to changes: after an error it is not known what the disk
// has, and going on would give an offset twice (KAFKA-10778).
func (l *Log) fail(doing string, err error) error {
	if l.failed == nil {
		l.failed = fmt.Errorf("%w: %s: %w", kerr.KafkaStorageError, doing, err)
		l.host.Tell(&witness.LogClosed{Log: l.named(), End: l.end, Doing: doing})
	}
	return fmt.Errorf("log: %v: %w", l.tp, l.failed)
}

// named is the log in its events.
func (l *Log) named() witness.Log { return witness.Log{Partition: l.tp} }

func (l *Log) active() *segment        { return l.segments[len(l.segments)-1] }
func (l *Log) now() int64              { return l.host.Now().Millis() }
func (l *Log) path(name string) string { return inDir(l.dir, name) }

// segmentAt is the index of the segment that holds o, or would.
func (l *Log) segmentAt(o kafka.Offset) int {
	return max(0, sort.Search(len(l.segments), func(i int) bool { return l.segments[i].base > o })-1)
}
