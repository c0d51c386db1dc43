package hunt

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/ktrial/ktrial/checkers"
	"github.com/ktrial/ktrial/ledger"
	"github.com/ktrial/ktrial/reports"
)

// collect takes the outcomes as they come, reports each, and sums up. It keeps
// a line of each failing run and nothing else.
func (g *hunting) collect(outcomes <-chan outcome) reports.Hunt {
	sum := reports.NewHunt()
	var permitted checkers.Campaign
	for o := range outcomes {
		if o.ownBug != nil {
			//text:allow a panic goes on with the stack of the Go runtime, which has no place in a line
			line, _, _ := strings.Cut(o.ownBug.Error(), "\n")
			sum.OwnBugs = append(sum.OwnBugs, reports.Failure{
				Scenario: o.job.scenario.Name, Seed: o.job.seed, Check: "our own bug", Message: line, Again: g.commandOf(o.job),
			})
			if g.OwnBug != nil {
				g.OwnBug(o.ownBug)
			}
		}
		if o.result == nil {
			continue
		}
		sum.Add(&o.result.Report)
		permitted.Add(o.result.Judgement)
		if o.failing {
			sum.Failures = append(sum.Failures, o.result.Report.Failure())
			if g.Failed != nil {
				g.Failed(o.result, o.notKept)
			}
		}
		if g.Progress != nil {
			g.Progress(sum.Runs, len(sum.Failures), time.Since(g.begun))
		}
	}
	g.conclude(&sum, &permitted)
	return sum
}

func (g *hunting) conclude(sum *reports.Hunt, permitted *checkers.Campaign) {
	byFailure := func(a, b reports.Failure) int {
		return cmp.Or(cmp.Compare(a.Seed, b.Seed), cmp.Compare(a.Scenario, b.Scenario))
	}
	slices.SortFunc(sum.Failures, byFailure)
	slices.SortFunc(sum.OwnBugs, byFailure)
	select {
	case <-g.Interrupt:
		sum.Interrupted = true
	default:
	}
	if sum.Runs == 0 { // a shard without jobs has nothing to say; a hunt that came to none proves nothing
		sum.Verdict = reports.Inconclusive
		if g.size() == 0 {
			sum.Verdict = reports.Holds
		}
	}
	sum.WallSeconds = time.Since(g.begun).Seconds()
	sum.SeedsPerSecond = float64(sum.Runs) / max(sum.WallSeconds, 1e-9)
	sum.ProbesNeverReached = neverReached(sum.Probes)
	for _, never := range permitted.NeverShown() {
		sum.AllowedNeverSeen = append(sum.AllowedNeverSeen, reports.Permitted{Anomaly: string(never.Anomaly), Reason: never.Reason})
	}
}

// commandOf is the command that plays a job.
func (g *hunting) commandOf(j job) string {
	o := g.Options
	o.Seed = j.seed
	return o.Command(j.scenario.Name)
}

// neverReached lists the declared probes that no run has reached.
func neverReached(reached map[string]int64) []string {
	never := []string{}
	for _, p := range ledger.Probes() {
		if reached[p.Name] == 0 {
			never = append(never, p.Name)
		}
	}
	return never
}
