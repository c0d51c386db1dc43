package inspector_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kerr"

	"github.com/ktrial/ktrial/broker/kafka"
	"github.com/ktrial/ktrial/broker/record"
	"github.com/ktrial/ktrial/broker/witness"
	"github.com/ktrial/ktrial/checkers/laws"
	"github.com/ktrial/ktrial/ledger"
	"github.com/ktrial/ktrial/scenarios/inspector"
)

var orders0 = witness.PartitionID{Partition: kafka.TopicPartition{Topic: "orders"}, Topic: kafka.UUID{1}}

// of is the replica of orders/0 on each of three brokers, and the member of the
// quorum on each of three controllers.
var of, voter = func() (of, voter [4]*witness.Replica) {
	for i := range of {
		of[i] = &witness.Replica{Node: kafka.NodeID(i), Partition: orders0.Partition, Topic: orders0.Topic}
		voter[i] = &witness.Replica{Node: kafka.NodeID(3000 + i), Partition: kafka.MetadataPartition}
	}
	return of, voter
}()

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

func appended(r *witness.Replica, b record.Batch) ledger.Event {
	return &witness.Appended{Replica: r, Batch: witness.BatchOf(b)}
}

func read(r *witness.Replica, b record.Batch) ledger.Event {
	return &witness.ReadServed{Replica: r, Batch: witness.BatchOf(b)}
}

func committed(at kafka.Offset, leader kafka.NodeID, epoch kafka.LeaderEpoch, registry kafka.PartitionEpoch, isr ...kafka.NodeID) ledger.Event {
	return &witness.PartitionCommitted{
		Node: 3001, At: at, PartitionID: orders0, Leader: leader, LeaderEpoch: epoch, PartitionEpoch: registry,
		Replicas: []kafka.NodeID{1, 2, 3}, ISR: isr,
	}
}

var everyone = []kafka.NodeID{1, 2, 3}

// replicated: broker-1 leads, and two records are committed on all.
func replicated() []ledger.Event {
	b := batch(0, 2, 0, "a")
	return []ledger.Event{
		committed(10, 1, 0, 0, 1, 2, 3),
		&witness.Opened{Replica: of[1], Clean: true}, &witness.Opened{Replica: of[2], Clean: true}, &witness.Opened{Replica: of[3], Clean: true},
		&witness.BecameLeader{Replica: of[1], ISR: everyone},
		&witness.BecameFollower{Replica: of[2], Leader: 1}, &witness.BecameFollower{Replica: of[3], Leader: 1},
		appended(of[1], b), appended(of[2], b), appended(of[3], b),
		&witness.FollowerFetched{Replica: of[1], Follower: 2, From: 2}, &witness.FollowerFetched{Replica: of[1], Follower: 3, From: 2},
		&witness.HighWatermarkMoved{Replica: of[1], To: 2},
		&witness.ProduceAcked{Replica: of[1], End: 2},
		&witness.EndServed{Replica: of[1], End: 2},
		read(of[1], b),
	}
}

// registration of broker-1.
func registration(at kafka.Offset, epoch kafka.BrokerEpoch, fenced bool) ledger.Event {
	return &witness.BrokerCommitted{At: at, Broker: 1, BrokerEpoch: epoch, Incarnation: kafka.UUID{1}, Fenced: fenced}
}

// elr: broker-1 leads, with this ISR and ELR.
func elr(at kafka.Offset, registry kafka.PartitionEpoch, isr []kafka.NodeID, elr ...kafka.NodeID) ledger.Event {
	e := committed(at, 1, 0, registry, isr...).(*witness.PartitionCommitted)
	e.ELR = elr
	return e
}

// quorum: controller-1 leads, and two records of the metadata are committed.
func quorum() (events []ledger.Event) {
	events = append(events, &witness.QuorumElected{Replica: voter[1], Epoch: 1})
	for _, v := range voter[1:3] {
		events = append(events, &witness.QuorumAppended{Replica: v, Batch: witness.BatchOf(batch(0, 2, 1, "m"))}, &witness.QuorumFlushed{Replica: v, End: 2})
	}
	return append(events, &witness.QuorumCommitted{Replica: voter[1], HW: 2})
}

// synced: controller-2 has two records of the metadata log on its disk.
func synced() []ledger.Event {
	return []ledger.Event{
		&witness.QuorumAppended{Replica: voter[2], Batch: witness.BatchOf(batch(0, 2, 0, "m"))}, &witness.QuorumFlushed{Replica: voter[2], End: 2},
	}
}

// shard is a partition of the coordinators' topic on each of three brokers.
var shard = func() (shard [4]*witness.Shard) {
	for i := range shard {
		shard[i] = &witness.Shard{Node: kafka.NodeID(i), Shard: kafka.TopicPartition{Topic: "__consumer_offsets", Partition: 3}}
	}
	return shard
}()

