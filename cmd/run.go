package cmd

import (
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/ktrial/ktrial/broker/planted"
	"github.com/ktrial/ktrial/faults"
	"github.com/ktrial/ktrial/internal/nearest"
	"github.com/ktrial/ktrial/ledger"
	"github.com/ktrial/ktrial/reports"
	"github.com/ktrial/ktrial/scenarios"
	"github.com/ktrial/ktrial/scenarios/trial"
)

// runFlags are what run and hunt share.
type runFlags struct {
	set   []string
	shape trial.Shape
	plant []string
	apps  []string
	out   string
	force bool
	json  bool

	planFile string
	noFaults bool
	strict   bool
	require  []string
}

func (f *runFlags) add(c *cobra.Command) {
	c.Flags().StringArrayVar(&f.set, "set", nil, "a configuration by Kafka's name, or a parameter of the workload, as `KEY=VALUE`")
	for _, n := range f.numbers() {
		c.Flags().IntVar(n.value, n.name, 0, n.about)
	}
	c.Flags().StringArrayVar(&f.plant, "plant", nil, "plant this historical `BUG` (see: ktrial list)")
	c.Flags().StringArrayVar(&f.apps, "app", nil, "your own program instead of the scenario's clients: '`FILE` ARGS', with NAME=VALUE before it and HOST= at it, if need be (see: ktrial app); repeat it for more")
	c.Flags().StringVar(&f.planFile, "plan", "", "a `FILE` with a plan of faults, instead of the scenario's own")
	c.Flags().BoolVar(&f.noFaults, "no-faults", false, "no faults at all: no plan, and no host that stays cut off at the end")
	c.Flags().BoolVar(&f.strict, "strict", false, "what a setting or a fault permits is a violation, too")
	c.Flags().StringArrayVar(&f.require, "require", nil, "a demand on the numbers, such as ack.p99<50ms, as `NAME<VALUE` (see: ktrial list numbers); a run that misses it ends with 4")
	c.Flags().StringVar(&f.out, "out", "", "keep run.json, history, trace, story, plan and a picture in this `DIR`, which must be empty")
	c.Flags().BoolVar(&f.force, "force", false, "replace what is in the directory of --out")
	c.Flags().BoolVar(&f.json, "json", false, "print JSON")
}

// number is a flag that shapes the cluster.
type number struct {
	name, about string
	value       *int
}

func (f *runFlags) numbers() []number {
	return []number{
		{"brokers", "`NUMBER` of brokers, instead of the scenario's", &f.shape.Brokers},
		{"controllers", "`NUMBER` of controllers", &f.shape.Controllers},
		{"partitions", "`NUMBER` of partitions of each topic", &f.shape.Partitions},
		{"replicas", "`NUMBER` of replicas of each partition", &f.shape.Replicas},
		{"racks", "`NUMBER` of racks, which brokers are given in turn", &f.shape.Racks},
		{"topics", "`NUMBER` of topics like the first that the workload uses, which it uses, too", &f.shape.Topics},
	}
}

func (f *runFlags) options(c *cobra.Command) (trial.Options, error) {
	o := trial.Options{Program: typedAs, Shape: f.shape, NoFaults: f.noFaults, Strict: f.strict}
	var err error
	for _, n := range f.numbers() {
		if c.Flags().Changed(n.name) && *n.value < 1 {
			return o, wrong("--%s %d: expected 1 or more", n.name, *n.value)
		}
	}
	if o.Set, err = settings(f.set); err != nil {
		return o, err
	}
	for _, text := range f.require {
		q, err := reports.ParseRequirement(text)
		if err != nil {
			return o, usage{err}
		}
		o.Require = append(o.Require, q)
	}
	for _, p := range f.plant {
		bug, err := findBug(p)
		if err != nil {
			return o, err
		}
		o.Plant = append(o.Plant, bug)
	}
	for _, command := range f.apps {
		a, err := trial.NewApp(command)
		if err != nil {
			return o, usage{err}
		}
		o.Apps = append(o.Apps, a)
	}
	switch {
	case f.planFile != "" && f.noFaults:
		return o, wrong("--plan %s --no-faults: expected one of them", f.planFile)
	case f.force && f.out == "":
		return o, wrong("--force replaces what is in the directory of --out: expected --out, too")
	case f.planFile != "":
		if o.Plan, err = readPlan(f.planFile); err != nil {
			return o, err
		}
		o.PlanFile = f.planFile
	}
	return o, nil
}

