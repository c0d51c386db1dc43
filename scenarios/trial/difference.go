package trial

import (
	"github.com/ktrial/ktrial/internal/build"
	"github.com/ktrial/ktrial/reports"
	"github.com/ktrial/ktrial/scenarios"
	"github.com/ktrial/ktrial/sim"
)

// FirstDifference plays a scenario twice and says in which step the two runs
// part. Two hashes say that something leaked into the world; the step says
// where to look for it.
func FirstDifference(s scenarios.Scenario, o Options) string {
	var trouble error
	d := sim.Difference(func(t *sim.Tracing) *sim.World {
		o.Tracing = t
		r, err := prepare(s, o)
		if err != nil {
			trouble = err
			return sim.NewWorld(sim.Config{Seed: o.Seed})
		}
		defer r.w.Close()
		_ = r.play() // how it ends does not matter: the way there is compared
		return r.w
	})
	switch {
	case trouble != nil:
		return trouble.Error()
	case d == nil:
		return "two more runs in this process were the same, so it does not leak each time, or not from within the process"
	}
	return d.Error()
}

// Differs makes the verdict of a run that another run of its seed was not the
// same.
func (r *Result) Differs(check, how string) {
	r.Report.Verdict = reports.NotDeterministic
	first := reports.Violation{Check: check, Message: how, Ops: []int{}}
	r.Report.Violations = append([]reports.Violation{first}, r.Report.Violations...)
}

// Compare makes the verdict of a run that was played again and is not the
// recorded one: something leaked into the world, which is looked for. Of another
// build that cannot be said, for a seed means the same run only for the same
// build.
func (rec *Record) Compare(file string, s scenarios.Scenario, o Options, again *Result) {
	if rec.Report.TraceHash == again.Report.TraceHash {
		return
	}
	how := file + ": the recorded run has trace " + rec.Report.TraceHash + ", this one " + again.Report.TraceHash + ": " + rec.Mismatch()
	if build.Same(rec.Build, build.ID()) {
		again.Differs(sameAgain, how+"; "+FirstDifference(s, o))
		return
	}
	verdict := reports.Worst(again.Report.Verdict, reports.Inconclusive)
	again.Differs(sameAgain, how)
	again.Report.Verdict = verdict
}

const sameAgain = "a replay is the same run"