func generation(number int32, members ...string) ledger.Event {
	return &witness.GenerationCompleted{Group: "g", Generation: number, Protocol: "range", Leader: members[0], Members: members}
}

// owns: a member is told that it owns orders/0.
func owns(member string) ledger.Event {
	return &witness.PartitionsAssigned{Membership: &witness.Membership{Group: "g", Member: member}, Added: []kafka.TopicPartition{orders0.Partition}}
}

// inspected is an inspector with what it found broken.
type inspected struct {
	*inspector.Inspector
	broken  []laws.Failure
	forgive bool
	said    []string
	wants   func(messages bool)
	turns   uint64 // how often the process of each host was woken
}

func inspect() *inspected {
	in := &inspected{}
	in.Inspector = inspector.New(inspector.Config{
		Voters: []kafka.NodeID{3001, 3002, 3003},
		Name: func(id kafka.NodeID) string {
			if id > 3000 {
				return fmt.Sprintf("controller-%d", id-3000)
			}
			return fmt.Sprintf("broker-%d", id)
		},
		MinISR:     func(topic string) (int, bool) { return 2, topic == "orders" },
		LagTimeMax: 30 * time.Second,
		Turns:      func(string) uint64 { return in.turns },
		Broken: func(_ *inspector.Partition, f laws.Failure) bool {
			in.broken = append(in.broken, f)
			return in.forgive
		},
		Messages: func(wanted bool) {
			if in.wants != nil {
				in.wants(wanted)
			}
		},
		Unclean: func(p *inspector.Partition) { in.said = append(in.said, "unclean election of "+p.Subject()) },
		Replaced: func(p *inspector.Partition, unaware bool) {
			in.said = append(in.said, fmt.Sprint(p.Subject(), " ", unaware))
		},
	})
	return in
}

func (in *inspected) tell(events ...ledger.Event) {
	for _, e := range events {
		in.Read(&ledger.Entry{Event: e})
	}
}

