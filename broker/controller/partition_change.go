package controller

import (
	"slices"

	"github.com/ktrial/ktrial/broker/kafka"
	"github.com/ktrial/ktrial/broker/metadata"
	"github.com/ktrial/ktrial/broker/planted"
)

// election says which replicas a change may make the leader.
type election int8

const (
	// online keeps the leader if it may lead, else takes the first replica of
	// the ISR, or of the ELR if the ISR is empty.
	online election = iota
	// preferred takes the first replica if it may lead, else as online.
	preferred
	// unclean takes any living replica when no other is left: what the ISR held
	// is lost.
	unclean
)

// partitionChange works out one change of a partition: its ISR and ELR, its
// leader, its epochs. Every change of a partition passes through here, so its
// rules hold for every request.
type partitionChange struct {
	partition *metadata.Partition

	// What is asked for. brain.change fills in what the partition has now.
	replicas, isr    []kafka.NodeID
	adding, removing []kafka.NodeID
	recovery         metadata.LeaderRecoveryState
	election         election
	// uncleanShutdown came back without a clean shutdown, so what it had is
	// doubtful: it is no candidate, though it was one (KIP-966).
	uncleanShutdown kafka.NodeID

	// acceptable reports whether a broker may lead: it is alive.
	acceptable func(kafka.NodeID) bool
	// elrOn is KIP-966. Without it the last member of an ISR stays in it, dead
	// or alive, clean or not, and is the only one that may lead.
	elrOn bool
	// minISR is the topic's min.insync.replicas.
	minISR int
	bugs   *planted.Set

	// What comes out, beside the above.
	leader    kafka.NodeID
	elr       []kafka.NodeID
	lastKnown []kafka.NodeID
}

// build returns the record of the change, or nil if nothing changes.
func (c partitionChange) build() *metadata.PartitionChangeRecord {
	record := c.record()
	if c.elrOn && c.bugs.On(planted.NoELR) {
		c.elrOn = false
		wrong := c.record()
		c.bugs.Infected(planted.NoELR, !sameChange(record, wrong))
		return wrong
	}
	return record
}

func (c partitionChange) record() *metadata.PartitionChangeRecord {
	c.finishReassignment()
	c.moveToELR()
	c.elect()
	c.settleELR()
	c.rememberLeader()
	return c.difference()
}

// enough is how many in-sync replicas make the partition safe. A partition
// with fewer replicas than min.insync.replicas is safe when all are in sync.
func (c *partitionChange) enough() int { return min(c.minISR, len(c.replicas)) }

// finishReassignment ends a reassignment once the ISR holds every replica that
// is to stay: those that are to go leave the replicas and the ISR.
func (c *partitionChange) finishReassignment() {
	if len(c.adding) == 0 && len(c.removing) == 0 {
		return
	}
	replicas, isr := without(c.replicas, c.removing...), without(c.isr, c.removing...)
	if len(isr) == 0 || len(replicas) == 0 || !containsAll(isr, replicas) {
		return
	}
	c.replicas, c.isr, c.adding, c.removing = replicas, isr, nil, nil
}

// moveToELR keeps a replica that leaves an ISR below the minimum: the high
// watermark stands still there, so every former member has all below it.
func (c *partitionChange) moveToELR() {
	if !c.elrOn {
		return
	}
	for _, members := range [][]kafka.NodeID{c.partition.ELR, c.partition.ISR} {
		for _, id := range members {
			if id != c.uncleanShutdown && !slices.Contains(c.isr, id) &&
				!slices.Contains(c.elr, id) && slices.Contains(c.replicas, id) {
				c.elr = append(c.elr, id)
			}
		}
	}
	slices.Sort(c.elr)
	c.settleELR()
}

// settleELR empties the ELR where it has no business: with enough replicas in
// sync the high watermark moves on without the others.
func (c *partitionChange) settleELR() {
	if !c.elrOn || len(c.isr) >= c.enough() {
		c.elr = nil
	}
}

// elect chooses the leader, and what its election makes of the ISR.
func (c *partitionChange) elect() {
	leader, dirty := c.choose()
	c.leader = leader
	if leader == c.partition.Leader {
		return
	}
	switch {
	case slices.Contains(c.elr, leader):
		c.isr = []kafka.NodeID{leader}
		c.elr = without(c.elr, leader)
	case dirty:
		// No replica is in sync with a leader that may lack records.
		c.isr = []kafka.NodeID{leader}
		c.elr = nil
		c.recovery = metadata.Recovering
	}
}

