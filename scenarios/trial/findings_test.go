package trial

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ktrial/ktrial/reports"
	"github.com/ktrial/ktrial/scenarios"
	"github.com/ktrial/ktrial/sim/env"
	"github.com/ktrial/ktrial/workloads"
)

// finding is a workload with one client more, which compares.
type finding struct {
	workloads.Workload
	found []workloads.ClientFound
}

func (w finding) Clients(s *workloads.Stage) []workloads.Client {
	return append(w.Workload.Clients(s), workloads.Client{Host: "finder", Compares: true, Main: func(h env.Host) {
		s.AwaitWork(h)
		h.Sleep(time.Second)
		for i := range w.found {
			h.Tell(&w.found[i])
		}
	}})
}

// What a client finds otherwise than it was told is a violation seen from outside, also where
// laws are not watched; a design hazard promises nothing of the kind.
func TestWhatClientsFindIsBelieved(t *testing.T) {
	right, wrong := workloads.ClientFound{What: "topic a"}, workloads.ClientFound{What: "topic b", Wrong: "it is gone"}
	played := func(s scenarios.Scenario, found ...workloads.ClientFound) (reports.Run, []reports.Check) {
		w, err := workloads.Set(s.Workload, "duration", "4s")
		require.NoError(t, err)
		s.Workload, s.Faults = finding{w, found}, nil
		r, err := Run(s, Options{Seed: 1, Outside: true})
		require.NoError(t, err)
		var checks []reports.Check
		for _, c := range r.Report.Checks {
			if c.Name == scenarios.FoundAsTold.Name {
				checks = append(checks, c)
			}
		}
		return r.Report, checks
	}
	run, checks := played(scenarios.Standard, right, right)
	assert.Equal(t, reports.Holds, run.Verdict)
	require.Len(t, checks, 1)
	assert.EqualValues(t, 2, checks[0].Checked)

	run, checks = played(scenarios.Standard, right, wrong)
	require.Len(t, run.Violations, 1)
	assert.Equal(t, "finder: topic b: it is gone", run.Violations[0].Message)
	assert.False(t, run.Violations[0].Inside)
	assert.Equal(t, reports.Violated, checks[0].Verdict)

	_, checks = played(scenarios.AcksOne, wrong)
	assert.Empty(t, checks)
}
