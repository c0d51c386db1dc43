// Package hunt plays many seeds of scenarios and sums up what they showed.
//
// Each failing run is kept and reported the moment it is found, and its memory let
// go: a hunt that ends in the middle, however it ends, loses at most the runs
// under way.
package hunt

import (
	"iter"
	"math"
	"runtime"
	"slices"
	"sync"
	"time"

	"github.com/ktrial/ktrial/reports"
	"github.com/ktrial/ktrial/scenarios"
	"github.com/ktrial/ktrial/scenarios/trial"
)

// Hunt is a campaign: many seeds of some scenarios.
type Hunt struct {
	Scenarios []scenarios.Scenario
	Options   trial.Options // Seed, Keep and Limits.Stuck are the hunt's own
	// First and Last are the seeds, both included. Seeds go round the
	// scenarios: each scenario is played with each seed, those that cost least first.
	First, Last uint64
	// Committed are seeds that have found something. Each is played before the others,
	// with its own settings and plan.
	Committed []scenarios.Committed
	For       time.Duration // of wall time; 0: until Last
	Jobs      int           // worlds at the same time; see Workers
	// Shard of Shards: of all jobs, counted from 0, this hunt plays only those
	// whose number is Shard modulo Shards.
	Shard, Shards int
	// StopAt ends the hunt after so many failing runs; 0: it goes on. Runs under
	// way that fail, too, are not reported.
	StopAt int
	// Interrupt, when it is closed, ends the hunt after the runs under way.
	Interrupt <-chan struct{}

	// Journal is where the result of each run is written when it is over; nil:
	// nowhere. Earlier is what is in it already: those runs are not played again.
	Journal *Journal
	Earlier *Results

	// Keep keeps a failing run, whose ledger has all events. It is called when the
	// run is found, from several goroutines at the same time, with the options that play
	// the run again; nil: none is kept.
	Keep func(*trial.Result, trial.Options) error
	// Failed is called with each failing run when it is kept, with the error of Keep,
	// from one goroutine at a time and in the order in which they are found.
	Failed func(result *trial.Result, notKept error)
	// OwnBug is called with each run that has no verdict: a bug of ktrial, or a task
	// that never gave back the thread. The hunt goes on.
	OwnBug func(error)
	// Progress is called now and then, from one goroutine at a time.
	Progress func(Progress)
}

// Progress is how far a hunt is.
type Progress struct {
	Done, Failures, Groups int
	// Earlier of the runs that are done were played by another program.
	Earlier int
	// Total is how many runs there will be; 0: the hunt goes on until its time is up.
	Total   uint64
	Elapsed time.Duration
	// LastGroup is when the last new way to fail was found.
	LastGroup time.Duration
	// Unreached is how many probes no run has reached yet.
	Unreached int
}

// perProcessor is how many worlds at the same time are worth their memory, some
// 50 MB each.
const perProcessor = 16

// Workers is how many worlds are played at the same time: as many as Jobs says,
// but not more than there are runs, nor than 16 for each processor.
func (h Hunt) Workers() int {
	workers := min(max(1, h.Jobs), perProcessor*runtime.NumCPU())
	if runs := h.size(); runs < uint64(workers) {
		workers = max(1, int(runs))
	}
	return workers
}

// endless is how many runs a hunt has that only its time ends.
const endless = math.MaxUint32

// size is how many runs the hunt has; of very many not exactly.
func (h Hunt) size() uint64 { return h.sizeOf(len(h.Scenarios), len(h.Committed)) }

// sizeOf is how many runs a hunt of so many scenarios and committed seeds has.
func (h Hunt) sizeOf(scenarios, committed int) uint64 {
	seeds := h.Last - h.First
	if seeds > math.MaxUint32 {
		return endless
	}
	all := (seeds+1)*uint64(scenarios) + uint64(committed)
	shards, shard := uint64(max(1, h.Shards)), uint64(h.Shard)
	return (all + shards - 1 - shard) / shards
}

// scenario is the one of that name.
func (h Hunt) scenario(name string) scenarios.Scenario {
	i := slices.IndexFunc(h.Scenarios, func(s scenarios.Scenario) bool { return s.Name == name })
	if i < 0 {
		panic("hunt: found a run of scenario " + name + ", which is none of the hunt's")
	}
	return h.Scenarios[i]
}