// choose returns the leader, and whether it may lack committed records.
func (c *partitionChange) choose() (leader kafka.NodeID, dirty bool) {
	if c.election == preferred && c.mayLead(c.replicas[0]) {
		return c.replicas[0], false
	}
	if c.mayLead(c.partition.Leader) {
		return c.partition.Leader, false
	}
	if i := slices.IndexFunc(c.replicas, c.mayLead); i >= 0 {
		return c.replicas[i], false
	}
	if leader, ok := c.lastKnownLeader(); ok {
		return leader, true
	}
	if c.election == unclean {
		if i := slices.IndexFunc(c.replicas, c.acceptable); i >= 0 {
			return c.replicas[i], true
		}
	}
	return kafka.NoNode, false
}

// mayLead reports whether replica would be a clean leader: alive, and in the
// ISR, or in the ELR when the ISR is empty.
func (c *partitionChange) mayLead(replica kafka.NodeID) bool {
	in := c.isr
	if len(in) == 0 {
		in = c.elr
	}
	return slices.Contains(in, replica) && c.acceptable(replica)
}

// lastKnownLeader is the leader before every eligible replica was lost. It is
// the best guess that is left, and Kafka takes it without being asked for an
// unclean election.
func (c *partitionChange) lastKnownLeader() (kafka.NodeID, bool) {
	last := c.partition.LastKnownELR
	if !c.elrOn || len(c.isr) > 0 || len(c.elr) > 0 || len(last) != 1 {
		return kafka.NoNode, false
	}
	return last[0], slices.Contains(c.replicas, last[0]) && c.acceptable(last[0])
}

// rememberLeader keeps the name of the leader that the partition is losing
// along with its whole ISR, until there is a leader again.
func (c *partitionChange) rememberLeader() {
	switch {
	case !c.elrOn || c.leader != kafka.NoNode:
		c.lastKnown = nil
	case len(c.isr) == 0 && len(c.partition.ISR) > 0 && c.partition.Leader != kafka.NoNode:
		c.lastKnown = []kafka.NodeID{c.partition.Leader}
	default:
		c.lastKnown = c.partition.LastKnownELR
	}
}

// difference is the record that makes of the partition what was worked out.
func (c *partitionChange) difference() *metadata.PartitionChangeRecord {
	p := c.partition
	if len(c.isr) == 0 && !c.elrOn {
		c.isr = p.ISR
	}
	r := metadata.NewPartitionChange(p.TopicID, p.ID)
	r.Replicas = ifChanged(p.Replicas, c.replicas)
	r.AddingReplicas = ifChanged(p.AddingReplicas, c.adding)
	r.RemovingReplicas = ifChanged(p.RemovingReplicas, c.removing)
	r.ISR = ifChanged(p.ISR, c.isr)
	r.ELR = ifChanged(p.ELR, c.elr)
	r.LastKnownELR = ifChanged(p.LastKnownELR, c.lastKnown)
	if c.recovery != p.Recovery {
		r.Recovery = c.recovery
	}
	// A replica taken away must not go on as if it still belonged: naming the
	// leader again raises its epoch. A mere shrink of the ISR does not
	// (KAFKA-15021).
	if c.leader != p.Leader || !containsAll(c.replicas, p.Replicas) {
		r.Leader = c.leader
	}
	if sameChange(r, metadata.NewPartitionChange(p.TopicID, p.ID)) {
		return nil
	}
	return r
}

func sameChange(a, b *metadata.PartitionChangeRecord) bool {
	if a == nil || b == nil {
		return a == b
	}
	return a.Leader == b.Leader && a.Recovery == b.Recovery &&
		sameNodes(a.ISR, b.ISR) && sameNodes(a.ELR, b.ELR) && sameNodes(a.LastKnownELR, b.LastKnownELR) &&
		sameNodes(a.Replicas, b.Replicas) &&
		sameNodes(a.AddingReplicas, b.AddingReplicas) && sameNodes(a.RemovingReplicas, b.RemovingReplicas)
}

// sameNodes distinguishes nil, no change, from an empty list, a change.
func sameNodes(a, b []kafka.NodeID) bool {
	return (a == nil) == (b == nil) && slices.Equal(a, b)
}

// ifChanged is now for a change record: nil if it is what was before.
func ifChanged(before, now []kafka.NodeID) []kafka.NodeID {
	if slices.Equal(before, now) {
		return nil
	}
	return append([]kafka.NodeID{}, now...)
}

// without is a copy of nodes that leaves gone out.
func without(nodes []kafka.NodeID, gone ...kafka.NodeID) []kafka.NodeID {
	var rest []kafka.NodeID
	for _, id := range nodes {
		if !slices.Contains(gone, id) {
			rest = append(rest, id)
		}
	}
	return rest
}

func containsAll(set, nodes []kafka.NodeID) bool {
	for _, id := range nodes {
		if !slices.Contains(set, id) {
			return false
		}
	}
	return true
}
