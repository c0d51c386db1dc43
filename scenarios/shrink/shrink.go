// Package shrink finds the smallest run that still fails in the same way as a
// recorded one: fewer faults, less work, fewer servers, settings back at their
// defaults. What is left is what the failure needs.
//
// It plays candidates and keeps those that fail alike. A fault draws its luck by
// its own line of the plan (package nemesis), so that those that are left do the
// same when others are taken out; timing shifts all the same, and what cannot be
// left out with one seed may be with the next.
//
// A run of another build is followed (trial.Options.Follow): luck decides what it decided
// then, by name. If its plan fails alike by a seed of this build, too, nothing is followed from
// there on, so that the smallest run is a seed and a plan like any other.
package shrink

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/ktrial/ktrial/faults"
	"github.com/ktrial/ktrial/ledger"
	"github.com/ktrial/ktrial/reports"
	"github.com/ktrial/ktrial/scenarios"
	"github.com/ktrial/ktrial/scenarios/trial"
)

// FingerprintOf is how a run fails first; false: it does not.
func FingerprintOf(r *reports.Run) (reports.Fingerprint, bool) {
	if len(r.Violations) == 0 {
		return reports.Fingerprint{}, false
	}
	return r.Violations[0].Fingerprint(), true
}

// failsBy reports whether a run fails in that way, first or later.
func failsBy(r *reports.Run, f reports.Fingerprint) bool {
	return slices.ContainsFunc(r.Violations, func(v reports.Violation) bool { return v.Fingerprint() == f })
}

// Task is a run to be shrunk, and how long that may take.
type Task struct {
	Scenario scenarios.Scenario
	Options  trial.Options
	// For is how much wall time may be spent; 0: until nothing can be taken away.
	For time.Duration
	// Interrupt, when it is closed, ends the search after the run under way.
	Interrupt <-chan struct{}
	// Better is told of each smaller run that fails alike; nil: it is not.
	Better func(*Smallest)
	// Progress is told now and then how many runs were played, and what is tried.
	Progress func(runs int, trying string)
}

// Smallest is the smallest run that was found.
type Smallest struct {
	Fingerprint reports.Fingerprint
	Scenario    scenarios.Scenario
	Options     trial.Options
	Result      *trial.Result // of the run, with all events in its ledger once the search is over
	Original    Size
	Runs        int           // that were played
	Took        time.Duration // of wall time
	// Whole: the search came to its end; else time was up, or it was interrupted.
	Whole bool
	// Kept says what could not be made smaller, and why it was tried in vain.
	Kept []string
	// Table says for every choice of the faults that are left whether the run fails
	// with these alone; nil: there are too many, or time was up.
	Table []Choice
}

// Choice is some of the faults of a plan, and what becomes of a run with these alone.
type Choice struct {
	With  []bool // by fault
	Fails bool
}

// Size is what shrinks.
type Size struct {
	Faults   int           `json:"faults"`
	Settings int           `json:"settings"`
	Events   uint64        `json:"events"`
	Virtual  time.Duration `json:"virtual"`
}

func sizeOf(o *trial.Options, r *reports.Run) Size {
	return Size{len(o.Plan), len(o.Set), r.Events, time.Duration(r.VirtualSeconds * float64(time.Second))}
}

// Size is that of the smallest run.
func (s *Smallest) Size() Size { return sizeOf(&s.Options, &s.Result.Report) }

// Summary is the smallest run as a hunt lists it.
func (s *Smallest) Summary() reports.Smallest {
	sum := reports.Smallest{
		Scenario: s.Scenario.Name, Seed: s.Options.Seed, Faults: len(s.Options.Plan), Plan: []string{},
		Events: s.Result.Report.Events, Shrunk: true, Whole: s.Whole,
	}
	for _, t := range s.Options.Plan {
		sum.Plan = append(sum.Plan, t.String())
	}
	return sum
}

// search is a task under way.
type search struct {
	Task
	begun time.Time
	best  *Smallest
	// seeds are how many seeds more are tried with each candidate.
	seeds uint64
	tried map[string]bool // candidates that do not fail alike, by what they are
}

// Shrink searches for the smallest run. An error says that the run does not fail,
// or cannot be played.
func (t Task) Shrink() (*Smallest, error) {
	s := &search{Task: t, begun: time.Now(), tried: map[string]bool{}}
	if err := s.start(); err != nil {
		return nil, err
	}
	for _, s.seeds = range []uint64{0, 4} {
		s.toTheEnd()
	}
	s.best.Whole = s.goesOn()
	s.truthTable()
	return s.best, s.finish()
}

