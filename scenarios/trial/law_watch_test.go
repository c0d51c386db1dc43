package trial

import (
	"flag"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ktrial/ktrial/broker/kafka"
	"github.com/ktrial/ktrial/broker/planted"
	"github.com/ktrial/ktrial/broker/witness"
	"github.com/ktrial/ktrial/checkers/history"
	"github.com/ktrial/ktrial/checkers/permit"
	"github.com/ktrial/ktrial/faults"
	"github.com/ktrial/ktrial/ledger"
	"github.com/ktrial/ktrial/reports"
	"github.com/ktrial/ktrial/scenarios"
	"github.com/ktrial/ktrial/sim/env"
)

// plants says where each planted bug shows itself, within how many seeds, and
// what finds it first.
var plants = []struct {
	bug      planted.Bug
	scenario scenarios.Scenario
	seeds    uint64
	check    string // begins with this
	set      string // a setting of the run, as key=value; empty: none
}{
	{planted.CountDivergedFetch, scenarios.LeadershipPingPong, 3, "law 5:", ""},
	{planted.NoDivergenceCheck, scenarios.SplitNetwork, 3, "law 5:", ""},
	{planted.TruncateToHW, scenarios.LeadershipPingPong, 3, "law 23:", ""},
	{planted.ISRNoLESO, scenarios.Standard, 20, "law 12:", ""},
	{planted.HWCommittedISR, scenarios.ReturnOfTheReplica, 3, "law 9:", ""},
	{planted.HWUnderMinISR, scenarios.LastInSync, 3, "law 9:", ""},
	{planted.NoELR, scenarios.LastInSync, 5, "law 18:", ""},
	{planted.IgnoreBrokerEpoch, scenarios.LateISRJoin, 3, "law 12:", ""},
	{planted.NoDuplicateWindow, scenarios.LateRequests, 3, "records are not duplicated", ""},
	{planted.SnapshotWindow, scenarios.RetriesAfterRestart, 3, "records are not duplicated", ""},
	{planted.RaftNoFlush, scenarios.ControllerStorm, 1, "law 35:", ""},
	{planted.RaftForgetVote, scenarios.VotesInTheDark, 20, "law 33:", ""},
	{planted.RaftRestartAsLeader, scenarios.ControllerStorm, 3, "law 28:", ""},
	{planted.AckBeforeCommit, scenarios.SlowLoad, 5, "committed offsets are what was committed", ""},
	{planted.ServeWhileLoading, scenarios.SlowLoad, 5, "committed offsets are what was committed", ""},
	{planted.UnloadIgnoresEpoch, scenarios.SlowLoad, 5, "every client and replica makes progress", ""},
	{planted.CleanTombstoneNow, scenarios.CompactedTable, 3, "what a reader has of a table is the table", ""},
	{planted.CleanDropLastBatch, scenarios.CompactedTable, 3, "law 62:", ""},
	{planted.CommitNoGeneration, scenarios.ZombieMember, 3, "law 47:", ""},
	{planted.IgnoreGeneration, scenarios.ZombieMember, 3, "law 45:", "partition.assignment.strategy=sticky"},
	{planted.StaleAssignment, scenarios.CoordinatorLoss, 5, "law 45:", ""},
	{planted.RespondBeforePersist, scenarios.CoordinatorAlone, 3, "law 45:", ""},
	{planted.NoInstanceFence, scenarios.StaticTwin, 3, "law 54:", ""},
	{planted.StaticSwapVolatile, scenarios.StaticTwin, 5, "law 54:", ""},
	{planted.ExpireAnyState, scenarios.OffsetsAndClocks, 5, "groups leave nothing out", ""},
	{planted.ProposeFenced, scenarios.SplitNetwork, 3, "law 76:", ""},
	{planted.DupAckWrongOffset, scenarios.SplitNetwork, 3, "records are not duplicated", ""},
	{planted.ListNoEpochStart, scenarios.SplitNetwork, 3, "law 11:", ""},
	{planted.FetchNoCurrentEpoch, scenarios.LeadershipPingPong, 3, "law 13:", ""},
	{planted.BatchExpireFromBase, scenarios.Standard, 5, "law 1:", ""},
	{planted.SnapNoFsync, scenarios.ControllerStorm, 3, "every client and replica makes progress", "metadata.log.max.record.bytes.between.snapshots=1500"},
	{planted.TxnTimeoutNoBump, scenarios.StandardEOS, 5, "law 63:", ""},
	{planted.AckMarkerEarly, scenarios.StandardEOS, 5, "consumers read in order and without holes", ""},
	{planted.TxnCommitNoGeneration, scenarios.StandardEOS, 8, "a partition has one owner in a generation", ""},
	{planted.FetchDelayedNoAbortedList, scenarios.StandardEOS, 3, "nothing is read that was not sent", ""},
	{planted.TxnCompleteTwice, scenarios.StandardEOS, 5, "law 65:", ""},
	{planted.TxnVolatile, scenarios.StandardEOS, 6, "every client and replica makes progress", ""},
	{planted.TxnMarkerStrictNoRetry, scenarios.StandardEOS, 10, "every client and replica makes progress", ""},
	{planted.TxnNoVerify, scenarios.LateProduce, 5, "every client and replica makes progress", ""},
	{planted.TxnVerifyNotRechecked, scenarios.LateVerification, 3, "nothing is read that was not sent", ""},
	{planted.TxnMarkerDoubleCount, scenarios.RefusedMarker, 5, "nothing is read that was not sent", ""},
	{planted.FirstTogether, scenarios.FirstBatches, 2, "producers' records stay in order", ""},
	{planted.TxnSharedEpoch, scenarios.LateEndTxn, 3, "nothing is read that was not sent", "transaction.version=2"},
	{planted.TxnMarkersUncommitted, scenarios.DecisionLost, 10, "acknowledged records are never lost", ""},
	{planted.TxnMarkerEpochGE, scenarios.LateMarkers, 10, "acknowledged records are never lost", ""},
	{planted.TxnPendingByID, scenarios.LateMarkers, 25, "every client and replica makes progress", ""},
	{planted.TxnRotateWrongPair, scenarios.EpochsUsedUp, 3, "epochs grow", ""},
	{planted.TxnDoubleBump, scenarios.EpochsUsedUp, 10, "law 63:", ""},
	{planted.TxnNoPersistPrevNext, scenarios.CoordinatorInPrepare, 15, "law 63:", "ktrial.transaction.first.epoch=32762"},
	{planted.FetchDelayedUncommitted, scenarios.ZombieProducer, 3, "law 67:", ""},
	{planted.EpochAddThenRemove, scenarios.SlowToGiveUp, 10, "law 50:", ""},
	{planted.NullAcknowledges, scenarios.SlowToGiveUp, 5, "law 49:", ""},
	{planted.HeartbeatOwnsTarget, scenarios.SlowToGiveUp, 3, "law 49:", ""},
	{planted.HeartbeatEmptyIsNoChange, scenarios.SlowToGiveUp, 3, "members give up in time what they are to", ""},
	{planted.HeartbeatNoReset, scenarios.LostAnswers, 5, "every client and replica makes progress", ""},
}

