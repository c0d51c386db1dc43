package scenarios

import (
	"github.com/ktrial/ktrial/checkers"
	"github.com/ktrial/ktrial/checkers/history"
)

// watchHistory judges the history while it is recorded, as far as that is
// certain at once, and ends the run at the first violation: what comes after
// it only hides it. When a fault has happened that permits more it is called
// again.
func (r *run) watchHistory() {
	if r.seen != nil {
		r.seen.Expect(r.expectations())
		return
	}
	r.seen = checkers.NewWatch(r.expectations())
	r.stage.Recorder.Watch = func(e *history.Added) {
		if r.seen.First != nil {
			return
		}
		if r.seen.Event(e); r.seen.First != nil {
			r.w.Logf("%s: %s", r.seen.First.Anomaly, r.seen.First.Message)
			r.w.Fail(errBroken)
		}
	}
}