func TestEventsBecomeLaws(t *testing.T) {
	other := batch(0, 2, 0, "b")
	for _, test := range []struct {
		name    string
		then    []ledger.Event
		law     int
		message string
	}{
		{"nothing is wrong", nil, 0, ""},
		{"another record is read", []ledger.Event{read(of[1], other)},
			20, "orders/0: broker-1 gave a consumer another record at 0 than is committed"},
		{"acknowledged too early", []ledger.Event{appended(of[1], batch(2, 1, 0, "c")), &witness.ProduceAcked{Replica: of[1], From: 2, End: 3}},
			21, "orders/0: broker-1 acknowledged [2, 3); its high watermark is 2"},
		{"a follower truncates", []ledger.Event{&witness.Truncated{Replica: of[3], To: 1}},
			23, "orders/0: broker-3 truncated from 2 to 1; 2 was shown as committed"},
		{"a follower begins anew with less", []ledger.Event{appended(of[3], batch(2, 1, 0, "c")), &witness.Restarted{Replica: of[3], At: 0}, &witness.HighWatermarkMoved{Replica: of[3], To: 1}, appended(of[3], batch(0, 1, 0, "x")), &witness.HighWatermarkMoved{Replica: of[3], To: 1}},
			4, "orders/0: broker-3 has another record at 0, below its high watermark 1, than was shown as committed"},
		{"the log start passes the high watermark", []ledger.Event{appended(of[1], batch(2, 1, 0, "c")), &witness.LogStartMoved{Replica: of[1], Start: 3}},
			22, "orders/0: broker-1 moved its log start to 3; its high watermark is 2"},
		{"the end is told too early", []ledger.Event{
			committed(11, 2, 1, 1, 1, 2, 3), &witness.BecameLeader{Replica: of[2], Epoch: 1, End: 2, ISR: everyone}, &witness.EndServed{Replica: of[2], End: 0},
		}, 11, "orders/0: leader broker-2 told its end as 0; its epoch 1 starts at 2"},
		{"two leaders", []ledger.Event{&witness.BecameLeader{Replica: of[2], End: 2, ISR: everyone}},
			14, "orders/0: broker-1 and broker-2 both lead in epoch 0"},
		{"a leader counts fewer", []ledger.Event{&witness.MaximalISR{Replica: of[1], Nodes: []kafka.NodeID{1, 2}}},
			8, "orders/0: leader broker-1 counts [broker-1 broker-2]; the controller's ISR is [broker-1 broker-2 broker-3]"},
		{"a killed broker lost what it wrote", []ledger.Event{&witness.Opened{Replica: of[2], End: 1}},
			24, "orders/0: broker-2 recovered up to 1; it had 2, and only its process died"},
		{"a broker died while it cut its log", []ledger.Event{
			appended(of[2], batch(2, 1, 0, "c")), &witness.Truncating{Replica: of[2], To: 2}, &witness.Opened{Replica: of[2], End: 2},
		}, 0, ""},
		{"a broker died while it appended", []ledger.Event{&witness.Appending{Replica: of[2], At: 2}, &witness.Opened{Replica: of[2], End: 3}}, 0, ""},
		{"a deleted replica is no member", []ledger.Event{&witness.Deleted{Replica: of[3]}, committed(11, 3, 1, 1, 1, 2, 3)},
			18, "orders/0: broker-3 is in ISR [broker-1 broker-2 broker-3]; it came back with 0 of 2 committed records"},
		{"the partition epoch jumps", []ledger.Event{committed(11, 1, 0, 2, 1, 2)},
			16, "orders/0: partition epoch went from 0 to 2"},
		{"what the other controllers tell again is not news", []ledger.Event{committed(10, 1, 0, 0, 1, 2, 3)}, 0, ""},
		{"a producer's batches follow each other", []ledger.Event{appended(of[1], numbered(2, 2, 0)), appended(of[1], numbered(4, 1, 2))}, 0, ""},
		{"a producer's batch is missing", []ledger.Event{appended(of[1], numbered(2, 2, 0)), appended(of[1], numbered(4, 1, 3))},
			61, "orders/0: broker-1 appended sequence 3 of producer 7 in epoch 0 behind sequence 1"},
		{"another record is read where a broker has compacted the log", []ledger.Event{
			&witness.SegmentsReplaced{Log: witness.Log{Partition: orders0.Partition}, To: 2}, read(of[1], other),
		}, 0, ""},
		{"another record is read where another log was compacted", []ledger.Event{
			&witness.SegmentsReplaced{Log: witness.Log{Partition: kafka.TopicPartition{Topic: "others"}}, To: 2}, read(of[1], other),
		}, 20, "orders/0: broker-1 gave a consumer another record at 0 than is committed"},
		{"what is counted as in sync is another", []ledger.Event{
			&witness.Truncating{Replica: of[3]}, &witness.Opened{Replica: of[3]}, appended(of[3], batch(0, 1, 0, "b")), appended(of[3], batch(1, 1, 0, "b")),
			&witness.MaximalISR{Replica: of[1], Nodes: everyone},
		}, 2, "orders/0: broker-3 has another record at 0 than leader broker-1, which counts it, shows as committed below 2"},
		{"another topic of the name begins anew", []ledger.Event{
			&witness.Opened{Replica: &witness.Replica{Node: 2, Partition: orders0.Partition, Topic: kafka.UUID{2}}},
		}, 0, ""},
		{"topics that are not inspected", []ledger.Event{
			&witness.ProduceAcked{Replica: &witness.Replica{Node: 2, Partition: kafka.TopicPartition{Topic: "others"}}, From: 2, End: 3},
		}, 0, ""},

		{"a coordinator that holds what is not in its log", []ledger.Event{
			&witness.ShardDiverged{Shard: &witness.Shard{Node: 2, Shard: kafka.TopicPartition{Topic: "__consumer_offsets", Partition: 3}}, At: 7, Holds: 1, Log: 2},
		}, 84, "__consumer_offsets/3: broker-2 holds another state at offset 7 than the log says"},
		{"a coordinator begins with less than was answered", []ledger.Event{
			&witness.ShardCommitted{Shard: shard[1], Epoch: 5, To: 7}, &witness.ShardLoaded{Shard: shard[2], Epoch: 6, End: 6},
		}, 48, "__consumer_offsets/3: broker-2 coordinates from epoch 6 on with a log up to 6; up to 7 was answered before"},
		{"two coordinators in one epoch", []ledger.Event{&witness.ShardLoaded{Shard: shard[1], Epoch: 5}, &witness.ShardLoaded{Shard: shard[2], Epoch: 5}},
			56, "__consumer_offsets/3: broker-1 and broker-2 both coordinate in epoch 5"},
		{"a generation comes twice", []ledger.Event{generation(4, "m"), generation(4, "m")},
			46, "group g: generation 4 was completed after generation 4"},
		{"in another group of the name", []ledger.Event{generation(4, "m"), &witness.GroupState{Group: "g", To: "Empty"}, generation(4, "m")}, 0, ""},
		{"one partition for two members", []ledger.Event{
			generation(4, "m", "n"), &witness.GroupAssigned{Group: "g", Generation: 4, Member: "m", Partitions: []kafka.TopicPartition{orders0.Partition}},
			&witness.GroupAssigned{Group: "g", Generation: 4, Member: "n", Partitions: []kafka.TopicPartition{orders0.Partition}},
		}, 45, "group g: orders/0 is given to m and to n in generation 4"},
		{"a member's epoch falls", []ledger.Event{&witness.GroupAssigned{Group: "g", Generation: 4, Member: "m"}, &witness.GroupAssigned{Group: "g", Generation: 3, Member: "m"}},
			53, "group g: m was in 4 and is in 3"},
		{"two members of one instance", []ledger.Event{&witness.MemberJoined{Group: "g", Member: "m", Instance: "till"}, &witness.MemberJoined{Group: "g", Member: "n", Instance: "till"}},
			54, "group g: m and n are members, both with instance till"},
		{"a member of an instance is replaced", []ledger.Event{
			&witness.MemberJoined{Group: "g", Member: "m", Instance: "till"}, &witness.MemberLeft{Group: "g", Member: "m"}, &witness.MemberJoined{Group: "g", Member: "n", Instance: "till"},
		}, 0, ""},
		{"an old commit is accepted", []ledger.Event{&witness.OffsetCommitted{Group: "g", Member: "m", Generation: 4, At: 8}, &witness.OffsetCommitted{Group: "g", Member: "m", Generation: 3, At: 9}},
			47, "group g: a commit of generation 3 was accepted at 9, behind one of 4 at 8"},
		{"two members own a partition", []ledger.Event{owns("m"), owns("n")},
			49, "group g: n owns orders/0; m, which the group has not removed, owns it still"},
		{"one gave it up", []ledger.Event{owns("m"), &witness.PartitionsRevoked{Membership: &witness.Membership{Group: "g", Member: "m"}, Partitions: []kafka.TopicPartition{orders0.Partition}}, owns("n")}, 0, ""},
		{"one lost it", []ledger.Event{owns("m"), &witness.PartitionsLost{Membership: &witness.Membership{Group: "g", Member: "m"}, Partitions: []kafka.TopicPartition{orders0.Partition}}, owns("n")}, 0, ""},
		{"one has left", []ledger.Event{owns("m"), &witness.ConsumerLeft{Membership: &witness.Membership{Group: "g", Member: "m"}}, owns("n")}, 0, ""},
		{"one is a member no more", []ledger.Event{owns("m"), &witness.MemberFenced{Group: "g", Member: "m", Error: witness.ErrorOf(kerr.UnknownMemberID)}, owns("n")}, 0, ""},
		{"one is only late", []ledger.Event{owns("m"), &witness.MemberFenced{Group: "g", Member: "m", Error: witness.ErrorOf(kerr.IllegalGeneration)}, owns("n")},
			49, "group g: n owns orders/0; m, which the group has not removed, owns it still"},
		{"a vote for two", []ledger.Event{
			&witness.QuorumVoted{Replica: voter[2], Epoch: 1, Candidate: 3002}, &witness.QuorumVoted{Replica: voter[2], Epoch: 1, Candidate: 3001},
		}, 33, "__cluster_metadata/0: controller-2 voted for controller-2 and for controller-1 in epoch 1"},
		{"a pre-vote of a voter without a leader", []ledger.Event{&witness.QuorumPreVoted{Replica: voter[1], Candidate: 3002, Leader: -1}}, 0, ""},
		{"a pre-vote against a leader that lives", []ledger.Event{&witness.QuorumPreVoted{Replica: voter[1], Candidate: 3002, Leader: 3003}},
			40, "__cluster_metadata/0: controller-1 would vote for controller-2 in epoch 0, though it is in touch with leader controller-3"},
		{"a pre-vote in an epoch to come", []ledger.Event{&witness.QuorumPreVoted{Replica: voter[1], Candidate: 3002, Epoch: 1, Leader: -1}},
			40, "__cluster_metadata/0: controller-2 asked for pre-votes in epoch 1; it is in epoch 0"},
		{"the quorum has two leaders", []ledger.Event{&witness.QuorumElected{Replica: voter[1], Epoch: 1}, &witness.QuorumElected{Replica: voter[2], Epoch: 1}},
			28, "__cluster_metadata/0: controller-1 and controller-2 both became leader in epoch 1"},
		{"a follower of another than leads", []ledger.Event{&witness.QuorumElected{Replica: voter[1], Epoch: 1}, &witness.QuorumFollows{Replica: voter[2], Epoch: 1, Leader: 3003}},
			28, "__cluster_metadata/0: controller-2 follows controller-3 in epoch 1, which is led by controller-1"},
		{"a commit that no voter has synced", []ledger.Event{
			&witness.QuorumOpened{Replica: voter[1]}, &witness.QuorumElected{Replica: voter[1], Epoch: 1}, &witness.QuorumAppending{Replica: voter[1]},
			&witness.QuorumAppended{Replica: voter[1], Batch: witness.BatchOf(batch(0, 1, 1, "m"))}, &witness.QuorumFlushed{Replica: voter[1], End: 1},
			&witness.QuorumCommitted{Replica: voter[1], HW: 1},
		}, 35, "__cluster_metadata/0: leader controller-1 committed up to 1, which 1 of 3 voters have synced"},
		{"a leader cuts its log", []ledger.Event{
			&witness.QuorumElected{Replica: voter[1], Epoch: 1}, &witness.QuorumAppended{Replica: voter[1], Batch: witness.BatchOf(batch(0, 2, 1, "m"))},
			&witness.QuorumTruncating{Replica: voter[1], From: 2, To: 1}, &witness.QuorumTruncated{Replica: voter[1], To: 1},
		}, 36, "__cluster_metadata/0: leader controller-1 truncated from 2 to 1"},
		{"a voter comes back with less than it had synced", append(synced(), &witness.QuorumOpened{Replica: voter[2], End: 1}),
			24, "__cluster_metadata/0: controller-2 recovered up to 1; it had 2, of which 2 were synced"},
		{"a voter died while it cut its log", append(synced(),
			&witness.QuorumTruncating{Replica: voter[2], From: 2, To: 1}, &witness.QuorumOpened{Replica: voter[2], End: 1}), 0, ""},
		{"a voter died while it appended", append(synced(), &witness.QuorumAppending{Replica: voter[2]}, &witness.QuorumOpened{Replica: voter[2], End: 3}), 0, ""},
		{"a snapshot is another image", []ledger.Event{
			&witness.Applied{Node: 1, Offset: 5, Hash: 7}, &witness.SnapshotWritten{Replica: voter[2], End: 6, Hash: 8},
		}, 37, "__cluster_metadata/0: broker-1 and controller-2 have different images at offset 5"},
		{"a snapshot that is loaded is another image", []ledger.Event{
			&witness.Applied{Node: 1, Offset: 5, Hash: 7}, &witness.SnapshotLoaded{Replica: voter[2], End: 6, Hash: 8},
		}, 37, "__cluster_metadata/0: broker-1 and controller-2 have different images at offset 5"},
		{"a controller acts that does not lead", []ledger.Event{&witness.ControllerActive{Node: 3001, Epoch: 1}},
			42, "__cluster_metadata/0: controller-1 acts in epoch 1, which it does not lead"},
		{"a broker epoch twice", []ledger.Event{
			&witness.BrokerCommitted{At: 20, Broker: 1, BrokerEpoch: 20, Incarnation: kafka.UUID{1}, Fenced: true},
			&witness.BrokerCommitted{At: 21, Broker: 1, BrokerEpoch: 20, Incarnation: kafka.UUID{1}, Fenced: true},
			&witness.BrokerCommitted{At: 22, Broker: 1, BrokerEpoch: 20, Incarnation: kafka.UUID{2}, Fenced: true},
		}, 43, "__cluster_metadata/0: broker-1 went from epoch 20 to 20"},
		{"a broker is unfenced that has not applied its registration", []ledger.Event{
			registration(20, 20, true), &witness.Applied{Node: 1, Offset: 19}, &witness.BrokerUnfenced{Broker: 1, BrokerEpoch: 20},
		}, 77, "__cluster_metadata/0: broker-1 is unfenced in broker epoch 20; it has applied the metadata up to 19"},
		{"a broker is unfenced, leads, and is fenced behind its partitions", []ledger.Event{
			registration(20, 20, true), &witness.Applied{Node: 1, Offset: 20}, registration(21, 20, false),
			committed(22, 2, 1, 1, 2, 3), registration(23, 20, true),
		}, 0, ""},
		{"a fenced broker leads", []ledger.Event{
			registration(20, 20, true), &witness.Applied{Node: 1, Offset: 20}, registration(21, 20, false), registration(22, 20, true),
		}, 76, "orders/0: broker-1 is in ISR [broker-1 broker-2 broker-3], which broker-1 leads; its broker is fenced"},
		{"a topic that was deleted has no leader to be fenced", []ledger.Event{
			registration(20, 20, true), &witness.Applied{Node: 1, Offset: 20}, registration(21, 20, false),
			&witness.TopicDeleted{At: 22, Topic: "orders", ID: orders0.Topic}, registration(23, 20, true),
		}, 0, ""},
		{"a leader asks in whose broker is fenced", []ledger.Event{
			committed(11, 1, 0, 1, 1, 2), &witness.MaximalISR{Replica: of[1], Nodes: []kafka.NodeID{1, 2}},
			&witness.BrokerCommitted{At: 20, Broker: 3, BrokerEpoch: 20, Fenced: true}, &witness.Applied{Node: 1, Offset: 21},
			&witness.ExpandProposed{Replica: of[1], Joins: 3},
		}, 76, "orders/0: leader broker-1 asks broker-3 into the ISR, whose broker is fenced or shuts down; it has applied the metadata up to 21"},
		{"a leader asks in what it counts", []ledger.Event{&witness.ExpandProposed{Replica: of[1], Joins: 3}},
			90, "orders/0: leader broker-1 asks broker-3 into the ISR, which it counts already"},
		{"a leader asks in whose broker it does not know to be fenced", []ledger.Event{
			committed(11, 1, 0, 1, 1, 2), &witness.MaximalISR{Replica: of[1], Nodes: []kafka.NodeID{1, 2}},
			&witness.Applied{Node: 3, Offset: 5}, &witness.BrokerCommitted{At: 20, Broker: 3, BrokerEpoch: 5}, &witness.Applied{Node: 1, Offset: 20},
			&witness.BrokerCommitted{At: 21, Broker: 3, BrokerEpoch: 5, Leaving: true},
			&witness.ExpandProposed{Replica: of[1], Joins: 3},
		}, 0, ""},
		{"a replica is in the ELR as before its unclean shutdown", []ledger.Event{
			elr(11, 1, []kafka.NodeID{1}, 3), &witness.Opened{Replica: of[3], End: 2},
			&witness.BrokerCommitted{At: 20, Broker: 3, BrokerEpoch: 20, Fenced: true}, &witness.Applied{Node: 3, Offset: 20},
			&witness.BrokerCommitted{At: 21, Broker: 3, BrokerEpoch: 20},
		}, 18, "orders/0: broker-3 is in ISR [broker-1] or ELR [broker-3], as it was before it came back from an unclean shutdown"},
		{"after a clean one it may be", []ledger.Event{
			elr(11, 1, []kafka.NodeID{1}, 3), &witness.Opened{Replica: of[3], End: 2, Clean: true},
			&witness.BrokerCommitted{At: 20, Broker: 3, BrokerEpoch: 20, Fenced: true}, &witness.Applied{Node: 3, Offset: 20},
			&witness.BrokerCommitted{At: 21, Broker: 3, BrokerEpoch: 20},
		}, 0, ""},
		{"an append for acks=all with too few in sync", []ledger.Event{
			committed(11, 1, 0, 1, 1), &witness.MaximalISR{Replica: of[1], Nodes: []kafka.NodeID{1}}, &witness.Appending{Replica: of[1], At: 2, AcksAll: true},
		}, 21, "orders/0: broker-1 appends at 2 for acks=all with 1 replicas in sync of 2 that it takes"},
		{"a fetch that names an epoch that is over", []ledger.Event{
			&witness.BecameLeader{Replica: of[1], Epoch: 1, End: 2, HW: 2, ISR: everyone}, &witness.FollowerFetched{Replica: of[1], Follower: 2, From: 2},
		}, 13, "orders/0: leader broker-1 of epoch 1 counts a fetch of broker-2 that names epoch 0"},
		{"an epoch in the cache that was cut off", []ledger.Event{
			&witness.EpochsCached{Replica: of[2], Epochs: []kafka.LeaderEpoch{0, 1}, Starts: []kafka.Offset{0, 1}},
		}, 15, "orders/0: broker-2 has a record of epoch 0 at 1; its epoch cache says 1"},
		{"a leader begins with another high watermark", []ledger.Event{
			&witness.BecameLeader{Replica: of[1], Epoch: 1, End: 2, HW: 1, ISR: everyone},
		}, 80, "orders/0: broker-1 leads with high watermark 1; the last one that it knew is 2"},
		{"a clean restart forgets the high watermark", []ledger.Event{
			&witness.Stopped{Replica: of[1]}, &witness.Opened{Replica: of[1], End: 2, HW: 1, Clean: true},
		}, 80, "orders/0: broker-1 opened its log with high watermark 1; it closed it in order with 2"},
		{"a member began its log anew behind a snapshot", append(synced(),
			&witness.QuorumRestarted{Replica: voter[2], At: 1}, &witness.QuorumAppended{Replica: voter[2], Batch: witness.BatchOf(batch(1, 1, 1, "other"))}), 0, ""},
		{"an answer before the commit", append(quorum(), &witness.ControllerAnswered{Node: 3001, Epoch: 1, Offset: 2}),
			42, "__cluster_metadata/0: controller-1 answers what it decided from the records up to 2; 2 are committed"},
		{"an answer to what is committed", append(quorum(), &witness.ControllerAnswered{Node: 3001, Epoch: 1, Offset: 1}), 0, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			in := inspect()
			in.tell(replicated()...)
			require.Empty(t, in.broken)
			in.tell(test.then...)

			if test.law == 0 {
				assert.Empty(t, in.broken)
				return
			}
			require.NotEmpty(t, in.broken)
			assert.Equal(t, test.law, in.broken[0].Law.Number, in.broken[0])
			assert.Equal(t, test.message, in.broken[0].Text())
		})
	}
}

