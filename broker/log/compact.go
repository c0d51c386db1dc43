package log

import (
	"errors"
	"math"
	"slices"

	"github.com/ktrial/ktrial/broker/kafka"
	"github.com/ktrial/ktrial/broker/planted"
	"github.com/ktrial/ktrial/broker/record"
	"github.com/ktrial/ktrial/broker/witness"
)

// compactor is the memory that passes share.
type compactor struct {
	record.Compactor
	decoder record.Decoder
	out     []byte
}

// pass is one compaction of a log. It maps the last offset of each key in what
// was never compacted, then copies all segments up to where the map ends, without
// what the map supersedes.
type pass struct {
	*Cleaner
	*toClean
	l *Log
	// cuts is what the log's count of cuts was: when it grows otherwise than by this
	// pass, what was read may be gone.
	cuts int
	now  int64
	txns *cleanedTxns
	// end is where the map ends: the first dirty offset from now on.
	end kafka.Offset
	// since counts the bytes since other tasks had their turn.
	since int64
	told  witness.LogCleaned
}

// clean makes a pass over x, and checkpoints how far it came.
func (c *Cleaner) clean(x *toClean) error {
	l := x.log.Log
	p := &pass{Cleaner: c, toClean: x, l: l, cuts: l.cuts, now: l.now(), txns: newCleanedTxns()}
	p.told = witness.LogCleaned{Log: l.named(), FirstDirty: x.firstDirty}
	err := p.run()
	if err == nil && p.stale() {
		err = errCleaningAborted
	}
	if err != nil && (p.stale() || l.usable("clean") != nil) && l.failed == nil {
		return errCleaningAborted // whatever it was that went wrong
	}
	if err != nil {
		return err
	}
	// A crash before this is durable has the pass repeated, which does no harm.
	if err := c.dir.checkpointCleaned(l, p.end); err != nil {
		return err
	}
	p.told.End = p.end
	l.host.Tell(&p.told)
	return nil
}

func (p *pass) run() error {
	if err := p.prepare(); err != nil {
		return err
	}
	if p.stale() {
		return errCleaningAborted
	}
	if err := p.mapKeys(); err != nil {
		return err
	}
	for _, group := range p.groups(p.l.between(p.l.segments[0].base, p.end)) {
		if p.l.opts.Bugs.On(planted.CleanTxnStatePerGroup) {
			p.l.opts.Bugs.Infected(planted.CleanTxnStatePerGroup, len(p.txns.openAborted)+len(p.txns.openCommitted) > 0)
			p.txns = newCleanedTxns()
		}
		if err := p.compact(group); err != nil {
			return err
		}
	}
	return nil
}

// prepare makes sure that recovery will not take what is about to be removed for
// damage. The segments to clean are synced, and the checkpoints say so: a gap between
// segments below the recovery point is the cleaner's.
func (p *pass) prepare() error {
	if err := p.l.flushTo(p.firstUncleanable); err != nil {
		return err
	}
	if err := p.l.permitGaps(); err != nil {
		return err
	}
	return p.dir.CheckpointRecovery()
}

// stale reports whether the log was cut or closed since the pass began.
func (p *pass) stale() bool { return p.l.cuts != p.cuts }

// step is called after every batch. Now and then it lets other tasks go first, so
// that none of its steps is long, and keeps the rate that is set.
func (p *pass) step(n int) error {
	p.since += int64(n)
	if p.since < int64(max(p.cfg.IOBufferSize, 1)) {
		return nil
	}
	if pause := p.throttle.pause(p.host.Uptime(), p.since, p.cfg.IOMaxBytesPerSec); pause > 0 {
		p.host.Sleep(pause)
	}
	p.since = 0
	p.host.Yield("log cleaner")
	if p.stale() {
		return errCleaningAborted
	}
	return nil
}

// mapKeys fills the map from the dirty segments, until it is full.
func (p *pass) mapKeys() error {
	p.keys.reset(p.cfg.keys())
	txns := newCleanedTxns()
	txns.add(p.l.AbortedTxns(p.firstDirty, p.firstUncleanable))
	for _, s := range p.l.between(p.firstDirty, p.firstUncleanable) {
		full, err := p.mapSegment(s, txns)
		if err != nil {
			return err
		}
		if full {
			p.l.host.Reached(ProbeKeyMapFull)
			break
		}
		p.keys.passed(s.end - 1) // what is missing up to there was removed earlier
	}
	p.end = p.keys.latest + 1
	return nil
}

