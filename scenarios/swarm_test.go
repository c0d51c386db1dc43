package scenarios_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ktrial/ktrial/scenarios"
	"github.com/ktrial/ktrial/scenarios/trial"
)

// What a swarm draws can be played: no broker, topic or client refuses it. It draws
// every scenario that it knows, and hardly anything twice.
func TestSwarm_WhatIsDrawnCanBePlayed(t *testing.T) {
	last := uint64(200)
	if *long {
		last = 5000
	}
	names, settings, runs := map[string]int{}, map[string]map[string]bool{}, map[string]bool{}
	for seed := uint64(1); seed <= last; seed++ {
		require.NoError(t, trial.Check(scenarios.Swarm, trial.Options{Seed: seed}), "seed %d", seed)
		s, o := resolved(t, scenarios.Swarm, trial.Options{Seed: seed})
		names[s.Name]++
		for name, value := range o.Set {
			if settings[name] == nil {
				settings[name] = map[string]bool{}
			}
			settings[name][value] = true
		}
		o.Seed = 0
		runs[o.Command(s.Name)] = true
	}
	_, o := resolved(t, scenarios.Swarm, trial.Options{Seed: 80})
	assert.NotContains(t, o.Set, "group.coordinator.append.linger.ms", "8 producers, a commit for each record and 20 ms for each: that is more than a second each second")
	assert.NotContains(t, o.Set, "producers")
	assert.Equal(t, "per-record", o.Set["commit"])
	_, o = resolved(t, scenarios.Swarm, trial.Options{Seed: 226})
	assert.NotContains(t, o.Set, "retry.backoff.ms", "a second for each transaction of at most five records")
	_, o = resolved(t, scenarios.Swarm, trial.Options{Seed: 644})
	assert.Equal(t, "consumer", o.Set["group.protocol"])
	assert.Equal(t, "true", o.Set["static"], "each of its members is killed and comes back within its session")
	_, o = resolved(t, scenarios.Swarm, trial.Options{Seed: 385})
	assert.Equal(t, "200", o.Set["auto.commit.interval.ms"], "its followers are always a commit behind, as long as its member lives")
	_, o = resolved(t, scenarios.Swarm, trial.Options{Seed: 798})
	assert.NotContains(t, o.Set, "max.partition.fetch.bytes", "a transaction for each record")
	assert.Len(t, names, 5)
	assert.Greater(t, len(settings), 60)
	assert.Contains(t, settings["metadata.log.max.record.bytes.between.snapshots"], "1500")
	assert.GreaterOrEqual(t, len(runs), int(last)*99/100, "only %d of %d are different", len(runs), last)
}

// A run of a swarm is that of the scenario that was drawn, by the command that the
// report names. What the options say goes before what is drawn.
func TestSwarm_IsTheRunThatItNames(t *testing.T) {
	o := trial.Options{Seed: 5, Set: map[string]string{"duration": "6s", "rate": "7"}, Shape: trial.Shape{Brokers: 4}}
	swarm, err := trial.Run(scenarios.Swarm, o)
	require.NoError(t, err)
	assert.Equal(t, "swarm", swarm.Report.Scenario)
	assert.Equal(t, "ktrial run swarm --seed 5 --brokers 4 --set duration=6s --set rate=7", swarm.Report.Again)
	s, drawn := resolved(t, scenarios.Swarm, o)
	assert.Equal(t, drawn.Command(s.Name), swarm.Report.Drawn)
	assert.Equal(t, []string{"7", "6s"}, []string{drawn.Set["rate"], drawn.Set["duration"]})
	assert.Equal(t, 4, drawn.Shape.Brokers)
	named, err := trial.Run(s, drawn)
	require.NoError(t, err)
	assert.Equal(t, swarm.Report.TraceHash, named.Report.TraceHash)
	assert.Empty(t, named.Report.Drawn)
	assert.Equal(t, swarm.Report.Config, named.Report.Config)

	same, unchanged := resolved(t, scenarios.Standard, trial.Options{Seed: 5})
	assert.Equal(t, "standard", same.Name)
	assert.Nil(t, unchanged.Set)
}

// resolved is what is played of a scenario.
func resolved(t *testing.T, s scenarios.Scenario, o trial.Options) (scenarios.Scenario, trial.Options) {
	t.Helper()
	s, o, err := trial.Resolve(s, o)
	require.NoError(t, err)
	return s, o
}
