package cmd

import (
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
	if !*long {
		t.Skip("programs of other clients are played with -long")
	}
	file := filepath.Join(t.TempDir(), name+".wasm")
	require.NoError(t, app.Build(app.Target{Dir: "../examples/clients/" + name, Package: ".", Output: file}))
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
