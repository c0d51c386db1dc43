package cmd

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/ktrial/ktrial/ledger"
	"github.com/ktrial/ktrial/reports"
	"github.com/ktrial/ktrial/reports/page"
	"github.com/ktrial/ktrial/scenarios"
	"github.com/ktrial/ktrial/scenarios/trial"
)

func compareCommand() *cobra.Command {
	var f runFlags
	var seed uint64
	c := &cobra.Command{
		Use:   "compare RUN RUN | SCENARIO --set KEY=VALUE --set KEY=VALUE",
		Short: "two runs side by side, from their first difference",
		Long: "compare shows two runs side by side: how long they are the same, the first event in which they differ, what " +
			"follows in each, and the numbers of both. RUN is the directory of a kept run (run --out). With a SCENARIO both " +
			"are played, with one seed: a setting that is given twice has its first value in A and its second in B; " +
			"the others hold for both. --out keeps them in DIR/a and DIR/b, and writes compare.html, both in one page; of " +
			"kept runs that page alone.\n\n" +
			"It ends with 0 whatever the verdicts are, but with 4 if a --require is missed.",
		Example: examples(
			"compare standard --seed 7 --set acks=all --set acks=1 --set enable.idempotence=false", "what does acks=1 cost, and save?",
			"compare scale-out --set group.protocol=classic --set group.protocol=consumer", "two ways to rebalance",
			"compare before after --require 'ack.p99<50ms'", "two runs that were kept",
		),
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 && len(args) != 2 {
				return wrong("compare: found %d arguments, expected two directories of kept runs, or a SCENARIO with a setting that is given twice", len(args))
			}
			return nil
		},
		ValidArgsFunction: completeScenarios(1),
		RunE: func(c *cobra.Command, args []string) (err error) {
			var sides [2]side
			if len(args) == 2 {
				sides, err = f.keptSides(c, args)
			} else {
				sides, err = f.playedSides(c, args[0], seed)
			}
			if err != nil {
				return err
			}
			return f.compare(sides)
		},
	}
	f.add(c)
	completeFlags(c)
	c.Flags().Uint64Var(&seed, "seed", 1, "the seed of both, a `NUMBER`")
	return c
}

// side is a run that is compared, and its page.
type side struct {
	reports.Side
	page page.Page
}

// keptSides are two runs that were kept.
func (f *runFlags) keptSides(c *cobra.Command, dirs []string) (sides [2]side, err error) {
	o, err := f.options(c)
	if err != nil {
		return sides, err
	}
	if f.out != "" {
		if err := f.make(f.force); err != nil {
			return sides, err
		}
	}
	for i, dir := range dirs {
		kept, err := trial.ReadKept(dir)
		if err != nil {
			return sides, usage{err}
		}
		kept.Report().MissedNumbers = nil
		kept.Report().Require(o.Require)
		sides[i] = side{reports.Side{Name: dir + ": " + kept.Report().Again, Run: kept.Report(), Events: slices.Values(kept.Entries)}, kept.Page()}
	}
	return sides, nil
}

// playedSides plays a scenario twice with one seed.
func (f *runFlags) playedSides(c *cobra.Command, name string, seed uint64) (sides [2]side, err error) {
	s, err := scenarios.Find(name)
	if err != nil {
		return sides, usage{err}
	}
	both, err := twoSettings(f.set)
	if err != nil {
		return sides, err
	}
	out := f.out
	for i := range sides {
		f.set = both[i]
		if out != "" {
			f.out = filepath.Join(out, string("ab"[i]))
		}
		o, err := f.options(c)
		if err != nil {
			return sides, err
		}
		o.Seed, o.Keep = seed, ledger.KeepAll
		if err := f.prepareRun(s, o); err != nil {
			return sides, err
		}
		begun := time.Now()
		result, err := trial.Run(s, o)
		if err != nil {
			return sides, blame(err)
		}
		result.Report.WallSeconds = time.Since(begun).Seconds()
		if err := f.keepRun(result, o); err != nil {
			return sides, err
		}
		sides[i] = side{reports.Side{Name: result.Report.Again, Run: &result.Report, Events: result.Ledger.All()}, result.Page()}
	}
	f.out = out
	return sides, nil
}

// twoSettings divides settings: the first and the second value of those that are given
// twice, and the others in both.
func twoSettings(set []string) (both [2][]string, err error) {
	times := map[string]int{}
	for _, s := range set {
		//text:allow an argument of the command line
		key, _, _ := strings.Cut(s, "=")
		times[key]++
		if times[key] > 2 {
			return both, wrong("--set %s: found it %d times, expected it twice at most: two runs are compared", key, times[key])
		}
	}
	seen, differs := map[string]bool{}, false
	for _, s := range set {
		//text:allow an argument of the command line
		key, _, _ := strings.Cut(s, "=")
		switch {
		case times[key] == 1:
			both[0], both[1] = append(both[0], s), append(both[1], s)
		case seen[key]:
			both[1] = append(both[1], s)
		default:
			both[0] = append(both[0], s)
			differs = true
		}
		seen[key] = true
	}
	if !differs {
		return both, wrong("compare: found no setting that is given twice, expected such as --set acks=all --set acks=1")
	}
	return both, nil
}

func (f *runFlags) compare(sides [2]side) error {
	c := reports.Compare(sides[0].Side, sides[1].Side)
	both := ""
	if f.out != "" {
		both = filepath.Join(f.out, "compare.html")
		p := page.Comparison{A: sides[0].page, B: sides[1].page, Of: c}
		if err := writeWhole(both, func(w io.Writer) error { return p.Write(w) }); err != nil {
			return cannotWrite("--out "+f.out, err)
		}
	}
	if f.json {
		if err := reports.WriteJSON(stdout, c); err != nil {
			return err
		}
	} else {
		c.WriteText(stdout, style(os.Stdout))
		pages(c, sides, both)
	}
	for _, s := range sides {
		if len(s.Run.MissedNumbers) > 0 {
			m := s.Run.MissedNumbers[0]
			fmt.Fprintf(os.Stderr, "ktrial: %s: required %s: %s\n", s.Name, m.Require, m.Found)
			return verdict{reports.Missing}
		}
	}
	return nil
}

// pages says where the pages are: that of both, and those of each, opened at the first
// difference.
func pages(c *reports.Comparison, sides [2]side, both string) {
	label := "\n  pages:"
	say := func(file string) {
		fmt.Fprintf(stdout, "%-9s %s\n", label, file)
		label = ""
	}
	if both != "" {
		say(both)
	}
	for _, s := range sides {
		if s.Run.Kept != "" {
			say(filepath.Join(s.Run.Kept, "report.html") + c.At())
		}
	}
}
