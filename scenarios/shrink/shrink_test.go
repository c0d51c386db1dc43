package shrink

import (
	"flag"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ktrial/ktrial/broker/planted"
	"github.com/ktrial/ktrial/faults"
	"github.com/ktrial/ktrial/ledger"
	"github.com/ktrial/ktrial/reports"
	"github.com/ktrial/ktrial/scenarios"
	"github.com/ktrial/ktrial/scenarios/trial"
	"github.com/ktrial/ktrial/workloads"
)

var long = flag.Bool("long", false, "also shrink a run of every planted bug")

// A kill that has nothing to do with the failure goes, and so do most of the
// records, servers and partitions; the failure is the same.
func TestShrink_KeepsWhatTheFailureNeeds(t *testing.T) {
	skipIfShort(t)
	plan := faults.Plan{
		{At: time.Second, For: time.Second, Fault: faults.Kill{Host: faults.Host("producer-1")}},
		{At: 2 * time.Second, For: 4 * time.Second, Fault: faults.SlowFsync{Host: faults.Host("broker-1", "broker-2"), By: 10 * time.Millisecond}},
		{At: 4 * time.Second, For: 12 * time.Second, Fault: faults.PingPong{Topic: "orders", Partition: 0, Every: 300 * time.Millisecond}},
	}
	var better []Size
	task := Task{
		Scenario: scenarios.LeadershipPingPong,
		Options:  trial.Options{Seed: 1, Plan: plan, Plant: []planted.Bug{planted.TruncateToHW}, Set: map[string]string{"linger.ms": "5"}},
		Better:   func(s *Smallest) { better = append(better, s.Size()) },
	}
	s, err := task.Shrink()
	require.NoError(t, err)
	assert.True(t, s.Whole)
	assert.True(t, strings.HasPrefix(s.Fingerprint.Check, "law 23:"), s.Fingerprint)
	assert.True(t, failsBy(&s.Result.Report, s.Fingerprint))
	require.Len(t, s.Options.Plan, 1)
	assert.IsType(t, faults.PingPong{}, s.Options.Plan[0].Fault)
	assert.Less(t, s.Options.Plan[0].For, 2*time.Second)
	assert.NotContains(t, s.Options.Set, "linger.ms")
	assert.Equal(t, 1, s.Options.Shape.Partitions)
	assert.Less(t, s.Size().Events, s.Original.Events/5)
	assert.Equal(t, []Choice{{[]bool{false}, false}, {[]bool{true}, true}}, s.Table)
	assert.NotEmpty(t, better)

	var text strings.Builder
	s.WriteText(&text, reports.Style{})
	assert.Contains(t, text.String(), "faults    1. at 4s for")
	assert.Contains(t, text.String(), "move leader of orders/0 every 300ms   (needed)")
	source, err := s.GoTest()
	require.NoError(t, err)
	assert.Contains(t, source, "Fault: faults.PingPong{Topic: \"orders\", Every: 300 * time.Millisecond}}")
	assert.Contains(t, source, `ktrial.Plant(planted.Bug("repl.truncate_to_hw"))`)
}

// The smallest run is the same run when it is played again from its options.
func TestShrink_TheSmallestRunIsARun(t *testing.T) {
	s, err := Task{Scenario: scenarios.ControllerStorm, Options: trial.Options{Seed: 1, Plant: []planted.Bug{planted.RaftRestartAsLeader}}}.Shrink()
	require.NoError(t, err)
	again, err := trial.Run(s.Scenario, s.Options)
	require.NoError(t, err)
	assert.Equal(t, s.Result.Report.TraceHash, again.Report.TraceHash)
	assert.LessOrEqual(t, len(s.Options.Plan), 2)
}

func TestShrink_ARunThatHoldsIsRefused(t *testing.T) {
	_, err := Task{Scenario: scenarios.Standard, Options: trial.Options{Seed: 7, Set: map[string]string{"duration": "1s"}}}.Shrink()
	assert.EqualError(t, err, `shrink: scenario standard, seed 7: the run does not fail: its verdict is "holds"`)
}

// A search that is interrupted ends with what it has.
func TestShrink_Interrupted(t *testing.T) {
	stop := make(chan struct{})
	close(stop)
	s, err := Task{Scenario: scenarios.LeadershipPingPong, Interrupt: stop,
		Options: trial.Options{Seed: 1, Plant: []planted.Bug{planted.TruncateToHW}}}.Shrink()
	require.NoError(t, err)
	assert.False(t, s.Whole)
	assert.Equal(t, 1, s.Runs)
	assert.Nil(t, s.Table)
}