// mapSegment reports whether the map is full. It may end inside of a batch then.
func (p *pass) mapSegment(s *segment, txns *cleanedTxns) (full bool, err error) {
	from, _ := s.offsets.lookup(p.firstDirty)
	err = s.scan(from, s.size, func(b record.Batch, at int64) error {
		if err := b.Check(); err != nil {
			return s.damaged(at, err)
		}
		p.told.BytesRead += int64(len(b))
		if discard := txns.discards(b); !discard && !b.IsControl() {
			err := p.compactor.decoder.Keys(b, func(r record.Record) bool {
				full = r.Key != nil && r.Offset >= p.firstDirty && !p.keys.put(r.Key, r.Offset)
				return !full
			})
			if err != nil {
				return s.damaged(at, err)
			}
		}
		if full {
			return errStop
		}
		if b.LastOffset() >= p.firstDirty {
			p.keys.passed(b.LastOffset())
		}
		return p.step(len(b))
	})
	if err == errStop {
		err = nil
	}
	return full, err
}

// groups puts neighbours together that will fit into one segment.
func (p *pass) groups(segments []*segment) (groups [][]*segment) {
	cfg := &p.l.cfg
	for len(segments) > 0 {
		first := segments[0]
		size, offsets, times := first.size, len(first.offsets.data), len(first.times.data)
		n := 1
		for ; n < len(segments); n++ {
			s := segments[n]
			size, offsets, times = size+s.size, offsets+len(s.offsets.data), times+len(s.times.data)
			if size > int64(cfg.SegmentBytes) || offsets > int(cfg.SegmentIndexBytes) || times > int(cfg.SegmentIndexBytes) ||
				s.size > 0 && s.end-1-first.base > math.MaxInt32 {
				break
			}
		}
		groups = append(groups, segments[:n])
		segments = segments[n:]
	}
	return groups
}

// compact copies what stays of a group of segments into one, and replaces them
// by it.
func (p *pass) compact(group []*segment) error {
	if p.stale() {
		return errCleaningAborted // before there is a file of a name that another log may have by now
	}
	dest := newSegment(p.l.disk, p.l.dir, group[0].base, p.l.now())
	dest.setEnding(cleanedSuffix)
	if err := dest.create(); err != nil {
		return p.failUnlessStale("create a segment", err)
	}
	err := p.copyAll(group, dest)
	if err == nil {
		err = p.l.replaceSegments(dest, group, p)
	}
	if err != nil {
		dest.close()
		if !p.l.closed && dest.ending == cleanedSuffix {
			dest.remove()
		}
	}
	return err
}

// copyAll copies what stays of a group, durably.
func (p *pass) copyAll(group []*segment, dest *segment) error {
	p.txns.keep = dest.txns.append
	p.compactor.out = p.compactor.out[:0]
	for _, s := range group {
		p.addAborted(s)
		if err := p.copySegment(s, dest); err != nil {
			return err
		}
		p.told.BytesBefore += s.size
	}
	if err := p.write(dest); err != nil {
		return err
	}
	last := group[len(group)-1]
	dest.end, dest.written = last.end, last.written
	p.told.BytesAfter += dest.size
	err := errors.Join(dest.txns.store(), dest.seal())
	if err == nil {
		err = dest.sync()
	}
	if err == nil {
		// The names too: an index of the swap without its log would be taken for one
		// whose log has its final name already.
		err = p.l.disk.SyncDir(p.l.dir)
	}
	if err != nil {
		return p.failUnlessStale("write a compacted segment", err)
	}
	return nil
}

// addAborted says what was aborted in a segment: in all of it, for all of it is
// copied, even if the map of keys ends before (KAFKA-13727).
func (p *pass) addAborted(s *segment) {
	to := s.end
	aborted := p.l.AbortedTxns(s.base, to)
	if p.l.opts.Bugs.On(planted.CleanIndexCleanedOnly) {
		fewer := p.l.AbortedTxns(s.base, min(to, p.end))
		p.l.opts.Bugs.Infected(planted.CleanIndexCleanedOnly, len(fewer) < len(aborted))
		aborted = fewer
	}
	p.txns.add(aborted)
}

// copySegment appends what stays of s to dest.
func (p *pass) copySegment(s, dest *segment) error {
	return s.scan(0, s.size, func(b record.Batch, at int64) error {
		if err := b.Check(); err != nil {
			// Kafka does not look, and signs what it copies: rot would become the truth.
			return s.damaged(at, err)
		}
		if err := p.copyBatch(b, dest); err != nil {
			return s.damaged(at, err)
		}
		if len(p.compactor.out) >= int(p.cfg.IOBufferSize) {
			if err := p.write(dest); err != nil {
				return err
			}
		}
		return p.step(len(b))
	})
}

