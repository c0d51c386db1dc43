package replica

import (
	"slices"

	"github.com/twmb/franz-go/pkg/kerr"

	"github.com/ktrial/ktrial/broker/kafka"
	"github.com/ktrial/ktrial/broker/planted"
	"github.com/ktrial/ktrial/broker/witness"
)

// isrState is a leader's view of its in-sync replicas. At most one change is
// under way. While it is, the leader cannot know which set the controller
// holds, so both count: the high watermark covers their union, the maximal ISR
// (KIP-497).
//
//	             propose                  accepted, or new metadata
//	committed ───────────▶ expanding  ─┬──────────▶ committed
//	    ▲                  shrinking   │
//	    └──────────────────────────────┘ refused for certain
type isrState struct {
	// committed is the ISR as the controller last confirmed it, in its order.
	committed []kafka.NodeID
	// proposal is under way; nil: none.
	proposal *proposal
}

// proposal is a change of the ISR that the controller was, or will be, asked
// for. It is known by its address: once the leader's state has moved on, the
// answer to an older one means nothing.
type proposal struct {
	isr      []kafka.NodeID
	expands  bool
	joins    kafka.NodeID // the broker that joins, if expands
	topic    kafka.UUID
	epoch    kafka.LeaderEpoch
	registry kafka.PartitionEpoch // the partition epoch it is based on
	brokers  []kafka.BrokerEpoch  // of each of isr, as its last fetch said (KIP-903)
}

// maximal is the ISR with the broker that the controller may have added. A
// member that is about to be removed still counts: the controller may not have
// agreed.
func (s *isrState) maximal() []kafka.NodeID {
	if s.proposal != nil && s.proposal.expands {
		return s.proposal.isr
	}
	return s.committed
}

func (s *isrState) has(id kafka.NodeID) bool { return slices.Contains(s.committed, id) }

func (s *isrState) maximalHas(id kafka.NodeID) bool {
	return s.has(id) || s.proposal != nil && s.proposal.expands && s.proposal.joins == id
}

// commit is what the controller or the metadata says.
func (s *isrState) commit(isr []kafka.NodeID) { s.committed, s.proposal = isr, nil }

// refuse takes the proposal back.
func (s *isrState) refuse() { s.proposal = nil }

// with is isr and one more; without is isr less some. Both are new slices.
func with(isr []kafka.NodeID, id kafka.NodeID) []kafka.NodeID {
	return append(slices.Clone(isr), id)
}

func without(isr, gone []kafka.NodeID) []kafka.NodeID {
	return slices.DeleteFunc(slices.Clone(isr), func(id kafka.NodeID) bool { return slices.Contains(gone, id) })
}

// maybeExpandISR proposes f for the ISR if it is in sync.
func (p *Partition) maybeExpandISR(f *follower) {
	if p.isr.proposal != nil || p.isr.has(f.id) || !p.eligible(f) {
		return
	}
	join := mayJoin(f.progress, p.hw, p.epochStart)
	if p.m.bugs.On(planted.ISRNoLESO) {
		right := join
		join = mayJoin(f.progress, p.hw, 0)
		p.m.bugs.Infected(planted.ISRNoLESO, join != right)
	}
	if !join {
		return
	}
	p.m.host.Tell(&witness.ExpandProposed{Replica: p.self, Epoch: p.epoch, ISR: p.isr.committed, Joins: f.id, End: p.end, HW: p.hw})
	p.propose(&proposal{isr: with(p.isr.committed, f.id), expands: true, joins: f.id})
	p.tellMaximalISR()
}

