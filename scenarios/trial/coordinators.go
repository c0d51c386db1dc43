package trial

import (
	"github.com/ktrial/ktrial/broker/kafka"
	"github.com/ktrial/ktrial/broker/witness"
	"github.com/ktrial/ktrial/checkers/history"
	"github.com/ktrial/ktrial/ledger"
)

// coordinators follows which brokers serve the partitions of the coordinators' topics. A
// coordinator that was replaced and has not heard of it answers on.
type coordinators struct {
	serving map[kafka.TopicPartition]map[kafka.NodeID]kafka.LeaderEpoch
	unaware map[kafka.TopicPartition]bool // one that was replaced serves on
	// happens is called when the first was replaced, and when none serves on.
	happens func(what history.FaultKind, tp kafka.TopicPartition)
}

func newCoordinators(happens func(history.FaultKind, kafka.TopicPartition)) *coordinators {
	return &coordinators{map[kafka.TopicPartition]map[kafka.NodeID]kafka.LeaderEpoch{}, map[kafka.TopicPartition]bool{}, happens}
}

func (c *coordinators) read(e *ledger.Entry) {
	switch x := e.Event.(type) {
	case *witness.ShardLoaded:
		of := c.serving[x.Shard.Shard]
		if of == nil {
			of = map[kafka.NodeID]kafka.LeaderEpoch{}
			c.serving[x.Shard.Shard] = of
		}
		of[x.Node] = x.Epoch
		c.look(x.Shard.Shard)
	case *witness.ShardUnloaded:
		delete(c.serving[x.Shard.Shard], x.Node)
		c.look(x.Shard.Shard)
	}
}

// ended: the process of a broker has ended.
func (c *coordinators) ended(id kafka.NodeID, partitions []kafka.TopicPartition) {
	for _, tp := range partitions {
		if _, served := c.serving[tp][id]; served {
			delete(c.serving[tp], id)
			c.look(tp)
		}
	}
}

func (c *coordinators) look(tp kafka.TopicPartition) {
	unaware := len(c.serving[tp]) > 1 // all but the one of the newest epoch
	if unaware == c.unaware[tp] {
		return
	}
	if c.unaware[tp] = unaware; unaware {
		c.happens(history.ReplacedCoordinator, tp)
	} else {
		c.happens(history.ReplacedCoordinatorHeard, tp)
	}
}
