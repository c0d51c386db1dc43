package tune

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ktrial/ktrial/lab/bench"
	"github.com/ktrial/ktrial/lab/design"
	"github.com/ktrial/ktrial/lab/profile"
	"github.com/ktrial/ktrial/scenarios"
)

func small(t *testing.T, vary ...string) Options {
	p, err := profile.Load("teaching")
	require.NoError(t, err)
	factors, err := design.ParseFactors(vary)
	require.NoError(t, err)
	return Options{
		Bench:  bench.Options{Profile: p, Seed: 1, Rate: 2000, Warmup: 200 * time.Millisecond, Measure: 300 * time.Millisecond},
		Design: design.Full(factors), Jobs: 2,
	}
}

func TestRun_ASweepThatWasBrokenOffGoesOnAndGivesTheSame(t *testing.T) {
	o := small(t, "linger.ms=0,10", "acks=1,all")
	whole, err := Run(o)
	require.NoError(t, err)
	o.Dir = t.TempDir()
	first := o
	first.Design.Runs = o.Design.Runs[:3]
	_, err = Run(first)
	require.NoError(t, err)
	// The third cell was being written when the sweep was broken off.
	path := filepath.Join(o.Dir, journalName)
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(path, append(text[:len(text)-40], '\n'), 0o644))
	var measured []int
	o.Progress = func(done, of int) { measured = append(measured, of) }
	again, err := Run(o)
	require.NoError(t, err)
	require.Len(t, measured, 4)
	for i := range whole {
		whole[i].Result.WallSeconds, again[i].Result.WallSeconds = 0, 0
		assert.Equal(t, whole[i].Settings, again[i].Settings)
		assert.Equal(t, whole[i].Result, again[i].Result, "cell %d", i)
	}
	lines, err := os.ReadFile(path)
	require.NoError(t, err)
	assert.Equal(t, 2+1+2, strings.Count(string(lines), "\n"), "two cells were kept and two measured; one line is cut off")
}

func TestRun_TellsWhatSettingsPermitAndWhatKafkaRefuses(t *testing.T) {
	cells, err := Run(small(t, "acks=1,all", "enable.idempotence=true,false"))
	require.NoError(t, err)
	assert.Contains(t, cells[0].Refused, "acks", "idempotence needs acks=all")
	assert.Contains(t, strings.Join(cells[1].Permits, "\n"), "acks=1: a leader that loses its leadership loses what only it had acknowledged")
	assert.Empty(t, cells[2].Permits)
	assert.NotEmpty(t, cells[3].Permits)
}

func TestRun_UnderAScenarioTheSameSettingsLoseWhatTheyPermit(t *testing.T) {
	o := small(t, "acks=1,all")
	s, err := scenarios.Find("acks-one")
	require.NoError(t, err)
	o.Under, o.Seeds = &s, 2
	cells, err := Run(o)
	require.NoError(t, err)
	assert.Equal(t, 2, cells[0].Trials.Runs)
	assert.Equal(t, 2, cells[0].Trials.Allowed)
	assert.Positive(t, cells[0].Trials.Counts["lost-write"], "%v", cells[0].Trials)
	assert.Zero(t, cells[1].Trials.Counts["lost-write"], "%v", cells[1].Trials)
	assert.Zero(t, cells[1].Trials.Violated)
}

func TestCheck_RefusesUnknownFactorsAndLevels(t *testing.T) {
	for _, c := range []struct{ vary, says string }{
		{"linger=0,5", "linger: it is neither a setting of Kafka's nor one of brokers"},
		{"partitions=few,many", "partitions=few: expected a number"},
	} {
		o := small(t, c.vary)
		_, err := Run(o)
		assert.ErrorContains(t, err, c.says)
	}
}

// cells with a throughput, a p99 and reasons.
func cell(name string, throughput, p99 float64, permits ...string) Cell {
	c := Cell{Settings: []string{name}, Permits: permits}
	c.Result.PerSecond, c.Result.Publish.P99 = throughput, p99
	return c
}

func TestReport_TheBestReachesTheGoalsAndOfTwoAlikeIsTheSafer(t *testing.T) {
	d := design.Full([]design.Factor{{Name: "acks", Levels: []string{"a", "b", "c", "d"}}})
	cells := []Cell{cell("acks=a", 1000, 30), cell("acks=b", 900, 9, "acks=1: lost"), cell("acks=c", 895, 10), cell("acks=d", 500, 2)}
	throughput, err := FindMetric("throughput")
	require.NoError(t, err)
	goal, err := ParseGoal("p99<20ms")
	require.NoError(t, err)
	r := NewReport(d, cells, throughput, []Goal{goal})
	assert.Equal(t, 2, r.Best)
	assert.Equal(t, []int{0, 1, 2, 3}, r.Front)
	text := r.Text()
	assert.Contains(t, text, "best by throughput: acks=c")
	assert.Contains(t, text, "none of these settings permits anything")
	cells[1].Result.PerSecond = 950
	text = NewReport(d, cells, throughput, []Goal{goal}).Text()
	assert.Contains(t, text, "price in safety: acks=1: lost")
	assert.Contains(t, text, "without that price: acks=c")
	hard, err := ParseGoal("p99<1")
	require.NoError(t, err)
	assert.Contains(t, NewReport(d, cells, throughput, []Goal{hard}).Text(), "no cell reaches the goals")
}

func TestParseGoal_RefusesWhatIsNone(t *testing.T) {
	for text, says := range map[string]string{"p99": "expected METRIC<VALUE", "p98<3": `metric "p98" is unknown`, "p99<fast": "expected a number"} {
		_, err := ParseGoal(text)
		assert.ErrorContains(t, err, says)
	}
}
