package controller

import (
	"fmt"
	"slices"

	"github.com/ktrial/ktrial/broker/kafka"
	"github.com/ktrial/ktrial/broker/metadata"
	"github.com/ktrial/ktrial/broker/raft"
	"github.com/ktrial/ktrial/broker/witness"
)

// Committed applies a committed batch. A log that does not add up is damaged:
// like Kafka, the process halts rather than act on it.
func (c *Controller) Committed(b raft.Batch) {
	for i, r := range b.Records {
		gone := c.removes(r)
		if err := c.committed.Apply(r); err != nil {
			c.host.Exit(fmt.Errorf("controller %d: batch at offset %d: %w", c.cfg.ID, b.BaseOffset, err))
			return
		}
		c.tellCommitted(b.BaseOffset+kafka.Offset(i), r, gone)
	}
	c.committed.Offset, c.committed.Epoch = b.LastOffset, b.Epoch
	c.tellApplied()
	if c.quorum != nil {
		c.quorum.MaybeSnapshot(c.committed)
	}
}

// LoadSnapshot replaces the committed image. Only a follower is given one, so a
// controller that was active is not any more.
func (c *Controller) LoadSnapshot(im *metadata.Image) {
	c.resign()
	c.committed = im
	c.tellApplied()
}

// LeaderChanged resigns from an epoch that is over and, if this node leads in
// the new one, begins to act in a task of its own.
func (c *Controller) LeaderChanged(leader kafka.NodeID, epoch kafka.LeaderEpoch) {
	if leader == c.leader && epoch == c.epoch {
		return
	}
	c.resign()
	c.leader, c.epoch = leader, epoch
	c.beginIfLeader()
}

func (c *Controller) beginIfLeader() {
	if c.leader != c.cfg.ID || c.quorum == nil || c.active {
		return
	}
	epoch := c.epoch
	c.host.Go("controller", func() { c.run(epoch) })
}

// resign throws away what was decided and not committed: whether it will be is
// for the next leader to learn from the log.
func (c *Controller) resign() {
	if !c.active {
		return
	}
	c.active, c.image, c.sessions = false, nil, nil
	c.wake.Broadcast()
	c.host.Tell(&witness.ControllerResigned{Node: c.cfg.ID, Epoch: c.epoch})
}

// activate begins to act on a copy of what is committed, which is all there is:
// no other node has appended in this epoch.
func (c *Controller) activate() {
	c.active = true
	c.image = c.committed.Clone()
	c.sessions = newSessions(c.cfg.Settings.SessionTimeout, c.image, c.host.Uptime())
	c.last = c.committed.Offset
	c.host.Tell(&witness.ControllerActive{Node: c.cfg.ID, Epoch: c.epoch, Offset: c.last, Brokers: len(c.committed.Brokers())})
}

func (c *Controller) tellApplied() {
	c.host.Tell(&witness.Applied{Node: c.cfg.ID, Offset: c.committed.Offset, Hash: c.committed.Hash()})
}

// removes is the topic that r is about to remove, or nil.
func (c *Controller) removes(r metadata.Record) *metadata.Topic {
	if r, ok := r.(*metadata.RemoveTopicRecord); ok {
		return c.committed.TopicByID(r.TopicID)
	}
	return nil
}

// tellCommitted tells what a committed record has made of a partition, a topic
// (gone: the one that it removed) or a registration.
func (c *Controller) tellCommitted(at kafka.Offset, r metadata.Record, gone *metadata.Topic) {
	if c.committed.InTransaction() {
		return
	}
	switch r := r.(type) {
	case *metadata.RegisterBrokerRecord:
		c.tellBrokerCommitted(at, c.committed.Broker(r.BrokerID))
	case *metadata.BrokerRegistrationChangeRecord:
		c.tellBrokerCommitted(at, c.committed.Broker(r.BrokerID))
	case *metadata.TopicRecord:
		c.host.Tell(&witness.TopicCreated{Node: c.cfg.ID, At: at, Topic: r.Name, ID: r.TopicID})
	case *metadata.RemoveTopicRecord:
		c.host.Tell(&witness.TopicDeleted{Node: c.cfg.ID, At: at, Topic: gone.Name, ID: r.TopicID})
	case *metadata.PartitionRecord:
		c.tellPartitionCommitted(at, c.committed.TopicByID(r.TopicID).Partition(r.PartitionID))
	case *metadata.PartitionChangeRecord:
		c.tellPartitionCommitted(at, c.committed.TopicByID(r.TopicID).Partition(r.PartitionID))
	}
}

func (c *Controller) tellBrokerCommitted(at kafka.Offset, b *metadata.Broker) {
	c.host.Tell(&witness.BrokerCommitted{
		Node: c.cfg.ID, At: at, Broker: b.ID, BrokerEpoch: b.Epoch, Incarnation: b.IncarnationID,
		Fenced: b.Fenced, Leaving: b.InControlledShutdown,
	})
}

func (c *Controller) tellPartitionCommitted(at kafka.Offset, p *metadata.Partition) {
	c.host.Tell(&witness.PartitionCommitted{
		Node: c.cfg.ID, At: at, PartitionID: witness.PartitionID{Partition: p.TP(), Topic: p.TopicID},
		Leader: p.Leader, LeaderEpoch: p.LeaderEpoch, PartitionEpoch: p.PartitionEpoch,
		Replicas: p.Replicas, ISR: p.ISR, ELR: p.ELR, LastKnownELR: p.LastKnownELR,
	})
}

// tell tells what a record is about to change, where it is notable.
func (c *Controller) tell(r metadata.Record) {
	switch r := r.(type) {
	case *metadata.RegisterBrokerRecord:
		c.host.Tell(&witness.BrokerRegistering{Broker: r.BrokerID, BrokerEpoch: r.BrokerEpoch})
	case *metadata.BrokerRegistrationChangeRecord:
		switch {
		case r.Fenced == metadata.Fence:
			c.host.Tell(&witness.BrokerFenced{Broker: r.BrokerID})
		case r.Fenced == metadata.Unfence:
			c.host.Tell(&witness.BrokerUnfenced{Broker: r.BrokerID, BrokerEpoch: r.BrokerEpoch})
		case r.InControlledShutdown != 0:
			c.host.Tell(&witness.BrokerLeaving{Broker: r.BrokerID})
		}
	case *metadata.PartitionChangeRecord:
		c.tellLeader(r)
	}
}

func (c *Controller) tellLeader(r *metadata.PartitionChangeRecord) {
	before := c.image.TopicByID(r.TopicID).Partition(r.PartitionID)
	after := before.Merge(r)
	if after.Leader == before.Leader {
		return
	}
	from := witness.FromISR
	switch {
	case after.Leader == kafka.NoNode:
		from = witness.NoChoice
	case r.Recovery == metadata.Recovering && len(before.LastKnownELR) == 1 && before.LastKnownELR[0] == after.Leader:
		from = witness.LastKnown
	case r.Recovery == metadata.Recovering:
		from = witness.Unclean
	case slices.Contains(before.ELR, after.Leader):
		from = witness.FromELR
	}
	c.host.Tell(&witness.LeaderChosen{
		PartitionID: witness.PartitionID{Partition: before.TP(), Topic: before.TopicID},
		Leader:      after.Leader, Epoch: after.LeaderEpoch, ISR: after.ISR, ELR: after.ELR, From: from,
	})
}