func findBug(name string) (planted.Bug, error) {
	var names []string
	for _, e := range planted.All {
		if string(e.Bug) == name {
			return e.Bug, nil
		}
		names = append(names, string(e.Bug))
	}
	return "", usage{fmt.Errorf("%w (see: ktrial list)", nearest.Unknown("planted bug", name, names))}
}

func runCommand() *cobra.Command {
	var f runFlags
	var seed uint64
	var story, watched bool
	var p picking
	c := &cobra.Command{
		Use:   "run SCENARIO",
		Short: "play one scenario with one seed",
		Long: "run plays one scenario with one seed, and judges it. The same seed gives the same run; without --seed one is " +
			"drawn and told. A promise that was broken and that a setting or a fault permits is allowed, and told as such.\n\n" +
			"A directory of --out must be empty, or hold the same run.",
		Example: examples(
			"run standard", "a seed is drawn",
			"run acks-one --seed 1 --strict", "what acks=1 permits is violated",
			"run standard --seed 7 --set min.insync.replicas=1 --out DIR", "kept for replay, check and trace",
			"run standard --seed 7 --story --only orders/0", "what happens to a partition",
			"run leader-loses-power --watch", "the lanes of each second, on a terminal",
			"run leader-loses-power --app 'orders.wasm -rate 50' --seed 7", "your own program on trial",
			"run standard --no-faults --require 'ack.p99<50ms'", "the work alone, and how fast it must be",
		),
		Args:              exactly(1, "a SCENARIO (see: ktrial list)"),
		ValidArgsFunction: completeScenarios(1),
		RunE: func(c *cobra.Command, args []string) error {
			s, err := scenarios.Find(args[0])
			if err != nil {
				return usage{err}
			}
			o, err := f.options(c)
			if err != nil {
				return err
			}
			o.Seed = seed
			if !c.Flags().Changed("seed") {
				o.Seed = uint64(rand.Uint32()) // short enough to be typed
			}
			if err := f.prepareRun(s, o); err != nil {
				return err
			}
			switch {
			case story && watched:
				return wrong("--story --watch: expected one of them")
			case watched:
				if o.Read = drawOn(os.Stderr); o.Read != nil {
					o.Keep = ledger.KeepAll // or operations of clients would not be told
				}
			}
			if story {
				var out io.Writer = stdout
				if f.json { // which is one object
					out = os.Stderr
				}
				o.Read = storyTo(out, p.filter())
				if len(p.only) > 0 || p.detail {
					o.Keep = ledger.KeepAll // or requests would not be told at all
				}
			} else if len(p.only) > 0 || p.detail {
				return wrong("--only and --detail pick events of the story: expected --story, too")
			}
			if f.out != "" {
				o.Keep, o.Record = ledger.KeepAll, true
			}
			return playOne(s, o, f)
		},
	}
	f.add(c)
	completeFlags(c)
	c.Flags().Uint64Var(&seed, "seed", 0, "the seed, a `NUMBER`; without it one is drawn")
	c.Flags().BoolVar(&story, "story", false, "tell what happens while it happens")
	c.Flags().BoolVar(&watched, "watch", false, "draw the lanes of each second while it is played, on a terminal (standard error)")
	p.add(c)
	return c
}

func readPlan(file string) (faults.Plan, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, usage{err}
	}
	plan, err := faults.ParsePlan(string(text))
	if err != nil {
		return nil, usage{fmt.Errorf("%s: %w", file, err)}
	}
	if plan == nil {
		plan = faults.Plan{}
	}
	return plan, nil
}

// playOne runs, prints, and keeps.
func playOne(s scenarios.Scenario, o trial.Options, f runFlags) error {
	begun := time.Now()
	result, err := trial.Run(s, o)
	if err != nil {
		return blame(err)
	}
	result.Report.WallSeconds = time.Since(begun).Seconds()
	notKept := f.keepRun(result, o)
	if f.json {
		printRun(&result.Report)
	} else {
		result.Report.WriteText(stdout, style(os.Stdout))
	}
	return firstOf(notKept, endedBy(result.Report.Verdict))
}

// endedBy ends a command with a verdict; nil: all is well.
func endedBy(v reports.Verdict) error {
	if v.Passes() {
		return nil
	}
	return verdict{v}
}

// blame distinguishes an option that was wrong from a bug of ours.
func blame(err error) error {
	if trial.IsOption(err) {
		return usage{err}
	}
	return err
}