// While nothing disturbs the cluster the inspector asks for messages, and puts them before
// the laws; at other times it looks at none.
func TestMessagesAreReadWhileNothingDisturbs(t *testing.T) {
	between := &witness.Connection{Client: "consumer-1:32768", Server: "broker-1:9092"}
	message := witness.Message{Connection: between, API: "Metadata", CorrelationID: 1}
	sent, arrived := &witness.RequestSent{Message: message}, &witness.RequestArrived{Message: message}
	answered := &witness.AnswerArrived{Message: message, Code: 3}
	abandoned := &witness.RequestAbandoned{Message: message, Error: witness.Error{Text: "closed"}}
	refused := &witness.DialFailed{Server: "broker-1:9092", Error: witness.Error{Text: "refused"}}
	times := func(n int, e ledger.Event) []ledger.Event { return slices.Repeat([]ledger.Event{e}, n) }
	for _, test := range []struct {
		name string
		what []ledger.Event
		late time.Duration // when an event follows
		law  int
	}{
		{"few requests", times(10, arrived), time.Second, 0},
		{"many requests", times(11, arrived), time.Second, 92},
		{"as many as there are appends", append(times(2, appended(of[1], batch(2, 1, 0, "a"))), times(12, arrived)...), time.Second, 0},
		{"as many as there are appends of metadata", append(times(2, quorum()[1]), times(12, arrived)...), time.Second, 0},
		{"few errors", times(10, answered), 0, 0},
		{"many errors", times(11, answered), 0, 91},
		{"what is given up", times(11, abandoned), 0, 91},
		{"no connection", times(11, refused), 0, 91},
		{"a request without an answer", times(1, sent), 4 * time.Second, 94},
		{"a request with one", []ledger.Event{sent, answered}, 4 * time.Second, 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			in, wanted := inspect(), []bool{}
			in.wants = func(on bool) { wanted = append(wanted, on) }
			play := func(from time.Duration) (laws []int) {
				in.broken = nil
				for _, e := range slices.Concat(test.what, []ledger.Event{&witness.Registered{}, arrived}) {
					entry := &ledger.Entry{At: from, Host: "broker-1", Event: e}
					if e.Kind().Weight == ledger.Traffic {
						in.ReadTraffic(entry)
						continue
					}
					if in.Read(entry); e.Kind() == (&witness.Registered{}).Kind() {
						from += test.late
					}
				}
				for _, f := range in.broken {
					if f.Law.Number > 90 { // what is appended here is not what the others expect
						laws = append(laws, f.Law.Number)
					}
				}
				return laws
			}
			for _, e := range replicated() {
				in.Read(&ledger.Entry{Event: e})
			}
			assert.Empty(t, play(time.Second))
			in.Undisturbed(10 * time.Second)
			in.Read(&ledger.Entry{At: 10 * time.Second, Event: &witness.Registered{}})
			if found := play(10 * time.Second); test.law == 0 {
				assert.Empty(t, found)
			} else {
				assert.Equal(t, []int{test.law}, found)
			}
			in.Disturbed()
			assert.Empty(t, play(20*time.Second), "no node need tell anything before it is known")
			assert.Equal(t, []bool{true, false}, wanted)
		})
	}
}

