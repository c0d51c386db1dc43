// Package hunt plays many seeds of scenarios and sums up what they showed.
package hunt

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/ktrial/ktrial/checkers"
	"github.com/ktrial/ktrial/ledger"
	"github.com/ktrial/ktrial/reports"
	"github.com/ktrial/ktrial/scenarios"
	"github.com/ktrial/ktrial/scenarios/trial"
)

// Hunt is a campaign: many seeds of some scenarios.
type Hunt struct {
	Scenarios []scenarios.Scenario
	Options   trial.Options // Seed is the hunt's own
	// First and Last are the seeds, both included. Seeds go round the
	// scenarios: each scenario is played with each seed.
	First, Last uint64
	For         time.Duration // of wall time; 0: until Last
	Jobs        int
	// Shard of Shards: of all jobs, counted from 0, this hunt plays only those
	// whose number is Shard modulo Shards.
	Shard, Shards int
	// StopAt ends the hunt after so many failures; 0: it goes on.
	StopAt int
	// Interrupt, when it is closed, ends the hunt after the runs under way.
	Interrupt <-chan struct{}

	// Failed is told of each failing run, in the order of the seeds.
	Failed func(*trial.Result)
	// Progress is told now and then, from one goroutine at a time.
	Progress func(done int, failures int, elapsed time.Duration)
}

// job is one run of a hunt.
type job struct {
	number   int // of this shard's jobs, from 0
	scenario scenarios.Scenario
	seed     uint64
}

// outcome is what became of a job.
type outcome struct {
	job    job
	result *trial.Result
	err    error
}

// Run plays the hunt and sums it up. An error is a bug of ktrial, or a bad
// option; it names the seed.
func (h Hunt) Run() (reports.Hunt, error) {
	begun := time.Now()
	jobs := make(chan job)
	outcomes := make(chan outcome)
	stop := make(chan struct{})
	var workers sync.WaitGroup
	for range max(1, h.Jobs) {
		workers.Go(func() {
			for j := range jobs {
				result, err := h.play(j)
				outcomes <- outcome{j, result, err}
			}
		})
	}
	go h.feed(jobs, stop, begun)
	go func() { workers.Wait(); close(outcomes) }()
	return h.collect(outcomes, stop, begun)
}

// feed hands out the jobs in order.
func (h Hunt) feed(jobs chan<- job, stop <-chan struct{}, begun time.Time) {
	defer close(jobs)
	all, number := 0, 0
	for seed := h.First; seed <= h.Last; seed++ {
		for _, s := range h.Scenarios {
			mine := all%max(1, h.Shards) == h.Shard
			all++
			if !mine {
				continue
			}
			if h.For > 0 && time.Since(begun) > h.For {
				return
			}
			select {
			case jobs <- job{number, s, seed}:
				number++
			case <-stop:
				return
			case <-h.Interrupt:
				return
			}
		}
		if seed == ^uint64(0) {
			return
		}
	}
}

// play plays one job; a failing run, and one in twenty of the others, is
// played again to see that it is the same.
func (h Hunt) play(j job) (*trial.Result, error) {
	o := h.Options
	o.Seed = j.seed
	result, err := trial.Run(j.scenario, o)
	if err != nil || result.Report.Verdict.Passes() && j.number%20 != 0 {
		return result, err
	}
	again, err := trial.Run(j.scenario, o)
	if err == nil && again.Report.TraceHash != result.Report.TraceHash {
		result.Differs("the same seed gives the same run", fmt.Sprintf("the second run has trace %s, the first %s: %s",
			again.Report.TraceHash, result.Report.TraceHash, trial.FirstDifference(j.scenario, o)))
	}
	return result, err
}

// collect takes the outcomes as they come and tells of them in order.
func (h Hunt) collect(outcomes <-chan outcome, stop chan struct{}, begun time.Time) (reports.Hunt, error) {
	sum := reports.Hunt{Failures: []reports.Failure{}, Probes: map[string]int64{}, Planted: map[string]reports.Planted{}, AllowedNeverSeen: []reports.Permitted{}}
	var permitted checkers.Campaign
	var failed []*trial.Result
	var firstErr error
	stopped := false
	for o := range outcomes {
		if o.err != nil {
			if firstErr == nil {
				firstErr = o.err
			}
			if !stopped {
				stopped = true
				close(stop)
			}
			continue
		}
		sum.Add(&o.result.Report)
		permitted.Add(o.result.Judgement)
		if !o.result.Report.Verdict.Passes() {
			failed = append(failed, o.result)
			if h.StopAt > 0 && len(failed) >= h.StopAt && !stopped {
				stopped = true
				close(stop)
			}
		}
		if h.Progress != nil {
			h.Progress(sum.Runs, len(failed), time.Since(begun))
		}
	}
	slices.SortFunc(failed, func(a, b *trial.Result) int {
		if a.Report.Seed != b.Report.Seed {
			return int(min(1, max(-1, int64(a.Report.Seed)-int64(b.Report.Seed))))
		}
		return strings.Compare(a.Report.Scenario, b.Report.Scenario)
	})
	for _, f := range failed {
		sum.Failures = append(sum.Failures, f.Report.Failure())
		if h.Failed != nil {
			h.Failed(f)
		}
	}
	select {
	case <-h.Interrupt:
		sum.Interrupted = true
	default:
	}
	sum.WallSeconds = time.Since(begun).Seconds()
	sum.SeedsPerSecond = float64(sum.Runs) / max(sum.WallSeconds, 1e-9)
	sum.ProbesNeverReached = h.neverReached(sum.Probes)
	for _, never := range permitted.NeverShown() {
		sum.AllowedNeverSeen = append(sum.AllowedNeverSeen, reports.Permitted{Anomaly: string(never.Anomaly), Reason: never.Reason})
	}
	return sum, firstErr
}

// neverReached lists the declared probes that no run has reached.
func (h Hunt) neverReached(reached map[string]int64) []string {
	never := []string{}
	for _, p := range ledger.Probes() {
		if reached[p.Name] == 0 {
			never = append(never, p.Name)
		}
	}
	return never
}
