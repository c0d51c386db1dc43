package cmd

import (
	"encoding/json"
	"fmt"
	"runtime"
	"time"

	"github.com/spf13/cobra"

	"github.com/ktrial/ktrial/lab/bench"
	"github.com/ktrial/ktrial/lab/design"
	"github.com/ktrial/ktrial/lab/tune"
	"github.com/ktrial/ktrial/scenarios"
)

// tuneFlags are those of tune beside those of bench.
type tuneFlags struct {
	benchFlags
	vary     []string
	plan     string
	runs     int
	goals    []string
	maximize string
	minimize string
	under    string
	seeds    int
	jobs     int
	out      string
	asJSON   bool
	asCSV    bool
}

func tuneCommand() *cobra.Command {
	var f tuneFlags
	c := &cobra.Command{
		Use:   "tune",
		Short: "measure many settings, and tell which are best and what they cost in safety",
		Long: "tune measures each combination of the values of --vary as bench does, on all cores, and tells what each setting does, " +
			"which combinations no other beats, and which is best among those that reach every --goal. Each comes with its price: what " +
			"the settings permit to be lost, and with --under what was lost when a scenario's faults struck.\n\n" +
			"With --out the cells are kept, and a sweep that was broken off goes on where it was. Beside Kafka's settings these may vary: " +
			"brokers, partitions, replicas, producers, consumers, groups, record-size, payload, rate.",
		Example: examples(
			"tune --rate 20000 --vary linger.ms=0,5,20 --vary batch.size=16k,64k --goal 'p99<20'", "all combinations",
			"tune --vary acks=1,all --vary min.insync.replicas=1,2 --under leader-loses-power --seeds 5", "with the same settings under faults",
			"tune --design pairwise --vary linger.ms=0,5 --vary batch.size=16k,64k --vary acks=1,all --out DIR", "a few that cover each pair",
		),
		Args: exactly(0, "none"),
		RunE: func(c *cobra.Command, _ []string) error { return f.run(c) },
	}
	f.add(c)
	fs := c.Flags()
	fs.StringArrayVar(&f.vary, "vary", nil, "a setting and the values to try, as `KEY=VALUE,VALUE`")
	fs.StringVar(&f.plan, "design", "full", "which combinations: full, pairwise or latin (`PLAN`)")
	fs.IntVar(&f.runs, "runs", 20, "`NUMBER` of combinations of a latin design")
	fs.StringArrayVar(&f.goals, "goal", nil, "a bound on a number, such as 'p99<20' (`METRIC<VALUE`): throughput, mean, p50, p99, p999, e2e.mean, e2e.p99, requests or cores")
	fs.StringVar(&f.maximize, "maximize", "", "the `METRIC` by which the best is found (throughput)")
	fs.StringVar(&f.minimize, "minimize", "", "the `METRIC` by which the best is found")
	fs.StringVar(&f.under, "under", "", "try each combination in this `SCENARIO`, too, with its faults")
	fs.IntVar(&f.seeds, "seeds", 3, "`NUMBER` of seeds of --under")
	fs.IntVar(&f.jobs, "jobs", runtime.NumCPU(), "`NUMBER` of combinations that are measured at once")
	fs.StringVar(&f.out, "out", "", "keep the cells in this `DIR`, go on from those that are there, and draw main effects, heat maps and the front")
	fs.BoolVar(&f.asJSON, "json", false, "print JSON")
	fs.BoolVar(&f.asCSV, "csv", false, "print CSV: a line for each combination")
	return c
}

func (f *tuneFlags) run(c *cobra.Command) error {
	o, by, goals, err := f.read()
	if err != nil {
		return err
	}
	collectAt(gcPercentOfBench)
	began := time.Now()
	show := statusLine("tuning", 10*time.Second)
	o.Progress = func(done, of int) {
		show(time.Since(began), func() string {
			left := time.Since(began) / time.Duration(done) * time.Duration(of-done)
			return fmt.Sprintf("%s %d of %d combinations, %s left", drawBar(float64(done)/float64(of)), done, of, inShort(left))
		})
	}
	cells, err := tune.Run(o)
	clearLine()
	if err != nil {
		return usage{err}
	}
	report := tune.NewReport(o.Design, cells, by, goals)
	if f.out != "" {
		if err := report.Plot(f.out); err != nil {
			return cannotWrite("the plots of --out", err)
		}
	}
	out := c.OutOrStdout()
	switch {
	case f.asCSV:
		return bench.WriteCSV(out, report.Results()...)
	case f.asJSON:
		text, err := json.Marshal(struct {
			Type string `json:"type"`
			*tune.Report
		}{"tune", report})
		if err == nil {
			fmt.Fprintln(out, string(text))
		}
		return err
	}
	fmt.Fprint(out, report.Text())
	return nil
}

// read reads the flags.
func (f *tuneFlags) read() (o tune.Options, by tune.Metric, goals []tune.Goal, err error) {
	if o.Bench, err = f.options(""); err != nil {
		return
	}
	if len(f.vary) == 0 {
		return o, by, nil, wrong("tune: found no --vary, expected at least one, such as --vary linger.ms=0,5,20")
	}
	factors, err := design.ParseFactors(f.vary)
	if err != nil {
		return o, by, nil, usage{err}
	}
	switch f.plan {
	case "full":
		o.Design = design.Full(factors)
	case "pairwise":
		o.Design = design.Pairwise(factors, f.o.Seed)
	case "latin":
		o.Design = design.LatinHypercube(factors, f.runs, f.o.Seed)
	default:
		return o, by, nil, wrong("--design %q: expected full, pairwise or latin", f.plan)
	}
	if f.maximize != "" && f.minimize != "" {
		return o, by, nil, wrong("--maximize %s --minimize %s: expected one of them", f.maximize, f.minimize)
	}
	if by, err = tune.FindMetric(f.metric()); err != nil {
		return o, by, nil, usage{err}
	}
	by.Sense = design.Sense(f.minimize == "")
	for _, text := range f.goals {
		g, err := tune.ParseGoal(text)
		if err != nil {
			return o, by, nil, usage{err}
		}
		goals = append(goals, g)
	}
	if f.under != "" {
		s, err := scenarios.Find(f.under)
		if err != nil {
			return o, by, nil, usage{err}
		}
		o.Under, o.Seeds = &s, f.seeds
	}
	o.Jobs, o.Dir = f.jobs, f.out
	return o, by, goals, nil
}

func (f *tuneFlags) metric() string {
	switch {
	case f.minimize != "":
		return f.minimize
	case f.maximize != "":
		return f.maximize
	}
	return "throughput"
}
