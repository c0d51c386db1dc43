package log

import (
	"errors"
	"fmt"
	"slices"

	"github.com/ktrial/ktrial/broker/files"
	"github.com/ktrial/ktrial/broker/kafka"
	"github.com/ktrial/ktrial/broker/record"
	"github.com/ktrial/ktrial/broker/witness"
	"github.com/ktrial/ktrial/sim/env"
)

// load finds the log as it is on disk. After a clean shutdown all is believed.
// Else everything from the segment that holds the recovery point on is read
// again, batch by batch, and the log ends before the first that is damaged.
func (l *Log) load() error {
	names, err := l.disk.List(l.dir)
	if errors.Is(err, env.ErrNotExist) {
		return l.create()
	}
	if err == nil {
		names, err = l.tidy(names)
	}
	if err != nil {
		return err
	}
	if err := l.loadEpochs(); err != nil {
		return err
	}
	if err := l.openSegments(names); err != nil {
		return err
	}
	if err := l.recover(); err != nil {
		return err
	}
	return l.settle()
}

// create makes the directory of a new log.
func (l *Log) create() error {
	if err := l.disk.MkdirAll(l.dir); err != nil {
		return err
	}
	return l.begin(l.opts.LogStart)
}

// begin starts an empty log at o.
func (l *Log) begin(o kafka.Offset) error {
	if err := files.SyncNames(l.disk, l.dir); err != nil {
		return err
	}
	l.start, l.end, l.recoveryPoint = o, o, o
	l.producers = newProducers(o)
	if err := l.dropSnapshots(func(kafka.Offset) bool { return true }); err != nil {
		return err
	}
	s, err := l.newActive(o)
	if err != nil {
		return err
	}
	l.segments = []*segment{s}
	return nil
}

// loadEpochs reads the leader epochs; settleEpochs mends them if they are
// damaged.
func (l *Log) loadEpochs() (err error) {
	l.epochs, err = readEpochs(l.disk, l.path(epochsFile))
	if errors.Is(err, errDamaged) {
		l.host.Tell(&witness.EpochsDamaged{Log: l.named(), Error: witness.ErrorOf(err)})
		return nil
	}
	return err
}

// openSegments opens the files that names list.
func (l *Log) openSegments(names []string) error {
	for _, name := range names {
		base, suffix, ok := parseName(name)
		switch {
		case !ok:
		case suffix == logSuffix:
			s, err := openSegment(l.disk, l.dir, base, l.now())
			if err != nil {
				return err
			}
			l.segments = append(l.segments, s)
		case suffix == snapshotSuffix:
			l.snapshots = append(l.snapshots, base)
		}
	}
	return nil
}

// recover goes through the segments in order and ends with those that make a
// log without a hole.
func (l *Log) recover() error {
	r := recovery{Log: l, from: len(l.segments)}
	if !l.opts.Clean && len(l.segments) > 0 {
		r.from = l.segmentAt(l.opts.RecoveryPoint)
		if !l.mayHaveGaps() { // or the first batch of an epoch may be gone, but its entry says where it was
			l.epochs.truncateEnd(l.segments[r.from].base)
		}
	}
	for i := range l.segments {
		goesOn, err := r.segment(i)
		if err != nil {
			return err
		}
		if !goesOn {
			l.host.Reached(ProbeSegmentsLost)
			gone := l.segments[i+1:]
			l.segments = slices.Clone(l.segments[:i+1])
			if err := l.dropSegments(gone); err != nil {
				return err
			}
			break
		}
	}
	if r.known {
		l.producers = r.state
		return nil
	}
	if len(l.segments) == 0 {
		return nil
	}
	var err error
	l.producers, err = l.producersAt(l.active().end)
	return err
}

// recovery is a walk through the segments.
type recovery struct {
	*Log
	from int // the first segment that is not believed
	// state is the fold of all batches before the next segment, if it is known.
	state producers
	known bool
}

