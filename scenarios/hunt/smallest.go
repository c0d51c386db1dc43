package hunt

import (
	"fmt"
	"sync"
	"time"

	"github.com/ktrial/ktrial/reports"
	"github.com/ktrial/ktrial/scenarios/shrink"
	"github.com/ktrial/ktrial/scenarios/trial"
)

// Shrinking searches for the smallest run of each group of a hunt that breaks a
// promise, from the first run of the group on.
type Shrinking struct {
	Hunt Hunt
	For  time.Duration // of wall time, for each group
	// Keep keeps a smaller run when it is found, and says in which directory of the
	// hunt's; first is the one that it was made from. It is called from several goroutines.
	Keep func(first *reports.Failure, smaller *shrink.Smallest) (dir string, err error)
	// Failed is called with what kept the smallest run of a group from being found.
	Failed func(first *reports.Failure, err error)
	// Progress is called with how many groups are done.
	Progress func(done, groups int, elapsed time.Duration)
}

// Shrink searches, and puts what it finds into the sum. Groups whose smallest run
// was searched for to the end by an earlier program are left alone.
func (s Shrinking) Shrink(sum *reports.Hunt) {
	var todo []*reports.Group
	for i := range sum.Groups {
		if g := &sum.Groups[i]; g.First.Verdict == reports.Violated && !g.Smallest.Whole {
			todo = append(todo, g)
		}
	}
	begun := time.Now()
	next := make(chan *reports.Group)
	var searches sync.WaitGroup
	var mu sync.Mutex // of the sum, and of what is called
	finished := 0
	for range min(max(1, s.Hunt.Jobs), len(todo)) {
		searches.Go(func() {
			for g := range next {
				found, err := s.search(g)
				mu.Lock()
				if finished++; err != nil && s.Failed != nil {
					s.Failed(&g.First, err)
				}
				if found != nil {
					sum.Shrunk(g.Fingerprint, *found)
				}
				if s.Progress != nil {
					s.Progress(finished, len(todo), time.Since(begun))
				}
				mu.Unlock()
			}
		})
	}
	for _, g := range todo {
		select {
		case <-s.Hunt.Interrupt:
		case next <- g:
		}
	}
	close(next)
	searches.Wait()
}

// optionsOf are the options that play a failing run of the hunt.
func (h Hunt) optionsOf(f *reports.Failure) trial.Options {
	o := h.Options
	o.Seed = f.Seed
	for i := range h.Committed {
		if c := &h.Committed[i]; f.Committed && c.Scenario.Name == f.Scenario && c.Seed == f.Seed {
			o = CommittedOptions(o, c)
		}
	}
	return o
}

// search searches for the smallest run of a group; it is written down when it is
// found.
func (s Shrinking) search(g *reports.Group) (*reports.Smallest, error) {
	scenario := s.Hunt.scenario(g.First.Scenario)
	o := s.Hunt.optionsOf(&g.First)
	var dir string
	var notKept error
	keep := func(smaller *shrink.Smallest) {
		if s.Keep != nil {
			dir, notKept = s.Keep(&g.First, smaller)
		}
	}
	var smallest *shrink.Smallest
	var err error
	watched := hunting{Hunt: s.Hunt}
	stuck := watched.guarded(job{scenario: scenario, seed: o.Seed}, o, func(o trial.Options) {
		smallest, err = shrink.Task{Scenario: scenario, Options: o, For: s.For, Interrupt: s.Hunt.Interrupt, Better: keep}.Shrink()
	})
	if stuck != nil {
		return nil, stuck // the search may still be under way: nothing of it is read
	}
	if err != nil {
		return nil, err
	}
	keep(smallest)
	found := smallest.Summary()
	found.Kept = dir
	if s.Hunt.Journal != nil {
		s.Hunt.Journal.smallest(g.Fingerprint, found)
	}
	if notKept != nil {
		return &found, fmt.Errorf("the smallest run is not kept: %w", notKept)
	}
	return &found, nil
}
