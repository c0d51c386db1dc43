package cmd

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/ktrial/ktrial/reports"
	"github.com/ktrial/ktrial/scenarios"
	hunts "github.com/ktrial/ktrial/scenarios/hunt"
	"github.com/ktrial/ktrial/scenarios/shrink"
	"github.com/ktrial/ktrial/scenarios/trial"
)

// huntFlags say which runs a hunt has, and what becomes of its results.
type huntFlags struct {
	runFlags
	seeds, shard string
	shrink       time.Duration
	resume       bool
	committed    bool
	junit        string
}

func huntCommand() *cobra.Command {
	var f huntFlags
	h := hunts.Hunt{}
	c := &cobra.Command{
		Use:   "hunt [SCENARIO...]",
		Short: "play many seeds; every failing one, and one in twenty of the others, twice",
		Long: "hunt plays many seeds of scenarios; of those that promise something, if none is named, and of the swarm unless a flag changes what is played. With each seed those come first that cost least. Each failing run is told " +
			"when it is found, in a line on standard error and with --json as an object, and kept with --out in a directory " +
			"of its own, SCENARIO-SEED: whatever ends the hunt, at most the runs under way are lost, and --resume goes on. A run that proves " +
			"nothing counts as failing. Failing runs, and one in twenty of the others, are played twice to see that they " +
			"are the same.\n\n" +
			"Runs that fail in the same way are a group: by the same check, at the same topic or group, by the same anomaly. With --out " +
			"the smallest run of each is searched for when all seeds are played, and index.html has links to all that was kept.\n\n" +
			"Seeds that have found something are committed beside the scenarios, with the plan that struck then. They are played " +
			"first, unless --seeds names others.\n\n" +
			"The worst verdict of all runs is that of the hunt: violated, inconclusive, allowed, holds. A directory of --out " +
			"must be empty. In a GitHub workflow failures are annotations, and the summary of the step has them all.",
		Example: examples(
			"hunt --seeds 1..1000 --out found", "all scenarios that promise something",
			"hunt standard --for 10m --json", "until the time is over",
			"hunt --seeds 1..1000 --shard 0/4 --out part-0", "a quarter of the runs, on one of four machines; see merge",
			"hunt --seeds 1..1000 --out found --resume", "go on with a hunt that was killed",
			"hunt late-requests --plant idem.no_window --stop-at 1", "how soon is this bug found?",
		),
		ValidArgsFunction: completeScenarios(0),
		RunE: func(c *cobra.Command, args []string) (err error) {
			if err := f.describe(c, args, &h); err != nil {
				return err
			}
			for _, s := range h.Scenarios { // before --out is made, or cleared
				if err := trial.Check(s, h.Options); err != nil {
					return blame(err)
				}
			}
			if err := f.prepareHunt(&h); err != nil {
				return err
			}
			return hunt(h, f)
		},
	}
	f.add(c)
	completeFlags(c)
	c.Flags().StringVar(&f.seeds, "seeds", "1..100", "the seeds `A..B`, both included")
	c.Flags().DurationVar(&h.For, "for", 0, "stop after so much wall `TIME`; without --seeds, go on until then")
	c.Flags().IntVar(&h.Jobs, "jobs", runtime.NumCPU(), "`NUMBER` of worlds at the same time")
	c.Flags().StringVar(&f.shard, "shard", "0/1", "play only every n-th job, from the i-th on, as `i/n`")
	c.Flags().IntVar(&h.StopAt, "stop-at", 0, "stop after this `NUMBER` of failing runs")
	c.Flags().DurationVar(&f.shrink, "shrink", time.Minute, "search so much wall `TIME` for the smallest run of each group, if runs are kept (--out); 0: not at all")
	c.Flags().BoolVar(&f.committed, "committed", false, "play the committed seeds of the scenarios first, also with --seeds")
	c.Flags().BoolVar(&f.resume, "resume", false, "go on with the hunt in the directory of --out, which was killed or interrupted")
	c.Flags().StringVar(&f.junit, "junit", "", "write the results to this `FILE` as JUnit XML")
	return c
}

