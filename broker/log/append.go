package log

import (
	"errors"
	"fmt"
	"slices"

	"github.com/twmb/franz-go/pkg/kerr"

	"github.com/ktrial/ktrial/broker/cost"
	"github.com/ktrial/ktrial/broker/files"
	"github.com/ktrial/ktrial/broker/kafka"
	"github.com/ktrial/ktrial/broker/planted"
	"github.com/ktrial/ktrial/broker/record"
	"github.com/ktrial/ktrial/broker/witness"
)

// AppendInfo is what became of an append.
type AppendInfo struct {
	FirstOffset, LastOffset kafka.Offset
	// LogAppendTime is the time the log gave the batches, or -1: CreateTime. Of a
	// duplicate it is the timestamp of the batch in any case, as in Kafka.
	LogAppendTime int64
	MaxTimestamp  int64
	// Duplicate: nothing was appended, since the producer's batch is there
	// already: at the offsets given.
	Duplicate bool
}

// Origin is where a batch comes from, and so what there is to check.
type Origin uint8

// The origins of batches that a leader appends.
const (
	// Client: a producer. Nothing is trusted.
	Client Origin = iota
	// Coordinator: a record that a coordinator of this node writes for a client, such
	// as an offset that is committed in a transaction. It has no sequence.
	Coordinator
	// Internal: what this node writes of its own: markers, records of the controller.
	Internal
)

// Append says how batches are to be appended.
type Append struct {
	Epoch  kafka.LeaderEpoch
	Origin Origin
	// Guard is what BeginVerification gave, if the coordinator has said since that
	// the partition is in the producer's transaction.
	Guard Guard
	// TxnVersion is the transaction.version of the transaction that a marker ends
	// (KIP-1228).
	TxnVersion int8
}

// ErrUnexpectedOffset: the leader sent batches from below the log end.
var ErrUnexpectedOffset = errors.New("unexpected offset")

// AppendAsLeader validates what a producer sent, gives it offsets and the
// leader's epoch, and appends it. The batches are rewritten in place and not
// kept. Errors are Kafka's own; nothing was appended then.
func (l *Log) AppendAsLeader(batches []byte, epoch kafka.LeaderEpoch) (AppendInfo, error) {
	return l.Append(batches, Append{Epoch: epoch})
}

// AppendInternal appends what the node itself writes as the leader: control
// batches (transaction markers, quorum leader changes), records of the
// coordinators and of the controller. Unlike AppendAsLeader it takes control
// batches, ignores max.message.bytes and looks at no record.
func (l *Log) AppendInternal(batches []byte, epoch kafka.LeaderEpoch) (AppendInfo, error) {
	return l.Append(batches, Append{Epoch: epoch, Origin: Internal})
}

// Append is AppendAsLeader for any origin.
func (l *Log) Append(batches []byte, how Append) (AppendInfo, error) {
	if err := l.beginChange("append to"); err != nil {
		return AppendInfo{}, err
	}
	info, err := l.appendValid(batches, how)
	l.changing.leave()
	if err == nil && !info.Duplicate {
		from := l.host.Uptime()
		err = l.flushIfMany()
		if machine := l.host.Machine(); machine != nil {
			machine.Took(cost.Syncing, l.host.Uptime()-from, 1)
		}
	}
	return info, err
}

func (l *Log) appendValid(batches []byte, how Append) (AppendInfo, error) {
	now := l.now()
	batches, err := l.vet(batches, how.Origin, now)
	if err != nil {
		return AppendInfo{}, l.refuse(err)
	}
	if how.Origin == Client {
		if info, found, err := l.duplicate(batches); found || err != nil {
			return info, l.refuse(err)
		}
	}
	if err := l.checkVerified(batches, how); err != nil {
		return AppendInfo{}, l.refuse(err)
	}
	if err := l.producers.validate(batches, how, l.verifications, l.opts.Bugs); err != nil {
		return AppendInfo{}, l.refuse(err)
	}
	l.verified(batches)
	info := AppendInfo{FirstOffset: l.end, LogAppendTime: record.NoTimestamp, MaxTimestamp: record.NoTimestamp}
	if l.cfg.TimestampType == LogAppendTime {
		info.LogAppendTime = now
	}
	next := l.end
	for rest := batches; len(rest) > 0; {
		var b record.Batch
		b, rest, _ = record.Next(rest)
		b.SetBaseOffset(next)
		b.SetLeaderEpoch(how.Epoch)
		next = b.NextOffset()
		info.MaxTimestamp = max(info.MaxTimestamp, b.MaxTimestamp())
	}
	info.LastOffset = next - 1
	return info, l.write(batches, now)
}

