package trial

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ktrial/ktrial/faults"
	"github.com/ktrial/ktrial/reports"
	"github.com/ktrial/ktrial/scenarios"
	"github.com/ktrial/ktrial/scenarios/internal/samples"
)

// struck plays faults one after another in a cluster that is well, each healed
// after a second unless it says otherwise, and says what really struck.
func struck(t *testing.T, s scenarios.Scenario, lines ...string) (texts []string) {
	t.Helper()
	r, err := prepare(s, Options{Seed: 1})
	require.NoError(t, err)
	t.Cleanup(r.w.Close)
	require.NoError(t, r.setUp())
	for _, line := range lines {
		line, left := strings.CutSuffix(line, " and leave it")
		fault, err := faults.Parse(line)
		require.NoError(t, err)
		timed := faults.Timed{For: time.Second, Fault: fault}
		if left {
			timed.For = 0
		}
		r.n.Strike(timed)
		require.NoError(t, r.w.Run(r.w.Now()+1500*time.Millisecond))
	}
	played, _ := faultsOf(r.w.Ledger())
	for _, f := range played {
		timed, err := faults.ParseTimed(f.Text)
		require.NoError(t, err)
		texts = append(texts, timed.Fault.String())
	}
	return texts
}

// The author of a plan is told what did not strike, and why.
func TestSkippedFaultsAreReported(t *testing.T) {
	r, err := Run(samples.Short(), Options{Seed: 1, Plan: plan(t, "at 1s for 1s: power off broker-1+broker-2\nat 3s: rot 5 bytes of broker-3\nat 5s: kill all brokers")})
	require.NoError(t, err)
	var text strings.Builder
	r.Report.WriteText(&text, reports.Style{})
	said := strings.Join(strings.Fields(text.String()), " ")
	assert.Contains(t, said, "at 1s of the work (3s) power off broker-1+broker-2: became kill broker-1+broker-2, for no more is promised to survive")
	assert.Contains(t, said, "rot 5 bytes of broker-3: broker-3 will not recover its logs, so the damage would go unnoticed")
	assert.Contains(t, said, "kill all brokers: it was to strike at 5s, and the work lasts 4s")
	assert.Equal(t, reports.Holds, r.Report.Verdict)
}

// Only the author of an exact plan has seen to its budget.
func TestAnotherPlanIsNotExact(t *testing.T) {
	require.True(t, scenarios.LastInSync.Exact)
	s := scenarios.LastInSync
	s.Workload = samples.Short().Workload
	r, err := Run(s, Options{Seed: 1, Plan: plan(t, "at 1s for 1s: power off all brokers")})
	require.NoError(t, err)
	assert.Empty(t, r.Report.Violations)
	assert.Len(t, r.Report.Skipped, 1)
}

// What would cost more than the configuration promises to survive becomes
// milder, and is recorded as what it became.
func TestBudget(t *testing.T) {
	reckless := scenarios.Standard
	reckless.Exact = true
	for _, c := range []struct {
		name     string
		scenario scenarios.Scenario
		plan     []string
		struck   []string
	}{
		{"one broker may lose power", scenarios.Standard,
			[]string{"power off broker-1"}, []string{"power off broker-1"}},
		{"two may not", scenarios.Standard,
			[]string{"power off broker-1+broker-2"}, []string{"kill broker-1+broker-2"}},
		{"nor one after the other, before the first is back", scenarios.Standard,
			[]string{"power off broker-1", "power off broker-2"}, []string{"power off broker-1", "pause broker-2"}},
		{"all may die as long as nothing is lost", scenarios.Standard,
			[]string{"kill all brokers"}, []string{"kill broker-1+broker-2+broker-3"}},
		{"a hazard means it", scenarios.NoFsyncAllLosePower,
			[]string{"power off all brokers"}, []string{"power off broker-1+broker-2+broker-3"}},

		{"controllers sync what they say, so all may lose power", scenarios.Standard,
			[]string{"power off all controllers"}, []string{"power off controller-1+controller-2+controller-3"}},
		{"an fsync may fail anywhere", scenarios.Standard,
			[]string{"fail fsync of controller-1", "fail fsync of controller-2"}, []string{"fail fsync of controller-1", "fail fsync of controller-2"}},
		{"but then the power must not", scenarios.Standard,
			[]string{"fail fsync of controller-1", "power off all controllers"}, []string{"fail fsync of controller-1", "kill controller-1+controller-2+controller-3"}},
		{"also not in the middle of a write", scenarios.Standard,
			[]string{"fail fsync of controller-2", "tear next write of controller-2"}, []string{"fail fsync of controller-2", "kill controller-2"}},
		{"a disk that lies is as bad", scenarios.Standard,
			[]string{"lie about fsync of controller-2", "power off controller-2", "power off controller-3"},
			[]string{"lie about fsync of controller-2", "kill controller-2", "power off controller-3"}},
		{"a voter has one disk", scenarios.Standard,
			[]string{"wipe controller-3"}, []string{"kill controller-3"}},
		{"a replica may be wiped", scenarios.Standard,
			[]string{"wipe broker-3"}, []string{"wipe broker-3"}},
		{"a node that is both is a voter", scenarios.CombinedRoles,
			[]string{"wipe node-1"}, []string{"kill node-1"}},
		{"a plan that keeps to the budget is played", reckless,
			[]string{"wipe controller-3"}, []string{"wipe controller-3"}},

		{"nothing rots that is not read again", scenarios.Standard,
			[]string{"rot 3 bytes of broker-2"}, nil},
		{"nor where the end was clean", scenarios.Standard,
			[]string{"stop broker-2 and leave it", "rot 3 bytes of broker-2"}, []string{"stop broker-2"}},
		{"what is down uncleanly may rot", scenarios.Standard,
			[]string{"power off broker-2 and leave it", "rot 3 bytes of broker-2"}, []string{"power off broker-2", "rot 3 bytes of broker-2"}},
		{"unless there is no other copy", scenarios.Standard,
			[]string{"kill all brokers and leave it", "rot 3 bytes of broker-2"}, []string{"kill broker-1+broker-2+broker-3"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			assert.Equal(t, c.struck, struck(t, c.scenario, c.plan...))
		})
	}
}
