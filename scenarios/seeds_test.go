package scenarios_test

import (
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ktrial/ktrial/ledger"
	"github.com/ktrial/ktrial/reports"
	"github.com/ktrial/ktrial/scenarios"
	"github.com/ktrial/ktrial/scenarios/trial"
)

// seedPlans holds a plan for each line of seeds.txt.
const seedPlans = "testdata/seeds"

// TestSeedsThatFoundSomething plays them all with the plan that struck then, for
// the swarm may draw another now: what they found is mended, and the danger in
// which it was found is met still. Where the mistake can be planted it is found
// again.
func TestSeedsThatFoundSomething(t *testing.T) {
	known := map[string]bool{}
	all, err := scenarios.CommittedSeeds()
	require.NoError(t, err)
	for _, f := range all {
		require.True(t, isDanger(f.Danger), "%v: found danger %q, expected a probe of `ktrial list probes` or a danger of dangers_test.go", &f, f.Danger)
		require.False(t, known[f.String()], "%v is listed twice", &f)
		known[f.String()] = true
		t.Run(f.String(), func(t *testing.T) {
			if testing.Short() {
				t.Skip("short: a whole run")
			}
			t.Parallel()
			met := newDanger(f.Danger)
			o := trial.Options{Seed: f.Seed, Set: f.Set, Shape: trial.ShapeOf(f.Shape), Plan: f.Plan, Read: met.read}
			r := play(t, f.Scenario, o)
			assert.True(t, r.Report.Verdict.Passes(), "%s: %v", r.Report.Verdict, r.Report.NotReached)
			assert.True(t, met.in(r), "the run no longer meets its danger: %s\n\tsearch for a seed that does (ktrial hunt), and replace this one with a line why", f.Danger)
			if len(f.Plant) == 0 {
				return
			}
			o.Plant, o.Read = f.Plant, nil
			planted, err := trial.Run(f.Scenario, o)
			require.NoError(t, err)
			assert.Equal(t, reports.Violated, planted.Report.Verdict, "planting %v is not found", f.Plant)
		})
	}
	plans, err := os.ReadDir(seedPlans)
	require.NoError(t, err)
	for _, plan := range plans {
		assert.True(t, known[strings.TrimSuffix(plan.Name(), ".txt")], "%s belongs to no line of seeds.txt", plan.Name())
	}
}

// A run in which nothing strikes meets none of the dangers that seeds name: what
// any run meets would be no danger.
func TestDangersAreNotMetInPeace(t *testing.T) {
	skipIfShort(t)
	all := map[string]*danger{}
	committed, err := scenarios.CommittedSeeds()
	require.NoError(t, err)
	for _, f := range committed {
		all[f.Danger] = newDanger(f.Danger)
	}
	require.Greater(t, len(all), 10)
	r := play(t, scenarios.Standard, trial.Options{Seed: 1, NoFaults: true, Read: func(e *ledger.Entry) {
		for _, d := range all {
			d.read(e)
		}
	}})
	for name, d := range all {
		assert.False(t, d.in(r), "%s is met without any fault", name)
	}
}