// refuse says where an append was refused.
func (l *Log) refuse(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("log: append to %v: %w", l.tp, err)
}

// duplicate looks for a batch that is in the log already. Kafka sends one
// batch per partition, so the first that is found answers for all.
func (l *Log) duplicate(batches []byte) (AppendInfo, bool, error) {
	for rest := batches; len(rest) > 0; {
		var b record.Batch
		b, rest, _ = record.Next(rest)
		if !b.HasProducer() {
			continue
		}
		m, found, err := l.producers.duplicate(b, l.opts.Bugs)
		if err != nil || !found {
			if err != nil {
				return AppendInfo{}, false, err
			}
			continue
		}
		l.host.Reached(ProbeDuplicateAnswered)
		if m.recalled {
			l.host.Reached(ProbeRecalled)
		}
		first := m.firstOffset()
		if l.opts.Bugs.On(planted.DupAckWrongOffset) {
			l.opts.Bugs.Infected(planted.DupAckWrongOffset, first != l.end)
			first = l.end
		}
		return AppendInfo{first, m.lastOffset, m.timestamp, m.timestamp, true}, true, nil
	}
	return AppendInfo{}, false, nil
}

// AppendAsFollower appends what the leader sent, with its offsets and epochs.
// A batch that is cut off at the end is left out. Batches that begin below the
// log end are ErrUnexpectedOffset, and nothing is appended.
func (l *Log) AppendAsFollower(batches []byte) error {
	if err := l.beginChange("append to"); err != nil {
		return err
	}
	err := l.appendCopy(batches)
	l.changing.leave()
	if err == nil {
		err = l.flushIfMany()
	}
	return err
}

func (l *Log) appendCopy(batches []byte) error {
	n, gap, err := l.vetCopy(batches)
	if n == 0 || err != nil {
		return l.refuse(err)
	}
	if gap {
		if err := l.permitGaps(); err != nil {
			return err
		}
	}
	return l.write(batches[:n], l.now())
}

// vetCopy checks what the leader sent: whole, undamaged, in order. It returns
// the size of the whole batches, and whether offsets are missing among them: the
// leader has compacted its log.
func (l *Log) vetCopy(batches []byte) (n int, gap bool, err error) {
	next := l.end
	for rest := batches; len(rest) > 0; {
		b, tail, err := record.Next(rest)
		if err != nil {
			if errors.Is(err, kerr.CorruptMessage) || errors.Is(err, kerr.UnsupportedForMessageFormat) {
				return 0, false, err
			}
			return n, gap, nil // cut off at the end
		}
		if err := b.Check(); err != nil {
			return 0, false, err
		}
		if n == 0 && b.BaseOffset() < next && b.LastOffset() >= next && l.isEmpty() {
			if err := l.beginInside(b.BaseOffset()); err != nil {
				return 0, false, err
			}
			next = b.BaseOffset()
		}
		if b.BaseOffset() < next {
			return 0, false, fmt.Errorf("%w: batch begins at offset %d, expected at least %d", ErrUnexpectedOffset, b.BaseOffset(), next)
		}
		gap = gap || b.BaseOffset() > next
		next = b.NextOffset()
		n += len(b)
		rest = tail
	}
	return n, gap, nil
}

func (l *Log) isEmpty() bool { return len(l.segments) == 1 && l.active().size == 0 }

// beginInside: the leader's log start lies inside of a batch, as DeleteRecords
// may leave it, and a batch only comes as a whole. So the empty log begins with
// the batch, and its start offset stays where it was.
func (l *Log) beginInside(base kafka.Offset) error {
	start := l.start
	if err := l.restartAt(base); err != nil {
		return err
	}
	l.start = start
	return nil
}

