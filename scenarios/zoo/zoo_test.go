package zoo

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ktrial/ktrial/broker/planted"
	"github.com/ktrial/ktrial/internal/golden"
	"github.com/ktrial/ktrial/scenarios"
)

// made is a zoo of two bugs in two scenarios, and runs that were made up.
func made() (Zoo, []Run) {
	a, b := planted.NoDuplicateWindow, planted.TruncateToHW
	z := Zoo{Bugs: []planted.Bug{a, b}, Scenarios: []scenarios.Scenario{{Name: "standard"}, {Name: "late-requests"}}, Last: 3}
	law := "law 23: no replica truncates below the true high watermark"
	return z, []Run{
		{Bug: b, Scenario: "standard", Seed: 2, Outside: true, Events: 900, Reached: 5, Infected: 1, Check: "all observations agree"},
		{Bug: b, Scenario: "standard", Seed: 2, Events: 100, Reached: 5, Infected: 1, Check: law, Inside: true},
		{Bug: b, Scenario: "standard", Seed: 1, Events: 1000, Reached: 5},
		{Bug: b, Scenario: "late-requests", Seed: 1, Events: 50, Reached: 1, Infected: 1},
		{Bug: a, Scenario: "late-requests", Seed: 1, Events: 400, Reached: 9, Infected: 9, Check: "records are not duplicated"},
		{Bug: a, Scenario: "standard", Seed: 1, Events: 400},
	}
}

// A bug costs what all runs up to the one that found it cost: those that a law ended,
// or the same ones played to the end for clients to see it.
func TestMatrix(t *testing.T) {
	z, runs := made()
	m := z.Matrix(runs)
	law := Find{Seed: 2, Check: "law 23: no replica truncates below the true high watermark", Events: 1100}
	assert.Equal(t, Found{
		Bug: planted.TruncateToHW, Scenario: "standard", Seeds: 2, Reached: 2, Infected: 1, Inside: &law,
		Outside: &Find{Seed: 2, Check: "all observations agree", Events: 1900}, Checks: []string{"all observations agree", law.Check},
	}, m[1][0])
	var text strings.Builder
	z.WriteMarkdown(&text, runs, 100)
	golden.File(t, "testdata/zoo.md", text.String())
}

// A bug is looked for until clients see it, only where its branch is reached; what is
// known is not played again.
func TestZoo(t *testing.T) {
	if testing.Short() {
		t.Skip("short: whole runs")
	}
	z := Zoo{
		Bugs: []planted.Bug{planted.TruncateToHW, planted.HeartbeatNoReset}, Last: 4, Jobs: 2,
		Scenarios: []scenarios.Scenario{scenarios.LeadershipPingPong},
	}
	var played []Run
	z.Played = func(r Run) error {
		played = append(played, r)
		return nil
	}
	runs, err := z.Run()
	require.NoError(t, err)
	assert.Len(t, played, len(runs))
	m := z.Matrix(runs)
	assert.Equal(t, []string{"1", "1"}, []string{m[0][0].Inside.seed(), m[0][0].Outside.seed()}, "%+v", m[0][0])
	assert.Less(t, m[0][0].Inside.Events, m[0][0].Outside.Events, "a law ends its run")
	assert.Equal(t, Found{Bug: planted.HeartbeatNoReset, Scenario: "leadership-ping-pong", Seeds: 1, Checks: []string{}}, m[1][0], "there is no group: one seed is enough")

	unmasked := Zoo{Bugs: []planted.Bug{planted.FetchNoCurrentEpoch}, Last: 1, Jobs: 1, Scenarios: []scenarios.Scenario{scenarios.LeadershipPingPong}}
	masked, err := unmasked.Run()
	require.NoError(t, err)
	rows := unmasked.Matrix(masked)
	require.Len(t, rows, 2)
	assert.Equal(t, []string{"`fetch.no_current_epoch`", "`fetch.no_current_epoch` with `repl.no_divergence_check`"}, []string{rows[0][0].name(), rows[1][0].name()})
	assert.Contains(t, rows[0][0].Inside.Check, "law 13:")
	assert.Nil(t, rows[0][0].Outside, "a follower that diverges is told so")
	assert.NotNil(t, rows[1][0].Outside)

	z.Known = played[:1]
	first := played[0]
	played = nil
	again, err := z.Run()
	require.NoError(t, err)
	assert.Len(t, again, len(runs))
	assert.NotContains(t, played, first)
	for i := range again {
		again[i].Seconds, runs[i].Seconds = 0, 0
	}
	assert.Equal(t, runs, again)
}
