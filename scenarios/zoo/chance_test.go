package zoo

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ktrial/ktrial/broker/planted"
	"github.com/ktrial/ktrial/faults"
	"github.com/ktrial/ktrial/scenarios"
	"github.com/ktrial/ktrial/workloads"
)

func TestWilson(t *testing.T) {
	for _, c := range []struct {
		k, n      int
		low, high float64
	}{{0, 20, 0, 0.161}, {10, 20, 0.299, 0.701}, {20, 20, 0.839, 1}, {1, 1, 0.207, 1}} {
		low, high := wilson(c.k, c.n)
		assert.InDelta(t, c.low, low, 0.001, c)
		assert.InDelta(t, c.high, high, 0.001, c)
	}
}

// A search that was given up is longer than all others, however short it was.
func TestChance_Quartiles(t *testing.T) {
	a, b := planted.NoDuplicateWindow, planted.TruncateToHW
	c := Chance{Bugs: []planted.Bug{a, b}, Searches: 4, Limit: 30 * time.Second}
	found := func(bug planted.Bug, number int, seconds float64) Search {
		return Search{Bug: bug, Number: number, Found: true, CPUSeconds: seconds, Check: "law 9", Scenario: "standard", Seed: 7}
	}
	var text strings.Builder
	c.WriteMarkdown(&text, []Search{found(b, 0, 4), found(a, 0, 9), {Bug: b, Number: 1, CPUSeconds: 1}, found(b, 2, 2), found(b, 3, 3)})
	assert.Equal(t, `| bug | found | share, 95% | CPU s: quarter | half | three quarters | by |
| --- | --- | --- | --- | --- | --- | --- |
| `+"`idem.no_window`"+` | 1 of 1 | 21 to 100% | 9.0 | 9.0 | 9.0 | standard: law 9 |
| `+"`repl.truncate_to_hw`"+` | 3 of 4 | 30 to 95% | 2.0 | 3.0 | 4.0 | standard: law 9 |
`, text.String())
	text.Reset()
	c.WriteMarkdown(&text, []Search{{Bug: a, CPUSeconds: 1}, found(a, 1, 5)})
	assert.Contains(t, text.String(), "| 1 of 2 | 9 to 91% | 5.0 | 5.0 | over 30 |")
}

// A search ends with the first run that finds the bug, or when its time is over; what is known
// is not searched for again.
func TestChance(t *testing.T) {
	if testing.Short() {
		t.Skip("short: whole runs")
	}
	s := scenarios.LeadershipPingPong
	w, err := workloads.Set(s.Workload, "duration", "6s")
	require.NoError(t, err)
	s.Workload, s.Faults = w, faults.Plan{{At: 2 * time.Second, For: 3 * time.Second, Fault: faults.PingPong{Topic: "orders", Every: 300 * time.Millisecond}}}
	spent := time.Duration(0)
	cpu := func() time.Duration { spent += time.Second; return spent }
	c := Chance{Bugs: []planted.Bug{planted.TruncateToHW, planted.HeartbeatNoReset}, Scenarios: []scenarios.Scenario{s}, Searches: 1, Limit: 3 * time.Second, CPU: cpu}
	var done []Search
	c.Done = func(s Search) error {
		done = append(done, s)
		return nil
	}
	all, err := c.Run()
	require.NoError(t, err)
	require.Len(t, all, 2)
	assert.Equal(t, all, done)
	assert.True(t, all[0].Found)
	assert.Equal(t, "leadership-ping-pong", all[0].Scenario)
	assert.NotEmpty(t, all[0].Check)
	assert.EqualValues(t, 1, all[0].Seed)
	assert.False(t, all[1].Found, "there is no group")
	assert.Greater(t, all[1].CPUSeconds, 3.0)

	c.Known, done = all[:1], nil
	again, err := c.Run()
	require.NoError(t, err)
	assert.Len(t, done, 1)
	assert.Equal(t, all[0], again[0])

	stopped := make(chan struct{})
	close(stopped)
	c.Known, c.Interrupt, c.Limit = nil, stopped, time.Hour
	c.Bugs = []planted.Bug{planted.HeartbeatNoReset}
	none, err := c.Run()
	require.NoError(t, err)
	assert.Empty(t, none, "a search that was interrupted says nothing")
}