// Of the planted bugs the median needs at most four faults, nine of ten at most
// eight, and a minute is enough.
func TestShrink_EveryPlantedBug(t *testing.T) {
	if !*long {
		t.Skip("long: go test ./scenarios/shrink -run EveryPlantedBug -long")
	}
	var faults []int
	for bug, s := range map[planted.Bug]scenarios.Scenario{
		planted.CountDivergedFetch: scenarios.LeadershipPingPong, planted.NoDivergenceCheck: scenarios.SplitNetwork,
		planted.TruncateToHW: scenarios.LeadershipPingPong, planted.ISRNoLESO: scenarios.Standard,
		planted.HWCommittedISR: scenarios.ReturnOfTheReplica, planted.HWUnderMinISR: scenarios.LastInSync, planted.NoELR: scenarios.LastInSync,
		planted.IgnoreBrokerEpoch: scenarios.LateISRJoin, planted.NoDuplicateWindow: scenarios.LateRequests,
		planted.SnapshotWindow: scenarios.RetriesAfterRestart, planted.RaftNoFlush: scenarios.ControllerStorm,
		planted.RaftForgetVote: scenarios.VotesInTheDark, planted.RaftRestartAsLeader: scenarios.ControllerStorm,
	} {
		for seed := uint64(1); ; seed++ {
			require.Less(t, seed, uint64(50), bug)
			smallest, err := Task{Scenario: s, Options: trial.Options{Seed: seed, Plant: []planted.Bug{bug}}, For: time.Minute}.Shrink()
			if err != nil {
				continue // the bug does not show with this seed
			}
			t.Logf("%s: %d -> %d faults, %d -> %d events, %d runs, %v", bug, smallest.Original.Faults, smallest.Size().Faults,
				smallest.Original.Events, smallest.Size().Events, smallest.Runs, smallest.Took.Round(100*time.Millisecond))
			faults = append(faults, smallest.Size().Faults)
			break
		}
	}
	slices.Sort(faults)
	assert.LessOrEqual(t, faults[len(faults)/2], 4)
	assert.LessOrEqual(t, faults[len(faults)*9/10], 8)
}

// What is left of a swarm is a run of the scenario that was drawn: settings that were
// drawn and are not needed are back at their defaults.
func TestShrink_OfASwarm(t *testing.T) {
	skipIfShort(t)
	bug := []planted.Bug{planted.NoDuplicateWindow}
	seed := uint64(1)
	for ; ; seed++ {
		require.Less(t, seed, uint64(60))
		r, err := trial.Run(scenarios.Swarm, trial.Options{Seed: seed, Plant: bug})
		require.NoError(t, err)
		if _, fails := FingerprintOf(&r.Report); fails {
			break
		}
	}
	s, err := Task{Scenario: scenarios.Swarm, Options: trial.Options{Seed: seed, Plant: bug}, For: 15 * time.Second}.Shrink()
	require.NoError(t, err)
	drawn, o, err := trial.Resolve(scenarios.Swarm, trial.Options{Seed: seed})
	require.NoError(t, err)
	assert.Equal(t, drawn.Name, s.Scenario.Name)
	assert.Less(t, len(s.Options.Set), len(o.Set)+3, "at most what makes it smaller was added")
	again, err := trial.Run(s.Scenario, s.Options)
	require.NoError(t, err)
	assert.Equal(t, s.Result.Report.TraceHash, again.Report.TraceHash)
	assert.Equal(t, drawn.Name, s.Result.Report.Scenario)
	source, err := s.GoTest()
	require.NoError(t, err)
	assert.Contains(t, source, `scenarios.Find("`+drawn.Name+`")`)
}

// likeThen is a law that breaks, a while later, in a run whose first sends go to the same
// partitions as in another: what no seed does by chance.
func likeThen(then *[]string) scenarios.Law {
	const first, last = 20, 400
	return scenarios.Law{Name: "records do not go where they went then", About: "the first sends have other partitions", Watch: func() func(*ledger.Entry) (bool, string) {
		var now []string
		return func(e *ledger.Entry) (bool, string) {
			sent, ok := e.Event.(*workloads.Invoked)
			if !ok || len(sent.Sends) == 0 {
				return false, ""
			}
			now = append(now, sent.Sends[0].Partition.String())
			if len(now) != last {
				return true, ""
			}
			if *then == nil {
				*then = now[:first]
			}
			if !slices.Equal(*then, now[:first]) {
				return true, ""
			}
			return true, "they went to " + strings.Join(now[:first], ", ")
		}
	}}
}