// copyBatch puts what stays of b to what is to be written.
func (p *pass) copyBatch(b record.Batch, dest *segment) error {
	p.told.BytesRead += int64(len(b))
	free := p.txns.discards(b)
	discard := free
	if b.IsControl() {
		horizon, marked := b.DeleteHorizon()
		discard = free && marked && horizon <= p.now
	}
	horizon := p.now + min(millis(p.l.cfg.DeleteRetention), math.MaxInt64-p.now)
	out, kept, err := p.compactor.Compact(p.compactor.out, b, func(r record.Record) bool {
		return !discard && (b.IsControl() || p.keeps(b, r))
	}, horizon, free && b.IsControl())
	if err != nil {
		return err
	}
	p.compactor.out = out
	p.told.Kept += int64(kept.Records)
	p.told.Removed += int64(b.Count() - kept.Records)
	p.told.Tombstones += int64(kept.Tombstones)
	if kept.Records == 0 && p.keepsEmpty(b) {
		p.l.host.Reached(ProbeEmptyBatchKept)
		p.compactor.out = record.AppendEmpty(out, b)
	}
	return nil
}

// keeps reports whether a record stays: it is the last of its key, as far as the
// map knows, and no tombstone that has been there for delete.retention.ms since it
// first could have gone (KIP-534).
func (p *pass) keeps(b record.Batch, r record.Record) bool {
	switch {
	case r.Offset > p.keys.latest:
		return true
	case r.Key == nil: // from before the topic was compacted
		return false
	case p.keys.superseded(r.Key, r.Offset):
		return false
	case r.Value != nil:
		return true
	}
	horizon, marked := b.DeleteHorizon()
	keep := !marked || p.now < horizon
	if p.l.opts.Bugs.On(planted.CleanTombstoneNow) {
		p.l.opts.Bugs.Infected(planted.CleanTombstoneNow, keep)
		keep = false
	}
	if !keep {
		p.l.host.Reached(ProbeTombstoneRemoved)
	}
	return keep
}

// keepsEmpty reports whether a batch stays though no record of it does. It may be
// the only trace of a producer's last sequence, or of its epoch; or what says where
// the log ended when the high watermark was there.
func (p *pass) keepsEmpty(b record.Batch) bool {
	keep := b.NextOffset() == p.log.HW()
	if producer := p.l.producers.byID[b.ProducerID()]; producer != nil && b.HasProducer() {
		if m := producer.last(); m != nil {
			keep = keep || b.LastOffset() == m.lastOffset
		} else {
			keep = keep || b.IsControl() && b.ProducerEpoch() == producer.epoch
		}
	}
	if p.l.opts.Bugs.On(planted.CleanDropLastBatch) {
		p.l.opts.Bugs.Infected(planted.CleanDropLastBatch, keep)
		return false
	}
	return keep
}

// write writes what was copied.
func (p *pass) write(dest *segment) error {
	out := p.compactor.out
	if len(out) == 0 {
		return nil
	}
	if _, err := dest.file.WriteAt(out, dest.size); err != nil {
		return p.failUnlessStale("write a compacted segment", err)
	}
	dest.dirty = true
	for rest := out; len(rest) > 0; {
		var b record.Batch
		b, rest, _ = record.Next(rest)
		dest.account(b, dest.size, p.l.cfg.IndexIntervalBytes)
	}
	p.compactor.out = out[:0]
	return nil
}

// failUnlessStale closes the log after an error of the disk, unless the file was taken
// away under the pass.
func (p *pass) failUnlessStale(doing string, err error) error {
	if p.stale() {
		return errCleaningAborted
	}
	return p.l.fail(doing, err)
}

// replaceSegments replaces old by dest. Whatever it is interrupted by,
// recovery finds the old ones or the new one (tidy). So each step is durable before
// the next begins; Kafka trusts the file system to keep the order of renames.
func (l *Log) replaceSegments(dest *segment, old []*segment, p *pass) error {
	if err := l.beginChange("replace segments of"); err != nil {
		return err
	}
	defer l.changing.leave()
	i := slices.Index(l.segments, old[0])
	if p.stale() || i < 0 || !slices.Equal(l.segments[i:min(i+len(old), len(l.segments))], old) {
		return errCleaningAborted
	}
	err := dest.rename(swapSuffix)
	if err == nil {
		err = l.disk.SyncDir(l.dir)
	}
	if err != nil {
		return l.fail("replace segments", err)
	}
	// From here on readers find the new one. What was read from the old ones is
	// read again.
	l.segments = slices.Concat(l.segments[:i], []*segment{dest}, l.segments[i+len(old):])
	l.cuts++
	p.cuts = l.cuts
	l.host.Tell(&witness.SegmentsReplaced{Log: l.named(), Base: dest.base, To: dest.end, Segments: len(old), Size: dest.size})
	if err := l.dropSegments(old); err != nil {
		return err
	}
	if err := dest.rename(""); err != nil {
		return l.fail("replace segments", err)
	}
	if err := l.disk.SyncDir(l.dir); err != nil {
		return l.fail("replace segments", err)
	}
	bases := old[1:]
	return l.dropSnapshots(func(o kafka.Offset) bool {
		return slices.ContainsFunc(bases, func(s *segment) bool { return s.base == o })
	})
}
