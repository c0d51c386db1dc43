package trial

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ktrial/ktrial/reports"
	"github.com/ktrial/ktrial/scenarios"
)

// Runs in which a law once blamed a stack that did nothing wrong, with settings
// that no line of seeds.txt can name.
func TestLawsDoNotBlameWhatIsRight(t *testing.T) {
	snapshots := map[string]string{"metadata.log.max.record.bytes.between.snapshots": "3000"}
	retention := map[string]string{"segment.bytes": "16384", "log.retention.check.interval.ms": "2000", "retention.bytes": "40000"}
	for _, c := range []struct {
		why      string
		scenario scenarios.Scenario
		seed     uint64
		set      map[string]string
	}{
		{"law 25: a deposed quorum leader drops a log of which nothing is committed, and begins behind a snapshot", scenarios.ControllerStorm, 1, snapshots},
		{"law 25: the same", scenarios.ControllerStorm, 6, snapshots},
		{"law 62: a follower that began anew at the leader's log start cannot know the producers from before", scenarios.Standard, 2, retention},
	} {
		t.Run(c.why, func(t *testing.T) {
			t.Parallel()
			r, err := Run(c.scenario, Options{Seed: c.seed, Set: c.set})
			require.NoError(t, err)
			assert.NotEqual(t, reports.Violated, r.Report.Verdict, "%+v", r.Report.Violations)
		})
	}
}