// start plays the run as it was recorded, and then with what struck as its plan: a
// plan that was drawn is written down, so that faults can be taken out of it.
func (s *search) start() (err error) {
	if s.Scenario, s.Options, err = trial.Resolve(s.Scenario, s.Options); err != nil {
		return err
	}
	o := s.Options
	result, err := trial.Run(s.Scenario, o)
	if err != nil {
		return err
	}
	f, fails := FingerprintOf(&result.Report)
	if !fails {
		return fmt.Errorf("shrink: scenario %s, seed %d: the run does not fail%s: its verdict is %q", s.Scenario.Name, o.Seed, byThis(&o), result.Report.Verdict)
	}
	plan, err := struck(&result.Report)
	if err != nil {
		return fmt.Errorf("shrink: scenario %s, seed %d: the plan that struck: %w", s.Scenario.Name, o.Seed, err)
	}
	s.best = &Smallest{Fingerprint: f, Scenario: s.Scenario, Options: o, Result: result, Runs: 1}
	s.best.Original = sizeOf(&o, &result.Report)
	s.best.Original.Faults = len(plan)
	o.Plan, o.PlanFile = plan, ""
	s.seeds = 20 // a plan that is given keeps to the budget where the scenario's own need not
	if o.Follow != nil && s.failsUnfollowed(o) {
		return nil
	}
	if !o.NoFaults && !s.fails(o, "the plan as it struck") {
		s.best.Kept = append(s.best.Kept, "the faults: the plan as it struck does not fail in this way without the scenario's own")
	}
	return nil
}

// byThis says which build plays a run that another one recorded.
func byThis(o *trial.Options) string {
	if o.Follow == nil {
		return ""
	}
	return " by this build, though luck decides what it decided then"
}

// failsUnfollowed tries the plan by seeds of this build alone.
func (s *search) failsUnfollowed(o trial.Options) bool {
	o.Follow = nil
	if s.fails(o, "the plan as it struck, by the seed alone") {
		return true
	}
	s.best.Kept = append(s.best.Kept, "the decisions of the recorded run: with the luck of this build the plan does not fail in this way")
	return false
}

// struck is the plan of what really struck in a run. A fault that was to heal when
// the work ended is written as it healed.
func struck(r *reports.Run) (faults.Plan, error) {
	plan := faults.Plan{}
	for _, f := range r.Faults {
		t, err := faults.ParseTimed(f.Text)
		if err != nil {
			return nil, err
		}
		plan = append(plan, t)
	}
	return plan, nil
}

// toTheEnd takes away what can be until a round over everything changes nothing.
func (s *search) toTheEnd() {
	for s.goesOn() {
		before := s.best.Options
		s.shorterWork()
		s.fewerFaults()
		s.smallerFaults()
		s.smallerCluster()
		s.lessWork()
		s.fewerSettings()
		if same(before, s.best.Options) {
			return
		}
	}
}

func same(a, b trial.Options) bool {
	return a.Seed == b.Seed && a.Shape == b.Shape && maps.Equal(a.Set, b.Set) && a.Plan.String() == b.Plan.String()
}

// goesOn reports whether there is time left.
func (s *search) goesOn() bool {
	select {
	case <-s.Interrupt:
		return false
	default:
		return s.For == 0 || time.Since(s.begun) < s.For
	}
}

// fails plays a candidate, with other seeds too if need be, and takes it over if
// it fails in the same way.
func (s *search) fails(o trial.Options, trying string) bool {
	first := o.Seed
	for i := range s.seeds + 1 {
		if o.Seed = first + i; !s.goesOn() {
			return false
		}
		if result := s.play(o, trying); result != nil {
			s.take(o, result)
			return true
		}
	}
	return false
}

// play plays a candidate; nil: it does not fail in the same way, or is none that
// can be played.
func (s *search) play(o trial.Options, trying string) *trial.Result {
	what := describe(o)
	if s.tried[what] {
		return nil
	}
	if s.Progress != nil {
		s.Progress(s.best.Runs, trying)
	}
	s.best.Runs++
	o.Keep, o.Record = ledger.KeepStory, o.Follow != nil // a run that follows is kept with what it decided
	result, err := trial.Run(s.Scenario, o)
	if err != nil || !failsBy(&result.Report, s.best.Fingerprint) {
		s.tried[what] = true
		return nil
	}
	return result
}

// describe is what a candidate is, and nothing else.
func describe(o trial.Options) string {
	return fmt.Sprintf("%d %v %v %t\n%v", o.Seed, o.Shape, o.Set, o.Follow != nil, o.Plan)
}

func (s *search) take(o trial.Options, result *trial.Result) {
	s.best.Options, s.best.Result = o, result
	s.best.Took = time.Since(s.begun)
	if s.Better != nil {
		s.Better(s.best)
	}
}

// finish plays the smallest run once more with its ledger kept whole, as it is
// written to a directory.
func (s *search) finish() error {
	o := s.best.Options
	o.Keep, o.Record = ledger.KeepAll, true
	result, err := trial.Run(s.Scenario, o)
	if err != nil {
		return err
	}
	if was, is := s.best.Result.Report.TraceHash, result.Report.TraceHash; was != is {
		return fmt.Errorf("shrink: scenario %s, seed %d: the smallest run has trace %s, and had %s before: the same seed gives the same run", s.Scenario.Name, o.Seed, is, was)
	}
	s.best.Result, s.best.Took = result, time.Since(s.begun)
	return nil
}