// write appends batches that have their offsets, and rolls where one does not
// fit any more.
func (l *Log) write(batches []byte, now int64) error {
	from, at := 0, 0
	for rest := batches; len(rest) > 0; {
		var b record.Batch
		b, rest, _ = record.Next(rest)
		if err := l.assignEpoch(b.LeaderEpoch(), b.BaseOffset()); err != nil {
			return err
		}
		if l.active().full(b, int64(at-from), &l.cfg, now) {
			if err := l.writeRun(batches[from:at], now); err != nil {
				return err
			}
			if err := l.roll(); err != nil {
				return err
			}
			from = at
		}
		at += len(b)
	}
	return l.writeRun(batches[from:], now)
}

// writeRun writes batches to the active segment. The log end moves with the
// bytes, before the indexes are written: should that fail, no later append may
// get an offset that is taken (KAFKA-7866).
func (l *Log) writeRun(run []byte, now int64) error {
	if len(run) == 0 {
		return nil
	}
	s := l.active()
	s.dirty = true
	if _, err := s.file.WriteAt(run, s.size); err != nil {
		return l.fail("append", err)
	}
	s.dirty, s.written = true, now
	for rest := run; len(rest) > 0; {
		var b record.Batch
		b, rest, _ = record.Next(rest)
		l.recent.add(b.BaseOffset(), s.size)
		s.account(b, s.size, l.cfg.IndexIntervalBytes)
		if aborted, ok := l.producers.fold(b); ok {
			s.txns.append(aborted)
		}
	}
	l.end, l.endsInGap = s.end, false
	if err := s.storeIndexes(); err != nil {
		return l.fail("append to an index", err)
	}
	if s.txns.written < len(s.txns.data) {
		if err := s.txns.store(); err != nil {
			return l.fail("append to the index of aborted transactions", err)
		}
		l.producers.unfreeze()
	}
	return nil
}

// roll seals the active segment and begins a new one at the log end. The new
// file's name is durable before anything is written to it: a later segment
// must not outlive an earlier one that was never synced.
func (l *Log) roll() error {
	old := l.active()
	if old.size == 0 {
		return nil
	}
	if err := old.seal(); err != nil {
		return l.fail("seal a segment", err)
	}
	if err := l.takeSnapshot(false); err != nil {
		return err
	}
	if err := l.secureGap(); err != nil {
		return err
	}
	s, err := l.newActive(l.end)
	if err != nil {
		return err
	}
	l.host.Tell(&witness.SegmentRolled{Log: l.named(), Base: old.base, Size: old.size, End: l.end})
	l.segments = append(slices.Clip(l.segments), s)
	l.recent.clear()
	l.flushLater()
	return nil
}

// secureGap makes recovery expect a gap before the segment that is about to begin:
// it takes one above the recovery point for lost (mayLack).
func (l *Log) secureGap() error {
	if !l.endsInGap {
		return nil
	}
	if err := l.flushTo(l.end); err != nil || l.checkpoint == nil {
		return err
	}
	if err := l.checkpoint(); err != nil {
		return l.fail("write the checkpoints", err)
	}
	return nil
}

// newActive makes the files of a new segment.
func (l *Log) newActive(base kafka.Offset) (*segment, error) {
	s, err := createSegment(l.disk, l.dir, base, &l.cfg, l.now())
	if err == nil {
		err = l.disk.SyncDir(l.dir)
	}
	if err != nil {
		return nil, l.fail("create a segment", err)
	}
	s.jitter = l.cfg.drawJitter(l.host.Rand())
	return s, nil
}

// takeSnapshot writes the producers' state as of the log end. One that is
// damaged is found out by its CRC and done without, so only Close waits for it
// to be synced; else the flush of the sealed segment does that.
func (l *Log) takeSnapshot(sync bool) error {
	if n := len(l.snapshots); n > 0 && l.snapshots[n-1] >= l.end {
		return nil
	}
	if err := files.Write(l.disk, l.path(fileName(l.end, snapshotSuffix)), l.producers.encode(), sync); err != nil {
		return l.fail("write a snapshot of the producers", err)
	}
	l.snapshots = append(l.snapshots, l.end)
	if !sync {
		l.unsynced = append(l.unsynced, l.end)
	}
	return nil
}
