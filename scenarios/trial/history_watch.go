package trial

import (
	"fmt"

	"github.com/ktrial/ktrial/checkers"
	"github.com/ktrial/ktrial/checkers/history"
	"github.com/ktrial/ktrial/reports"
	"github.com/ktrial/ktrial/workloads"
)

// watchHistory judges the history while it is recorded, as far as that is
// certain at once, and ends the run at the first violation: what comes after
// it only hides it.
func (r *run) watchHistory() {
	r.seen = checkers.NewLive(r.stage.Recorder.History(), r.expectations())
	if _, late := r.s.Workload.(workloads.PerRun); late {
		return // what a transaction is made of is known with its end: nothing is certain before
	}
	r.stage.Recorder.Watch = func(op *history.Op) {
		before := r.seen.First
		if r.seen.Operation(op); r.seen.First != before {
			r.w.Tell(&PromiseBroken{string(r.seen.First.Anomaly), r.seen.First.Message})
			r.w.Fail(errBroken)
		}
	}
}

// stopped says why the run ended before its time; empty: it did not.
func (r *run) stopped() string {
	switch {
	case r.seen.First != nil:
		return fmt.Sprintf("at %v, at the first violation that is certain: %s", reports.Seconds(r.w.Now()), r.seen.First.Anomaly)
	case r.short:
		return fmt.Sprintf("at %v", reports.Seconds(r.w.Now()))
	}
	return ""
}
