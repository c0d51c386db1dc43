package log

import (
	"slices"

	"github.com/ktrial/ktrial/broker/kafka"
	"github.com/ktrial/ktrial/broker/planted"
	"github.com/ktrial/ktrial/broker/record"
)

// recallBytes is how far back in the log windows are filled. What a producer
// may still retry is younger than delivery.timeout.ms, and so at the end.
const recallBytes = 64 << 20

// recall fills the duplicate windows of producers that come from a snapshot.
// A snapshot holds only the last batch of each, and after a clean shutdown
// there is nothing to replay behind it: a producer with several batches in
// doubt would have all but the last refused as out of order, take a new epoch,
// and write them a second time. Kafka does just that; its log has what is
// missing, so we look there.
func (l *Log) recall(ps *producers) error {
	if l.opts.Bugs.On(planted.SnapshotWindow) {
		l.opts.Bugs.Infected(planted.SnapshotWindow, len(ps.byID) > 0)
		return nil
	}
	left := int64(recallBytes)
	for _, s := range slices.Backward(l.segments) {
		if s.base >= ps.end {
			continue
		}
		if left <= 0 || !ps.incomplete() {
			return nil
		}
		left -= s.size
		earlier := map[kafka.ProducerID][]batchMeta{}
		err := s.scan(0, s.size, func(b record.Batch, _ int64) error {
			if b.LastOffset() >= ps.end {
				return errStop
			}
			if p := ps.byID[b.ProducerID()]; p != nil && p.misses(b) {
				m := metaOf(b)
				m.recalled = true
				earlier[p.id] = append(lastOf(earlier[p.id]), m)
			}
			return nil
		})
		if err != nil && err != errStop {
			return err
		}
		for _, p := range ps.byID { //det:allow each changes only itself
			p.recall(earlier[p.id])
		}
	}
	return nil
}

// incomplete reports whether a producer may have had more batches than are
// remembered of it.
func (ps *producers) incomplete() bool {
	for _, p := range ps.byID { //det:allow any will do
		if p.count > 0 && p.count < window && p.batches[0].firstSequence() != 0 {
			return true
		}
	}
	return false
}

// misses reports whether b is before the batches that are remembered of p.
func (p *producer) misses(b record.Batch) bool {
	return p.count > 0 && p.epoch == b.ProducerEpoch() && !b.IsControl() && b.LastOffset() < p.batches[0].firstOffset()
}

// lastOf drops batches that are too early to be of use, now and then: a segment
// may have millions.
func lastOf(batches []batchMeta) []batchMeta {
	if len(batches) < 4*window {
		return batches
	}
	return append(batches[:0], batches[len(batches)-window:]...)
}

// recall puts batches before those that are remembered, up to the window.
func (p *producer) recall(earlier []batchMeta) {
	all := append(earlier, p.batches[:p.count]...)
	all = all[max(0, len(all)-window):]
	p.count = int8(copy(p.batches[:], all))
}

func metaOf(b record.Batch) batchMeta {
	return batchMeta{
		lastSequence: b.LastSequence(), lastOffset: b.LastOffset(), offsetDelta: int32(b.LastOffset() - b.BaseOffset()), timestamp: b.MaxTimestamp(),
	}
}
