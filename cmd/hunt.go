package cmd

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/ktrial/ktrial/reports"
	"github.com/ktrial/ktrial/scenarios"
	hunts "github.com/ktrial/ktrial/scenarios/hunt"
	"github.com/ktrial/ktrial/scenarios/trial"
)

func huntCommand() *cobra.Command {
	var f runFlags
	var seeds, shard string
	h := hunts.Hunt{}
	c := &cobra.Command{
		Use:   "hunt [SCENARIO...]",
		Short: "play many seeds; every failing one, and one in twenty of the others, twice",
		RunE: func(c *cobra.Command, args []string) (err error) {
			if h.Scenarios, err = findAll(args); err != nil {
				return err
			}
			if h.Options, err = f.options(c); err != nil {
				return err
			}
			if h.First, h.Last, err = parseSeeds(seeds, h.For > 0 && !c.Flags().Changed("seeds")); err != nil {
				return err
			}
			if h.Shard, h.Shards, err = parseShard(shard); err != nil {
				return err
			}
			switch {
			case c.Flags().Changed("for") && h.For <= 0:
				return wrong("--for %v: expected a time above 0", h.For)
			case h.Jobs < 1:
				return wrong("--jobs %d: expected 1 or more", h.Jobs)
			case h.StopAt < 0:
				return wrong("--stop-at %d: expected 0 or more", h.StopAt)
			}
			if err := f.makeOut(); err != nil {
				return err
			}
			return hunt(h, f)
		},
	}
	f.add(c)
	c.Flags().StringVar(&seeds, "seeds", "1..100", "the seeds `A..B`, both included")
	c.Flags().DurationVar(&h.For, "for", 0, "stop after so much wall `TIME`; without --seeds, go on until then")
	c.Flags().IntVar(&h.Jobs, "jobs", runtime.NumCPU(), "`NUMBER` of worlds at the same time")
	c.Flags().StringVar(&shard, "shard", "0/1", "play only every n-th job, from the i-th on, as `i/n`")
	c.Flags().IntVar(&h.StopAt, "stop-at", 0, "stop after this `NUMBER` of failing runs")
	return c
}

// findAll finds the named scenarios; none named means those that promise
// something.
func findAll(names []string) ([]scenarios.Scenario, error) {
	if len(names) == 0 {
		return scenarios.Promising(), nil
	}
	var out []scenarios.Scenario
	for _, name := range names {
		s, err := scenarios.Find(name)
		if err != nil {
			return nil, usage{err}
		}
		out = append(out, s)
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

func parseShard(s string) (i, n int, err error) {
	a, b, _ := strings.Cut(s, "/")
	i, err1 := strconv.Atoi(a)
	n, err2 := strconv.Atoi(b)
	if err1 != nil || err2 != nil || n < 1 || i < 0 || i >= n {
		return 0, 0, usage{fmt.Errorf("--shard %q: expected i/n with 0 <= i < n, such as 0/4", s)}
	}
	return i, n, nil
}

func hunt(h hunts.Hunt, f runFlags) error {
	h.Failed = func(r *trial.Result) {
		if f.json {
			reports.WriteJSON(os.Stdout, r.Report)
		}
		if f.out != "" {
			dir := filepath.Join(f.out, fmt.Sprintf("%s-%d", r.Report.Scenario, r.Report.Seed))
			o := h.Options
			o.Seed = r.Report.Seed
			if err := r.WriteTo(dir, o); err != nil {
				fmt.Fprintf(os.Stderr, "ktrial: %v\n", err)
			}
		}
	}
	stop := make(chan struct{})
	h.Interrupt = stop
	onInterrupt(func() {
		clearLine()
		fmt.Fprintln(os.Stderr, "ktrial: interrupted; the runs under way end first")
		close(stop)
	})
	h.Progress = progress()
	sum, err := h.Run()
	clearLine()
	if err != nil {
		return blame(err)
	}
	if f.json {
		err = reports.WriteJSON(os.Stdout, sum)
	} else {
		sum.WriteText(os.Stdout, style(os.Stdout))
	}
	switch {
	case err != nil:
		return err
	case sum.Interrupted:
		return errInterrupted
	case sum.Verdict != reports.Holds:
		return verdict{sum.Verdict}
	}
	return nil
}

// clearLine wipes the line of progress off a terminal.
func clearLine() {
	if isTerminal(os.Stderr) {
		fmt.Fprint(os.Stderr, "\r\x1b[K")
	}
}

// progress tells how far a hunt is: on a terminal in one line that changes,
// elsewhere by a line every half minute.
func progress() func(done, failures int, elapsed time.Duration) {
	terminal := isTerminal(os.Stderr)
	every := 30 * time.Second
	if terminal {
		every = 200 * time.Millisecond
	}
	var last time.Duration
	return func(done, failures int, elapsed time.Duration) {
		if elapsed-last < every {
			return
		}
		last = elapsed
		line := fmt.Sprintf("%d runs, %d failing, %.1f a second", done, failures, float64(done)/elapsed.Seconds())
		if terminal {
			fmt.Fprintf(os.Stderr, "\r\x1b[K%s", line)
		} else {
			fmt.Fprintf(os.Stderr, "hunting: %s\n", line)
		}
	}
}
