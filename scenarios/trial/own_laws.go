package trial

import (
	"slices"

	"github.com/ktrial/ktrial/ledger"
	"github.com/ktrial/ktrial/reports"
	"github.com/ktrial/ktrial/scenarios"
	"github.com/ktrial/ktrial/workloads"
)

// ownLaw is a law of the scenario while a run is watched.
type ownLaw struct {
	law     scenarios.Law
	checked int64 // events, of those that it was called with
	broken  bool
}

// watchOwnLaws has the scenario's laws read along. The first that breaks ends
// the run.
func (r *run) watchOwnLaws() {
	for _, l := range r.s.Laws {
		r.w.Ledger().ReadAll(r.watchOwn(l, true))
	}
}

// watchFindings has clients that compare what they find with what they were told be
// believed: not of a design hazard, whose configuration promises less.
func (r *run) watchFindings() {
	named := slices.ContainsFunc(r.s.Laws, func(l scenarios.Law) bool { return l.Name == scenarios.FoundAsTold.Name })
	if !named && r.s.Lesson == "" && slices.ContainsFunc(r.clients, func(c workloads.Client) bool { return c.Compares }) {
		r.w.Ledger().Read(r.watchOwn(scenarios.FoundAsTold, false))
	}
}

// watchOwn watches a law of the scenario, or (not inside) one of what its clients see.
func (r *run) watchOwn(l scenarios.Law, inside bool) func(*ledger.Entry) {
	o := &ownLaw{law: l}
	r.ownLaws = append(r.ownLaws, o)
	watch := l.Watch()
	return func(e *ledger.Entry) {
		if o.broken {
			return
		}
		checked, message := o.look(watch, e)
		if checked {
			o.checked++
		}
		if message != "" {
			o.broken = true
			r.violate(l.Name, message)
			r.violations[len(r.violations)-1].Inside = inside
			r.w.Tell(&PromiseBroken{l.Name, message})
			r.w.Fail(errBroken)
		}
	}
}

// look puts an event before the law. One that panics is named.
func (o *ownLaw) look(watch func(*ledger.Entry) (bool, string), e *ledger.Entry) (checked bool, message string) {
	defer named("law", o.law.Name)
	return watch(e)
}

// check is what the report says of the law.
func (o *ownLaw) check() reports.Check {
	c := reports.Check{Name: o.law.Name, Verdict: reports.Holds, Checked: o.checked}
	if o.broken {
		c.Verdict = reports.Violated
	}
	return conclude(c)
}
