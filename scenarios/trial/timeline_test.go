package trial

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ktrial/ktrial/reports"
	"github.com/ktrial/ktrial/scenarios"
)

// The moments of the timeline are those at which the cluster changed.
func TestMarks(t *testing.T) {
	r, err := Run(scenarios.LeaderLosesPower, Options{Seed: 1})
	require.NoError(t, err)
	found := map[reports.MarkKind]int{}
	for _, m := range marks(r.Ledger) {
		found[m.Kind]++
	}
	assert.Equal(t, 1, found[reports.NewController], "the first; none falls in this scenario")
	assert.GreaterOrEqual(t, found[reports.NewLeader], 4, "each fault takes a leader away")
	assert.Positive(t, found[reports.ISRShrank])
	assert.Positive(t, found[reports.ISRGrew])
	assert.Equal(t, 2, found[reports.Phase])
	assert.Zero(t, found[reports.NoLeader])

	r, err = Run(scenarios.NoFsyncAllLosePower, Options{Seed: 1})
	require.NoError(t, err)
	found = map[reports.MarkKind]int{}
	for _, m := range marks(r.Ledger) {
		found[m.Kind]++
	}
	assert.Positive(t, found[reports.NoLeader], "all were down at once")
}