// segment recovers one. It reports whether the log goes on in the next one.
func (r *recovery) segment(i int) (goesOn bool, err error) {
	s, last := r.segments[i], i == len(r.segments)-1
	if i < r.from {
		switch err := r.believe(s, i); {
		case err == nil:
			r.known = false
			return true, nil
		case !errors.Is(err, errDamaged) && !errors.Is(err, env.ErrNotExist):
			return false, err
		default:
			r.host.Tell(&witness.SegmentReread{Log: r.named(), Base: s.base})
			s.offsets.data, s.times.data, s.txns.data = nil, nil, nil
		}
	}
	if !r.known {
		if r.state, err = r.producersAt(s.base); err != nil {
			return false, err
		}
		r.known = true
	}
	whole, err := r.rebuild(s, i >= r.from)
	if err != nil || last {
		return true, err
	}
	next := r.segments[i+1].base
	// A segment may have lost its unsynced end and look whole, while a later one
	// is there. What follows the hole cannot be kept: no follower would ever fetch
	// what is missing. (Kafka keeps it: LogLoader.recoverLog drops what follows
	// only if LogSegment.recover found a damaged batch, and what follows a segment
	// with damaged indexes not even then.) The cleaner leaves such gaps on purpose,
	// and only where all is synced (pass.prepare).
	if !whole || s.end > next || s.end < next && !r.mayLack(next) {
		return false, nil
	}
	s.end, r.state.end = next, next
	return true, nil
}

// mayHaveGaps reports whether compaction may have removed offsets from the log.
func (l *Log) mayHaveGaps() bool { return l.gaps || l.cfg.CleanupPolicy.Compact }

// mayLack reports whether compaction may have removed what came before a segment.
func (l *Log) mayLack(base kafka.Offset) bool {
	return l.gaps && base <= l.opts.GapsBelow || l.cfg.CleanupPolicy.Compact
}

// believe takes a segment as it is, with the indexes it has.
func (l *Log) believe(s *segment, i int) error {
	if err := s.loadIndexes(); err != nil {
		return err
	}
	if i < len(l.segments)-1 {
		s.end = l.segments[i+1].base
		return nil
	}
	return s.scan(s.indexed, s.size, func(b record.Batch, _ int64) error {
		s.end = b.NextOffset()
		return nil
	})
}

// rebuild reads all batches of a segment and makes its indexes anew. It cuts
// the segment before the first batch that is damaged, and reports whether
// there was none. The log's epochs are rebuilt too, unless those of the
// segment are believed.
func (r *recovery) rebuild(s *segment, withEpochs bool) (whole bool, err error) {
	if err := s.resetIndexes(); err != nil {
		return false, err
	}
	size := s.size
	s.size = 0
	err = s.scan(0, size, func(b record.Batch, at int64) error {
		if err := b.Check(); err != nil {
			return s.damaged(at, err)
		}
		// No checksum covers the base offset: it is given after the producer made
		// the batch. Kafka believes one that is too high (LogSegment.recover looks
		// only whether an index can hold it), and empties the whole segment if an
		// index entry would go back (recoverLog on InvalidOffsetException). But only
		// compaction leaves gaps, and no follower would ever fetch what is missing in
		// this one.
		if o := b.BaseOffset(); o < s.end || o > s.end && !r.mayHaveGaps() || !s.offsets.holds(b.LastOffset()) {
			r.host.Reached(ProbeBaseOffset)
			return s.damaged(at, fmt.Errorf("base offset %d, expected %d", o, s.end))
		}
		s.account(b, at, r.cfg.IndexIntervalBytes)
		if withEpochs {
			r.epochs.replay(b)
		}
		if aborted, ok := r.state.fold(b); ok {
			s.txns.append(aborted)
		}
		return nil
	})
	if err != nil && !errors.Is(err, errDamaged) {
		return false, err
	}
	r.state.unfreeze()
	r.state.end = s.end
	if s.size < size {
		r.host.Tell(&witness.SegmentCut{Log: r.named(), Base: s.base, At: s.size, Size: size, End: s.end})
		s.dirty = true
		if err := errors.Join(s.file.Truncate(s.size), s.file.Sync()); err != nil {
			return false, err
		}
	}
	return s.size == size, errors.Join(s.seal(), s.txns.store())
}

