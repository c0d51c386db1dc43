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
		if err := c.committed.Apply(r); err != nil {
			c.host.Exit(fmt.Errorf("controller %d: batch at offset %d: %w", c.cfg.ID, b.BaseOffset, err))
			return
		}
		c.tellCommitted(b.BaseOffset+kafka.Offset(i), r)
	}
	c.committed.Offset, c.committed.Epoch = b.LastOffset, b.Epoch
	c.tellApplied()
	if c.quorum != nil {
		c.quorum.MaybeSnapshot(c.committed)
	}
}

// LoadSnapshot replaces the committed image. Only a follower is given one, so
// whoever was active is not any more.
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
	c.host.Log("controller: no longer active in epoch %d", c.epoch)
	c.cfg.Witness.Tell(witness.Event{Kind: witness.ControllerResigned, Node: c.cfg.ID, Epoch: c.epoch})
}

// activate begins to act on a copy of what is committed, which is all there is:
// nobody else has appended in this epoch.
func (c *Controller) activate() {
	c.active = true
	c.image = c.committed.Clone()
	c.sessions = newSessions(c.cfg.Settings.SessionTimeout, c.image, c.host.Uptime())
	c.last = c.committed.Offset
	c.host.Log("controller: active in epoch %d, at offset %d", c.epoch, c.last)
	if len(c.committed.Brokers()) > 0 {
		c.host.Reached(ProbeFailover)
	}
	c.cfg.Witness.Tell(witness.Event{Kind: witness.ControllerActive, Node: c.cfg.ID, Epoch: c.epoch, Offset: c.last})
}

func (c *Controller) tellApplied() {
	if c.cfg.Witness != nil {
		c.cfg.Witness.Tell(witness.Event{
			Kind: witness.Applied, Node: c.cfg.ID,
			Offset: c.committed.Offset, Epoch: c.committed.Epoch, Hash: c.committed.Hash(),
		})
	}
}

// tellCommitted tells the witness what a committed record has made of a
// partition, and of registrations.
func (c *Controller) tellCommitted(at kafka.Offset, r metadata.Record) {
	if c.cfg.Witness == nil || c.committed.InTransaction() {
		return
	}
	e := witness.Event{Node: c.cfg.ID, Offset: at}
	var p *metadata.Partition
	switch r := r.(type) {
	case *metadata.RegisterBrokerRecord:
		e.Kind, e.Peer, e.End, e.Incarnation = witness.BrokerCommitted, r.BrokerID, kafka.Offset(r.BrokerEpoch), r.IncarnationID
	case *metadata.PartitionRecord:
		p = c.committed.TopicByID(r.TopicID).Partition(r.PartitionID)
	case *metadata.PartitionChangeRecord:
		p = c.committed.TopicByID(r.TopicID).Partition(r.PartitionID)
	default:
		return
	}
	if p != nil {
		e.Kind, e.Partition, e.Topic = witness.PartitionCommitted, p.TP(), p.TopicID
		e.State = &witness.PartitionState{
			Leader: p.Leader, LeaderEpoch: p.LeaderEpoch, PartitionEpoch: p.PartitionEpoch,
			Replicas: p.Replicas, ISR: p.ISR, ELR: p.ELR,
		}
	}
	if e.Kind != 0 {
		c.cfg.Witness.Tell(e)
	}
}

// tell logs what a record is about to change, where it is notable, and counts
// what a campaign must have seen.
func (c *Controller) tell(r metadata.Record) {
	switch r := r.(type) {
	case *metadata.RegisterBrokerRecord:
		c.host.Log("controller: registers broker %d, epoch %d", r.BrokerID, r.BrokerEpoch)
	case *metadata.BrokerRegistrationChangeRecord:
		switch {
		case r.Fenced == metadata.Fence:
			c.host.Log("controller: fences broker %d", r.BrokerID)
			c.host.Reached(ProbeBrokerFenced)
		case r.Fenced == metadata.Unfence:
			c.host.Log("controller: unfences broker %d", r.BrokerID)
		case r.InControlledShutdown != 0:
			c.host.Log("controller: broker %d is in controlled shutdown", r.BrokerID)
			c.host.Reached(ProbeControlledShutdown)
		}
	case *metadata.PartitionChangeRecord:
		c.tellPartition(r)
	}
}

func (c *Controller) tellPartition(r *metadata.PartitionChangeRecord) {
	topic := c.image.TopicByID(r.TopicID)
	before := topic.Partition(r.PartitionID)
	after := before.Merge(r)
	switch {
	case after.Leader == before.Leader:
	case after.Leader == kafka.NoNode:
		c.host.Reached(ProbeNoLeader)
	case r.Recovery == metadata.Recovering && len(before.LastKnownELR) == 1 && before.LastKnownELR[0] == after.Leader:
		c.host.Reached(ProbeLastKnownLeader)
	case r.Recovery == metadata.Recovering:
		c.host.Reached(ProbeUncleanElection)
	case slices.Contains(before.ELR, after.Leader):
		c.host.Reached(ProbeElectedFromELR)
	}
	if after.Leader != before.Leader {
		c.host.Log("controller: %v: leader %d, epoch %d, isr [%s] elr [%s]",
			before.TP(), after.Leader, after.LeaderEpoch, nodeList(after.ISR), nodeList(after.ELR))
	}
}
