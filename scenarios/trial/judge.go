package trial

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/ktrial/ktrial/checkers"
	"github.com/ktrial/ktrial/checkers/history"
	"github.com/ktrial/ktrial/checkers/permit"
	"github.com/ktrial/ktrial/reports"
	"github.com/ktrial/ktrial/scenarios"
)

// result judges the history and writes the report.
func (r *run) result() *Result {
	r.tellConfig()
	struck, skipped := faultsOf(r.w.Ledger())
	h := r.stage.Recorder.History()
	report := reports.Run{
		Scenario: r.s.Name, Seed: r.o.Seed,
		TraceHash: fmt.Sprintf("%016x", r.w.Hash()), Events: r.w.Events(),
		VirtualSeconds: r.w.Now().Seconds(),
		Violations:     slices.Clip(r.violations),
		Allowed:        []reports.Permitted{}, Checks: []reports.Check{},
		Faults: struck, Probes: r.w.Probes(), Planted: map[string]reports.Planted{},
		Config: r.config.named(), Lesson: r.s.Lesson, Counts: counts(h),
		Again: r.again(), Program: r.o.program(), Stopped: r.stopped(), Spared: skipped, OwnPlan: r.o.Plan != nil,
	}
	if report.Violations == nil {
		report.Violations = []reports.Violation{}
	}
	j := r.judge(h, &report)
	report.Verdict = r.verdict(&report, j)
	for _, bug := range r.o.Plant {
		count := r.bugs.Count(bug)
		report.Planted[string(bug)] = reports.Planted{Reached: count.Reached, Infected: count.Infected, Detected: int64(len(report.Violations))}
	}
	return &Result{Report: report, History: h, Judgement: j, Ledger: r.w.Ledger(), about: r.s.About}
}

// again is the command that plays the run again. A plan that came from no file
// is not in it.
func (r *run) again() string {
	if r.o.Again != "" {
		return r.o.Again
	}
	words := append(strings.Fields(r.o.program()), "run", r.s.Name, "--seed", fmt.Sprint(r.o.Seed))
	words = append(words, r.o.Shape.Flags()...)
	for _, name := range slices.Sorted(maps.Keys(r.o.Set)) {
		words = append(words, "--set", name+"="+r.o.Set[name])
	}
	if r.o.PlanFile != "" {
		words = append(words, "--plan", r.o.PlanFile)
	}
	for _, bug := range r.o.Plant {
		words = append(words, "--plant", string(bug))
	}
	return reports.Command(words...)
}

// tellConfig writes into the history what its verdict depends on beside what
// clients saw, so that `ktrial check` says the same of it as the run.
func (r *run) tellConfig() {
	e := r.expectations()
	r.stage.Recorder.Note(history.Event{Type: history.Unknown, Actor: "ktrial", F: history.Config, Text: e.String(), Time: r.w.Now()})
}

// judge asks the checkers, and adds what they say to the report. What they
// find is a violation even if the scenario does not ask for it.
func (r *run) judge(h *history.History, report *reports.Run) *checkers.Judgement {
	j := r.seen.Conclude(checkers.Options{Expect: r.expectations(), Strict: r.o.Strict})
	proof := &evidence{h: h, struck: report.Faults, ledger: r.w.Ledger()}
	asked := map[checkers.Anomaly]bool{}
	check := func(p scenarios.Promise) {
		c := reports.Check{Name: p.Name}
		c.Verdict, c.Checked = j.Kept(p)
		for _, found := range j.Anomalies {
			if slices.Contains(p.Anomalies, found.Anomaly) && r.breaks(&found) {
				report.Violations = append(report.Violations, proof.of(p.Name, found, r.o.Strict)...)
			}
		}
		report.Checks = append(report.Checks, c)
	}
	for _, p := range r.s.Checks {
		for _, anomaly := range p.Anomalies {
			asked[anomaly] = true
		}
		check(p)
	}
	for _, found := range j.Anomalies {
		if !asked[found.Anomaly] && r.breaks(&found) {
			check(scenarios.Promise{Name: "no " + string(found.Anomaly), Anomalies: []checkers.Anomaly{found.Anomaly}})
		}
	}
	for _, c := range r.s.OwnChecks {
		found := c.Run(h)
		report.Checks = append(report.Checks, reports.Check{Name: c.Name, Verdict: found.Verdict(), Checked: found.Count})
		for _, b := range found.Broken {
			report.Violations = append(report.Violations, reports.Violation{
				Check: c.Name, Message: b.Message, Ops: ints(b.Ops), At: reports.Seconds(b.At),
				Story: proof.tell(checkers.Instance{Ops: b.Ops, Values: b.Values, At: b.At}),
			})
		}
	}
	r.laws.report(report, r.o.Strict)
	for _, l := range r.ownLaws {
		report.Checks = append(report.Checks, l.check())
	}
	for _, a := range j.Allowed {
		if !a.Legal {
			example := proof.violation("", a.Anomaly, a.Example, true)
			report.Allowed = append(report.Allowed, reports.Permitted{Anomaly: string(a.Anomaly), Reason: a.Reason, Count: a.Count,
				Message: a.Message, Ops: ints(a.Ops), Example: &example})
		}
	}
	if first := r.seen.First; first != nil && j.Verdict != checkers.Violated {
		panic(fmt.Sprintf("scenarios: %s was certain while the run went on, and is not seen in its history: %s", first.Anomaly, first.Message))
	}
	return j
}