// settle draws the log's offsets from its segments, and writes what recovery
// has changed.
func (l *Log) settle() error {
	if n := len(l.segments); n > 0 && l.active().end < l.opts.LogStart {
		l.host.Tell(&witness.SegmentsDropped{Log: l.named(), End: l.active().end, Start: l.opts.LogStart})
		gone := l.segments
		l.segments = nil
		if err := l.dropSegments(gone); err != nil {
			return err
		}
	}
	if len(l.segments) == 0 {
		if err := l.begin(l.opts.LogStart); err != nil {
			return err
		}
	}
	l.start = max(l.opts.LogStart, l.segments[0].base)
	l.end = l.active().end
	l.recoveryPoint = min(l.opts.RecoveryPoint, l.end)
	if l.opts.Clean {
		l.recoveryPoint = l.end
	}
	for _, s := range l.segments {
		s.dirty = s.dirty && s.end > l.recoveryPoint
	}
	if err := l.settleEpochs(); err != nil {
		return err
	}
	if err := l.dropSnapshots(l.strayAmong(l.snapshots)); err != nil {
		return err
	}
	l.ExpireProducers()
	if err := l.active().findFirstTime(); err != nil {
		return err
	}
	return l.active().growIndexes(&l.cfg)
}

// settleEpochs makes the epochs those of the batches. They are taken from the
// batches anew if the file did not have those of the first: because it was
// damaged, or because the log start offset that it knew of has been forgotten.
func (l *Log) settleEpochs() error {
	if l.start < l.end && (len(l.epochs) == 0 || l.epochs[0].Start > l.start) {
		l.host.Reached(ProbeEpochsFromBatches)
		l.epochs = nil
		for _, s := range l.segments {
			err := s.scan(0, s.size, func(b record.Batch, _ int64) error {
				l.epochs.replay(b)
				return nil
			})
			if err != nil {
				return err
			}
		}
	}
	l.epochs.truncateEnd(l.end)
	l.epochs.truncateStart(l.start)
	stored, err := readEpochs(l.disk, l.path(epochsFile))
	if err == nil && slices.Equal(stored, l.epochs) {
		return nil
	}
	return l.storeEpochs()
}

// strayAmong finds which snapshots of the producers' state are of no use: those
// outside of the log, and those at no segment's base but the latest.
func (l *Log) strayAmong(snapshots []kafka.Offset) func(kafka.Offset) bool {
	latest := kafka.NoOffset
	for _, o := range snapshots {
		if o <= l.end {
			latest = max(latest, o)
		}
	}
	return func(o kafka.Offset) bool {
		atBase := l.segments[l.segmentAt(o)].base == o
		return o > l.end || o < l.segments[0].base || !atBase && o != latest
	}
}

// producersAt is the fold of the batches below o: the latest snapshot that can
// be read, and what follows it.
func (l *Log) producersAt(o kafka.Offset) (producers, error) {
	ps, err := l.latestSnapshot(o)
	if err != nil {
		return ps, err
	}
	for _, s := range l.segments {
		if s.end <= ps.end || s.base >= o {
			continue
		}
		from, _ := s.offsets.lookup(ps.end)
		err := s.scan(from, s.size, func(b record.Batch, _ int64) error {
			if b.LastOffset() >= o {
				return errStop
			}
			if b.BaseOffset() >= ps.end {
				ps.fold(b)
			}
			return nil
		})
		if err != nil && err != errStop {
			return ps, err
		}
	}
	ps.unfreeze()
	ps.end = o
	return ps, nil
}

func (l *Log) latestSnapshot(o kafka.Offset) (producers, error) {
	for _, at := range slices.Backward(slices.Clone(l.snapshots)) {
		if at > o {
			continue
		}
		name := l.path(fileName(at, snapshotSuffix))
		content, err := files.Read(l.disk, name)
		if err == nil {
			ps, err := decodeProducers(content, at)
			if err == nil {
				return ps, l.recall(&ps)
			}
			l.host.Tell(&witness.ProducersDamaged{Log: l.named(), File: name, Error: witness.ErrorOf(err)})
		} else if !errors.Is(err, env.ErrNotExist) {
			return producers{}, err
		}
		if err := l.dropSnapshots(func(o kafka.Offset) bool { return o == at }); err != nil {
			return producers{}, err
		}
	}
	return newProducers(l.segments[0].base), nil
}
