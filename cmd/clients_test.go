package cmd

import (
	"fmt"
	"path"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ktrial/ktrial/app"
	"github.com/ktrial/ktrial/broker/planted"
	"github.com/ktrial/ktrial/reports"
	"github.com/ktrial/ktrial/scenarios"
	"github.com/ktrial/ktrial/scenarios/trial"
)

// builtClient is a program of examples/clients.
func builtClient(t *testing.T, name string) string {
	t.Helper()
	return builtExample(t, "clients/"+name)
}

func builtExample(t *testing.T, name string) string {
	t.Helper()
	if !*long {
		t.Skip("programs of other clients are played with -long")
	}
	file := filepath.Join(t.TempDir(), path.Base(name)+".wasm")
	require.NoError(t, app.Build(app.Target{Dir: "../examples/" + name, Package: ".", Output: file}))
	return file
}

// played is a run without laws, so that what is found is found on the wire.
func played(t *testing.T, s scenarios.Scenario, seed uint64, bug planted.Bug, apps ...string) reports.Run {
	t.Helper()
	o := trial.Options{Seed: seed, Outside: true}
	if bug != "" {
		o.Plant = []planted.Bug{bug}
	}
	for _, command := range apps {
		a, err := trial.NewApp(command)
		require.NoError(t, err)
		o.Apps = append(o.Apps, a)
	}
	r, err := trial.Run(s, o)
	require.NoError(t, err)
	return r.Report
}

// Ownership is read off the wire: what a coordinator does wrong is found through members
// that record nothing.
func TestClients_BugsOfCoordinatorsAreFoundThroughMembersOfAnotherClient(t *testing.T) {
	franz := builtClient(t, "franz")
	for _, x := range []struct {
		scenario scenarios.Scenario
		seed     uint64
		bug      planted.Bug
		member   string
		finds    string // empty: it holds
	}{
		{scenarios.ZombieMember, 1, "", "", ""},
		{scenarios.ZombieMember, 1, "", "-eager", ""},
		{scenarios.ZombieMember, 1, "", "-modern", ""},
		{scenarios.ZombieMember, 1, planted.CommitNoGeneration, "", "stale-commit"},
		{scenarios.ZombieMember, 1, planted.StaleAssignment, "", "owned-twice"},
		{scenarios.StandardGroups, 2, planted.NullAcknowledges, "-modern", "owned-twice"},
	} {
		member := franz + " group -group billing " + x.member
		r := played(t, x.scenario, x.seed, x.bug, "producer-1="+franz+" produce", "member-1="+member, "member-2="+member, "member-3="+member)
		if x.finds == "" {
			assert.Equal(t, reports.Holds, r.Verdict, "%s %s", x.scenario.Name, x.member)
			continue
		}
		if assert.Equal(t, reports.Violated, r.Verdict, "%s with %s", x.scenario.Name, x.bug) {
			assert.Equal(t, x.finds, r.Violations[0].Anomaly)
		}
	}
}

// What a service does wrong by itself is not to be seen on the wire: it tells what it promises
// and processes, and is held to that. The same service without the mistake is held to
// nothing that it does not keep.
func TestClients_MistakesOfTheApplicationAreFoundInWhatItTells(t *testing.T) {
	orders, franz := builtExample(t, "orders"), builtClient(t, "franz")
	clerks := func(flags string) (apps []string) {
		for i := range 3 {
			apps = append(apps, fmt.Sprintf("member-%d=%s group -group billing -tell -work 100ms %s", i+1, franz, flags))
		}
		return append(apps, "producer-1="+franz+" produce -tell")
	}
	for _, x := range []struct {
		scenario scenarios.Scenario
		seed     uint64
		apps     []string
		finds    string // empty: it holds
	}{
		{scenarios.LeaderLosesPower, 1, []string{orders + " -tell"}, ""},
		{scenarios.LeaderLosesPower, 1, []string{orders + " -tell -hasty"}, "unseen"},
		{scenarios.LeaderLosesPower, 1, []string{orders + " -tell -again"}, "duplicate"},
		{scenarios.CommitBeforeProcessing, 1, clerks(""), ""},
		{scenarios.CommitBeforeProcessing, 1, clerks("-early"), "unprocessed"},
	} {
		r := played(t, x.scenario, x.seed, "", x.apps...)
		about := fmt.Sprint(x.scenario.Name, " ", x.apps)
		assert.Zero(t, r.Counts[reports.LinesRefused], about)
		assert.Positive(t, r.Counts[reports.SendsTold], about)
		if x.finds == "" {
			assert.Empty(t, r.Violations, about)
			assert.Zero(t, r.Counts[reports.SendsUnproven], "%s: what the program counts on the wire has shown", about)
			continue
		}
		if assert.Equal(t, reports.Violated, r.Verdict, about) {
			assert.Equal(t, x.finds, r.Violations[0].Anomaly, about)
		}
	}
}

// A broker that comes back while the controllers are away answers no client before it has
// caught up: franz-go asks again at once, and asked 150,000 times.
func TestClients_ABrokerThatIsNotReadyIsNotAskedInVain(t *testing.T) {
	franz := builtClient(t, "franz")
	var events []uint64
	for seed := range uint64(3) {
		r := played(t, scenarios.Standard, seed+1, "", franz+" produce", franz+" produce", franz+" group")
		assert.Empty(t, r.Violations)
		events = append(events, r.Events)
	}
	assert.Less(t, events[1], 3*max(events[0], events[2]), "seed 2 is that run: %v", events)
}

// In one run what the client says of its sends and what its connections show are the same,
// wherever both are certain: each record that franz-go counts on was acknowledged, where it
// says that it is.
func TestClients_WhatIsToldIsWhatTheWireShows(t *testing.T) {
	franz := builtClient(t, "franz")
	for _, s := range []scenarios.Scenario{scenarios.LeaderLosesPower, scenarios.LateRequests, scenarios.Standard} {
		r := played(t, s, 3, "", franz+" produce -tell", franz+" produce -tell", franz+" group")
		assert.Empty(t, r.Violations, s.Name)
		assert.Greater(t, r.Counts[reports.SendsTold], int64(1000), s.Name)
		assert.Zero(t, r.Counts[reports.SendsUnproven], s.Name)
		assert.Zero(t, r.Counts[reports.LinesRefused], s.Name)
	}
}
