package trial

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/ktrial/ktrial/broker/kafka"
	"github.com/ktrial/ktrial/checkers"
	"github.com/ktrial/ktrial/checkers/history"
	"github.com/ktrial/ktrial/ledger"
	"github.com/ktrial/ktrial/reports"
	"github.com/ktrial/ktrial/scenarios"
	"github.com/ktrial/ktrial/scenarios/why"
	"github.com/ktrial/ktrial/workloads"
)

// result judges the history and writes the report.
func (r *run) result() *Result {
	var counted workloads.Counted
	if w, ok := r.s.Workload.(workloads.PerRun); ok {
		counted = w.Finish()
	}
	r.tellConfig()
	struck, skipped := faultsOf(r.w.Ledger())
	h := r.stage.Recorder.History()
	report := reports.Run{
		Scenario: r.s.Name, Seed: r.o.Seed,
		TraceHash: fmt.Sprintf("%016x", r.w.Hash()), Events: r.w.Events(),
		VirtualSeconds: r.w.Now().Seconds(),
		Violations:     slices.Clip(r.violations),
		Allowed:        append([]reports.Permitted{}, r.allowed...), Checks: []reports.Check{},
		Faults: struck, Probes: r.w.Probes(), Planted: map[string]reports.Planted{},
		Config: r.config.named(), Counts: counts(h, counted), Errors: r.stage.Failures(),
		Again: r.o.Command(r.s.Name), Program: r.o.program(), Stopped: r.stopped(), Skipped: skipped, OwnPlan: r.o.Plan != nil,
		Unworkable: r.unworkable,
		Drawn:      r.drawn(), NoFaults: r.o.NoFaults, Strict: r.o.Strict, WorkBegan: reports.Seconds(r.workBegan),
	}
	if report.Violations == nil {
		report.Violations = []reports.Violation{}
	}
	report.Numbers = r.counter.conclude(h, r.workBegan, r.w.Now())
	report.Rebalances = rebalances(r.w.Ledger(), h)
	j := r.judge(h, &report)
	r.locate(report.Violations)
	report.Verdict = r.verdict(&report, j)
	report.Lesson = r.lesson(&report, j)
	report.Require(r.o.Require)
	for _, bug := range r.o.Plant {
		count := r.bugs.Count(bug)
		report.Planted[string(bug)] = reports.Planted{Reached: count.Reached, Infected: count.Infected, Detected: int64(len(report.Violations))}
	}
	if r.o.Keep == ledger.KeepAll {
		if v := report.Main(); v != nil {
			v.Why = why.Explain(r.w.Ledger().Passing(), v)
		}
	}
	result := &Result{Report: report, History: h, Judgement: j, Ledger: r.w.Ledger(), about: r.s.About}
	r.decided(result)
	return result
}

// drawn is the command that plays what was drawn from the seed without drawing it;
// empty: the scenario draws nothing.
func (r *run) drawn() string {
	if r.bare.Name == r.s.Name {
		return ""
	}
	o := r.o
	o.Again = ""
	return o.Command(r.bare.Name)
}

// judgement concludes what was judged while it was recorded, or judges all of it now.
func (r *run) judgement(h *history.History, o checkers.Options) *checkers.Judgement {
	if r.stage.Recorder.Watch == nil {
		return checkers.Judge(h, o)
	}
	return r.seen.Conclude(o)
}

// Command is the command that plays a scenario with these options. A plan that
// came from no file is not in it.
func (o *Options) Command(scenario string) string {
	if o.Again != "" {
		return o.Again
	}
	words := append(strings.Fields(o.program()), "run", scenario, "--seed", fmt.Sprint(o.Seed))
	words = append(words, o.Shape.Flags()...)
	for _, a := range o.Apps {
		words = append(words, "--app", a.command())
	}
	for _, name := range slices.Sorted(maps.Keys(o.Set)) {
		words = append(words, "--set", name+"="+o.Set[name])
	}
	if o.PlanFile != "" {
		words = append(words, "--plan", o.PlanFile)
	}
	if o.NoFaults {
		words = append(words, "--no-faults")
	}
	for _, q := range o.Require {
		words = append(words, "--require", q.Text)
	}
	if o.Strict {
		words = append(words, "--strict")
	}
	for _, bug := range o.Plant {
		words = append(words, "--plant", string(bug))
	}
	return reports.Command(words...)
}

