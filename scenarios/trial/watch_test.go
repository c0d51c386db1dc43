package trial

import (
	"flag"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ktrial/ktrial/broker/kafka"
	"github.com/ktrial/ktrial/broker/planted"
	"github.com/ktrial/ktrial/broker/record"
	"github.com/ktrial/ktrial/broker/witness"
	"github.com/ktrial/ktrial/faults"
	"github.com/ktrial/ktrial/reports"
	"github.com/ktrial/ktrial/scenarios"
)

// plants says where each planted bug shows itself, within how many seeds, and
// who sees it first.
var plants = []struct {
	bug      planted.Bug
	scenario scenarios.Scenario
	seeds    uint64
	check    string // begins with this
}{
	{planted.CountDivergedFetch, scenarios.LeadershipPingPong, 3, "law 5:"},
	{planted.NoDivergenceCheck, scenarios.SplitNetwork, 3, "law 5:"},
	{planted.TruncateToHW, scenarios.LeadershipPingPong, 3, "law 23:"},
	{planted.ISRNoLESO, scenarios.Standard, 20, "law 12:"},
	{planted.HWCommittedISR, scenarios.ReturnOfTheReplica, 3, "law 9:"},
	{planted.HWUnderMinISR, scenarios.LastInSync, 3, "law 9:"},
	{planted.NoELR, scenarios.LastInSync, 5, "law 18:"},
	{planted.IgnoreBrokerEpoch, scenarios.LateISRJoin, 3, "law 12:"},
	{planted.NoDuplicateWindow, scenarios.LateRequests, 3, "records are not duplicated"},
	{planted.SnapshotWindow, scenarios.RetriesAfterRestart, 3, "records are not duplicated"},
	{planted.RaftNoFlush, scenarios.ControllerStorm, 1, "law 35:"},
	{planted.RaftForgetVote, scenarios.VotesInTheDark, 20, "law 33:"},
	{planted.RaftRestartAsLeader, scenarios.ControllerStorm, 3, "law 28:"},
}