// describe reads the flags into a hunt.
func (f *huntFlags) describe(c *cobra.Command, args []string, h *hunts.Hunt) (err error) {
	if h.Options, err = f.options(c); err != nil {
		return err
	}
	otherwise := scenarios.Hunted
	if alters(&h.Options) { // what a swarm draws may not go with it
		otherwise = scenarios.Promising
	}
	if h.Scenarios, err = findAll(args, otherwise); err != nil {
		return err
	}
	if h.First, h.Last, err = parseSeeds(f.seeds, h.For > 0 && !c.Flags().Changed("seeds")); err != nil {
		return err
	}
	if h.Committed, err = f.committedSeeds(c, h); err != nil {
		return err
	}
	if h.Shard, h.Shards, err = parseShard(f.shard); err != nil {
		return err
	}
	switch {
	case c.Flags().Changed("for") && h.For <= 0:
		return wrong("--for %v: expected a time above 0", h.For)
	case h.Jobs < 1:
		return wrong("--jobs %d: expected 1 or more", h.Jobs)
	case h.StopAt < 0:
		return wrong("--stop-at %d: expected 0 or more", h.StopAt)
	case f.shrink < 0:
		return wrong("--shrink %v: expected a time above 0, or 0", f.shrink)
	case f.resume && f.out == "":
		return wrong("--resume goes on with the hunt in the directory of --out: expected --out, too")
	case f.resume && f.force:
		return wrong("--resume --force: expected one of them")
	}
	return nil
}

// committedSeeds are those of the hunt's scenarios, which it plays first: each is the run
// that found something, so that options which make another run of it leave none.
func (f *huntFlags) committedSeeds(c *cobra.Command, h *hunts.Hunt) ([]scenarios.Committed, error) {
	another := alters(&h.Options)
	switch {
	case f.committed && another:
		return nil, wrong("--committed plays committed seeds with their own settings and plans: expected neither --set, --plan, --no-faults and --app nor another shape of the cluster")
	case another, c.Flags().Changed("seeds") && !f.committed, c.Flags().Changed("committed") && !f.committed:
		return nil, nil
	}
	all, err := scenarios.CommittedSeeds()
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(all, func(committed scenarios.Committed) bool {
		return !slices.ContainsFunc(h.Scenarios, func(s scenarios.Scenario) bool { return s.Name == committed.Scenario.Name })
	}), nil
}

// alters reports whether options make another run of a scenario.
func alters(o *trial.Options) bool {
	return len(o.Set) > 0 || o.Shape != (trial.Shape{}) || o.Plan != nil || o.NoFaults || len(o.Apps) > 0
}

// findAll finds the named scenarios; none named means those that are said.
func findAll(names []string, otherwise func() []scenarios.Scenario) ([]scenarios.Scenario, error) {
	if len(names) == 0 {
		return otherwise(), nil
	}
	var out []scenarios.Scenario
	for i, name := range names {
		s, err := scenarios.Find(name)
		switch {
		case err != nil:
			return nil, usage{err}
		case !slices.Contains(names[:i], name): // one that is named twice is played once
			out = append(out, s)
		}
	}
	return out, nil
}

func parseSeeds(s string, endless bool) (first, last uint64, err error) {
	if endless {
		return 1, ^uint64(0), nil
	}
	a, b, ok := strings.Cut(s, "..")
	if !ok {
		b = a
	}
	first, err1 := strconv.ParseUint(a, 10, 64)
	last, err2 := strconv.ParseUint(b, 10, 64)
	if err1 != nil || err2 != nil || last < first {
		return 0, 0, usage{fmt.Errorf("--seeds %q: expected A..B with A not above B, such as 1..500", s)}
	}
	return first, last, nil
}

// mostShards is more than there are machines: merge counts them.
const mostShards = 1_000_000

func parseShard(s string) (i, n int, err error) {
	a, b, _ := strings.Cut(s, "/")
	i, err1 := strconv.Atoi(a)
	n, err2 := strconv.Atoi(b)
	if err1 != nil || err2 != nil || n < 1 || n > mostShards || i < 0 || i >= n {
		return 0, 0, usage{fmt.Errorf("--shard %q: expected i/n with 0 <= i < n <= %d, such as 0/4", s, mostShards)}
	}
	return i, n, nil
}

