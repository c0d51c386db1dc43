package scenarios_test

import (
	"flag"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ktrial/ktrial/faults"
	"github.com/ktrial/ktrial/reports"
	"github.com/ktrial/ktrial/scenarios"
	"github.com/ktrial/ktrial/scenarios/trial"
	"github.com/ktrial/ktrial/workloads"
)

// TestEveryScenario plays each scenario: with one seed, or with many. All must hold, and
// dangers must be met, those of a design hazard, too. That each is the same run when it is
// played again is shown by .ci/run, in two processes, and here with many seeds: a second
// run in the same process would cost as much as the first and show less.
func TestEveryScenario(t *testing.T) {
	last := uint64(1)
	if *long {
		last = *longSeeds
	}
	for _, s := range scenarios.All() {
		t.Run(s.Name, func(t *testing.T) {
			if testing.Short() && !strings.HasPrefix(s.Name, "standard") {
				t.Skip("short: only the standard ones")
			}
			t.Parallel()
			met := 0
			for seed := uint64(1); seed <= last; seed++ {
				r := holds(t, s, trial.Options{Seed: seed})
				if r.Verdict.Passes() {
					met++
				}
				if *long {
					assert.Equal(t, r.TraceHash, hash(t, s, seed), "seed %d is another run when played again", seed)
				}
			}
			// Luck may spare a run the danger, and the report then says so.
			assert.GreaterOrEqual(t, 100*met, 95*int(last), "%d of %d seeds met the danger", met, last)
		})
	}
}

// A large world must withstand the same trouble, and be the same run when played again.
func TestALargeWorld(t *testing.T) {
	if testing.Short() {
		t.Skip("short: twenty brokers")
	}
	t.Parallel()
	s := scenarios.Standard
	s.Cluster.Brokers = 20
	s.Topics = []scenarios.Topic{scenarios.Orders}
	s.Topics[0].Partitions = 100
	o := trial.Options{Seed: 1}
	if !*long {
		o.Set = map[string]string{"duration": "15s"}
	}
	r := holds(t, s, o)
	assert.NotEmpty(t, r.Faults)
	again, err := trial.Run(s, o)
	require.NoError(t, err)
	assert.Equal(t, r.TraceHash, again.Report.TraceHash, "it is another run when played again")
}

// safeWork takes the danger from hazards that need no fault to show it.
var safeWork = map[string]map[string]string{
	"unkeyed-order": {"unkeyed": "false"},
}

// A design hazard that does not show its danger proves nothing, and one whose
// configuration is made safe has none to show.
func TestHazards(t *testing.T) {
	if testing.Short() {
		t.Skip("short: TestEveryScenario plays them too")
	}
	for _, s := range scenarios.All() {
		if assert.Equal(t, s.Lesson != "", s.Danger != "", s.Name); s.Lesson == "" {
			continue
		}
		t.Run(s.Name, func(t *testing.T) {
			t.Parallel()
			var err error
			s.Workload, err = workloads.Set(s.Workload, "rate", "30") // enough, and faster
			require.NoError(t, err)
			r := holds(t, s, trial.Options{Seed: 2})
			assert.Equal(t, reports.Allowed, r.Verdict, "%v", r.NotReached)
			assert.True(t, slices.ContainsFunc(r.Allowed, func(a reports.Permitted) bool { return a.Anomaly == string(s.Danger) && a.Count > 0 }))
			assert.NotEmpty(t, r.Lesson)

			s.Probes = nil // of danger
			s.Faults = faults.Plan{}
			o := trial.Options{Seed: 2, Set: map[string]string{"duration": "20s"}}
			maps.Copy(o.Set, safeWork[s.Name])
			r = holds(t, s, o)
			assert.Equal(t, reports.Inconclusive, r.Verdict)
			assert.Equal(t, []string{string(s.Danger)}, r.NotReached)
		})
	}
	for _, safe := range []struct {
		s   scenarios.Scenario
		set map[string]string
	}{
		{scenarios.AcksOne, map[string]string{"acks": "all", "enable.idempotence": "true", "rate": "50"}},
		{scenarios.NoFsyncAllLosePower, map[string]string{"flush.messages": "1", "rate": "50"}},
		{scenarios.NoFsyncAllLosePower, map[string]string{"log.flush.interval.messages": "1", "rate": "50"}},
	} {
		r := holds(t, safe.s, trial.Options{Seed: 2, Set: safe.set})
		assert.Equal(t, reports.Holds, r.Verdict, "%s: %v", safe.s.Name, r.NotReached)
		assert.Contains(t, r.Lesson, "the danger was met, nothing was lost")
	}
	r := holds(t, scenarios.NoFsyncAllLosePower, trial.Options{Seed: 2, Set: map[string]string{"flush.messages": "2", "rate": "50"}})
	assert.NotEqual(t, reports.Holds, r.Verdict, "every second record is not synced")
}

// holds plays a run of clean code, which may be inconclusive but breaks no
// promise.
func holds(t *testing.T, s scenarios.Scenario, o trial.Options) *reports.Run {
	t.Helper()
	return &play(t, s, o).Report
}

// play is holds, with all that came of the run.
func play(t *testing.T, s scenarios.Scenario, o trial.Options) *trial.Result {
	t.Helper()
	r, err := trial.Run(s, o)
	require.NoError(t, err)
	for _, v := range r.Report.Violations {
		t.Errorf("ktrial run %s --seed %d: %s: %s", s.Name, o.Seed, v.Check, v.Message)
	}
	return r
}

// hash plays a seed once more.
func hash(t *testing.T, s scenarios.Scenario, seed uint64) string {
	r, err := trial.Run(s, trial.Options{Seed: seed})
	require.NoError(t, err)
	return r.Report.TraceHash
}

var (
	long      = flag.Bool("long", false, "run the long tests, too")
	longSeeds = flag.Uint64("seeds", 100, "how many seeds the long tests play of each scenario")
)

// skipIfShort skips what plays whole runs.
func skipIfShort(t *testing.T) {
	t.Helper()
	if testing.Short() {
		t.Skip("short: whole runs")
	}
}
