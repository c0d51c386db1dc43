package hunt_test

import (
	"testing"
	"time"

	"github.com/ktrial/ktrial/reports"
	"github.com/ktrial/ktrial/scenarios"
	"github.com/ktrial/ktrial/scenarios/hunt"
	"github.com/ktrial/ktrial/scenarios/trial"
	"github.com/ktrial/ktrial/sim/env"
	"github.com/ktrial/ktrial/workloads"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// leaky is a workload whose second producer sleeps a nanosecond longer in every
// other run of the program: something of the world outlives it.
type leaky struct {
	workloads.Workload
	runs *int
}

func (l leaky) Clients(s *workloads.Stage) []workloads.Client {
	*l.runs++
	extra := time.Duration(*l.runs % 2)
	clients := l.Workload.Clients(s)
	honest := clients[1].Main
	clients[1].Main = func(h env.Host) {
		h.Sleep(time.Millisecond + extra)
		honest(h)
	}
	return clients
}

// short is the standard scenario with a few seconds of work.
func short(t *testing.T) scenarios.Scenario {
	s := scenarios.Standard
	w, err := workloads.Set(s.Workload, "duration", "4s")
	require.NoError(t, err)
	s.Workload = w
	return s
}

func TestHuntReportsTheFirstDifference(t *testing.T) {
	s := short(t)
	s.Workload = leaky{s.Workload, new(int)}
	var failed *trial.Result
	sum, err := hunt.Hunt{Scenarios: []scenarios.Scenario{s}, First: 3, Last: 3, Failed: func(r *trial.Result, _ error) { failed = r }}.Run()
	require.NoError(t, err)
	require.Len(t, sum.Failures, 1)
	assert.Equal(t, reports.NotDeterministic, failed.Report.Verdict)
	assert.Regexp(t, `second run has trace .* step \d+ differs`, failed.Report.Violations[0].Message)
}