// breaks reports whether an anomaly that was found makes the run violated.
func (r *run) breaks(found *checkers.Report) bool {
	return found.Broken() > 0 || r.o.Strict && found.Permitted > 0
}

// conclude: a check that looked at nothing proves nothing.
func conclude(c reports.Check) reports.Check {
	if c.Checked == 0 && c.Verdict == reports.Holds {
		c.Verdict = reports.Inconclusive
	}
	return c
}

// verdict is the worst of all checks; a danger that the scenario lives by and
// that was not met makes it inconclusive.
func (r *run) verdict(report *reports.Run, j *checkers.Judgement) reports.Verdict {
	verdict := reports.Holds
	for _, c := range report.Checks {
		verdict = reports.Worst(verdict, c.Verdict)
	}
	for _, p := range r.s.Probes {
		if report.Probes[p.Name] == 0 {
			report.NotReached = append(report.NotReached, p.Name)
		}
	}
	if r.s.Danger != "" && !r.showsDanger(j) {
		report.NotReached = append(report.NotReached, string(r.s.Danger))
	}
	if len(report.NotReached) > 0 {
		verdict = reports.Worst(verdict, reports.Inconclusive)
	}
	if len(report.Violations) > 0 {
		verdict = reports.Violated
	}
	return verdict
}

// showsDanger reports whether a design hazard showed its anomaly. It need not,
// if settings of the run's own have made it safe.
func (r *run) showsDanger(j *checkers.Judgement) bool {
	var permitted checkers.Campaign
	permitted.Add(j)
	offered := func(o permit.Offer) bool { return o.Anomaly == r.s.Danger }
	shown := func(p checkers.Permission) bool { return p.Anomaly == r.s.Danger }
	safe := len(r.o.Set) > 0 && !slices.ContainsFunc(permitted.NeverShown(), offered)
	return safe || slices.ContainsFunc(j.Allowed, shown)
}

func ints(ops []int64) []int {
	out := make([]int, len(ops))
	for i, op := range ops {
		out[i] = int(op)
	}
	return out
}

// expectations are what the configuration promises, and what really happened
// that lets it off.
func (r *run) expectations() checkers.Expectations {
	var e checkers.Expectations
	config := r.config.named()
	for _, name := range slices.Sorted(maps.Keys(config)) {
		if checkers.Knows(name) { // else it promises nothing either way
			e.Set(name, config[name])
		}
	}
	if config["enable.idempotence"] == "false" {
		e.Set("retries", "2147483647")
	}
	if r.short {
		e.Set("cut-short", "true")
	}
	e.Set("from-the-start", "true")
	e.FaultsKnown = true
	if r.laws != nil {
		e.Happened = r.laws.happened
	}
	return e
}

// ended is how a send may end.
var ended = map[history.Type]string{history.OK: "acknowledged", history.Failed: "failed", history.Unknown: "in doubt"}

// counts is the work that was done.
func counts(h *history.History) map[string]int64 {
	sent, polled, polls := map[history.Type]int64{}, int64(0), 0
	h.Each(func(op *history.Op) bool {
		switch op.F {
		case history.Send:
			sent[op.Type] += int64(len(op.Sends))
		case history.Poll:
			polled += int64(len(op.Polled))
			polls++
		}
		return true
	})
	out := map[string]int64{}
	for typ, n := range sent {
		out["records "+ended[typ]] = n
	}
	if polls > 0 {
		out["records polled"] = polled
	}
	return out
}

// AllChecks describes every check, for `ktrial list`.
func AllChecks() []scenarios.Promise {
	return append(slices.Clone(scenarios.Promises),
		scenarios.Promise{Name: replicationLaws, About: "what replicas and controllers do to a partition, event by event, keeps the laws of replication"},
		scenarios.Promise{Name: quorumLaws, About: "what voters and observers do to the metadata log, event by event, keeps the laws of the quorum"},
		scenarios.Promise{Name: progress, About: "once all faults have healed every client finishes and every replica is in sync"})
}

// progress is the promise of the liveness phase.
const progress = "every client and replica makes progress once all faults have healed"
