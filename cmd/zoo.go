package cmd

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"time"

	"github.com/spf13/cobra"

	"github.com/ktrial/ktrial/broker/planted"
	"github.com/ktrial/ktrial/reports"
	"github.com/ktrial/ktrial/scenarios"
	"github.com/ktrial/ktrial/scenarios/zoo"
)

// zooFlags say which bugs are looked for, and where.
type zooFlags struct {
	in     []string
	seeds  uint64
	jobs   int
	out    string
	json   bool
	chance int
	cpu    time.Duration
}

func zooCommand() *cobra.Command {
	var f zooFlags
	c := &cobra.Command{
		Use:   "zoo [BUG...]",
		Short: "plant each bug and say which checks find it, where, and after how many seeds and CPU seconds",
		Long: "zoo plays each planted bug in each scenario until it is found from outside, by what clients saw, and says when it was " +
			"found from inside, by a law or an assertion of the stack. A scenario that never reaches the bug's branch is left after one seed. A run that a law " +
			"ended is played once more without laws.\n\n" +
			"With --out each run is written when it is over (zoo.jsonl); the same command goes on where it ended, and with more seeds " +
			"further. The matrix is zoo.md.\n\n" +
			"--chance measures how long a hunt takes instead: with one job, of all scenarios in turn, until the bug is found for the first time.",
		Example: examples(
			"zoo", "every bug in every scenario that promises something",
			"zoo repl.truncate_to_hw --in standard --in swarm --seeds 50", "how soon is this bug found?",
			"zoo --seeds 20 --out zoo", "the matrix, and its runs",
			"zoo --chance 20 --out zoo", "what pure chance needs: quartiles of CPU seconds, and the share found",
		),
		ValidArgsFunction: func(_ *cobra.Command, args []string, _ string) (names []string, _ cobra.ShellCompDirective) {
			for _, b := range planted.All {
				names = append(names, cobra.CompletionWithDesc(string(b.Bug), b.About))
			}
			return names, cobra.ShellCompDirectiveNoFileComp
		},
		RunE: func(_ *cobra.Command, args []string) error { return f.zoo(args) },
	}
	c.Flags().StringArrayVar(&f.in, "in", nil, "look in this `SCENARIO`; without it, in all that promise something")
	c.Flags().Uint64Var(&f.seeds, "seeds", 5, "seeds 1 to `N` at most")
	c.Flags().IntVar(&f.jobs, "jobs", runtime.NumCPU(), "`NUMBER` of worlds at the same time")
	c.Flags().StringVar(&f.out, "out", "", "keep the runs and the matrix in this `DIR`, and go on with those that are there")
	c.Flags().IntVar(&f.chance, "chance", 0, "hunt `N` times for each bug, and measure how long it takes to find it")
	c.Flags().DurationVar(&f.cpu, "cpu", 100*time.Second, "give up a hunt of --chance after so much CPU `TIME`")
	c.Flags().BoolVar(&f.json, "json", false, "print JSON")
	return c
}

func (f *zooFlags) zoo(args []string) error {
	z, err := f.describe(args)
	if err != nil {
		return err
	}
	if f.chance > 0 {
		return f.measureChance(z)
	}
	stop := make(chan struct{})
	z.Interrupt = stop
	onInterrupt(func() {
		clearLine()
		fmt.Fprintln(os.Stderr, "ktrial: interrupted; the runs under way end first")
		close(stop)
	})
	var file *zooFile
	if f.out != "" {
		if file, err = openZoo(f.out); err != nil {
			return wrong("--out %s: %w", f.out, err)
		}
		defer file.Close()
		z.Known, z.Played = file.known, file.run
	}
	begun, show := cpuTime(), statusLine("zoo", 30*time.Second)
	var played uint64
	keep := z.Played
	z.Played = func(r zoo.Run) error {
		played += r.Events
		if keep == nil {
			return nil
		}
		return keep(r)
	}
	z.Progress = func(seed uint64, done, of int, elapsed time.Duration) {
		show(elapsed, func() string {
			return fmt.Sprintf("seed %d, %d of %d bugs in scenarios, %v", seed, done, of, elapsed.Round(time.Second))
		})
	}
	runs, err := z.Run()
	clearLine()
	spent := effort{"cpu", played, (cpuTime() - begun).Seconds()}
	if err := firstOf(err, file.finish(&spent)); err != nil {
		return blame(err)
	}
	return f.report(z, runs, spent, stop)
}

