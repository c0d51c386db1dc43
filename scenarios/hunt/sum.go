package hunt

import (
	"strings"
	"time"

	"github.com/ktrial/ktrial/checkers"
	"github.com/ktrial/ktrial/reports"
	"github.com/ktrial/ktrial/scenarios/trial"
)

// collect takes the outcomes as they come, writes and reports each, and sums up. It
// keeps a line of each failing run and nothing else.
func (g *hunting) collect(outcomes <-chan outcome) reports.Hunt {
	sum, progress := reports.NewHunt(), Progress{}
	if g.Earlier != nil {
		sum = g.Earlier.sum
		progress.Earlier = sum.Runs
	}
	if size := g.size(); size < endless {
		progress.Total = size
	}
	for o := range outcomes {
		if o.ownBug != nil {
			g.take(&sum, o.job, g.withoutVerdict(&o))
			if g.OwnBug != nil {
				g.OwnBug(o.ownBug)
			}
		}
		if o.result == nil {
			continue
		}
		g.take(&sum, o.job, lineOf(o.result))
		if o.failing && g.Failed != nil {
			g.Failed(o.result, o.notKept)
		}
		if g.Progress != nil {
			g.Progress(g.advanced(&progress, &sum))
		}
	}
	g.conclude(&sum)
	return sum
}

// take writes the result of a job and counts it.
func (g *hunting) take(sum *reports.Hunt, j job, l *reports.Line) {
	if g.Journal != nil {
		g.Journal.run(j.number, l)
	}
	sum.Add(l)
}

// lineOf is a run in a line, with what was permitted and not seen.
func lineOf(r *trial.Result) *reports.Line {
	l := r.Report.Line()
	var permitted checkers.Campaign
	permitted.Add(r.Judgement)
	for _, never := range permitted.NeverShown() {
		l.NeverSeen = append(l.NeverSeen, reports.Permitted{Anomaly: string(never.Anomaly), Reason: never.Reason})
	}
	return l
}

// withoutVerdict is the line of a run that met a bug of ours.
func (g *hunting) withoutVerdict(o *outcome) *reports.Line {
	//text:allow a panic goes on with the stack of the Go runtime, which has no place in a line
	message, _, _ := strings.Cut(o.ownBug.Error(), "\n")
	return &reports.Line{Scenario: o.job.scenario.Name, Seed: o.job.seed, Failure: &reports.Failure{
		Scenario: o.job.scenario.Name, Seed: o.job.seed, Committed: o.job.committed != nil, Check: "our own bug", Message: message, Again: g.commandOf(o.job),
	}}
}

// advanced is how far the hunt is.
func (g *hunting) advanced(p *Progress, sum *reports.Hunt) Progress {
	p.Elapsed = time.Since(g.begun)
	if len(sum.Groups) > p.Groups {
		p.LastGroup = p.Elapsed
	}
	p.Done, p.Failures, p.Groups = sum.Runs, len(sum.Failures), len(sum.Groups)
	p.Unreached = 0
	for _, name := range probeNames() {
		if sum.Probes[name] == 0 {
			p.Unreached++
		}
	}
	return *p
}

func (g *hunting) conclude(sum *reports.Hunt) {
	select {
	case <-g.Interrupt:
		sum.Interrupted = true
	default:
	}
	if g.Journal != nil {
		g.Journal.end(g.why)
	}
	if sum.Runs == 0 { // a shard without jobs has nothing to say; a hunt that came to none proves nothing
		sum.Verdict = reports.Inconclusive
		if g.size() == 0 {
			sum.Verdict = reports.Holds
		}
	}
	sum.WallSeconds += time.Since(g.begun).Seconds()
	sum.SeedsPerSecond = float64(sum.Runs) / max(sum.WallSeconds, 1e-9)
	sum.Conclude(probeNames())
}

// commandOf is the command that plays a job.
func (g *hunting) commandOf(j job) string {
	o := g.options(j)
	return o.Command(j.scenario.Name)
}
