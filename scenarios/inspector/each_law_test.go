package inspector_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/ktrial/ktrial/broker/kafka"
	"github.com/ktrial/ktrial/broker/witness"
	"github.com/ktrial/ktrial/checkers/laws"
	"github.com/ktrial/ktrial/ledger"
	"github.com/ktrial/ktrial/scenarios/inspector"
)

// breaches are the smallest that nodes can tell of, one for each law: what a mistake of the
// stack would have them say. A law is nothing if no event reaches it.
var breaches = map[int]func(in *inspected){
	1: after(committed(11, 3, 1, 1, 1, 2)),
	2: after(
		&witness.Truncating{Replica: of[3]}, &witness.Opened{Replica: of[3]}, appended(of[3], batch(0, 2, 0, "b")),
		&witness.MaximalISR{Replica: of[1], Nodes: everyone}),
	3: func(in *inspected) {
		in.tell(twoOfThree(appended(of[3], batch(0, 2, 0, "b")))...)
		in.ProcessEnded(3)
		in.tell(committed(10, 1, 1, 1, 1, 2, 3))
	},
	4: after(
		appended(of[3], batch(2, 1, 0, "c")), &witness.Restarted{Replica: of[3]}, appended(of[3], batch(0, 2, 0, "x")),
		&witness.HighWatermarkMoved{Replica: of[3], To: 1}),
	5:  after(&witness.FollowerFetched{Replica: of[1], Follower: 2, From: 3}),
	6:  after(&witness.Restarted{Replica: of[3]}, &witness.BecameLeader{Replica: of[3], Epoch: 1, ISR: []kafka.NodeID{3}}),
	7:  after(&witness.BecameFollower{Replica: of[2], Leader: 1, End: 2}, &witness.Restarted{Replica: of[2], At: 1}, committed(11, 1, 0, 1, 1, 2, 3)),
	8:  after(&witness.MaximalISR{Replica: of[1], Nodes: []kafka.NodeID{1, 2}}),
	9:  after(appended(of[1], batch(2, 1, 0, "c")), &witness.HighWatermarkMoved{Replica: of[1], To: 3}),
	10: after(&witness.HighWatermarkMoved{Replica: of[1], To: 1}),
	11: after(committed(11, 2, 1, 1, 1, 2, 3), &witness.BecameLeader{Replica: of[2], Epoch: 1, End: 2, HW: 0, ISR: everyone}, &witness.EndServed{Replica: of[2]}),
	12: func(in *inspected) {
		in.tell(committed(10, 1, 0, 0, 1, 2))
		in.tell(twoOfThree(&witness.FollowerFetched{Replica: of[1], Follower: 3})...)
		in.tell(committed(11, 1, 0, 1, 1, 2, 3))
	},
	13: after(
		&witness.BecameLeader{Replica: of[1], Epoch: 1, End: 2, HW: 2, ISR: everyone}, &witness.FollowerFetched{Replica: of[1], Follower: 2, From: 2}),
	14: after(&witness.BecameLeader{Replica: of[2], End: 2, ISR: everyone}),
	15: after(&witness.EpochsCached{Replica: of[2], Epochs: []kafka.LeaderEpoch{0, 1}, Starts: []kafka.Offset{0, 1}}),
	16: after(committed(11, 1, 0, 2, 1, 2)),
	17: after(elr(11, 1, []kafka.NodeID{1, 2}, 3)),
	18: after(&witness.Deleted{Replica: of[3]}, committed(11, 3, 1, 1, 1, 2, 3)),
	19: func(in *inspected) {
		in.tell(replicated()...)
		for id := range kafka.NodeID(3) {
			in.Wiped(id + 1)
		}
	},
	20: after(read(of[1], batch(0, 2, 0, "b"))),
	21: after(appended(of[1], batch(2, 1, 0, "c")), &witness.ProduceAcked{Replica: of[1], From: 2, End: 3}),
	22: after(appended(of[1], batch(2, 1, 0, "c")), &witness.LogStartMoved{Replica: of[1], Start: 3}),
	23: after(&witness.Truncated{Replica: of[3], To: 1}),
	24: after(&witness.Opened{Replica: of[2], End: 1}),
	25: after(append(quorum(),
		&witness.QuorumAppended{Replica: observer, Batch: witness.BatchOf(batch(0, 2, 1, "m"))},
		&witness.QuorumAppended{Replica: observer, Batch: witness.BatchOf(batch(2, 1, 1, "n"))},
		&witness.Applied{Node: 1, Offset: 2, Hash: 7})...),
	26: after(committed(11, 1, 0, 1, 1, 2), &witness.MaximalISR{Replica: of[1], Nodes: []kafka.NodeID{1, 2}}, committed(12, 1, 0, 2, 1, 2, 3)),
	27: func(in *inspected) {
		in.tell(replicated()...)
		in.tell(appended(of[2], batch(2, 1, 0, "c")))
		in.quiet()
	},

	28: after(&witness.QuorumElected{Replica: voter[1], Epoch: 1}, &witness.QuorumElected{Replica: voter[2], Epoch: 1}),
	29: after(append(quorum(), &witness.QuorumAppended{Replica: voter[3], Batch: witness.BatchOf(batch(0, 2, 1, "other"))})...),
	30: after(append(quorum(), &witness.QuorumElected{Replica: voter[3], Epoch: 2})...),
	31: func(in *inspected) { in.tell(quorum()...); in.Wiped(3001) },
	32: after(&witness.QuorumVoted{Replica: observer, Epoch: 1, Candidate: 1}),
	33: after(&witness.QuorumVoted{Replica: voter[2], Epoch: 1, Candidate: 3002}, &witness.QuorumVoted{Replica: voter[2], Epoch: 1, Candidate: 3001}),
	34: after(
		&witness.QuorumAppended{Replica: voter[2], Batch: witness.BatchOf(batch(0, 1, 1, "m"))}, &witness.QuorumAppended{Replica: voter[2], Batch: witness.BatchOf(batch(1, 1, 1, "m"))},
		&witness.QuorumAppended{Replica: voter[3], Batch: witness.BatchOf(batch(0, 1, 1, "m"))},
		&witness.QuorumVoted{Replica: voter[3], Epoch: 2, Candidate: 3003}, &witness.QuorumVoted{Replica: voter[2], Epoch: 2, Candidate: 3003}),
	35: after(
		&witness.QuorumOpened{Replica: voter[1]}, &witness.QuorumElected{Replica: voter[1], Epoch: 1},
		&witness.QuorumAppended{Replica: voter[1], Batch: witness.BatchOf(batch(0, 1, 1, "m"))}, &witness.QuorumFlushed{Replica: voter[1], End: 1},
		&witness.QuorumCommitted{Replica: voter[1], HW: 1}),
	36: after(append(quorum(), &witness.QuorumTruncating{Replica: voter[1], From: 2, To: 1}, &witness.QuorumTruncated{Replica: voter[1], To: 1})...),
	37: after(&witness.Applied{Node: 1, Offset: 5, Hash: 7}, &witness.Applied{Node: 2, Offset: 5, Hash: 8}),
	38: after(append(quorum(), &witness.QuorumFollows{Replica: voter[2], Epoch: 2, Leader: 3003},
		&witness.QuorumTruncating{Replica: voter[2], From: 2, To: 1}, &witness.QuorumTruncated{Replica: voter[2], To: 1})...),
	40: after(&witness.QuorumPreVoted{Replica: voter[1], Candidate: 3002, Leader: 3003}),
	41: after(append(quorum(), &witness.SnapshotWritten{Replica: voter[1], End: 3, Epoch: 1})...),
	42: after(append(quorum(), &witness.ControllerAnswered{Node: 3001, Epoch: 1, Offset: 2})...),
	43: after(registration(20, 20, true), &witness.BrokerCommitted{At: 21, Broker: 1, BrokerEpoch: 19, Incarnation: kafka.UUID{2}, Fenced: true}),
	44: func(in *inspected) { in.quiet() },
	98: after(&witness.SessionExpired{Broker: 1, Timeout: 9 * time.Second, Silent: 9*time.Second - 1}),
	100: after(registration(20, 20, false), &witness.BrokerCommitted{At: 21, Broker: 2, BrokerEpoch: 21, Incarnation: kafka.UUID{3}},
		&witness.BrokerCommitted{At: 22, Broker: 1, BrokerEpoch: 20, Incarnation: kafka.UUID{2}, Leaving: true}, &witness.ShutdownGranted{Broker: 1}),
	101: after(&witness.LifecycleChanged{Node: 1, State: "running"}, &witness.LifecycleChanged{Node: 1, State: "shutting down"}),
	77:  after(registration(20, 20, true), &witness.Applied{Node: 1, Offset: 19}, &witness.BrokerUnfenced{Broker: 1, BrokerEpoch: 20}),

	45: after(generation(4, "m", "n"), given("m", 4, true), given("n", 4, true)),
	46: after(generation(4, "m"), generation(4, "m")),
	47: after(&witness.OffsetCommitted{Group: "g", Member: "m", Generation: 4, At: 8}, &witness.OffsetCommitted{Group: "g", Member: "m", Generation: 3, At: 9}),
	48: after(&witness.ShardCommitted{Shard: shard[1], Epoch: 5, To: 7}, &witness.ShardLoaded{Shard: shard[2], Epoch: 6, End: 6}),
	49: after(owns("m"), owns("n")),
	50: after(&witness.MemberJoined{Group: "g", Member: "m"}, &witness.MemberJoined{Group: "g", Member: "n"}, given("m", 6, false), given("n", 7, false)),
	51: after(&witness.GroupHolds{Group: "g", State: "Stable", Epoch: 7, Target: 6}),
	52: after(&witness.GroupHolds{Group: "g", State: "Reconciling", Epoch: 7, Target: 7, Taken: witness.Partitions{{Topic: "orders"}}}),
	53: after(given("m", 4, false), given("m", 3, false)),
	54: after(&witness.MemberJoined{Group: "g", Member: "m", Instance: "till"}, &witness.MemberJoined{Group: "g", Member: "n", Instance: "till"}),
	55: func(in *inspected) {
		in.at(0, &witness.MemberJoined{Group: "g", Member: "m"})
		in.at(time.Second, &witness.MemberHeard{Group: "g", Member: "m"})
		in.at(2*time.Second, &witness.MemberTimedOut{Group: "g", Member: "m", Timeout: 6 * time.Second})
	},
	56: after(&witness.ShardLoaded{Shard: shard[1], Epoch: 5}, &witness.ShardLoaded{Shard: shard[2], Epoch: 5}),
	59: func(in *inspected) {
		in.Undisturbed(0)
		in.tell(generation(1, "m", "n"), owns("m"), given("n", 1, true), &witness.GroupState{Group: "g", From: "CompletingRebalance", To: "Stable"})
		in.at(20*time.Second, &witness.GroupState{Group: "g", From: "Stable", To: "PreparingRebalance"})
	},
	81: func(in *inspected) {
		in.tell(&witness.MemberJoined{Group: "g", Member: "m"}, given("m", 1, true), &witness.GroupState{Group: "g", From: "Stable", To: "PreparingRebalance"},
			&witness.MemberLeft{Group: "g", Member: "m"})
		in.quiet()
	},
	84: after(&witness.ShardDiverged{Shard: shard[2], At: 7, Holds: 1, Log: 2}),

	61: after(appended(of[1], numbered(2, 2, 0)), appended(of[1], numbered(4, 1, 3))),
	62: func(in *inspected) {
		in.tell(replicated()...)
		in.tell(appended(of[1], numbered(2, 2, 0)))
		in.Partitions()[0].Laws.Producers(1, []laws.Known{})
	},
	63: after(txnState(3, "Ongoing", orders0.Partition), txnState(2, "Ongoing", orders0.Partition)),
	65: after(txnState(0, "Ongoing", orders0.Partition), txnState(1, "CompleteCommit")),
	66: after(txnState(0, "Ongoing", orders0.Partition), txnState(1, "PrepareCommit", orders0.Partition), txnState(1, "CompleteCommit")),
	67: after(appended(of[1], transactional(2, 0, 0)), readCommitted(of[1], transactional(2, 0, 0))),
	72: func(in *inspected) {
		in.tell(txnState(0, "Ongoing", orders0.Partition), txnState(1, "PrepareAbort", orders0.Partition))
		in.quiet()
	},

	76: after(registration(20, 20, true), &witness.Applied{Node: 1, Offset: 20}, registration(21, 20, false), registration(22, 20, true)),
	80: after(&witness.BecameLeader{Replica: of[1], Epoch: 1, End: 2, HW: 1, ISR: everyone}),
	97: after(&witness.ShrinkProposed{Replica: of[1], Late: []kafka.NodeID{3}}),
	99: func(in *inspected) {
		in.tell(replicated()...)
		in.at(time.Second, appended(of[1], batch(2, 1, 0, "c")))
		in.at(time.Hour, &witness.LagsChecked{Replica: of[1], Kept: []kafka.NodeID{3}})
	},
	82: func(in *inspected) {
		in.tell(replicated()...)
		in.Read(&ledger.Entry{Host: "broker-1", Event: &witness.SegmentsReplaced{Log: witness.Log{Partition: orders0.Partition}, To: 3}})
	},

	78: func(in *inspected) {
		in.Undisturbed(time.Second)
		in.at(2*time.Second, &witness.SessionExpired{Broker: 1, Timeout: time.Second, Silent: time.Second})
	},
	79: func(in *inspected) {
		in.tell(replicated()...)
		in.Undisturbed(time.Second)
		in.at(2*time.Second, appended(of[1], batch(2, 1, 0, "c")))
		in.at(5*time.Second, appended(of[1], batch(3, 1, 0, "c")))
	},
	90: after(&witness.ExpandProposed{Replica: of[1], Joins: 3}),
	91: calm(slices.Repeat([]ledger.Event{&witness.AnswerArrived{Message: asked, Code: 3}}, 11)...),
	92: calm(slices.Repeat([]ledger.Event{&witness.RequestArrived{Message: asked}}, 11)...),
	93: func(in *inspected) {
		calm(&witness.RequestArrived{Message: asked})(in)
		in.turns += 1000
		for _, later := range []time.Duration{16, 17, 18} {
			in.at(later*time.Second, &witness.Registered{})
			in.ReadTraffic(&ledger.Entry{At: later * time.Second, Host: "broker-1", Event: &witness.RequestArrived{Message: asked}})
		}
	},
	94: calm(&witness.RequestSent{Message: asked}),
}