func TestPlantedBugsAreFound(t *testing.T) {
	for _, p := range plants {
		t.Run(string(p.bug), func(t *testing.T) {
			t.Parallel()
			for seed := uint64(1); seed <= p.seeds; seed++ {
				r, err := Run(p.scenario, Options{Seed: seed, Plant: []planted.Bug{p.bug}})
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

func TestEveryPlantedBugHasAScenario(t *testing.T) {
	for _, e := range planted.All {
		found := false
		for _, p := range plants {
			found = found || p.bug == e.Bug
		}
		assert.True(t, found, e.Bug)
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

// batch of count records at base, in epoch.
func batch(base kafka.Offset, count int, epoch kafka.LeaderEpoch, value string) record.Batch {
	b := record.NewBuilder(record.Options{BaseOffset: base, LeaderEpoch: epoch})
	for range count {
		b.Append(0, nil, []byte(value))
	}
	return b.Build()
}

// numbered is a batch of producer 7 that begins with this sequence.
func numbered(base kafka.Offset, count int, first kafka.Sequence) record.Batch {
	b := record.NewBuilder(record.Options{BaseOffset: base, Idempotent: true, ProducerID: 7, BaseSequence: first})
	for range count {
		b.Append(0, nil, []byte("n"))
	}
	return b.Build()
}

func appended(node kafka.NodeID, b record.Batch) witness.Event {
	return witness.Event{Kind: witness.Appended, Node: node, Offset: b.BaseOffset(), End: b.NextOffset(), Epoch: b.LeaderEpoch(), Batch: b}
}

func committed(at kafka.Offset, leader kafka.NodeID, epoch kafka.LeaderEpoch, registry kafka.PartitionEpoch, isr ...kafka.NodeID) witness.Event {
	return witness.Event{Kind: witness.PartitionCommitted, Node: 3001, Offset: at, State: &witness.PartitionState{
		Leader: leader, LeaderEpoch: epoch, PartitionEpoch: registry, Replicas: []kafka.NodeID{1, 2, 3}, ISR: isr,
	}}
}

// replicated: broker-1 leads, and two records are committed on all.
func replicated() []witness.Event {
	b := batch(0, 2, 0, "a")
	return []witness.Event{
		committed(10, 1, 0, 0, 1, 2, 3),
		{Kind: witness.Opened, Node: 1}, {Kind: witness.Opened, Node: 2}, {Kind: witness.Opened, Node: 3},
		{Kind: witness.BecameLeader, Node: 1, Nodes: []kafka.NodeID{1, 2, 3}},
		{Kind: witness.BecameFollower, Node: 2, Peer: 1}, {Kind: witness.BecameFollower, Node: 3, Peer: 1},
		appended(1, b), appended(2, b), appended(3, b),
		{Kind: witness.FollowerFetched, Node: 1, Peer: 2, Offset: 2}, {Kind: witness.FollowerFetched, Node: 1, Peer: 3, Offset: 2},
		{Kind: witness.HighWatermarkMoved, Node: 1, Offset: 2},
		{Kind: witness.ProduceAcked, Node: 1, End: 2},
		{Kind: witness.EndServed, Node: 1, Offset: 2},
		{Kind: witness.ReadServed, Node: 1, End: 2, Batch: b},
	}
}

func TestEventsBecomeLaws(t *testing.T) {
	other := batch(0, 2, 0, "b")
	for _, test := range []struct {
		name    string
		then    []witness.Event
		law     int
		message string
	}{
		{"nothing is wrong", nil, 0, ""},
		{"another record is read", []witness.Event{{Kind: witness.ReadServed, Node: 1, End: 2, Batch: other}},
			20, "orders/0: broker-1 gave a consumer another record at 0 than is committed"},
		{"acknowledged too early", []witness.Event{appended(1, batch(2, 1, 0, "c")), {Kind: witness.ProduceAcked, Node: 1, Offset: 2, End: 3}},
			21, "orders/0: broker-1 acknowledged [2, 3); its high watermark is 2"},
		{"a follower truncates", []witness.Event{{Kind: witness.Truncated, Node: 3, Offset: 1}},
			23, "orders/0: broker-3 truncated from 2 to 1; 2 was shown as committed"},
		{"two leaders", []witness.Event{{Kind: witness.BecameLeader, Node: 2, Offset: 2, Nodes: []kafka.NodeID{1, 2, 3}}},
			14, "orders/0: broker-1 and broker-2 both lead in epoch 0"},
		{"a leader counts fewer", []witness.Event{{Kind: witness.MaximalISR, Node: 1, Nodes: []kafka.NodeID{1, 2}}},
			8, "orders/0: leader broker-1 counts [broker-1 broker-2]; the controller's ISR is [broker-1 broker-2 broker-3]"},
		{"a killed broker lost what it wrote", []witness.Event{{Kind: witness.Opened, Node: 2, End: 1}},
			24, "orders/0: broker-2 recovered up to 1; it had 2, and only its process died"},
		{"the partition epoch jumps", []witness.Event{committed(11, 1, 0, 2, 1, 2)},
			16, "orders/0: partition epoch went from 0 to 2"},
		{"what the other controllers tell again is not news", []witness.Event{committed(10, 1, 0, 0, 1, 2, 3)}, 0, ""},
		{"a producer's batches follow each other", []witness.Event{appended(1, numbered(2, 2, 0)), appended(1, numbered(4, 1, 2))}, 0, ""},
		{"a producer's batch is missing", []witness.Event{appended(1, numbered(2, 2, 0)), appended(1, numbered(4, 1, 3))},
			61, "orders/0: broker-1 appended sequence 3 of producer 7 in epoch 0 behind sequence 1"},
		{"what is counted as in sync is another", []witness.Event{
			{Kind: witness.Truncating, Node: 3}, {Kind: witness.Opened, Node: 3}, appended(3, batch(0, 1, 0, "b")), appended(3, batch(1, 1, 0, "b")),
			{Kind: witness.MaximalISR, Node: 1, Nodes: []kafka.NodeID{1, 2, 3}},
		}, 2, "orders/0: broker-3 has another record at 0 than leader broker-1, which counts it, shows as committed below 2"},
		{"a pre-vote of nobody's follower", []witness.Event{{Kind: witness.QuorumPreVoted, Node: 3001, Peer: 3002, End: -1}}, 0, ""},
		{"a pre-vote against a leader that lives", []witness.Event{{Kind: witness.QuorumPreVoted, Node: 3001, Peer: 3002, End: 3003}},
			40, "metadata: controller-1 would vote for controller-2 in epoch 0, though it is in touch with leader controller-3"},
		{"a pre-vote in an epoch to come", []witness.Event{{Kind: witness.QuorumPreVoted, Node: 3001, Peer: 3002, Epoch: 1, End: -1}},
			40, "metadata: controller-2 asked for pre-votes in epoch 1; it is in epoch 0"},
		{"the quorum has two leaders", []witness.Event{
			{Kind: witness.QuorumLeader, Node: 3001, Epoch: 1, Partition: kafka.MetadataPartition},
			{Kind: witness.QuorumLeader, Node: 3002, Epoch: 1, Partition: kafka.MetadataPartition},
		}, 28, "metadata: controller-1 and controller-2 both became leader in epoch 1"},
		{"a broker epoch twice", []witness.Event{
			{Kind: witness.BrokerCommitted, Offset: 20, Peer: 1, End: 20, Incarnation: kafka.UUID{1}},
			{Kind: witness.BrokerCommitted, Offset: 21, Peer: 1, End: 20, Incarnation: kafka.UUID{1}},
			{Kind: witness.BrokerCommitted, Offset: 22, Peer: 1, End: 20, Incarnation: kafka.UUID{2}},
		}, 43, "metadata: broker-1 went from epoch 20 to 20"},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := acted(t)
			for _, e := range append(replicated(), test.then...) {
				if e.Partition == (kafka.TopicPartition{}) {
					e.Partition = orders0
				}
				r.watch.tell(&e)
			}
			if test.law == 0 {
				assert.Empty(t, r.violations)
				return
			}
			require.Len(t, r.violations, 1)
			assert.True(t, strings.HasPrefix(r.violations[0].Check, fmt.Sprintf("law %d: ", test.law)), r.violations[0].Check)
			assert.Equal(t, test.message, r.violations[0].Message)
			assert.ErrorIs(t, r.w.Failure(), errBroken)
		})
	}
}

// A torn write takes the power some time after it strikes. A process that opens
// its logs between the two has lost nothing yet; the next one has.
func TestATornWriteTakesThePowerLater(t *testing.T) {
	r := acted(t)
	see := func(e witness.Event) {
		e.Partition = orders0
		r.watch.tell(&e)
	}
	for _, e := range replicated() {
		see(e)
	}
	torn, err := faults.Resolve(faults.TornWrite{Host: faults.Host("broker-2")}, r.c, r.w.Rand("luck"))
	require.NoError(t, err)
	r.watch.strikes(torn)
	see(witness.Event{Kind: witness.Opened, Node: 2, End: 2})
	r.w.Host("broker-2").PowerOff()
	see(witness.Event{Kind: witness.Opened, Node: 2, End: 1})
	assert.Empty(t, r.violations)
	see(witness.Event{Kind: witness.Opened, Node: 2, End: 0}) // this one was only killed
	require.Len(t, r.violations, 1)
	assert.Contains(t, r.violations[0].Check, "law 24: ")
}

func TestLossBeyondThePromiseIsExcused(t *testing.T) {
	r := acted(t)
	for _, e := range replicated() {
		e.Partition = orders0
		r.watch.tell(&e)
	}
	r.watch.byName[orders0].excuse = "all lost power"
	for id := range kafka.NodeID(3) {
		r.watch.byName[orders0].lost[id+1] = true
		r.watch.tell(&witness.Event{Kind: witness.Opened, Node: id + 1, End: 1, Partition: orders0})
	}
	assert.Empty(t, r.violations)
	require.Len(t, r.watch.allowed, 1)
	assert.Contains(t, r.watch.allowed[0].Anomaly, "law 19: ")
	assert.Equal(t, "all lost power", r.watch.allowed[0].Reason)
	// Who is excused of the loss is not excused of the rest.
	e := committed(11, 1, 0, 2, 1, 2)
	e.Partition = orders0
	r.watch.tell(&e)
	require.Len(t, r.violations, 1)
	assert.Contains(t, r.violations[0].Check, "law 16: ")
}

// BenchmarkWatch is what watching costs: one record appended on three brokers,
// fetched, committed, acknowledged and read.
func BenchmarkWatch(b *testing.B) {
	r := acted(b)
	for _, e := range replicated() {
		e.Partition = orders0
		r.watch.tell(&e)
	}
	data := batch(0, 1, 0, "x")
	b.ReportAllocs()
	for i := range b.N {
		at := kafka.Offset(i + 2)
		tell := func(e witness.Event) {
			e.Partition = orders0
			r.watch.tell(&e)
		}
		for id := range kafka.NodeID(3) {
			tell(witness.Event{Kind: witness.Appended, Node: id + 1, Offset: at, End: at + 1, Batch: data})
		}
		tell(witness.Event{Kind: witness.FollowerFetched, Node: 1, Peer: 2, Offset: at + 1})
		tell(witness.Event{Kind: witness.FollowerFetched, Node: 1, Peer: 3, Offset: at + 1})
		tell(witness.Event{Kind: witness.HighWatermarkMoved, Node: 1, Offset: at + 1})
		tell(witness.Event{Kind: witness.ProduceAcked, Node: 1, Offset: at, End: at + 1})
		tell(witness.Event{Kind: witness.ReadServed, Node: 1, Offset: at, End: at + 1, Batch: data})
	}
	require.Empty(b, r.violations)
}

var (
	long      = flag.Bool("long", false, "run the long tests, too")
	longSeeds = flag.Uint64("seeds", 100, "how many seeds the long tests play of each scenario")
)

// TestTableOfPlantedBugs plants each bug in each scenario and prints the first
// seed that finds it, and who did. Nothing is demanded: most bugs have no part
// in most scenarios.
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
