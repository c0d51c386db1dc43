package hunt

import (
	"fmt"
	"time"

	"github.com/ktrial/ktrial/ledger"
	"github.com/ktrial/ktrial/scenarios/trial"
	"github.com/ktrial/ktrial/sim"
)

// outcome is what became of a job.
type outcome struct {
	job      job
	reported bool          // false: enough has failed already
	result   *trial.Result // nil: the run has no verdict
	failing  bool
	notKept  error // of a failing run
	ownBug   error
}

// play plays one job; a failing run, and one in twenty of the others, is played
// again to see that it is the same. The second time a failing run's ledger has
// all events, so that runs that hold cost nothing.
func (g *hunting) play(j job) outcome {
	o := outcome{job: j, reported: true}
	options := g.options(j)
	options.Keep = ledger.KeepStory
	o.result, o.ownBug = g.once(j, options)
	if o.ownBug != nil {
		return o
	}
	if o.failing = !o.result.Report.Verdict.Passes(); o.failing || j.number%20 == 0 {
		g.again(&o, options)
	}
	if !o.failing {
		return o
	}
	o.result.Report.Committed = j.committed != nil
	if o.reported = g.takesFailure(); o.reported && g.Keep != nil {
		o.notKept = g.Keep(o.result, g.options(j))
	}
	return o
}

// again plays a job the second time and compares.
func (g *hunting) again(o *outcome, options trial.Options) {
	second := options
	if o.failing && g.Keep != nil {
		second.Keep, second.Record = ledger.KeepAll, true
	}
	result, err := g.once(o.job, second)
	switch {
	case err != nil:
		o.ownBug = err
	case result.Report.TraceHash == o.result.Report.TraceHash:
		if o.failing {
			o.result = result
		}
	default:
		o.result.Differs("the same seed gives the same run", fmt.Sprintf("the second run has trace %s, the first %s: %s",
			result.Report.TraceHash, o.result.Report.TraceHash, g.whereTheyPart(o, options)))
		o.failing = true
	}
}

// whereTheyPart is the first step in which two runs of a job differ.
func (g *hunting) whereTheyPart(o *outcome, options trial.Options) string {
	var where string
	if o.ownBug = g.guarded(o.job, options, func(options trial.Options) { where = trial.FirstDifference(o.job.scenario, options) }); o.ownBug != nil {
		return "where they part was not found"
	}
	return where
}

// once plays a job once.
func (g *hunting) once(j job, o trial.Options) (*trial.Result, error) {
	var played struct {
		result *trial.Result
		err    error
	}
	stuck := g.guarded(j, o, func(o trial.Options) {
		begun := time.Now()
		played.result, played.err = trial.Run(j.scenario, o)
		if played.err == nil {
			played.result.Report.WallSeconds = time.Since(begun).Seconds()
		}
	})
	if stuck != nil {
		return nil, stuck // the run may still be under way: nothing of it is read
	}
	return played.result, played.err
}

// guarded calls f and waits until it is done, or until the watchdog finds its
// world stuck: then its goroutine cannot be ended, and is left alone.
func (g *hunting) guarded(j job, o trial.Options, f func(trial.Options)) error {
	stuck := make(chan sim.Stuck, 1)
	o.Limits.Stuck = func(s sim.Stuck) {
		select {
		case stuck <- s:
		default: // FirstDifference plays several worlds
		}
	}
	done := make(chan struct{})
	go func() {
		f(o)
		close(done)
	}()
	select {
	case <-done:
		return nil
	case s := <-stuck:
		return fmt.Errorf("scenario %s, %w\n%s", j.scenario.Name, s, s.Stacks)
	}
}
