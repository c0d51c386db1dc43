// Package hunt plays many seeds of scenarios and sums up what they showed.
//
// Each failing run is kept and reported the moment it is found, and its memory let
// go: a hunt that ends in the middle, however it ends, loses at most the runs
// under way.
package hunt

import (
	"math"
	"runtime"
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
	// scenarios: each scenario is played with each seed.
	First, Last uint64
	For         time.Duration // of wall time; 0: until Last
	Jobs        int           // worlds at the same time; see Workers
	// Shard of Shards: of all jobs, counted from 0, this hunt plays only those
	// whose number is Shard modulo Shards.
	Shard, Shards int
	// StopAt ends the hunt after so many failing runs; 0: it goes on. Runs under
	// way that fail, too, are not reported.
	StopAt int
	// Interrupt, when it is closed, ends the hunt after the runs under way.
	Interrupt <-chan struct{}

	// Keep keeps a failing run, whose ledger has all events. It is called when the
	// run is found, from several goroutines at the same time; nil: none is kept.
	Keep func(*trial.Result) error
	// Failed is called with each failing run when it is kept, with the error of Keep,
	// from one goroutine at a time and in the order in which they are found.
	Failed func(result *trial.Result, notKept error)
	// OwnBug is called with each run that has no verdict: a bug of ktrial, or a task
	// that never gave back the thread. The hunt goes on.
	OwnBug func(error)
	// Progress is called now and then, from one goroutine at a time.
	Progress func(done int, failures int, elapsed time.Duration)
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

// size is how many runs the hunt has; of very many not exactly.
func (h Hunt) size() uint64 {
	seeds := h.Last - h.First
	if seeds > math.MaxUint32 {
		return math.MaxUint32
	}
	all := (seeds + 1) * uint64(len(h.Scenarios))
	shards, shard := uint64(max(1, h.Shards)), uint64(h.Shard)
	return (all + shards - 1 - shard) / shards
}

// hunting is a hunt under way.
type hunting struct {
	Hunt
	begun time.Time
	stop  chan struct{}

	mu     sync.Mutex
	failed int  // runs that will be reported
	ending bool // stop is closed
}

// Run plays the hunt and sums it up. An error is a bad option, and names the
// scenario; then nothing was played.
func (h Hunt) Run() (reports.Hunt, error) {
	for _, s := range h.Scenarios {
		if err := trial.Check(s, h.Options); err != nil {
			return reports.Hunt{}, err
		}
	}
	g := &hunting{Hunt: h, begun: time.Now(), stop: make(chan struct{})}
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
	number   int // of this shard's jobs, from 0
	scenario scenarios.Scenario
	seed     uint64
}

// feed hands out the jobs in order.
func (g *hunting) feed(jobs chan<- job) {
	defer close(jobs)
	all, number := 0, 0
	for seed := g.First; seed <= g.Last; seed++ {
		for _, s := range g.Scenarios {
			mine := all%max(1, g.Shards) == g.Shard
			all++
			if !mine {
				continue
			}
			if g.For > 0 && time.Since(g.begun) > g.For {
				return
			}
			select { // what has ended the hunt goes first
			case <-g.stop:
				return
			case <-g.Interrupt:
				return
			default:
			}
			select {
			case jobs <- job{number, s, seed}:
				number++
			case <-g.stop:
				return
			case <-g.Interrupt:
				return
			}
		}
		if seed == math.MaxUint64 {
			return
		}
	}
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