func TestPlantedBugsAreFound(t *testing.T) {
	for _, p := range plants {
		t.Run(string(p.bug), func(t *testing.T) {
			t.Parallel()
			set := map[string]string{}
			if name, value, ok := strings.Cut(p.set, "="); ok {
				set[name] = value
			}
			for seed := uint64(1); seed <= p.seeds; seed++ {
				r, err := Run(p.scenario, Options{Seed: seed, Set: set, Plant: []planted.Bug{p.bug}})
				require.NoError(t, err)
				if r.Report.Verdict != reports.Violated {
					continue
				}
				first := r.Report.Violations[0]
				assert.Truef(t, strings.HasPrefix(first.Check, p.check), "seed %d: %s: %s", seed, first.Check, first.Message)
				assert.Positive(t, r.Report.Planted[string(p.bug)].Infected)
				return
			}
			t.Errorf("%s does not find %s in %d seeds", p.scenario.Name, p.bug, p.seeds)
		})
	}
}

// acted is a run whose nodes are played by the test.
func acted(t testing.TB) *run {
	r, err := prepare(scenarios.Standard, Options{Seed: 1})
	require.NoError(t, err)
	t.Cleanup(r.w.Close)
	return r
}

var orders0 = kafka.TopicPartition{Topic: "orders"}

