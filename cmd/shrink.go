package cmd

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/ktrial/ktrial/scenarios"
	"github.com/ktrial/ktrial/scenarios/shrink"
	"github.com/ktrial/ktrial/scenarios/trial"
)

// shrinkFlags say how a recorded run is made smaller.
type shrinkFlags struct {
	keep runFlags // --out, --force, --json
	time time.Duration
	as   string
}

// smallestDir is where the smallest run is kept, in the directory of the run that it
// was made from.
const smallestDir = "smallest"

func shrinkCommand() *cobra.Command {
	var f shrinkFlags
	c := &cobra.Command{
		Use:   "shrink FILE",
		Short: "find the smallest run that fails in the same way as a recorded one (run.json)",
		Long: "shrink plays the recorded run with fewer and shorter faults, less work, a smaller cluster and fewer settings, and " +
			"keeps what still breaks the same promise by the same anomaly. What is left is written to --out as each smaller run " +
			"is found; shrink its run.json to go on where it ended.\n\n" +
			"A run that another build recorded is played with what luck decided then (decisions.bin beside FILE). If it holds now, that is told.\n\n" +
			"Of at most eight faults it says which are needed, and with which of them alone the run fails.",
		Example: examples(
			"shrink found/standard-7/run.json", "into found/standard-7/smallest",
			"shrink DIR/run.json --as test > regression_test.go", "a Go test that plays it",
		),
		Args: exactly(1, "a FILE: the run.json of a failing run"),
		RunE: func(_ *cobra.Command, args []string) error { return f.shrink(args[0]) },
	}
	c.Flags().DurationVar(&f.time, "for", time.Minute, "search at most for so much wall `TIME`; 0: until nothing more can be taken away")
	c.Flags().StringVar(&f.as, "as", "text", "what is printed: `text`; or test, a Go test; or seed, a line of scenarios/testdata/seeds.txt with its plan")
	c.Flags().StringVar(&f.keep.out, "out", "", "keep the smallest run in this `DIR`; without it, in smallest beside FILE")
	c.Flags().BoolVar(&f.keep.force, "force", false, "replace what is in the directory of --out")
	c.Flags().BoolVar(&f.keep.json, "json", false, "print JSON: the report of the smallest run")
	return c
}

func (f *shrinkFlags) shrink(file string) error {
	if !slices.Contains([]string{"text", "test", "seed"}, f.as) {
		return wrong("--as %s: expected text, test or seed", f.as)
	}
	if f.time < 0 {
		return wrong("--for %v: expected a time above 0, or 0", f.time)
	}
	s, o, err := failingRun(file)
	if err != nil {
		return err
	}
	if f.keep.out == "" {
		f.keep.out, f.keep.force = filepath.Join(filepath.Dir(file), smallestDir), true
	}
	if err := f.keep.make(f.keep.force); err != nil {
		return err
	}
	stop := make(chan struct{})
	interrupted := false
	onInterrupt(func() {
		clearLine()
		fmt.Fprintln(os.Stderr, "ktrial: interrupted; the run under way ends first")
		interrupted = true
		close(stop)
	})
	task := shrink.Task{Scenario: s, Options: o, For: f.time, Interrupt: stop, Progress: shrinking(f.time), Better: f.better}
	smallest, err := task.Shrink()
	clearLine()
	if err != nil {
		return blame(err)
	}
	if err := f.write(smallest); err != nil {
		return err
	}
	if interrupted {
		return errInterrupted
	}
	return nil
}

// failingRun is the scenario and the options of a run.json that breaks a promise.
func failingRun(file string) (scenarios.Scenario, trial.Options, error) {
	rec, s, o, err := recordedRun("shrink", file)
	if err == nil {
		if _, fails := shrink.FingerprintOf(&rec.Report); !fails {
			err = wrong("%s: found a run whose verdict is %q, expected one that breaks a promise", file, rec.Report.Verdict)
		}
	}
	if err == nil {
		if o.Follow, err = rec.Decisions(file); err != nil {
			err = usage{fmt.Errorf("%s: %w", file, err)}
		}
	}
	return s, o, err
}

// better keeps a smaller run as soon as it is found: the search may be killed.
func (f *shrinkFlags) better(s *shrink.Smallest) {
	o := s.Options
	if err := s.Result.WriteTo(f.keep.out, o); err != nil {
		fmt.Fprintf(os.Stderr, "ktrial: --out %s: %v\n", f.keep.out, err)
	}
}

// write keeps the smallest run and tells of it.
func (f *shrinkFlags) write(s *shrink.Smallest) error {
	s.Result.Report.Again = ""
	s.Result.Report.Kept = f.keep.out
	if err := s.Result.WriteTo(f.keep.out, s.Options); err != nil {
		return cannotWrite("--out "+f.keep.out, err)
	}
	switch {
	case f.keep.json:
		printRun(&s.Result.Report)
	case f.as == "test":
		test, err := s.GoTest()
		if err != nil {
			return err
		}
		fmt.Fprint(stdout, test)
	case f.as == "seed":
		line, file, err := s.SeedLine()
		if err != nil {
			return err
		}
		fmt.Fprintf(stdout, "%s\n\n# testdata/seeds/%s\n%v", line, file, s.Options.Plan)
	default:
		s.WriteText(stdout, style(os.Stdout))
	}
	return nil
}

// shrinking shows how far a search is, as progress does of a hunt.
func shrinking(limit time.Duration) func(runs int, trying string) {
	show, begun := statusLine("shrinking", 10*time.Second), time.Now()
	return func(runs int, trying string) {
		elapsed := time.Since(begun)
		show(elapsed, func() string {
			return fmt.Sprintf("%d runs in %v of %v; trying %s", runs, elapsed.Round(time.Second), limit, trying)
		})
	}
}