// hunting is a hunt under way.
type hunting struct {
	Hunt
	begun time.Time
	stop  chan struct{}

	mu     sync.Mutex
	failed int  // runs that will be reported
	ending bool // stop is closed
	why    ended
}

// Run plays the hunt and sums it up. An error is a bad option, and names the
// scenario; then nothing was played.
func (h Hunt) Run() (reports.Hunt, error) {
	for _, s := range h.Scenarios {
		if err := trial.Check(s, h.Options); err != nil {
			return reports.Hunt{}, err
		}
	}
	g := &hunting{Hunt: h, begun: time.Now(), stop: make(chan struct{}), why: done}
	if h.Earlier != nil {
		g.failed = len(h.Earlier.sum.Failures)
		if g.ending = h.StopAt > 0 && g.failed >= h.StopAt; g.ending {
			close(g.stop)
		}
	}
	jobs := make(chan job)
	outcomes := make(chan outcome)
	var workers sync.WaitGroup
	for range h.Workers() {
		workers.Go(func() {
			for j := range jobs {
				if o := g.play(j); o.reported {
					outcomes <- o
				}
			}
		})
	}
	go g.feed(jobs)
	go func() { workers.Wait(); close(outcomes) }()
	return g.collect(outcomes), nil
}

// job is one run of a hunt.
type job struct {
	number    int // of this shard's jobs, from 0
	scenario  scenarios.Scenario
	seed      uint64
	committed *scenarios.Committed // nil: a seed like any other
}

// options are those that play the job.
func (g *hunting) options(j job) trial.Options {
	o := g.Options
	if j.committed != nil {
		o = CommittedOptions(o, j.committed)
	}
	o.Seed = j.seed
	return o
}

// CommittedOptions are options that play a committed seed, with the settings and the
// plan with which it found something.
func CommittedOptions(o trial.Options, c *scenarios.Committed) trial.Options {
	o.Seed, o.Set, o.Shape, o.Plan, o.PlanFile = c.Seed, c.Set, trial.ShapeOf(c.Shape), c.Plan, c.PlanFile
	return o
}

// feed hands out the jobs in order, until there are no more or the hunt ends.
func (g *hunting) feed(jobs chan<- job) {
	defer close(jobs)
	for j := range g.jobs() {
		if g.Earlier != nil && g.Earlier.played[j.number] > 0 {
			continue
		}
		if g.For > 0 && time.Since(g.begun) > g.For {
			g.endedBy(timeIsUp)
			return
		}
		select { // what has ended the hunt goes first
		case <-g.stop:
			g.endedBy(enoughFound)
			return
		case <-g.Interrupt:
			g.endedBy(interrupted)
			return
		default:
		}
		select {
		case jobs <- j:
		case <-g.stop:
			g.endedBy(enoughFound)
			return
		case <-g.Interrupt:
			g.endedBy(interrupted)
			return
		}
	}
}

// jobs are those of the hunt, in order: committed seeds, and then the others.
func (h Hunt) jobs() iter.Seq[job] {
	return func(yield func(job) bool) {
		all, number := 0, 0
		next := func(s scenarios.Scenario, seed uint64, c *scenarios.Committed) bool {
			mine := all%max(1, h.Shards) == h.Shard
			all++
			if !mine {
				return true
			}
			number++
			return yield(job{number - 1, s, seed, c})
		}
		for i := range h.Committed {
			if c := &h.Committed[i]; !next(c.Scenario, c.Seed, c) {
				return
			}
		}
		ordered := inOrder(h.Scenarios)
		for seed := h.First; seed <= h.Last; seed++ {
			for _, s := range ordered {
				if !next(s, seed, nil) {
					return
				}
			}
			if seed == math.MaxUint64 {
				return
			}
		}
	}
}

func (g *hunting) endedBy(why ended) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.why = why
}

// takesFailure reports whether one more failing run is to be reported. The last one
// that is ends the hunt.
func (g *hunting) takesFailure() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.StopAt > 0 && g.failed >= g.StopAt {
		return false
	}
	if g.failed++; g.failed == g.StopAt && !g.ending {
		g.ending = true
		close(g.stop)
	}
	return true
}
