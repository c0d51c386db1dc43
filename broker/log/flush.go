package log

import (
	"errors"
	"slices"

	"github.com/ktrial/ktrial/broker/kafka"
	"github.com/ktrial/ktrial/sim/env"
)

// Flush syncs all that is in the log at the call, and moves the recovery point
// there. It blocks.
func (l *Log) Flush() error { return l.flushTo(l.end) }

// FlushIfDue flushes when flush.ms has passed since the last flush.
func (l *Log) FlushIfDue() error {
	if l.end <= l.recoveryPoint || l.host.Uptime()-l.flushed < l.cfg.FlushInterval {
		return nil
	}
	return l.Flush()
}

// flushIfMany flushes when flush.messages records are not synced.
func (l *Log) flushIfMany() error {
	if int64(l.end-l.recoveryPoint) < l.cfg.FlushMessages {
		return nil
	}
	return l.Flush()
}

// flushLater has a task sync what was sealed.
func (l *Log) flushLater() {
	if l.flushDue {
		return
	}
	l.flushDue = true
	l.host.Go("flush-log", func() {
		l.flushDue = false
		if l.usable("flush") == nil {
			_ = l.flushTo(l.active().base) // what fails closes the log
		}
	})
}

// flushTo syncs what lies below to. Others may append, truncate or delete
// segments meanwhile: an append after the sync began is for the next flush, and
// a truncation makes us begin anew, since what we synced may be gone.
func (l *Log) flushTo(to kafka.Offset) error {
	l.flushing.enter(l.host, "log flush")
	defer l.flushing.leave()
	for {
		if err := l.usable("flush"); err != nil {
			return err
		}
		to = min(to, l.end)
		if to <= l.recoveryPoint && !l.behind(to) {
			return nil
		}
		cuts := l.cuts
		if err := l.syncBelow(to); err != nil {
			if cuts != l.cuts || l.closed {
				continue // the file was taken away under us
			}
			return l.fail("sync", err)
		}
		if cuts == l.cuts {
			l.recoveryPoint = max(l.recoveryPoint, to)
			l.flushed = l.host.Uptime()
			return nil
		}
	}
}

// behind reports whether something below to was not synced although the
// recovery point is there: after a restart, or when a segment was sealed since.
func (l *Log) behind(to kafka.Offset) bool {
	return len(l.unsynced) > 0 && l.unsynced[0] <= to ||
		slices.ContainsFunc(l.segments, func(s *segment) bool { return s.base < to && s.isDirty() })
}

func (l *Log) syncBelow(to kafka.Offset) error {
	for _, s := range l.segments {
		if s.base >= to {
			break
		}
		if err := s.sync(); err != nil {
			return err
		}
	}
	return l.syncSnapshots(to)
}

// syncSnapshots syncs the producers' state that rolls have left behind. The
// name is durable already, with that of the new segment.
func (l *Log) syncSnapshots(to kafka.Offset) error {
	for len(l.unsynced) > 0 && l.unsynced[0] <= to {
		f, err := l.disk.Open(l.path(fileName(l.unsynced[0], snapshotSuffix)))
		if err == nil {
			err = errors.Join(f.Sync(), f.Close())
		}
		if err != nil && !errors.Is(err, env.ErrNotExist) {
			return err
		}
		if len(l.unsynced) > 0 {
			l.unsynced = l.unsynced[1:]
		}
	}
	return nil
}