// What no node can tell of itself: its death, and what its disk lost.
func TestWhatBecomesOfMachines(t *testing.T) {
	opens := func(id int, end kafka.Offset) ledger.Event { return &witness.Opened{Replica: of[id], End: end} }
	synced := func(end kafka.Offset) func(kafka.TopicPartition) (kafka.Offset, bool) {
		return func(kafka.TopicPartition) (kafka.Offset, bool) { return end, true }
	}
	for _, test := range []struct {
		name string
		do   func(in *inspected)
		laws []int
	}{
		{"a process that was killed has all", func(in *inspected) { in.ProcessEnded(2); in.tell(opens(2, 2)) }, nil},
		{"a process that was killed has less", func(in *inspected) { in.ProcessEnded(2); in.tell(opens(2, 1)) }, []int{24}},
		{"power takes what was not synced", func(in *inspected) { in.PowerLost(2, synced(1)); in.tell(opens(2, 1)) }, nil},
		{"power takes what was synced", func(in *inspected) { in.PowerLost(2, synced(2)); in.tell(opens(2, 1)) }, []int{24}},
		{"it is not known what was synced", func(in *inspected) { in.PowerLost(2, nil); in.tell(opens(2, 0)) }, nil},
		{"only the next process has lost something", func(in *inspected) { in.PowerLost(2, nil); in.tell(opens(2, 1), opens(2, 0)) }, []int{24}},
		{"a damaged disk may have anything", func(in *inspected) { in.Damaged(2); in.tell(opens(2, 1)) }, nil},
		{"a disk is lost", func(in *inspected) { in.Wiped(2); in.tell(opens(2, 0)) }, nil},
		{"all disks are lost", func(in *inspected) { in.Wiped(1); in.Wiped(2); in.Wiped(3) }, []int{19}},
	} {
		t.Run(test.name, func(t *testing.T) {
			in := inspect()
			in.tell(replicated()...)
			test.do(in)
			var broken []int
			for _, f := range in.broken {
				broken = append(broken, f.Law.Number)
			}
			assert.Equal(t, test.laws, broken, in.broken)
		})
	}
}

