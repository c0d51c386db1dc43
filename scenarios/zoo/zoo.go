// Package zoo measures what finds a planted bug: which checks, in which scenarios,
// after how many seeds. It plays each bug in each scenario until it is found from
// outside, by what clients saw, and says when it was found from inside, by a law or an
// assertion of the stack. It leaves out scenarios that never reach the bug's branch. Where
// a bug is known to need a setting (Finders), its scenario is played with it.
//
// A run in which a law breaks ends there. It is played once more without laws, to see
// what clients would have seen.
package zoo

import (
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/ktrial/ktrial/broker/planted"
	"github.com/ktrial/ktrial/ledger"
	"github.com/ktrial/ktrial/reports"
	"github.com/ktrial/ktrial/scenarios"
	"github.com/ktrial/ktrial/scenarios/trial"
)

// Zoo is which bugs are looked for, and where.
type Zoo struct {
	Bugs      []planted.Bug
	Scenarios []scenarios.Scenario
	Last      uint64 // seeds are 1 to Last
	Jobs      int
	// Known are runs that were played before; they are not played again.
	Known []Run
	// Played is called with each run when it is over, from one goroutine at a time.
	Played func(Run) error
	// Progress is called with how many runs of a round are done. A round is one seed of
	// all bugs and scenarios that are still open.
	Progress  func(seed uint64, done, of int, elapsed time.Duration)
	Interrupt <-chan struct{}
}

// Run is one run with a bug in it. It is a line of a file.
type Run struct {
	Bug      planted.Bug `json:"bug"`
	Scenario string      `json:"scenario"`
	Seed     uint64      `json:"seed"`
	// Unmasked: it was planted with those that take away what hides it.
	Unmasked bool `json:"unmasked,omitempty"`
	// Outside: it was played without laws.
	Outside bool   `json:"outside,omitempty"`
	Events  uint64 `json:"events"`
	// Reached and Infected count how often the branch of the bug was evaluated, and made
	// a difference.
	Reached  int64 `json:"reached"`
	Infected int64 `json:"infected"`
	// Check is what broke first; empty: nothing did. Inside: a law, or an assertion.
	Check  string `json:"check,omitempty"`
	Inside bool   `json:"inside,omitempty"`
	// Seconds is the wall time of the run.
	Seconds float64 `json:"seconds"`
}

// key says which run it is.
type key struct {
	Row
	scenario string
	seed     uint64
	outside  bool
}

func (r *Run) key() key { return key{Row{r.Bug, r.Unmasked}, r.Scenario, r.Seed, r.Outside} }

// Row is a bug, alone or without what hides it.
type Row struct {
	Bug      planted.Bug
	Unmasked bool
}

// plants are the bugs that are planted.
func (r Row) plants() []planted.Bug {
	if r.Unmasked {
		return append([]planted.Bug{r.Bug}, planted.Masks(r.Bug)...)
	}
	return []planted.Bug{r.Bug}
}

// rows are what is looked for: each bug alone, and those that something hides also without
// that.
func (z *Zoo) rows() (rows []Row) {
	for _, bug := range z.Bugs {
		rows = append(rows, Row{bug, false})
		if planted.Masks(bug) != nil {
			rows = append(rows, Row{bug, true})
		}
	}
	return rows
}

// cell is a bug in a scenario.
type cell struct {
	Row
	scenario scenarios.Scenario
}

// hunt is a zoo under way.
type hunt struct {
	Zoo
	begun time.Time
	known map[key]Run
	mu    sync.Mutex // of Played and Progress
	runs  []Run
	err   error
}

// Run plays what is needed, and returns all runs, those that were known too, in an order
// that does not depend on how many were played at the same time.
func (z Zoo) Run() ([]Run, error) {
	h := &hunt{Zoo: z, begun: time.Now(), known: map[key]Run{}}
	for _, r := range z.Known {
		if _, twice := h.known[r.key()]; !twice && z.has(&r) {
			h.known[r.key()] = r
			h.runs = append(h.runs, r)
		}
	}
	var open []cell
	for _, row := range z.rows() {
		for _, s := range z.Scenarios {
			open = append(open, cell{row, s})
		}
	}
	for seed := uint64(1); seed <= z.Last && len(open) > 0 && h.goesOn(); seed++ {
		h.round(seed, open)
		open = slices.DeleteFunc(open, func(c cell) bool { return !h.isOpen(c, seed) })
	}
	slices.SortFunc(h.runs, inOrder(z))
	return h.runs, h.err
}

// has reports whether a run is one of the zoo's.
func (z *Zoo) has(r *Run) bool {
	return r.Seed <= z.Last && slices.Contains(z.Bugs, r.Bug) &&
		slices.ContainsFunc(z.Scenarios, func(s scenarios.Scenario) bool { return s.Name == r.Scenario })
}

func (h *hunt) goesOn() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	select {
	case <-h.Interrupt:
		return false
	default:
		return h.err == nil
	}
}

// round plays one seed of all that is open.
func (h *hunt) round(seed uint64, open []cell) {
	jobs := make(chan cell)
	var workers sync.WaitGroup
	done := 0
	for range max(1, h.Jobs) {
		workers.Go(func() {
			for c := range jobs {
				h.play(c, seed)
				h.mu.Lock()
				if done++; h.Progress != nil {
					h.Progress(seed, done, len(open), time.Since(h.begun))
				}
				h.mu.Unlock()
			}
		})
	}
	for _, c := range open {
		if h.goesOn() {
			jobs <- c
		}
	}
	close(jobs)
	workers.Wait()
}

// play plays a bug in a scenario with one seed: without laws, too, if one broke.
func (h *hunt) play(c cell, seed uint64) {
	if r, ok := h.once(c, seed, false); ok && r.Inside {
		h.once(c, seed, true)
	}
}

func (h *hunt) once(c cell, seed uint64, outside bool) (r Run, ok bool) {
	r = Run{Bug: c.Bug, Unmasked: c.Unmasked, Scenario: c.scenario.Name, Seed: seed, Outside: outside}
	if known, ok := h.known[r.key()]; ok {
		return known, true
	}
	begun := time.Now()
	result, err := trial.Run(c.scenario, trial.Options{Seed: seed, Set: settings(c.Bug, c.scenario.Name), Plant: c.plants(), Outside: outside, Keep: ledger.KeepStory})
	if err != nil {
		h.fail(fmt.Errorf("zoo: %s: %w", c.Bug, err))
		return r, false
	}
	r.fill(&result.Report, c.Bug)
	r.Seconds = time.Since(begun).Seconds()
	h.mu.Lock()
	defer h.mu.Unlock()
	h.runs = append(h.runs, r)
	if h.Played != nil && h.err == nil {
		h.err = h.Played(r)
	}
	return r, true
}

func (h *hunt) fail(err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.err == nil {
		h.err = err
	}
}

func (r *Run) fill(report *reports.Run, bug planted.Bug) {
	count := report.Planted[string(bug)]
	r.Events, r.Reached, r.Infected = report.Events, count.Reached, count.Infected
	if len(report.Violations) > 0 {
		v := report.Violations[0]
		r.Check, r.Inside = v.Check, v.Inside || v.Check == trial.OwnAssertions
	}
}

// isOpen reports whether the bug is to be played with the seeds after last, too.
func (h *hunt) isOpen(c cell, last uint64) bool {
	f := found(h.runs, c.Row, c.scenario.Name)
	return f.isOpen() && last < h.Last
}