// observer is a broker's copy of the metadata log.
var observer = &witness.Replica{Node: 1, Partition: kafka.MetadataPartition}

var asked = witness.Message{Connection: &witness.Connection{Client: "consumer-1:32768", Server: "broker-1:9092"}, API: "Metadata", CorrelationID: 1}

// after tells events where two records are committed on all replicas.
func after(events ...ledger.Event) func(*inspected) {
	return func(in *inspected) {
		in.tell(replicated()...)
		in.tell(events...)
	}
}

// twoOfThree: broker-1 leads with broker-2 in sync, and two records are committed on both.
func twoOfThree(before ledger.Event) []ledger.Event {
	b, two := batch(0, 2, 0, "a"), []kafka.NodeID{1, 2}
	return []ledger.Event{
		&witness.Opened{Replica: of[1], Clean: true}, &witness.Opened{Replica: of[2], Clean: true}, &witness.Opened{Replica: of[3], Clean: true},
		&witness.BecameLeader{Replica: of[1], ISR: two}, &witness.BecameFollower{Replica: of[2], Leader: 1}, &witness.BecameFollower{Replica: of[3], Leader: 1},
		appended(of[1], b), appended(of[2], b), before,
		&witness.FollowerFetched{Replica: of[1], Follower: 2, From: 2}, &witness.HighWatermarkMoved{Replica: of[1], To: 2},
	}
}

