package hunt

import (
	"maps"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ktrial/ktrial/scenarios"
	"github.com/ktrial/ktrial/scenarios/trial"
)

func TestInOrder_WhatCostsLeastComesFirst(t *testing.T) {
	foreign := scenarios.Scenario{Name: "of another module"}
	got := inOrder([]scenarios.Scenario{scenarios.StandardTable, scenarios.OffsetsAndClocks, foreign, scenarios.Standard})
	var names []string
	for _, s := range got {
		names = append(names, s.Name)
	}
	assert.Equal(t, []string{"of another module", "offsets-and-clocks", "standard", "standard-table"}, names)
}

// What a run costs changes with the stack; the order only wants to be right on the whole.
func TestCosts_AreThoseOfTheScenarios(t *testing.T) {
	var names []string
	for _, s := range scenarios.Hunted() {
		names = append(names, s.Name)
	}
	assert.ElementsMatch(t, names, slices.Collect(maps.Keys(costs)), "scenarios that a hunt plays, and those whose cost is known")
	if testing.Short() {
		t.Skip("short: four runs")
	}
	for _, s := range []scenarios.Scenario{scenarios.OffsetsAndClocks, scenarios.LateISRJoin, scenarios.Standard, scenarios.CompactedTable} {
		r, err := trial.Run(s, trial.Options{Seed: 1})
		require.NoError(t, err)
		assert.InDelta(t, 0, float64(r.Report.Events)/1000/float64(costs[s.Name])-1, 0.7, "%s: thousands of events, as a part of %d", s.Name, costs[s.Name])
	}
}
