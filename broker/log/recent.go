package log

import (
	"sort"

	"github.com/ktrial/ktrial/broker/kafka"
)

// recent knows where the last batches of the active segment lie. Followers and
// most consumers read at the end of the log; this spares them the index and
// the search from its last entry on.
type recent struct {
	batches [64]struct {
		base     kafka.Offset
		position int64
	}
	count int // batches ever added; the last 64 are kept
}

func (r *recent) add(base kafka.Offset, position int64) {
	r.batches[r.count%len(r.batches)].base = base
	r.batches[r.count%len(r.batches)].position = position
	r.count++
}

func (r *recent) clear() { r.count = 0 }

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
