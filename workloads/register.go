package workloads

import (
	"slices"
	"time"
)

// register is what something may be by all that was asked for, when what was asked may be
// carried out late: as long as a request may still be on its way, its effect may come at
// any time, also after that of later ones.
type register[V comparable] struct {
	settled V
	doubts  []V
}

// prompt is how long a call takes at most that was not tried twice: of one that was, the first
// request may still come. retry.backoff.ms is 100, less a fifth at most.
const prompt = 80 * time.Millisecond

// asked: from now on it may be v.
func (r *register[V]) asked(v V) { r.doubts = append(r.doubts, v) }

// answered: what was asked last is done, or (done false) refused for good.
func (r *register[V]) answered(done bool, took time.Duration) {
	last := len(r.doubts) - 1
	if done {
		r.settled = r.doubts[last]
	}
	if took < prompt {
		r.doubts = r.doubts[:last]
	}
}

// is sets what it is, whatever was asked before.
func (r *register[V]) is(v V) { r.settled, r.doubts = v, nil }

// certain reports whether it can be nothing but settled.
func (r *register[V]) certain() bool {
	return !slices.ContainsFunc(r.doubts, func(v V) bool { return v != r.settled })
}

// quiet reports whether nothing may come late.
func (r *register[V]) quiet() bool { return len(r.doubts) == 0 }

// mayBe reports whether it can be v.
func (r *register[V]) mayBe(v V) bool { return r.settled == v || slices.Contains(r.doubts, v) }

// all is whatever it may be, once each.
func (r *register[V]) all() []V {
	out := []V{r.settled}
	for _, v := range r.doubts {
		if !slices.Contains(out, v) {
			out = append(out, v)
		}
	}
	return out
}