// tellConfig writes into the history what its verdict depends on beside what
// clients saw, so that `ktrial check` says the same of it as the run.
func (r *run) tellConfig() {
	e := r.expectations()
	for _, c := range r.s.OwnChecks {
		if err := e.Read(c.Config); err != nil {
			panic("scenarios: check " + c.Name + ": " + err.Error())
		}
	}
	r.stage.Recorder.Note(history.Event{Type: history.Unknown, Actor: "ktrial", F: history.Config, Text: e.String(), Time: r.w.Now()})
}

// judge asks the checkers, and adds what they say to the report. What they
// find is a violation even if the scenario does not ask for it.
func (r *run) judge(h *history.History, report *reports.Run) *checkers.Judgement {
	j := r.judgement(h, checkers.Options{Expect: r.expectations(), Strict: r.o.Strict})
	proof := &evidence{h: h, struck: report.Faults, workBegan: report.WorkBegan, ledger: r.w.Ledger()}
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
		found := ask(c, h)
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

// ask runs a check of the scenario's own. One that panics is named.
func ask(c checkers.Check, h *history.History) checkers.Checked {
	defer named("check", c.Name)
	return c.Run(h)
}

// named says in a panic of what of the scenario's own it is.
func named(what, name string) {
	if p := recover(); p != nil {
		panic(fmt.Sprintf("%s %q panics: %v", what, name, p))
	}
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
	for _, a := range report.Allowed {
		if a.Count > 0 {
			verdict = reports.Worst(verdict, reports.Allowed)
		}
	}
	report.NotReached = r.notReached(report, j)
	if len(report.NotReached) > 0 || r.unworkable != "" {
		verdict = reports.Worst(verdict, reports.Inconclusive)
	}
	if len(report.Violations) > 0 || r.o.Strict && verdict == reports.Allowed {
		verdict = reports.Violated
	}
	return verdict
}

// notReached are the dangers that the scenario lives by and the run did not
// meet. Where settings of the run's own have made a design hazard safe, its
// states cannot be reached: the danger is that its faults struck.
func (r *run) notReached(report *reports.Run, j *checkers.Judgement) (names []string) {
	if r.madeSafe(j) && len(report.Faults) > 0 && len(report.Skipped) == 0 {
		return nil
	}
	for _, p := range r.s.Probes {
		if report.Probes[p.Name] == 0 {
			names = append(names, p.Name)
		}
	}
	if r.s.Danger != "" && !r.showsDanger(j) {
		names = append(names, string(r.s.Danger))
	}
	return names
}

// showsDanger reports whether a design hazard showed its anomaly.
func (r *run) showsDanger(j *checkers.Judgement) bool {
	for _, a := range j.Allowed {
		if a.Anomaly == r.s.Danger {
			return true
		}
	}
	return false
}

// madeSafe reports whether the run did not show the anomaly of a design hazard,
// and settings of its own took away a reason for which the scenario's
// configuration permits it. Where no setting permits it, it is the loss of what
// was not synced.
func (r *run) madeSafe(j *checkers.Judgement) bool {
	if r.s.Danger == "" || len(r.o.Set) == 0 || r.showsDanger(j) {
		return false
	}
	plain, err := configure(r.bare, r.o.Shape, nil)
	if err != nil {
		return false // without its settings it cannot be played in this shape
	}
	before, reasons := r.reasons(plain), r.reasons(r.config)
	if len(before) == 0 {
		return r.config.syncsEachRecord() && !plain.syncsEachRecord()
	}
	for reason := range before {
		if !reasons[reason] {
			return true
		}
	}
	return false
}

// reasons are those for which a configuration permits the danger, whatever
// happens.
func (r *run) reasons(c configuration) map[string]bool {
	var permitted checkers.Campaign
	permitted.Add(checkers.Judge(history.New(), checkers.Options{Expect: c.expectations()}))
	reasons := map[string]bool{}
	for _, offer := range permitted.NeverShown() {
		if offer.Anomaly == r.s.Danger {
			reasons[offer.Reason] = true
		}
	}
	return reasons
}

// lesson is what a design hazard has taught: its lesson when its anomaly was
// seen; or else, when settings of the run's own have kept it away, that.
func (r *run) lesson(report *reports.Run, j *checkers.Judgement) string {
	switch {
	case r.s.Lesson == "" || r.showsDanger(j):
		return r.s.Lesson
	case r.madeSafe(j) && len(report.NotReached) == 0 && len(report.Violations) == 0:
		var set []string
		for _, name := range slices.Sorted(maps.Keys(r.o.Set)) {
			set = append(set, name+"="+r.o.Set[name])
		}
		held := "this setting held"
		if len(set) > 1 {
			held = "these settings held"
		}
		return "the danger was met, nothing was lost: " + held + " (" + strings.Join(set, ", ") + ")"
	}
	return ""
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
	e := r.config.expectations()
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

// expectations are what the configuration promises.
func (c *configuration) expectations() checkers.Expectations {
	var e checkers.Expectations
	config := c.named()
	for _, name := range slices.Sorted(maps.Keys(config)) {
		if checkers.Knows(name) { // else it promises nothing either way
			e.Set(name, config[name])
		}
	}
	if config["enable.idempotence"] == "false" {
		e.Set("retries", "2147483647")
	}
	return e
}

// ended counts sends by how they ended.
var ended = map[history.Type]string{history.OK: reports.RecordsAcknowledged, history.Failed: reports.RecordsFailed, history.Unknown: reports.RecordsInDoubt}

// counts is the work that was done.
func counts(h *history.History, beside workloads.Counted) map[string]int64 {
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
		out[ended[typ]] = n
	}
	if polls > 0 {
		out[reports.RecordsPolled] = polled
	}
	for name, n := range map[string]int64{ //det:allow into a map
		reports.RecordsAlike: beside.Alike, reports.SendsTold: beside.Told, reports.SendsUnproven: beside.Unproven, reports.LinesRefused: beside.Refused,
	} {
		if n > 0 {
			out[name] = n
		}
	}
	return out
}

// locate says of each violation of a partition in which topic it is; where it is of a
// group, that is the group.
func (r *run) locate(violations []reports.Violation) {
	topics := map[string]string{}
	for _, tp := range append(r.allPartitions(), kafka.MetadataPartition) {
		topics[tp.String()] = tp.Topic
	}
	for i := range violations {
		v := &violations[i]
		if v.Where = topics[v.Subject]; v.Where == "" {
			v.Where = v.Subject
		}
	}
}

// AllChecks describes every check, for `ktrial list`.
func AllChecks() []scenarios.Promise {
	return append(slices.Clone(scenarios.Promises),
		scenarios.Promise{Name: replicationLaws, About: "what replicas and controllers do to a partition, event by event, keeps the laws of replication"},
		scenarios.Promise{Name: quorumLaws, About: "what voters and observers do to the metadata log, event by event, keeps the laws of the quorum"},
		scenarios.Promise{Name: goesOn, About: "a run has a budget of events, and of steps without time passing; a world in which no task can run any more is stuck"},
		scenarios.Promise{Name: progress, About: "once all faults have healed every client finishes and every replica is in sync"})
}

// progress is the promise of the liveness phase.
const progress = "every client and replica makes progress once all faults have healed"
