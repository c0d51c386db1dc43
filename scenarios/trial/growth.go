package trial

import (
	"slices"
	"strconv"
	"time"

	"github.com/ktrial/ktrial/broker/kafka"
	"github.com/ktrial/ktrial/broker/witness"
	"github.com/ktrial/ktrial/ledger"
	"github.com/ktrial/ktrial/scenarios"
	"github.com/ktrial/ktrial/workloads"
)

// grows takes in that a topic of the scenario has more partitions by now: producers send to them
// from now on, and what is in them must be read as well.
func (r *run) grows(e *ledger.Entry) {
	var tp kafka.TopicPartition
	switch x := e.Event.(type) {
	case *witness.PartitionCommitted:
		tp = x.Partition
		r.isMade(tp.Topic, x.Topic)
	case *witness.TopicDeleted:
		if _, ours := r.stage.Topics[x.Topic]; ours {
			r.stage.TopicGone(x.Topic)
		}
		return
	case *witness.PartitionsAssigned:
		if r.grown && slices.ContainsFunc(x.Added, r.isAdded) {
			r.w.Ledger().Reach(scenarios.ProbeAddedOwned)
		}
		return
	default:
		return
	}
	if have, ours := r.stage.Topics[tp.Topic]; !ours || tp.Partition < have {
		return
	}
	r.grown = true
	r.stage.Topics[tp.Topic] = tp.Partition + 1
	r.c.Grew(tp.Topic, tp.Partition+1)
	r.partitions = append(r.partitions, kafka.TopicPartition{Topic: tp.Topic, Partition: tp.Partition})
}

// isMade takes in that there is a topic of an id. Each controller tells of each, some late.
func (r *run) isMade(topic string, id kafka.UUID) {
	if _, ours := r.stage.Topics[topic]; !ours || r.made[id] {
		return
	}
	r.made[id] = true
	r.stage.TopicMade(topic)
}

// isAdded reports whether a partition was added since the work began.
func (r *run) isAdded(tp kafka.TopicPartition) bool {
	i := slices.IndexFunc(r.s.Topics, func(t scenarios.Topic) bool { return t.Name == tp.Topic })
	return i >= 0 && tp.Partition >= r.s.Topics[i].Partitions
}

// metadataAge is metadata.max.age.ms by default.
const metadataAge = 5 * time.Minute

// discovery is how long clients may take to find that a topic has more partitions: no broker tells a
// classic group of it, and its leader looks at the metadata when those have aged (ConsumerCoordinator).
func (r *run) discovery() time.Duration {
	if !r.grown {
		return 0
	}
	if w, ok := r.s.Workload.(workloads.Configured); ok {
		if ms, err := strconv.Atoi(w.Config()["metadata.max.age.ms"]); err == nil {
			return time.Duration(ms) * time.Millisecond
		}
	}
	return metadataAge
}