// given: the coordinator answers that a member has orders/0.
func given(member string, generation int32, classic bool) ledger.Event {
	return &witness.GroupAssigned{Group: "g", Generation: generation, Member: member, Classic: classic, Partitions: []kafka.TopicPartition{orders0.Partition}}
}

// calm tells of messages while nothing disturbs the cluster, and then that time passes.
func calm(events ...ledger.Event) func(*inspected) {
	return func(in *inspected) {
		in.Undisturbed(10 * time.Second)
		in.at(10*time.Second, &witness.Registered{})
		for _, e := range events {
			in.ReadTraffic(&ledger.Entry{At: 10 * time.Second, Host: "broker-1", Event: e})
		}
		for _, later := range []time.Duration{11, 12, 15} {
			in.at(later*time.Second, &witness.Registered{})
			in.ReadTraffic(&ledger.Entry{At: later * time.Second, Host: "broker-1", Event: &witness.RequestArrived{Message: asked}})
		}
	}
}

// at tells an event at a time.
func (in *inspected) at(at time.Duration, e ledger.Event) {
	in.Read(&ledger.Entry{At: at, Event: e})
}

// quiet: the run is over, and no partition is let off.
func (in *inspected) quiet() { in.Quiet(func(*inspector.Partition) bool { return false }) }

// Each law is broken by what nodes tell, and is named: with its number, what it is of, and
// in words.
func TestEachLawBreaksByEventsOfNodes(t *testing.T) {
	for _, law := range laws.All() {
		t.Run(fmt.Sprint("law ", law.Number), func(t *testing.T) {
			breach := breaches[law.Number]
			if !assert.NotNil(t, breach, "no events break law %d: %s", law.Number, law.About) {
				return
			}
			in := inspect()
			breach(in)
			i := slices.IndexFunc(in.broken, func(f laws.Failure) bool { return f.Law.Number == law.Number })
			if assert.GreaterOrEqual(t, i, 0, "%s: not seen; broken is %v", law.About, in.broken) {
				assert.NotEmpty(t, in.broken[i].Text())
			}
		})
	}
	assert.Len(t, breaches, len(laws.All()), "a breach is of no law")
}
