package trial

import (
	"math/rand/v2"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ktrial/ktrial/broker/planted"
	"github.com/ktrial/ktrial/faults"
	"github.com/ktrial/ktrial/internal/build"
	"github.com/ktrial/ktrial/ledger"
	"github.com/ktrial/ktrial/reports"
	"github.com/ktrial/ktrial/scenarios"
	"github.com/ktrial/ktrial/sim/env"
	"github.com/ktrial/ktrial/workloads"
)

// edited stands for a workload of a later build: its clients do first what they did not do then.
type edited struct {
	workloads.Workload
	first func(env.Host)
}

func (e edited) Clients(s *workloads.Stage) []workloads.Client {
	clients := e.Workload.Clients(s)
	for i := range clients {
		main := clients[i].Main
		clients[i].Main = func(h env.Host) {
			e.first(h)
			main(h)
		}
	}
	return clients
}

// What was found is found again after the program was edited elsewhere: luck decides what it
// decided then. By its seed alone the edited program plays another run.
func TestAKeptFailureSurvivesAnEdit(t *testing.T) {
	s := scenarios.LeadershipPingPong
	o := Options{Seed: 1, Plant: []planted.Bug{planted.TruncateToHW}, Keep: ledger.KeepAll, Record: true}
	was, err := Run(s, o)
	require.NoError(t, err)
	require.Equal(t, reports.Violated, was.Report.Verdict)
	dir := t.TempDir()
	require.NoError(t, was.WriteTo(dir, o))
	rec, err := ReadRecord(filepath.Join(dir, runFile))
	require.NoError(t, err)
	rec.Build = "the one before the edit"
	for name, first := range map[string]func(env.Host){
		"a draw more": func(h env.Host) { h.Rand().Uint64() },
		"a task more": func(h env.Host) { h.Go("ticker", func() { h.Sleep(time.Second) }) },
		"both": func(h env.Host) {
			h.Go("ticker", func() { h.Sleep(time.Duration(h.Rand().Int64N(int64(time.Second)))) })
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := s
			s.Workload = edited{s.Workload, first}
			o, err := rec.Options()
			require.NoError(t, err)
			bySeed, err := Run(s, o)
			require.NoError(t, err)
			require.NotEqual(t, was.Report.TraceHash, bySeed.Report.TraceHash, "the edit has no effect")
			again, err := rec.Replay(filepath.Join(dir, runFile), s, o)
			require.NoError(t, err)
			assert.Equal(t, was.Report.Verdict, again.Report.Verdict)
			assert.Equal(t, was.Report.Violations[0].Message, again.Report.Violations[0].Message)
			assert.Equal(t, was.Report.Violations[0].At, again.Report.Violations[0].At)
			t.Logf("%+v", again.Report.Replayed)
			if r := again.Report.Replayed; r != nil { // else it is the same run once more
				assert.Equal(t, rec.Build, r.By)
				assert.Greater(t, r.Matched, r.Asked*99/100)
			}
		})
	}
}

// nothing strikes: a plan of a later build.
type nothing struct{}

func (nothing) Draw(*rand.Rand, faults.Cluster, time.Duration) faults.Plan { return nil }

// A plan is decided as a whole, and so is what a swarm draws: code that draws otherwise now
// does not change what was drawn then.
func TestWhatWasDrawnThenIsPlayed(t *testing.T) {
	standard, another := scenarios.Standard, scenarios.Standard
	another.Faults = nothing{}
	swarm, changed := scenarios.Swarm, scenarios.Swarm
	changed.Draw = func(seed uint64) scenarios.Drawn { return scenarios.Swarm.Draw(seed + 1) }
	for name, c := range map[string]struct {
		then, now scenarios.Scenario
		set       map[string]string
	}{
		"a plan":     {standard, another, map[string]string{"duration": "10s"}},
		"a scenario": {swarm, changed, map[string]string{"duration": "5s", "min.insync.replicas": "2"}},
	} {
		t.Run(name, func(t *testing.T) {
			was, err := Run(c.then, Options{Seed: 2, Set: c.set, Record: true})
			require.NoError(t, err)
			other, err := Run(c.now, Options{Seed: 2, Set: c.set})
			require.NoError(t, err)
			require.NotEqual(t, was.Report.TraceHash, other.Report.TraceHash)
			again, err := Run(c.now, Options{Seed: 2, Set: c.set, Follow: was.Decisions})
			require.NoError(t, err)
			assert.Equal(t, was.Report.TraceHash, again.Report.TraceHash)
		})
	}
}

// Where another build goes another way it says where, and its verdict is the one that counts.
func TestAReplayByAnotherBuildSaysWhereTheyPart(t *testing.T) {
	s := scenarios.LeadershipPingPong
	o := Options{Seed: 1, Plant: []planted.Bug{planted.TruncateToHW}, Keep: ledger.KeepAll, Record: true}
	was, err := Run(s, o)
	require.NoError(t, err)
	dir := t.TempDir()
	require.NoError(t, was.WriteTo(dir, o))
	rec, err := ReadRecord(filepath.Join(dir, runFile))
	require.NoError(t, err)
	rec.Build = "the one with the bug"
	o.Plant, o.Keep, o.Record = nil, 0, false // it is mended
	again, err := rec.Replay(filepath.Join(dir, runFile), s, o)
	require.NoError(t, err)
	assert.Equal(t, reports.Holds, again.Report.Verdict)
	r := again.Report.Replayed
	require.NotNil(t, r)
	assert.Equal(t, build.ID(), r.Now)
	assert.Regexp(t, `^event \d+ was ".*", and is ".*"$`, r.Parts)
	assert.Contains(t, r.NewDecision, ", number ")
}