// A loss that is forgiven changes what is true: it is not found again.
func TestAForgivenLossIsTheTruth(t *testing.T) {
	in := inspect()
	in.forgive = true
	in.tell(replicated()...)
	in.Wiped(1)
	in.Wiped(2)
	in.Wiped(3)
	require.Len(t, in.broken, 1)
	assert.Zero(t, in.Partitions()[0].Laws.TrueHighWatermark())
	in.tell(&witness.Opened{Replica: of[1]}, &witness.Opened{Replica: of[2]}, &witness.Opened{Replica: of[3]})
	in.tell(committed(11, 2, 1, 1, 1, 2, 3), &witness.BecameLeader{Replica: of[2], Epoch: 1, ISR: everyone})
	assert.Len(t, in.broken, 1)
}

// A leader that was replaced serves on until it hears of it, or dies.
func TestReplacedLeadersHearOfItOrDie(t *testing.T) {
	in := inspect()
	in.tell(replicated()...)
	in.tell(committed(11, 2, 1, 1, 1, 2, 3))
	assert.Equal(t, []string{"orders/0 true"}, in.said)
	in.tell(&witness.BecameFollower{Replica: of[1], Epoch: 1, Leader: 2})
	assert.Equal(t, []string{"orders/0 true", "orders/0 false"}, in.said)
	in.said = nil
	in.tell(committed(12, 3, 2, 2, 1, 2, 3))
	in.ProcessEnded(2)
	assert.Equal(t, []string{"orders/0 true", "orders/0 false"}, in.said)
	in.said = nil
	in.tell(committed(13, 1, 3, 3, 1, 2, 3), committed(14, 2, 4, 4, 1, 2, 3))
	assert.Equal(t, []string{"orders/0 true"}, in.said, "there are two now")
	in.tell(&witness.Stopped{Replica: of[3]})
	assert.Equal(t, []string{"orders/0 true"}, in.said, "there is one left")
	in.tell(&witness.Stopped{Replica: of[1]})
	assert.Equal(t, []string{"orders/0 true", "orders/0 false"}, in.said)
	assert.EqualValues(t, 15, in.Committed())
	assert.Empty(t, in.broken)
}