func hunt(h hunts.Hunt, f huntFlags) error {
	t := &telling{f: f}
	h.Failed, h.OwnBug, h.Progress = t.failed, t.ownBug, huntProgress()
	if f.out != "" {
		h.Keep = f.keepFailure
		defer h.Journal.Close()
	}
	if workers := h.Workers(); workers < h.Jobs && h.Jobs > 16*runtime.NumCPU() {
		fmt.Fprintf(os.Stderr, "ktrial: --jobs %d: playing %d at the same time: each takes some 50 MB, and there are %d processors\n", h.Jobs, workers, runtime.NumCPU())
	}
	stop := make(chan struct{})
	h.Interrupt = stop
	onInterrupt(func() {
		clearLine()
		fmt.Fprintln(os.Stderr, "ktrial: interrupted; the runs under way end first")
		close(stop)
	})
	sum, err := h.Run()
	clearLine()
	if err != nil {
		return blame(err)
	}
	if f.out != "" && f.shrink > 0 {
		t.shrink(h, &sum)
	}
	if f.out != "" {
		t.notWritten = firstOf(h.Journal.Err(), writeIndex(f.out, h.Record().String(), &sum))
	}
	sum.Dir = f.out
	if err := summarize(&sum, f.json, f.junit); err != nil {
		return err
	}
	return t.end(sum)
}

// telling reports a hunt while it goes on.
type telling struct {
	f       huntFlags
	notKept []error
	ownBugs int
	// notWritten is why the results or the index are not in the directory of --out.
	notWritten error
}

// failed reports a failing run: with --json as an object, and in a line on
// standard error.
func (t *telling) failed(r *trial.Result, notKept error) {
	clearLine()
	if t.f.json {
		printRun(&r.Report)
	}
	line := r.Report.Failure().String()
	switch {
	case notKept != nil:
		t.notKept = append(t.notKept, notKept)
		line += fmt.Sprintf(" (not kept: %v)", notKept)
	case r.Report.Kept != "":
		line += " (kept in " + r.Report.Kept + ")"
	}
	fmt.Fprintln(os.Stderr, line)
}

// ownBug reports a run without a verdict; of the first with its stacks.
func (t *telling) ownBug(err error) {
	clearLine()
	text := err.Error()
	if t.ownBugs++; t.ownBugs > 1 {
		text, _, _ = strings.Cut(text, "\n")
	}
	fmt.Fprintf(os.Stderr, "ktrial: our own bug: %s\n", strings.TrimSpace(text))
}

// end is how the command ends: what was to be kept and is not goes before the
// verdict, and a promise that was broken before a bug of ours.
func (t *telling) end(sum reports.Hunt) error {
	switch {
	case len(t.notKept) > 0:
		return cannotWrite(fmt.Sprintf("--out %s: %d of %d failing runs are not kept", t.f.out, len(t.notKept), len(sum.Failures)), t.notKept[0])
	case t.notWritten != nil:
		return cannotWrite("--out "+t.f.out, t.notWritten)
	}
	return endOfHunt(&sum)
}

// endOfHunt is how a hunt ends, whose results are written.
func endOfHunt(sum *reports.Hunt) error {
	switch {
	case sum.Interrupted:
		return errInterrupted
	case len(sum.OwnBugs) > 0 && sum.Verdict != reports.Violated && sum.Verdict != reports.NotDeterministic:
		return fmt.Errorf("%d runs have no verdict", len(sum.OwnBugs))
	}
	return endedBy(sum.Verdict)
}

// shrink searches for the smallest run of each group that breaks a promise.
func (t *telling) shrink(h hunts.Hunt, sum *reports.Hunt) {
	show := statusLine("shrinking", 30*time.Second)
	hunts.Shrinking{
		Hunt: h, For: t.f.shrink,
		Keep: func(first *reports.Failure, smaller *shrink.Smallest) (string, error) {
			dir := filepath.Join(first.Kept, smallestDir)
			return dir, smaller.Result.WriteTo(filepath.Join(t.f.out, dir), smaller.Options)
		},
		Failed: func(first *reports.Failure, err error) {
			clearLine()
			fmt.Fprintf(os.Stderr, "ktrial: shrink %s seed %d: %v\n", first.Scenario, first.Seed, err)
		},
		Progress: func(done, groups int, elapsed time.Duration) {
			show(elapsed, func() string { return fmt.Sprintf("%d of %d groups", done, groups) })
		},
	}.Shrink(sum)
	clearLine()
}
