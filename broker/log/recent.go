package log

import (
	"sort"

	"github.com/ktrial/ktrial/broker/kafka"
)

// recent knows where the last batches of the active segment lie. Followers and
// most consumers read at the end of the log; this spares them the index and
// the search from its last entry on.
type recent struct {
	// batches grows to its size, since of the thousands of logs in a large
	// cluster most are small; then it is a ring.
	batches []recentBatch
	count   int // batches ever added; the last recentBatches are kept
}

const recentBatches = 64

type recentBatch struct {
	base     kafka.Offset
	position int64
}

func (r *recent) add(base kafka.Offset, position int64) {
	if b := (recentBatch{base, position}); len(r.batches) < recentBatches {
		r.batches = append(r.batches, b)
	} else {
		r.batches[r.count%recentBatches] = b
	}
	r.count++
}

func (r *recent) clear() { r.batches, r.count = r.batches[:0], 0 }

// lookup is the position of the last batch known that begins at or before o.
func (r *recent) lookup(o kafka.Offset) (position int64, ok bool) {
	first := max(0, r.count-len(r.batches))
	i := sort.Search(r.count-first, func(i int) bool {
		return r.batches[(first+i)%len(r.batches)].base > o
	})
	if i == 0 {
		return 0, false
	}
	return r.batches[(first+i-1)%len(r.batches)].position, true
}
