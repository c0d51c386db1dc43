package hunt_test

import (
	"testing"

	"github.com/ktrial/ktrial/reports"
	"github.com/ktrial/ktrial/scenarios"
	"github.com/ktrial/ktrial/scenarios/hunt"
	"github.com/ktrial/ktrial/scenarios/internal/samples"
	"github.com/ktrial/ktrial/scenarios/trial"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestHuntReportsTheFirstDifference(t *testing.T) {
	s := samples.Leaky()
	var failed *trial.Result
	sum, err := hunt.Hunt{Scenarios: []scenarios.Scenario{s}, First: 3, Last: 3, Failed: func(r *trial.Result, _ error) { failed = r }}.Run()
	require.NoError(t, err)
	require.Len(t, sum.Failures, 1)
	assert.Equal(t, reports.NotDeterministic, failed.Report.Verdict)
	assert.Regexp(t, `second run has trace .* step \d+ differs`, failed.Report.Violations[0].Message)
}