func TestAnUncleanElectionIsSaidBeforeItsCost(t *testing.T) {
	in := inspect()
	in.tell(replicated()...)
	in.tell(committed(11, 1, 0, 1, 1))
	in.Wiped(3)
	in.tell(&witness.Opened{Replica: of[3]})
	require.Empty(t, in.broken)
	in.tell(committed(12, 3, 1, 2, 3))
	assert.Equal(t, "unclean election of orders/0", in.said[len(in.said)-1])
	require.Len(t, in.broken, 1)
	assert.Equal(t, "orders/0: broker-3 was elected from outside of ISR and ELR and has 0 of 2 records that were shown as committed", in.broken[0].Text())
}

func TestQuietSparesWhatItIsTold(t *testing.T) {
	in := inspect()
	in.tell(replicated()...)
	in.tell(&witness.Truncated{Replica: of[3], To: 2}, appended(of[2], batch(2, 1, 0, "c")))
	require.Empty(t, in.broken)
	in.Quiet(func(*inspector.Partition) bool { return true })
	require.Len(t, in.broken, 1)
	assert.Equal(t, 44, in.broken[0].Law.Number, "no quorum leads here")
	in.Quiet(func(*inspector.Partition) bool { return false })
	require.Greater(t, len(in.broken), 1)
	assert.Equal(t, 27, in.broken[1].Law.Number)
}

// BenchmarkInspector is what inspecting costs: one record appended on three
// brokers, fetched, committed, acknowledged and read.
func BenchmarkInspector(b *testing.B) {
	in := inspect()
	in.tell(replicated()...)
	data := batch(0, 1, 0, "x")
	entry := ledger.Entry{}
	tell := func(e ledger.Event) {
		entry.Event = e
		in.Read(&entry)
	}
	b.ReportAllocs()
	for i := range b.N {
		at := kafka.Offset(i + 2)
		x := witness.BatchOf(data)
		x.From, x.End = at, at+1
		for _, r := range of[1:] {
			tell(&witness.Appended{Replica: r, Batch: x})
		}
		tell(&witness.FollowerFetched{Replica: of[1], Follower: 2, From: at + 1})
		tell(&witness.FollowerFetched{Replica: of[1], Follower: 3, From: at + 1})
		tell(&witness.HighWatermarkMoved{Replica: of[1], To: at + 1})
		tell(&witness.ProduceAcked{Replica: of[1], From: at, End: at + 1})
		tell(&witness.ReadServed{Replica: of[1], Batch: x})
	}
	require.Empty(b, in.broken)
}
