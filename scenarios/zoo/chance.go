package zoo

import (
	"cmp"
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/ktrial/ktrial/broker/planted"
	"github.com/ktrial/ktrial/reports"
	"github.com/ktrial/ktrial/scenarios"
	hunts "github.com/ktrial/ktrial/scenarios/hunt"
	"github.com/ktrial/ktrial/scenarios/trial"
)

// Chance measures how long a hunt takes until it finds a bug for the first time: of all
// scenarios in turn, seed after seed, as `ktrial hunt` plays them with one job. Each search
// has seeds that no other has.
type Chance struct {
	Bugs      []planted.Bug
	Scenarios []scenarios.Scenario
	Searches  int           // for each bug
	Limit     time.Duration // of CPU time, for one search
	// CPU is how long processors have worked for this program.
	CPU func() time.Duration
	// Known are searches that were made before; they are not made again.
	Known []Search
	// Done is called with each search when it is over.
	Done      func(Search) error
	Interrupt <-chan struct{}
}

// Search is one hunt for a bug. It is a line of a file.
type Search struct {
	Bug        planted.Bug `json:"bug"`
	Number     int         `json:"number"` // from 0
	Found      bool        `json:"found"`
	CPUSeconds float64     `json:"cpu_seconds"` // until it was found, or given up
	Check      string      `json:"check,omitempty"`
	Scenario   string      `json:"scenario,omitempty"`
	Seed       uint64      `json:"seed,omitempty"`
}

// seedsOfSearch is how many seeds a search has: more than it can play.
const seedsOfSearch = 100_000

// Run makes the searches that are not known, and returns all, in order.
func (c Chance) Run() ([]Search, error) {
	all := slices.DeleteFunc(slices.Clone(c.Known), func(s Search) bool {
		return s.Number >= c.Searches || !slices.Contains(c.Bugs, s.Bug)
	})
	for _, bug := range c.Bugs {
		for number := range c.Searches {
			if slices.ContainsFunc(all, func(s Search) bool { return s.Bug == bug && s.Number == number }) {
				continue
			}
			s, over, err := c.search(bug, number)
			if err == nil && over && c.Done != nil {
				err = c.Done(s)
			}
			if err != nil || !over {
				return c.inOrder(all), err
			}
			all = append(all, s)
		}
	}
	return c.inOrder(all), nil
}

func (c *Chance) inOrder(all []Search) []Search {
	slices.SortFunc(all, func(a, b Search) int {
		return cmp.Or(cmp.Compare(slices.Index(c.Bugs, a.Bug), slices.Index(c.Bugs, b.Bug)), cmp.Compare(a.Number, b.Number))
	})
	return all
}

// search hunts until the bug is found or the time is over; over is false if it was
// interrupted.
func (c *Chance) search(bug planted.Bug, number int) (s Search, over bool, err error) {
	s = Search{Bug: bug, Number: number}
	begun := c.CPU()
	stop := make(chan struct{})
	end := sync.OnceFunc(func() { close(stop) })
	first := uint64(number)*seedsOfSearch + 1
	_, err = hunts.Hunt{
		Scenarios: c.Scenarios, Options: trial.Options{Plant: []planted.Bug{bug}}, First: first, Last: first + seedsOfSearch - 1, Jobs: 1, Interrupt: stop,
		Failed: func(r *trial.Result, _ error) {
			// What proves nothing finds nothing.
			if v := r.Report.Violations; !s.Found && r.Report.Verdict == reports.Violated && len(v) > 0 {
				s.Found, s.CPUSeconds = true, (c.CPU() - begun).Seconds()
				s.Check, s.Scenario, s.Seed = v[0].Check, r.Report.Scenario, r.Report.Seed
				end()
			}
		},
		Progress: func(hunts.Progress) {
			if !s.Found && (c.CPU()-begun > c.Limit || c.interrupted()) {
				end()
			}
		},
	}.Run()
	if !s.Found {
		s.CPUSeconds = (c.CPU() - begun).Seconds()
	}
	return s, s.Found || !c.interrupted(), err
}

func (c *Chance) interrupted() bool {
	select {
	case <-c.Interrupt:
		return true
	default:
		return false
	}
}

// WriteMarkdown writes a row for each bug: how many searches found it, the 95% interval of
// that share (Wilson), and the quartiles of CPU seconds. A search that was given up counts as
// longer than all others.
func (c Chance) WriteMarkdown(w io.Writer, all []Search) {
	fmt.Fprintf(w, "| bug | found | share, 95%% | CPU s: quarter | half | three quarters | by |\n| --- | --- | --- | --- | --- | --- | --- |\n")
	for _, bug := range c.Bugs {
		var took []float64
		var by []string
		n := 0
		for _, s := range all {
			if s.Bug != bug {
				continue
			}
			n++
			if !s.Found {
				took = append(took, math.Inf(1))
				continue
			}
			took = append(took, s.CPUSeconds)
			if how := s.Scenario + ": " + s.Check; !slices.Contains(by, how) {
				by = append(by, how)
			}
		}
		if n == 0 {
			continue
		}
		slices.Sort(took)
		found := slices.IndexFunc(append(slices.Clone(took), math.Inf(1)), func(s float64) bool { return math.IsInf(s, 1) })
		low, high := wilson(found, n)
		fmt.Fprintf(w, "| `%s` | %d of %d | %.0f to %.0f%% | %s | %s | %s | %s |\n", bug, found, n, 100*low, 100*high,
			c.quantile(took, 0.25), c.quantile(took, 0.5), c.quantile(took, 0.75), strings.Join(by, "; "))
	}
}

// quantile is the smallest of the sorted times that so many of them do not exceed.
func (c *Chance) quantile(took []float64, part float64) string {
	at := took[max(0, int(math.Ceil(part*float64(len(took))))-1)]
	if math.IsInf(at, 1) {
		return fmt.Sprintf("over %.0f", c.Limit.Seconds())
	}
	return fmt.Sprintf("%.1f", at)
}

// wilson is the 95% score interval of a share of k in n (Wilson 1927).
func wilson(k, n int) (low, high float64) {
	const z = 1.96
	share, count := float64(k)/float64(n), float64(n)
	middle := share + z*z/(2*count)
	width := z * math.Sqrt(share*(1-share)/count+z*z/(4*count*count))
	return max(0, (middle-width)/(1+z*z/count)), min(1, (middle+width)/(1+z*z/count))
}
