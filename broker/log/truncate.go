package log

import (
	"fmt"
	"slices"

	"github.com/twmb/franz-go/pkg/kerr"

	"github.com/ktrial/ktrial/broker/kafka"
)

// TruncateTo removes what lies at or after o. When o is inside of a batch, the
// whole batch goes. It is durable when the call returns: else a loss of power
// could bring back old batches behind new ones. It blocks.
func (l *Log) TruncateTo(o kafka.Offset) error {
	if err := l.beginChange("truncate"); err != nil {
		return err
	}
	defer l.changing.leave()
	switch {
	case o < 0:
		panic(fmt.Sprintf("log: truncate %v to offset %d, expected none below 0", l.tp, o))
	case o >= l.end:
		// No record goes, but perhaps an epoch that a leader began here and never
		// appended in: the leader of now may not know of it, and would find this
		// log diverging for ever.
		if l.epochs.truncateEnd(l.end) {
			return l.storeEpochs()
		}
		return nil
	case o < l.segments[0].base:
		return l.restartAt(o)
	}
	return l.truncateTo(o)
}

func (l *Log) truncateTo(o kafka.Offset) error {
	// From here on readers and flushes see the shorter log, whatever the disk
	// is still doing.
	i := l.segmentAt(o)
	keep := l.segments[i]
	position, base, err := keep.locate(o)
	if err != nil {
		return l.fail("truncate", err)
	}
	end := min(o, base)
	l.shorten(end)
	l.endsInGap = l.mayHaveGaps()
	l.recent.clear()
	gone := l.segments[i+1:]
	l.segments = slices.Clone(l.segments[:i+1])
	if err := l.dropSegments(gone); err != nil {
		return err
	}
	if err := keep.truncate(position, end, &l.cfg); err != nil {
		return l.fail("truncate", err)
	}
	l.cuts++ // for reads that began while the file was longer
	if err := keep.sync(); err != nil {
		return l.fail("truncate", err)
	}
	return l.afterCut()
}

// TruncateFullyAndStartAt drops the log; it then begins, empty, at o. It blocks.
func (l *Log) TruncateFullyAndStartAt(o kafka.Offset) error {
	if err := l.beginChange("truncate"); err != nil {
		return err
	}
	defer l.changing.leave()
	return l.restartAt(o)
}

func (l *Log) restartAt(o kafka.Offset) error {
	l.start = o
	l.shorten(o)
	l.end, l.endsInGap = o, false
	old := l.segments
	// Until the new segment is there readers find an empty one.
	l.segments = []*segment{newSegment(l.disk, l.dir, o, l.now())}
	if err := l.dropSegments(old); err != nil {
		return err
	}
	// The producers' state goes before there is a new segment that it could be
	// taken to belong to.
	if err := l.dropSnapshots(func(kafka.Offset) bool { return true }); err != nil {
		return err
	}
	if err := l.disk.SyncDir(l.dir); err != nil {
		return l.fail("truncate", err)
	}
	s, err := l.newActive(o)
	if err != nil {
		return err
	}
	l.segments = []*segment{s}
	l.recent.clear()
	return l.afterCut()
}

// shorten moves the log end back.
func (l *Log) shorten(end kafka.Offset) {
	l.cuts++
	l.end = end
	l.start = min(l.start, end)
	l.recoveryPoint = min(l.recoveryPoint, end)
}

// afterCut brings what depends on the batches in line with those that are left.
func (l *Log) afterCut() error {
	if l.epochs.truncateEnd(l.end) {
		if err := l.storeEpochs(); err != nil {
			return err
		}
	}
	if err := l.dropSnapshots(func(o kafka.Offset) bool { return o > l.end || o < l.segments[0].base }); err != nil {
		return err
	}
	if err := l.disk.SyncDir(l.dir); err != nil {
		return l.fail("truncate", err)
	}
	producers, err := l.producersAt(l.end)
	if err != nil {
		return l.fail("read the producers' state", err)
	}
	l.producers = producers
	if l.checkpoint != nil {
		if err := l.checkpoint(); err != nil {
			return l.fail("write the checkpoints", err)
		}
	}
	return nil
}

// SetStartOffset raises the log start offset, as DeleteRecords does; a lower
// one changes nothing. Segments below go with the next ApplyRetention. The
// producers' state stays: a retry must be known even if what it repeats has
// been deleted (KAFKA-7190). It blocks.
func (l *Log) SetStartOffset(o kafka.Offset) error {
	if err := l.beginChange("delete records of"); err != nil {
		return err
	}
	defer l.changing.leave()
	return l.raiseStart(o)
}

func (l *Log) raiseStart(o kafka.Offset) error {
	if o > l.end {
		return fmt.Errorf("log: delete records of %v below %d: %w: the log ends at %d", l.tp, o, kerr.OffsetOutOfRange, l.end)
	}
	if o <= l.start {
		return nil
	}
	l.start = o
	if l.epochs.truncateStart(o) {
		return l.storeEpochs()
	}
	return nil
}
