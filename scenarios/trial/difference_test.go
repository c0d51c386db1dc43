package trial

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ktrial/ktrial/faults"
	"github.com/ktrial/ktrial/internal/build"
	"github.com/ktrial/ktrial/reports"
	"github.com/ktrial/ktrial/scenarios/internal/samples"
)

func TestFirstDifferenceNamesTheTask(t *testing.T) {
	s := samples.Leaky()
	text := FirstDifference(s, Options{Seed: 3})
	t.Log(text)
	assert.Regexp(t, `step \d+ differs`, text)
	assert.Regexp(t, `first run:.*producer-2: task main\n.*second run:`, text)
}

func TestFirstDifferenceOfTheSameRun(t *testing.T) {
	assert.Contains(t, FirstDifference(samples.Short(), Options{Seed: 3}), "were the same")
}

func TestAReplayThatDiffersSaysWhere(t *testing.T) {
	s := samples.Leaky()
	first, err := Run(s, Options{Seed: 3})
	require.NoError(t, err)
	again, err := Run(s, Options{Seed: 3})
	require.NoError(t, err)
	require.NotEqual(t, first.Report.TraceHash, again.Report.TraceHash)
	rec := &Record{Build: build.ID(), Report: first.Report}
	rec.Compare("run.json", s, Options{Seed: 3}, again)
	assert.Equal(t, reports.NotDeterministic, again.Report.Verdict)
	assert.Regexp(t, `^run.json: .*the build is the same.*step \d+ differs`, again.Report.Violations[0].Message)

	rec.Build, again.Report.Verdict = "another", reports.Holds
	rec.Compare("run.json", s, Options{Seed: 3}, again)
	assert.Equal(t, reports.Inconclusive, again.Report.Verdict)
	assert.NotContains(t, again.Report.Violations[0].Message, "step", "another build runs otherwise: there is nothing to look for")

	again.Report.Verdict = reports.Holds
	(&Record{Build: "another", Report: again.Report}).Compare("run.json", s, Options{Seed: 3}, again)
	assert.Equal(t, reports.Holds, again.Report.Verdict, "however it was built, it is the same run")
}

func TestAPlanThatCannotBePlayedIsABadOption(t *testing.T) {
	_, err := Run(samples.Short(), Options{Seed: 1, Plan: plan(t, "at 1s for 1s: kill brokr-2")})
	require.Error(t, err)
	assert.True(t, IsOption(err))
	assert.EqualError(t, err, `plan: line 1: fault "kill brokr-2": host "brokr-2" is unknown; did you mean broker-2?`)
}

func plan(t *testing.T, text string) faults.Plan {
	p, err := faults.ParsePlan(text)
	require.NoError(t, err)
	return p
}
