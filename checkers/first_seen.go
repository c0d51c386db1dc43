package checkers

import "github.com/ktrial/ktrial/checkers/history"

// standing is a record at an offset.
type standing struct {
	rec    history.Rec
	offset int64
}

type firstSeenKey struct{}

// firstSeen are the polls that first saw a record where another was seen too, or
// a record that was seen elsewhere: what contradicts was known from then on.
func (a *analysis) firstSeen() map[standing]int {
	return a.h.Memo(firstSeenKey{}, func() any {
		wanted := map[history.Rec]bool{}
		for _, recs := range a.ties {
			for _, rec := range recs {
				wanted[rec] = true
			}
		}
		for rec := range a.moreOffsets {
			wanted[rec] = true
		}
		first := map[standing]int{}
		a.h.EachOf(history.HasPolls, func(op *history.Op) bool {
			if op.Type != history.OK {
				return true
			}
			for _, p := range op.Polled {
				at := standing{p.Rec, p.Offset}
				if _, seen := first[at]; wanted[p.Rec] && !seen {
					first[at] = op.Row
				}
			}
			return true
		})
		return first
	}).(map[standing]int)
}