// tell has a server tell an event.
func tell(r *run, host string, e ledger.Event) { r.laws.read(&ledger.Entry{Host: host, Event: e}) }

// three are the replicas of orders/0.
func three() (out [3]*witness.Replica) {
	for i := range out {
		out[i] = &witness.Replica{Node: kafka.NodeID(i + 1), Partition: orders0}
	}
	return out
}

func committed(at kafka.Offset, epoch kafka.PartitionEpoch, isr ...kafka.NodeID) *witness.PartitionCommitted {
	return &witness.PartitionCommitted{
		Node: 3001, At: at, PartitionID: witness.PartitionID{Partition: orders0}, Leader: 1, PartitionEpoch: epoch,
		Replicas: []kafka.NodeID{1, 2, 3}, ISR: isr,
	}
}

// replicate: broker-1 leads, and two records are committed on all and acknowledged.
func replicate(r *run) [3]*witness.Replica {
	all := three()
	tell(r, "controller-1", committed(10, 0, 1, 2, 3))
	for i, x := range all {
		host := fmt.Sprintf("broker-%d", i+1)
		tell(r, host, &witness.Opened{Replica: x})
		if i == 0 {
			tell(r, host, &witness.BecameLeader{Replica: x, ISR: []kafka.NodeID{1, 2, 3}})
		} else {
			tell(r, host, &witness.BecameFollower{Replica: x, Leader: 1})
		}
		tell(r, host, &witness.Appended{Replica: x, Batch: witness.Batch{End: 2, Digest: 7, ProducerID: kafka.NoProducer}})
	}
	for _, e := range []ledger.Event{
		&witness.FollowerFetched{Replica: all[0], Follower: 2, From: 2}, &witness.FollowerFetched{Replica: all[0], Follower: 3, From: 2},
		&witness.HighWatermarkMoved{Replica: all[0], To: 2}, &witness.ProduceAcked{Replica: all[0], End: 2},
	} {
		tell(r, "broker-1", e)
	}
	return all
}

// The first law that breaks ends the run. What it says names hosts, and what is
// shown with it concerns the partition, the host or the world.
func TestABrokenLawEndsTheRun(t *testing.T) {
	r := acted(t)
	all := replicate(r)
	r.w.Tell(&witness.LeaderChosen{PartitionID: witness.PartitionID{Partition: orders0}, Leader: 1})
	r.w.Host("broker-2").Start(func(h env.Host) {
		h.Tell(&witness.BecameLeader{Replica: &witness.Replica{Node: 2, Partition: kafka.TopicPartition{Topic: "orders", Partition: 1}}})
		h.Tell(&witness.Truncated{Replica: all[1], From: 2, To: 1, Leader: 1})
		h.Tell(&witness.Truncated{Replica: all[1], From: 1, To: 0, Leader: 1})
	})
	assert.ErrorIs(t, r.w.Run(time.Second), errBroken)
	require.Len(t, r.violations, 1)
	v := r.violations[0]
	assert.Equal(t, "law 23: no replica truncates below the true high watermark", v.Check)
	assert.Equal(t, "orders/0: broker-2 truncated from 2 to 1; 2 was shown as committed", v.Message)
	var shown []string
	for _, m := range v.Story {
		shown = append(shown, strings.TrimSpace(m.Who+" "+m.What))
	}
	assert.Equal(t, []string{
		"controller: orders/0: leader 1, epoch 0, isr [] elr []",
		"broker-2 starts",
		"broker-2 becomes leader of orders/1, epoch 0, log end offset 0, high watermark 0, isr []",
		"broker-2 truncates orders/0 from 2 to 1, epoch 0, leader 1",
	}, shown)
	story := slices.Collect(r.w.Ledger().All())
	last := story[len(story)-2:]
	assert.IsType(t, &PromiseBroken{}, last[0].Event, "it is told behind what broke the law")
	assert.IsType(t, &witness.Truncated{}, last[1].Event, "the event goes on; nothing looks at it")
}