// report prints the matrix, and keeps it.
func (f *zooFlags) report(z zoo.Zoo, runs []zoo.Run, spent effort, stop <-chan struct{}) error {
	rate := spent.rate(runs)
	write := func(w io.Writer) error {
		z.WriteMarkdown(w, runs, rate)
		return nil
	}
	if f.out != "" {
		if err := writeWhole(filepath.Join(f.out, "zoo.md"), write); err != nil {
			return cannotWrite("--out "+f.out, err)
		}
	}
	if f.json {
		reports.WriteJSON(stdout, map[string]any{"type": "zoo", "events_per_cpu_second": rate, "matrix": z.Matrix(runs)})
	} else {
		_ = write(stdout)
	}
	select {
	case <-stop:
		return errInterrupted
	default:
		return nil
	}
}

func (f *zooFlags) describe(args []string) (z zoo.Zoo, err error) {
	if f.seeds < 1 {
		return z, wrong("--seeds %d: expected 1 or more", f.seeds)
	}
	if f.jobs < 1 {
		return z, wrong("--jobs %d: expected 1 or more", f.jobs)
	}
	if f.chance < 0 {
		return z, wrong("--chance %d: expected 0 or more", f.chance)
	}
	if f.cpu <= 0 {
		return z, wrong("--cpu %v: expected a time above 0", f.cpu)
	}
	z.Last, z.Jobs = f.seeds, f.jobs
	if z.Scenarios, err = findAll(f.in, scenarios.Promising); err != nil {
		return z, err
	}
	for _, name := range args {
		bug, err := findBug(name)
		if err != nil {
			return z, err
		}
		z.Bugs = append(z.Bugs, bug)
	}
	if len(args) == 0 {
		for _, e := range planted.All {
			z.Bugs = append(z.Bugs, e.Bug)
		}
	}
	return z, nil
}

// effort is what playing some events cost.
type effort struct {
	Type       string  `json:"type"` // cpu
	Events     uint64  `json:"events"`
	CPUSeconds float64 `json:"cpu_seconds"`
}

// rate is how many events a CPU second plays. Where that is not known, a second of wall
// time stands for one.
func (e effort) rate(runs []zoo.Run) float64 {
	if e.Events > 0 && e.CPUSeconds > 0 {
		return float64(e.Events) / e.CPUSeconds
	}
	var events uint64
	var seconds float64
	for _, r := range runs {
		events += r.Events
		seconds += r.Seconds
	}
	return max(1, float64(events)) / max(1e-9, seconds)
}

// zooFile is zoo.jsonl: a line for each run when it is over, and one for what each
// program cost that ended in order.
type zooFile struct {
	*os.File
	known []zoo.Run
	spent effort
}

type zooLine struct {
	Type string `json:"type"` // run
	zoo.Run
}

func openZoo(dir string) (f *zooFile, err error) {
	f = &zooFile{}
	f.File, err = resumeLines(dir, "zoo.jsonl", f.read)
	return f, err
}

func (f *zooFile) read(line []byte) error {
	var l zooLine
	if err := json.Unmarshal(line, &l); err != nil {
		return err
	}
	switch l.Type {
	case "run":
		f.known = append(f.known, l.Run)
	case "cpu":
		var spent effort
		if err := json.Unmarshal(line, &spent); err != nil {
			return err
		}
		f.spent.Events += spent.Events
		f.spent.CPUSeconds += spent.CPUSeconds
	default:
		return fmt.Errorf("found type %q, expected run or cpu", l.Type)
	}
	return nil
}

func (f *zooFile) run(r zoo.Run) error { return reports.WriteJSON(f, zooLine{"run", r}) }

// finish writes what this program cost, and adds what earlier ones did.
func (f *zooFile) finish(spent *effort) error {
	if f == nil {
		return nil
	}
	if spent.Events == 0 { // what it took to read is not what it takes to play
		spent.CPUSeconds = 0
	} else if err := reports.WriteJSON(f, spent); err != nil {
		return cannotWrite("zoo.jsonl", err)
	}
	spent.Events += f.spent.Events
	spent.CPUSeconds += f.spent.CPUSeconds
	return nil
}
