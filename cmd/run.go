package cmd

import (
	"fmt"
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
	out   string
	json  bool
}

func (f *runFlags) add(c *cobra.Command) {
	c.Flags().StringArrayVar(&f.set, "set", nil, "a configuration by Kafka's name, or a parameter of the workload, as `KEY=VALUE`")
	for _, n := range f.numbers() {
		c.Flags().IntVar(n.value, n.name, 0, n.about)
	}
	c.Flags().StringArrayVar(&f.plant, "plant", nil, "plant this historical `BUG` (see: ktrial list)")
	c.Flags().StringVar(&f.out, "out", "", "keep run.json, history, trace, story, plan and a picture in this `DIR`")
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
	}
}

func (f *runFlags) options(c *cobra.Command) (trial.Options, error) {
	o := trial.Options{Program: typedAs, Shape: f.shape}
	var err error
	for _, n := range f.numbers() {
		if c.Flags().Changed(n.name) && *n.value < 1 {
			return o, wrong("--%s %d: expected 1 or more", n.name, *n.value)
		}
	}
	if o.Set, err = settings(f.set); err != nil {
		return o, err
	}
	for _, p := range f.plant {
		bug, err := findBug(p)
		if err != nil {
			return o, err
		}
		o.Plant = append(o.Plant, bug)
	}
	return o, nil
}

// makeOut makes the directory of --out before the work begins, which may take
// long.
func (f *runFlags) makeOut() error {
	if f.out == "" {
		return nil
	}
	if err := os.MkdirAll(f.out, 0o755); err != nil {
		return wrong("--out %s: %w", f.out, err)
	}
	return nil
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
	var planFile string
	var story bool
	var p picking
	c := &cobra.Command{
		Use:   "run SCENARIO",
		Short: "play one scenario with one seed",
		Args:  exactly(1, "a SCENARIO (see: ktrial list)"),
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
			if planFile != "" {
				if o.Plan, err = readPlan(planFile); err != nil {
					return err
				}
				o.PlanFile = planFile
			}
			if err := f.makeOut(); err != nil {
				return err
			}
			if story {
				out := os.Stdout
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
				o.Keep = ledger.KeepAll
			}
			return playOne(s, o, f)
		},
	}
	f.add(c)
	c.Flags().Uint64Var(&seed, "seed", 0, "the seed, a `NUMBER`; without it one is drawn")
	c.Flags().StringVar(&planFile, "plan", "", "a `FILE` with a plan of faults, instead of the scenario's own")
	c.Flags().BoolVar(&story, "story", false, "tell what happens while it happens")
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

// playOne runs, tells, and keeps.
func playOne(s scenarios.Scenario, o trial.Options, f runFlags) error {
	begun := time.Now()
	result, err := trial.Run(s, o)
	if err != nil {
		return blame(err)
	}
	result.Report.WallSeconds = time.Since(begun).Seconds()
	if f.out != "" {
		if err := result.WriteTo(f.out, o); err != nil {
			return err
		}
		result.Report.Kept = f.out
	}
	if f.json {
		if err := reports.WriteJSON(os.Stdout, result.Report); err != nil {
			return err
		}
	} else {
		result.Report.WriteText(os.Stdout, style(os.Stdout))
	}
	if result.Report.Verdict != reports.Holds {
		return verdict{result.Report.Verdict}
	}
	return nil
}

// blame tells an option that was wrong from a bug of ours.
func blame(err error) error {
	if trial.IsOption(err) {
		return usage{err}
	}
	return err
}
