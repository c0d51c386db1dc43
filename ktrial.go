// Package ktrial puts Kafka on trial: it runs a whole cluster in one process
// over a simulated network, clock and disk, hurts it, and judges what its
// clients saw. The same seed gives the same run, byte for byte.
//
// The command is cmd/ktrial. In a Go test it is one line a trial:
//
//	func TestOrdersSurviveALossOfPower(t *testing.T) {
//		ktrial.Try(t, scenarios.LeaderLosesPower, ktrial.Seeds(1, 20))
//	}
package ktrial

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/ktrial/ktrial/broker/planted"
	"github.com/ktrial/ktrial/faults"
	"github.com/ktrial/ktrial/ledger"
	"github.com/ktrial/ktrial/reports"
	"github.com/ktrial/ktrial/scenarios"
	"github.com/ktrial/ktrial/scenarios/trial"
)

// T is the part of *testing.T that Try needs.
type T[Self any] interface {
	Helper()
	Name() string
	Run(name string, f func(Self)) bool
	Parallel()
	Logf(format string, args ...any)
	Errorf(format string, args ...any)
	Fatalf(format string, args ...any)
}

// Option says how Try plays a scenario.
type Option func(*trying)

// trying is what the options of one Try say.
type trying struct {
	seeds    []uint64
	options  trial.Options
	strict   bool
	parallel bool
	err      error
}

// mostSeeds is how many seeds one Seeds may name. A hunt plays more.
const mostSeeds = 1_000_000

// Seeds are first to last, both included. Several add up.
func Seeds(first, last uint64) Option {
	return func(y *trying) {
		switch {
		case last < first:
			y.err = fmt.Errorf("ktrial.Seeds(%d, %d): found a last seed below the first", first, last)
		case last-first >= mostSeeds:
			y.err = fmt.Errorf("ktrial.Seeds(%d, %d): found more than %d seeds; ktrial hunt plays as many as there is time for", first, last, mostSeeds)
		default:
			for n := range last - first + 1 {
				y.seeds = append(y.seeds, first+n)
			}
		}
	}
}

// Set changes a configuration by Kafka's name, or a parameter of the workload.
func Set(name, value string) Option {
	return func(y *trying) {
		if y.options.Set == nil {
			y.options.Set = map[string]string{}
		}
		y.options.Set[name] = value
	}
}

// Plant plants historical bugs, to see that the scenario finds them.
func Plant(bugs ...planted.Bug) Option {
	return func(y *trying) { y.options.Plant = append(y.options.Plant, bugs...) }
}

// Plan is a plan of faults instead of the scenario's own, a line for each:
// "at 5s for 2s: power off leader of orders/0".
func Plan(text string) Option {
	return func(y *trying) {
		plan, err := faults.ParsePlan(text)
		if err != nil {
			y.err = err
			return
		}
		if y.options.Plan = plan; plan == nil {
			y.options.Plan = faults.Plan{}
		}
	}
}

// App has a program of yours play instead of the scenario's clients: a file that
// app.Build wrote, with its arguments. Several add up.
//
//	orders := app.BuildFor(t, "./cmd/orders")
//	ktrial.Try(t, scenarios.LeaderLosesPower, ktrial.App(orders+" -rate 50"), ktrial.Seeds(1, 20))
func App(command string) Option {
	return func(y *trying) {
		a, err := trial.NewApp(command)
		if err != nil {
			y.err = err
			return
		}
		y.options.Apps = append(y.options.Apps, a)
	}
}

// Shape changes how many servers, partitions and replicas there are, where it is not
// zero.
func Shape(shape trial.Shape) Option { return func(y *trying) { y.options.Shape = shape } }

// Strict fails a run also for what a setting or a fault permits.
func Strict() Option { return func(y *trying) { y.strict = true } }

// Parallel plays the seeds at the same time.
func Parallel() Option { return func(y *trying) { y.parallel = true } }

// Try plays a scenario, each seed in a subtest of its own (TestX/seed=7), and
// fails the test for each run that breaks a promise, with the report that the
// command prints: what was promised, what was seen, what proves it, and what to
// type to see it again. A run that proves nothing because the danger was not
// met, and what a setting permits to be lost, is logged.
//
// A failing run is kept (run.json, history, trace) below the directory that the
// environment names in KTRIAL_OUT, or else in the test's ArtifactDir, which `go
// test -artifacts` keeps.
//
// A scenario with a mistake in it, or a Try without seeds, fails at once.
func Try[Test T[Test]](t Test, s scenarios.Scenario, options ...Option) {
	t.Helper()
	var y trying
	for _, o := range options {
		o(&y)
	}
	switch {
	case y.err != nil:
		t.Fatalf("%v", y.err)
		return
	case len(y.seeds) == 0:
		t.Fatalf("scenario %q: found no seeds, expected at least one: add ktrial.Seeds(1, 20)", s.Name)
		return
	}
	for _, seed := range y.seeds {
		t.Run(fmt.Sprintf("seed=%d", seed), func(t Test) {
			t.Helper()
			if y.parallel {
				t.Parallel()
			}
			o := y.options
			o.Seed = seed
			o.Again = reports.Command("go", "test", "-run", "^"+strings.ReplaceAll(t.Name(), "/", "$/^")+"$")
			play(t, s, o, y.strict)
		})
	}
}

// play is one subtest of Try.
func play[Test T[Test]](t Test, s scenarios.Scenario, o trial.Options, strict bool) {
	t.Helper()
	o.Keep, o.Strict = ledger.KeepAll, strict
	result, err := trial.Run(s, o)
	if err != nil {
		t.Fatalf("%v", err)
		return
	}
	report := &result.Report
	failed := !report.Verdict.Passes() && report.Verdict != reports.Inconclusive
	if dir := artifacts(t); failed && dir != "" {
		if err := result.WriteTo(dir, o); err != nil {
			t.Errorf("%v", err)
		}
		report.Kept = dir
	}
	var text strings.Builder
	report.WriteText(&text, reports.Style{})
	switch {
	case failed:
		t.Errorf("%s", text.String())
	case report.Verdict != reports.Holds:
		t.Logf("%s", text.String())
	}
}

// artifacts is where a failing run is kept; empty: nowhere.
func artifacts[Test T[Test]](t Test) string {
	if out := os.Getenv("KTRIAL_OUT"); out != "" {
		return filepath.Join(out, filepath.FromSlash(t.Name()))
	}
	if d, ok := any(t).(interface{ ArtifactDir() string }); ok {
		return d.ArtifactDir()
	}
	return ""
}