// A torn write takes the power some time after it strikes. A process that opens
// its logs between the two has lost nothing yet; the next one has.
func TestATornWriteTakesThePowerLater(t *testing.T) {
	r := acted(t)
	all := replicate(r)
	opens := func(end kafka.Offset) { tell(r, "broker-2", &witness.Opened{Replica: all[1], End: end}) }
	torn, err := faults.Resolve(faults.TornWrite{Host: faults.Host("broker-2")}, r.c, r.w.Rand("luck"))
	require.NoError(t, err)
	r.laws.strikes(torn)
	opens(2)
	r.w.Host("broker-2").PowerOff()
	opens(1)
	assert.Empty(t, r.violations)
	opens(0) // this one was only killed
	require.Len(t, r.violations, 1)
	assert.Contains(t, r.violations[0].Check, "law 24: ")
}

func TestLossBeyondThePromiseIsExcused(t *testing.T) {
	r := acted(t)
	all := replicate(r)
	r.laws.beyond[r.laws.Partitions()[0]] = permit.Faults(0).With(history.LossyCrashes)
	for i, x := range all {
		r.laws.PowerLost(x.Node, nil)
		tell(r, fmt.Sprintf("broker-%d", i+1), &witness.Opened{Replica: x, End: 1})
	}
	assert.Empty(t, r.violations)
	require.Len(t, r.laws.allowed, 1)
	assert.Contains(t, r.laws.allowed[0].Anomaly, "law 19: ")
	assert.Equal(t, "at least min.insync.replicas replicas were down uncleanly at once, and unsynced data was lost", r.laws.allowed[0].Reason)
	// What excuses the loss does not excuse the rest.
	tell(r, "controller-1", committed(11, 2, 1, 2))
	require.Len(t, r.violations, 1)
	assert.Contains(t, r.violations[0].Check, "law 16: ")
}

var (
	long      = flag.Bool("long", false, "run the long tests, too")
	longSeeds = flag.Uint64("seeds", 100, "how many seeds the long tests play of each scenario")
)

// TestTableOfPlantedBugs plants each bug in each scenario and prints the first
// seed that finds it, and the law or check that did. Nothing is demanded: most
// bugs have no part in most scenarios.
func TestTableOfPlantedBugs(t *testing.T) {
	if !*long {
		t.Skip("it takes minutes; -long")
	}
	for _, e := range planted.All {
		for _, s := range scenarios.Promising() {
			t.Run(string(e.Bug)+"/"+s.Name, func(t *testing.T) {
				t.Parallel()
				t.Log(firstSeed(t, e.Bug, s))
			})
		}
	}
}

func firstSeed(t *testing.T, bug planted.Bug, s scenarios.Scenario) string {
	var reached, infected int64
	for seed := uint64(1); seed <= *longSeeds; seed++ {
		r, err := Run(s, Options{Seed: seed, Plant: []planted.Bug{bug}})
		require.NoError(t, err)
		p := r.Report.Planted[string(bug)]
		reached, infected = reached+p.Reached, infected+p.Infected
		if len(r.Report.Violations) > 0 {
			check, _, _ := strings.Cut(r.Report.Violations[0].Check, ":")
			return fmt.Sprintf("| %s | %s | %d | %s |", bug, s.Name, seed, check)
		}
	}
	return fmt.Sprintf("| %s | %s | none of %d | reached %d, infected %d |", bug, s.Name, *longSeeds, reached, infected)
}