// maybeShrinkISR proposes to take out followers that have been behind for too
// long.
func (p *Partition) maybeShrinkISR() {
	if p.role != Leader || p.isr.proposal != nil {
		return
	}
	end, now := p.end, p.uptime()
	var late, kept []kafka.NodeID
	for i := range p.followers {
		f := &p.followers[i]
		switch {
		case !p.isr.has(f.id):
		case mustLeave(f.progress, end, now, p.m.cfg.LagTimeMax):
			late = append(late, f.id)
		case f.end < end:
			kept = append(kept, f.id)
		}
	}
	if len(kept) > 0 {
		p.m.host.Tell(&witness.LagsChecked{Replica: p.self, Epoch: p.epoch, Kept: kept})
	}
	if len(late) == 0 {
		return
	}
	p.m.host.Tell(&witness.ShrinkProposed{Replica: p.self, Epoch: p.epoch, ISR: p.isr.committed, Late: late, End: end, HW: p.hw})
	p.propose(&proposal{isr: without(p.isr.committed, late)})
}

// propose begins a change of the ISR. Each member's broker epoch is from the
// same state of the follower that made it a member of the proposal
// (KAFKA-15221); the controller refuses a broker that has since registered
// anew.
func (p *Partition) propose(pr *proposal) {
	pr.topic, pr.epoch, pr.registry = p.topic, p.epoch, p.registry
	for _, id := range pr.isr {
		epoch := kafka.BrokerEpoch(kafka.NoEpoch)
		if id == p.m.cfg.NodeID {
			epoch = p.m.brokerEpoch
		} else if f := find(p.followers, id); f != nil {
			epoch = f.progress.epoch
		}
		pr.brokers = append(pr.brokers, epoch)
	}
	p.isr.proposal = pr
	p.m.alter.submit(p, pr)
}

// accepted is the controller's answer to pr: the partition as it is now.
func (p *Partition) accepted(pr *proposal, isr []kafka.NodeID, epoch kafka.LeaderEpoch, registry kafka.PartitionEpoch) {
	if p.isr.proposal != pr {
		p.m.host.Reached(ProbeMetadataFaster)
		return // the metadata log was faster
	}
	if epoch != p.epoch || registry < p.registry {
		return // a newer registration is on its way
	}
	p.registry = registry
	p.commitISR(isr)
	p.advance()
	p.moved.check()
}

// commitISR takes the ISR that the controller's answer or the metadata log
// says, whichever is faster.
func (p *Partition) commitISR(isr []kafka.NodeID) {
	if pr := p.isr.proposal; pr != nil && len(without(isr, pr.isr)) == 0 && len(without(pr.isr, isr)) == 0 {
		p.m.host.Tell(&witness.ISRChanged{Replica: p.self, From: p.isr.committed, To: isr, PartitionEpoch: p.registry, Expands: pr.expands})
	}
	p.isr.commit(isr)
	p.tellMaximalISR()
}

// rejected is the controller's refusal of pr. It reports whether to ask again.
func (p *Partition) rejected(pr *proposal, err error) (again bool) {
	if p.isr.proposal != pr {
		return false
	}
	switch err {
	case kerr.OperationNotAttempted, kerr.IneligibleReplica:
		// The only refusals that say for certain that the partition is as we know
		// it, and that no controller will apply this request any more.
		p.tellRefused(pr, true, err)
		p.isr.refuse()
		p.tellMaximalISR()
		p.advance()
		return false
	case kerr.UnknownTopicOrPartition, kerr.UnknownTopicID, kerr.FencedLeaderEpoch,
		kerr.InvalidUpdateVersion, kerr.InvalidRequest, kerr.NewLeaderElected:
		// Something has changed that the metadata log will say. Until then it
		// is unknown whether the change was made by an earlier attempt: the
		// proposal stays, and goes on to count.
		p.tellRefused(pr, false, err)
		return false
	}
	return true
}

func (p *Partition) tellMaximalISR() {
	p.m.host.Tell(&witness.MaximalISR{Replica: p.self, Epoch: p.epoch, Nodes: p.isr.maximal()})
}

func (p *Partition) tellRefused(pr *proposal, certain bool, err error) {
	p.m.host.Tell(&witness.ISRRefused{Replica: p.self, Proposed: pr.isr, Certain: certain, Error: witness.ErrorOf(err)})
}