// A run of another build, by whose seed this one plays another run, is made smaller by what
// luck decided then; and the smallest run is kept with what it decided itself, so that it is
// played again, and shrunk further.
func TestShrink_OfAnotherBuild(t *testing.T) {
	skipIfShort(t)
	var then []string
	s := scenarios.Standard
	s.Laws = []scenarios.Law{likeThen(&then)}
	plan := faults.Plan{
		{At: 500 * time.Millisecond, For: time.Second, Fault: faults.SlowFsync{Host: faults.AnyBroker, By: 10 * time.Millisecond}},
		{At: time.Second, For: time.Second, Fault: faults.Pause{Host: faults.Host("consumer-1")}},
	}
	set := map[string]string{"duration": "5s", "linger.ms": "5"}
	was, err := trial.Run(s, trial.Options{Seed: 3, Set: set, Plan: plan, Record: true})
	require.NoError(t, err)
	require.Equal(t, reports.Violated, was.Report.Verdict)
	o := trial.Options{Seed: 4, Set: set, Plan: plan} // to a build that draws otherwise seed 3 is as good as another
	_, err = Task{Scenario: s, Options: o}.Shrink()
	require.ErrorContains(t, err, "the run does not fail: its verdict is")

	o.Follow = was.Decisions
	smallest, err := Task{Scenario: s, Options: o, For: time.Minute}.Shrink()
	require.NoError(t, err)
	assert.Empty(t, smallest.Options.Plan)
	assert.NotContains(t, smallest.Options.Set, "linger.ms")
	assert.Less(t, smallest.Size().Events, smallest.Original.Events)
	require.NotNil(t, smallest.Options.Follow)
	assert.Contains(t, strings.Join(smallest.Kept, "; "), "the decisions of the recorded run")
	_, err = smallest.GoTest()
	require.ErrorContains(t, err, "a Go test has no place")
	_, _, err = smallest.SeedLine()
	require.ErrorContains(t, err, "a line of seeds.txt has no place")

	dir := t.TempDir()
	file := filepath.Join(dir, "run.json")
	require.NoError(t, smallest.Result.WriteTo(dir, smallest.Options))
	rec, err := trial.ReadRecord(file)
	require.NoError(t, err)
	kept, err := rec.Options()
	require.NoError(t, err)
	again, err := rec.Replay(file, s, kept)
	require.NoError(t, err)
	assert.Equal(t, smallest.Result.Report.TraceHash, again.Report.TraceHash)
	assert.Equal(t, smallest.Fingerprint, again.Report.Violations[0].Fingerprint())
	assert.Nil(t, again.Report.Replayed, "the build is the same")
	require.NoError(t, os.Remove(filepath.Join(dir, "decisions.bin")))
	_, err = rec.Replay(file, s, kept)
	require.ErrorContains(t, err, "found no decisions.bin beside it")
}

// What fails by a seed of this build, too, follows nothing any longer.
func TestShrink_FollowsOnlyAsLongAsItMust(t *testing.T) {
	bug := []planted.Bug{planted.TruncateToHW}
	was, err := trial.Run(scenarios.LeadershipPingPong, trial.Options{Seed: 1, Plant: bug, Record: true})
	require.NoError(t, err)
	s, err := Task{Scenario: scenarios.LeadershipPingPong, Options: trial.Options{Seed: 1, Plant: bug, Follow: was.Decisions}, For: 5 * time.Second}.Shrink()
	require.NoError(t, err)
	assert.Nil(t, s.Options.Follow)
	_, err = s.GoTest()
	require.NoError(t, err)
}

// What is mended in this build says so.
func TestShrink_WhatIsMendedIsRefused(t *testing.T) {
	was, err := trial.Run(scenarios.LeadershipPingPong, trial.Options{Seed: 1, Plant: []planted.Bug{planted.TruncateToHW}, Record: true})
	require.NoError(t, err)
	_, err = Task{Scenario: scenarios.LeadershipPingPong, Options: trial.Options{Seed: 1, Follow: was.Decisions}}.Shrink()
	require.ErrorContains(t, err, `the run does not fail by this build, though luck decides what it decided then: its verdict is "holds"`)
}

// skipIfShort skips what plays whole runs.
func skipIfShort(t *testing.T) {
	t.Helper()
	if testing.Short() {
		t.Skip("short: whole runs")
	}
}
