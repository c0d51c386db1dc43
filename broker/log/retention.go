package log

import (
	"errors"
	"slices"

	"github.com/ktrial/ktrial/broker/kafka"
	"github.com/ktrial/ktrial/broker/witness"
)

// ApplyRetention deletes segments that are too old, too many, or below the log
// start offset; only those that end at or below hw. It returns how many. When
// that takes all of them, a new one is begun first. It blocks.
func (l *Log) ApplyRetention(hw kafka.Offset) (deleted int, err error) {
	if err := l.beginChange("apply retention to"); err != nil {
		return 0, err
	}
	defer l.changing.leave()
	n := l.countExpired(hw, l.now())
	if n == 0 {
		return 0, nil
	}
	if n == len(l.segments) {
		if err := l.roll(); err != nil {
			return 0, err
		}
	}
	// What goes leaves its trace in the producers' state at the new beginning,
	// which must be durable first.
	if err := l.flushTo(l.segments[n].base); err != nil {
		return 0, err
	}
	if err := l.raiseStart(l.segments[n].base); err != nil {
		return 0, err
	}
	gone := l.segments[:n]
	l.segments = slices.Clone(l.segments[n:])
	for i := range gone { // oldest first: see dropSegments
		if err := l.dropSegments(gone[i : i+1]); err != nil {
			return i, err
		}
	}
	if open := l.producers.lastStable(hw); open < l.start {
		l.host.Reached(ProbeRetentionInTransaction)
	}
	l.host.Tell(&witness.RetentionDeleted{Log: l.named(), Segments: n, Start: l.start})
	err = l.dropSnapshots(func(o kafka.Offset) bool { return o < l.segments[0].base })
	return n, err
}

// countExpired is how many of the first segments may go.
func (l *Log) countExpired(hw kafka.Offset, now int64) int {
	surplus := int64(0)
	if l.cfg.RetentionBytes >= 0 {
		surplus = l.Size() - l.cfg.RetentionBytes
	}
	for i, s := range l.segments {
		last := i == len(l.segments)-1
		if s.end > hw || last && s.size == 0 {
			return i
		}
		below := s.end <= l.start && !last
		old := l.cfg.RetentionTime >= 0 && now-s.newest() > l.cfg.RetentionTime.Milliseconds()
		many := l.cfg.RetentionBytes >= 0 && surplus-s.size >= 0
		if !below && !(l.cfg.CleanupPolicy.Delete && (old || many)) {
			return i
		}
		surplus -= s.size
	}
	return len(l.segments)
}

// dropSegments takes segments out of the directory, the last first, and has
// their files removed later, since readers may still be busy with them. Each
// is durably gone before the next goes: what a loss of power may leave behind
// is never a log with a hole. (Retention drops from the other end, one by one.)
func (l *Log) dropSegments(gone []*segment) error {
	for _, s := range slices.Backward(gone) {
		if err := s.rename(deletedSuffix); err != nil {
			return l.fail("delete a segment", err)
		}
		if err := l.disk.SyncDir(l.dir); err != nil {
			return l.fail("delete a segment", err)
		}
		l.host.After(l.cfg.FileDeleteDelay, "delete "+l.tp.String(), func() {
			l.host.Go("delete-segment", func() { l.removeSegment(s) })
		})
	}
	return nil
}

// removeSegment removes the files for good. That they are still there does no
// harm, so that errors do not either.
func (l *Log) removeSegment(s *segment) {
	s.close()
	s.remove()
}

// remove removes the files, as far as the disk lets it.
func (s *segment) remove() {
	for _, suffix := range segmentFiles {
		_ = removeIfExists(s.disk, s.path(suffix))
	}
}

// dropSnapshots removes the snapshots of the producers' state that are of no
// use any more.
func (l *Log) dropSnapshots(useless func(kafka.Offset) bool) error {
	for _, o := range l.snapshots {
		if !useless(o) {
			continue
		}
		if err := removeIfExists(l.disk, l.path(fileName(o, snapshotSuffix))); err != nil {
			return l.fail("delete a snapshot of the producers", err)
		}
	}
	l.snapshots = slices.DeleteFunc(slices.Clone(l.snapshots), useless)
	l.unsynced = slices.DeleteFunc(slices.Clone(l.unsynced), useless)
	return nil
}

// Close flushes the log, writes its producers' state and closes its files: a
// broker that shuts down in order. It blocks.
func (l *Log) Close() error {
	if err := l.beginChange("close"); err != nil {
		return err
	}
	defer l.changing.leave()
	if err := l.active().seal(); err != nil {
		return l.fail("seal a segment", err)
	}
	if err := l.takeSnapshot(true); err != nil {
		return err
	}
	if err := l.flushTo(l.end); err != nil {
		return err
	}
	if err := errors.Join(l.active().sync(), l.disk.SyncDir(l.dir)); err != nil {
		return l.fail("sync", err)
	}
	l.abandon()
	return nil
}

// abandon closes the files as they are.
func (l *Log) abandon() {
	l.closed = true
	l.cuts++
	for _, s := range l.segments {
		s.close()
	}
}
