package hunt_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ktrial/ktrial/faults"
	"github.com/ktrial/ktrial/reports"
	"github.com/ktrial/ktrial/scenarios"
	"github.com/ktrial/ktrial/scenarios/hunt"
	"github.com/ktrial/ktrial/scenarios/trial"
)

func withCommitted(t *testing.T) hunt.Hunt {
	s := breaksAtOnce(t)
	plan := faults.Plan{{At: time.Second, For: time.Second, Fault: faults.Pause{Host: faults.Host("broker-2")}}}
	return hunt.Hunt{
		Scenarios: []scenarios.Scenario{s}, First: 1, Last: 2, Jobs: 1,
		Committed: []scenarios.Committed{{Scenario: s, Seed: 70, Plan: plan, PlanFile: "seeds/standard-70.txt", Set: map[string]string{"rate": "5"}}},
	}
}

// Committed seeds are played first, each with its own settings and plan.
func TestCommittedSeedsGoFirst(t *testing.T) {
	h := withCommitted(t)
	var seeds []uint64
	var kept []trial.Options
	h.Keep = func(_ *trial.Result, o trial.Options) error { kept = append(kept, o); return nil }
	h.Failed = func(r *trial.Result, _ error) { seeds = append(seeds, r.Report.Seed) }
	sum, err := h.Run()
	require.NoError(t, err)
	assert.Equal(t, []uint64{70, 1, 2}, seeds)
	assert.Equal(t, h.Committed[0].Plan, kept[0].Plan)
	assert.Nil(t, kept[1].Plan)
	for _, f := range sum.Failures {
		assert.Equal(t, f.Seed == 70, f.Committed)
		if f.Committed {
			assert.Equal(t, "ktrial run standard --seed 70 --set rate=5 --plan seeds/standard-70.txt", f.Again)
		}
	}
}

// Shards split the committed seeds, too, and what they found is joined without a gap.
func TestShardsOfCommittedSeeds(t *testing.T) {
	var dirs []string
	for shard := range 2 {
		h := withCommitted(t)
		h.Shard, h.Shards = shard, 2
		dirs = append(dirs, t.TempDir())
		in(t, dirs[shard], h)
	}
	sum, err := hunt.Merge(dirs...)
	require.NoError(t, err)
	assert.Empty(t, sum.Gaps)
	assert.Equal(t, 3, sum.Runs)
}

// A hunt goes on only as what it was: a demand on the numbers that was not made of
// the first runs is another hunt.
func TestAnotherDemandIsAnotherHunt(t *testing.T) {
	h := withCommitted(t)
	dir := t.TempDir()
	in(t, dir, h)
	earlier, err := hunt.ReadRecord(dir)
	require.NoError(t, err)
	rec := h.Record()
	assert.True(t, rec.IsOf(earlier))
	for name, change := range map[string]func(*hunt.Hunt){
		"a demand": func(h *hunt.Hunt) {
			q, err := reports.ParseRequirement("ack.p99<50ms")
			require.NoError(t, err)
			h.Options.Require = []reports.Requirement{q}
		},
		"no committed seeds": func(h *hunt.Hunt) { h.Committed = nil },
	} {
		another := withCommitted(t)
		change(&another)
		rec := another.Record()
		assert.False(t, rec.IsOf(earlier), name)
	}
}
