package inspector

import (
	"github.com/twmb/franz-go/pkg/kerr"

	"github.com/ktrial/ktrial/broker/kafka"
	"github.com/ktrial/ktrial/broker/witness"
	"github.com/ktrial/ktrial/checkers/laws"
	"github.com/ktrial/ktrial/ledger"
)

// readShard puts before the laws what a coordinator does with a partition of its topic.
func (in *Inspector) readShard(e *ledger.Entry) {
	switch x := e.Event.(type) {
	case *witness.ShardLoaded:
		if x.Shard != nil && x.Shard.Shard.Topic == kafka.TransactionsTopic {
			in.txns.Loaded()
		}
		in.groups.Loaded(coordinator(e), laws.Node(x.Node), shardOf(x.Shard), laws.Epoch(x.Epoch), int64(x.End), x.State)
	case *witness.ShardCommitted:
		in.groups.Answers(laws.Node(x.Node), shardOf(x.Shard), laws.Epoch(x.Epoch), int64(x.To), x.State)
	case *witness.ShardDiverged:
		in.groups.Compared(laws.Node(x.Node), shardOf(x.Shard), int64(x.At), x.Holds, x.Log)
	default:
		in.readGroup(e)
	}
}

// readGroup puts before the laws what a coordinator decides on a group.
func (in *Inspector) readGroup(e *ledger.Entry) {
	switch x := e.Event.(type) {
	case *witness.GroupState:
		in.groups.State(coordinator(e), x.Group, x.From, x.To)
	case *witness.GenerationCompleted:
		in.groups.Completed(coordinator(e), x.Group, x.Generation, x.Protocol, x.Members, x.Absent)
	case *witness.GroupAssigned:
		in.groups.Assigned(coordinator(e), x.Group, x.Member, x.Generation, x.Classic, partitions(x.Partitions))
	case *witness.MemberJoined:
		in.groups.Joined(coordinator(e), x.Group, x.Member, x.Instance)
	case *witness.MemberHeard:
		in.groups.Heard(coordinator(e), x.Group, x.Member)
		if x.Owns != nil {
			in.groups.Reports(coordinator(e), x.Group, x.Member, partitions(x.Owns))
		}
	case *witness.GroupHolds:
		in.groups.Holds(x.Group, heldOf(x))
	case *witness.MemberAway:
		in.groups.Away(coordinator(e), x.Group, x.Member, partitions(x.Keeps))
	case *witness.MemberTimedOut:
		in.groups.TimedOut(coordinator(e), x.Group, x.Member, x.Timeout, x.Rebalance)
	case *witness.MemberLeft:
		in.groups.Left(coordinator(e), x.Group, x.Member)
	case *witness.MemberFenced:
		if x.Name != kerr.IllegalGeneration.Message { // a member may be late
			in.groups.Refused(x.Group, x.Member)
		}
	case *witness.MemberReplaced:
		in.groups.Replaced(coordinator(e), x.Group, x.Member, x.By)
	case *witness.OffsetCommitted:
		in.groups.Committed(x.Group, x.Member, x.Partition.String(), x.Generation, int64(x.At))
	default:
		in.readMember(e)
	}
}

// heldOf is what the log holds of a group, as the laws have it.
func heldOf(x *witness.GroupHolds) laws.Held {
	h := laws.Held{State: x.State, Epoch: x.Epoch, Target: x.Target, Taken: partitions(x.Taken)}
	for _, m := range x.Members {
		h.Members = append(h.Members, laws.HeldBy{
			Member: m.Member, Epoch: m.Epoch, Stable: m.State == "STABLE",
			Has: partitions(m.Has), Gives: partitions(m.Gives), Target: partitions(m.Target),
		})
	}
	return h
}

// readMember puts before the laws what a member is told that it owns.
func (in *Inspector) readMember(e *ledger.Entry) {
	switch x := e.Event.(type) {
	case *witness.PartitionsAssigned:
		in.groups.Owns(x.Group, x.Member, x.Instance, partitions(x.Added))
	case *witness.PartitionsRevoked:
		in.groups.GaveUp(x.Group, x.Member, partitions(x.Partitions))
	case *witness.PartitionsLost:
		in.groups.GaveUp(x.Group, x.Member, partitions(x.Partitions))
	case *witness.ConsumerLeft:
		in.groups.Ended(x.Group, x.Member)
	default:
		in.readTransaction(e)
	}
}

// coordinator is the process that tells an event.
func coordinator(e *ledger.Entry) laws.Coordinator {
	return laws.Coordinator{Host: e.Host, Life: e.Life}
}

// shardOf separates the shards of a topic and those of one that was deleted, which had the
// same name.
func shardOf(s *witness.Shard) string {
	if s.Topic == (kafka.UUID{}) {
		return s.Subject()
	}
	return s.Subject() + " of topic " + s.Topic.String()
}

func partitions(tps []kafka.TopicPartition) []string {
	names := make([]string, len(tps))
	for i, tp := range tps {
		names[i] = tp.String()
	}
	return names
}
