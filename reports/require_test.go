package reports

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// A requirement names a number, and what it must be.
func TestRequirements(t *testing.T) {
	run := Run{Verdict: Holds, Rebalances: []Rebalances{{Group: "billing", Stable: Durations{Count: 2, Max: Seconds(3 * time.Second)}}}, Numbers: &Numbers{
		Acknowledged: 100, Ack: DurationsOf([]time.Duration{time.Millisecond, 70 * time.Millisecond}), LongestPause: Seconds(2 * time.Second), Elections: 3,
		Partitions: map[string]PartitionNumbers{"orders/0": {Leaderless: Seconds(4 * time.Second)}, "orders/1": {Leaderless: Seconds(time.Second)}},
		Lag:        map[string]Lag{"billing": {Max: 500, End: 0}},
	}}
	for text, found := range map[string]string{
		"ack.p50<=1ms":       "",
		"ack.p50<1ms":        "ack.p50 is 1ms",
		"ack.p99 < 50ms":     "ack.p99 is 70ms",
		"ack.p99.9<50ms":     "ack.p99.9 is 70ms",
		"ack.max>50ms":       "",
		"throughput>=100":    "",
		"throughput>100":     "throughput is 100",
		"elections=3":        "",
		"leaderless<4s":      "leaderless is 4s",
		"rebalance.max<=3s":  "",
		"rebalance.max<1s":   "rebalance.max is 3s",
		"lag.max<500":        "lag.max is 500",
		"lag.end=0":          "",
		"pause<1s":           "pause is 2s",
		"arrival.p99<1h":     "there is none in this run",
		"below-min-isr<=0ms": "",
	} {
		r, err := ParseRequirement(text)
		require.NoError(t, err, text)
		m, missed := r.Misses(&run)
		assert.Equal(t, found != "", missed, text)
		if missed {
			assert.Equal(t, Missed{text, found}, m)
		}
	}
	for text, problem := range map[string]string{
		"ack.p99":          `--require "ack.p99": expected NAME<VALUE, such as ack.p99<50ms (also <=, >, >=, =)`,
		"ack.p98<1s":       `--require "ack.p98<1s": number "ack.p98" is unknown; did you mean ack.p99?`,
		"ack.p99<fast":     `--require "ack.p99<fast": found "fast", expected a time, such as 50ms`,
		"elections<twelve": `--require "elections<twelve": found "twelve", expected a number`,
	} {
		_, err := ParseRequirement(text)
		assert.EqualError(t, err, problem)
	}
	for _, name := range RequirableNumbers() {
		assert.NotEmpty(t, AboutNumber(name), name)
	}
}

// What is missed is worse than no evidence, and not as bad as a broken promise.
func TestAMissedRequirementIsAVerdict(t *testing.T) {
	never, err := ParseRequirement("elections<0")
	require.NoError(t, err)
	for before, after := range map[Verdict]Verdict{Holds: Missing, Allowed: Missing, Inconclusive: Missing, Violated: Violated, NotDeterministic: NotDeterministic} {
		run := Run{Verdict: before, Numbers: &Numbers{}}
		run.Require([]Requirement{never})
		assert.Equal(t, after, run.Verdict)
		assert.Equal(t, []Missed{{"elections<0", "elections is 0"}}, run.MissedNumbers)
	}
	assert.Equal(t, 4, ExitCode(Missing))
	assert.False(t, Missing.Passes())
}
