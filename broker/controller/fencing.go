package controller

import (
	"fmt"
	"slices"

	"github.com/ktrial/ktrial/broker/kafka"
	"github.com/ktrial/ktrial/broker/metadata"
	"github.com/ktrial/ktrial/broker/planted"
)

// brokerMove is one broker coming or going. It is worked out from an image
// that does not know of it yet, so the elections it causes must be announced.
type brokerMove struct {
	leaves  kafka.NodeID // out of every ISR, not to be elected
	arrives kafka.NodeID // to be elected where there is no leader
	unclean kafka.NodeID // out of every ISR and ELR, not to be elected (KIP-966)
}

// noMove changes no broker.
var noMove = brokerMove{leaves: kafka.NoNode, arrives: kafka.NoNode, unclean: kafka.NoNode}

// changesFor appends the changes that a move means for every partition that
// matters to it.
func (b *brain) changesFor(m brokerMove, to records) records {
	acceptable := func(id kafka.NodeID) bool {
		return id != m.leaves && id != m.unclean && (id == m.arrives || b.active(id))
	}
	b.partitions(func(p *metadata.Partition) {
		if !m.matters(p) {
			return
		}
		c := b.change(p)
		c.acceptable = acceptable
		c.isr = without(p.ISR, m.leaves, m.unclean)
		c.uncleanShutdown = m.unclean
		c.election = b.automatic(p.Topic)
		to = c.add(to)
	})
	return to
}

func (m brokerMove) matters(p *metadata.Partition) bool {
	return slices.Contains(p.ISR, m.leaves) || member(p, m.unclean) ||
		m.arrives != kafka.NoNode && p.Leader == kafka.NoNode
}

// fence takes a broker out: first out of its ISRs, then out of the cluster.
func (b *brain) fence(id kafka.NodeID) records {
	m := noMove
	m.leaves = id
	return append(b.changesFor(m, nil), b.registrationChange(id, metadata.Fence, 0))
}

// unfence lets a broker in, and makes it leader of its partitions without one.
func (b *brain) unfence(id kafka.NodeID) records {
	m := noMove
	m.arrives = id
	return b.changesFor(m, records{b.registrationChange(id, metadata.Unfence, 0)})
}

// beginShutdown moves leaderships away from a broker that wants to stop, and
// keeps it from joining an ISR again (KIP-841).
func (b *brain) beginShutdown(id kafka.NodeID) records {
	var out records
	if !b.image.Broker(id).InControlledShutdown {
		out = append(out, b.registrationChange(id, 0, metadata.EnterControlledShutdown))
	}
	m := noMove
	m.leaves = id
	return b.changesFor(m, out)
}

func (b *brain) registrationChange(id kafka.NodeID, fenced, shutdown int8) metadata.Record {
	broker := b.image.Broker(id)
	if broker == nil {
		panic(fmt.Sprintf("controller: change of broker %d, which is not registered", id))
	}
	return &metadata.BrokerRegistrationChangeRecord{
		BrokerID: id, BrokerEpoch: broker.Epoch, Fenced: fenced, InControlledShutdown: shutdown,
	}
}

// expire fences the broker that has been silent longest, if it is silent for
// too long. One broker at a time: changes worked out for two from one image
// would each bring the other back into the ISR (KAFKA-13173).
func (b *brain) expire() (id kafka.NodeID, out records) {
	x := b.sessions.stalest()
	if x == nil || b.sessions.valid(x.id, b.now) {
		return kafka.NoNode, nil
	}
	out = b.fence(x.id)
	if b.cfg.Bugs.On(planted.BatchExpireFromBase) {
		alone := len(out)
		for _, other := range b.sessions.all {
			if other != x && !other.fenced && !b.sessions.valid(other.id, b.now) {
				out = append(out, b.fence(other.id)...)
			}
		}
		b.cfg.Bugs.Infected(planted.BatchExpireFromBase, len(out) > alone)
	}
	return x.id, out
}
