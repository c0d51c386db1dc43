package group

import (
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/ktrial/ktrial/broker/coordinator"
	"github.com/ktrial/ktrial/broker/planted"
	"github.com/ktrial/ktrial/broker/witness"
)

// replace gives the membership of a static member that has started again to its new
// id (KIP-345). In a Stable group nothing else changes: the assignment stays, without
// a rebalance, once the new id is in the log.
func (g *classicGroup) replace(old, id string, j joining) coordinator.Decision {
	led := g.leader
	mb := g.swap(old, id)
	g.scheduleSession(id, mb.sessionTimeout)
	before := *mb
	g.update(mb, j)
	switch {
	case g.at == CompletingRebalance:
		// The leader may have been told of the old id already, and would assign to it.
		return g.prepareRebalance() // KAFKA-9801
	case g.at == PreparingRebalance:
		return g.completeJoinIfAll()
	case g.protocol == nil || g.elect() != *g.protocol:
		return g.rebalanceOrComplete()
	}
	generation := g.generation
	d := coordinator.Decision{
		Records: []coordinator.Record{g.record(g.assignments())},
		Done: func(err error) {
			switch {
			case g.members[id] != mb: // it is gone, or was replaced again
			case err != nil && g.wentOn(generation): // its join is answered in that rebalance, or was
			case err == nil:
				g.m.env.Reached(ProbeStaticReplaced)
				g.m.env.Tell(&witness.MemberReplaced{Group: g.id, Instance: *mb.instance, Member: old, By: mb.id})
				g.answerJoin(mb, g.replaced(mb, led, j.Version))
			default:
				g.swapBack(mb, &before, old, led, err)
			}
		},
	}
	if bugs := g.m.env.Bugs(); bugs.On(planted.StaticSwapVolatile) {
		bugs.Infected(planted.StaticSwapVolatile, true)
		d.Done(nil)
		return coordinator.Decision{}
	}
	return d
}

// wentOn reports whether the group has rebalanced since a generation, or does. A static
// member that was replaced in between is a part of that by its new id. Kafka takes the
// replacement back all the same when it is not committed in time (KIP-345;
// GroupMetadataManager.updateStaticMemberThenRebalanceOrCompleteJoin), and a leader that
// has joined by that id assigns its own share to a member that there is no more.
func (g *classicGroup) wentOn(since int32) bool {
	went := g.at != Stable || g.generation != since
	if bugs := g.m.env.Bugs(); bugs.On(planted.StaticSwapBack) {
		bugs.Infected(planted.StaticSwapBack, went)
		return false
	}
	return went
}

// swap gives a static member another id. What waits under the old one is fenced.
func (g *classicGroup) swap(old, id string) *member {
	mb := g.members[old]
	g.answerJoin(mb, refuseJoin(old, kerr.FencedInstanceID))
	g.answerSync(mb, kerr.FencedInstanceID)
	g.m.env.CancelTimer(g.sessionTimer(old))

	delete(g.members, old)
	mb.id = id
	g.members[id] = mb
	g.static[*mb.instance] = id
	if g.leader == old {
		g.leader = id
	}
	// The old id stays among those that have not synced, as in Kafka: then there is one
	// rebalance too many when their time is over.
	g.m.env.Tell(&witness.MemberLeft{Group: g.id, Generation: g.generation, Member: old, Instance: *mb.instance, Reason: "another member took its instance id", Expelled: true})
	g.m.env.Tell(&witness.MemberJoined{Group: g.id, Generation: g.generation, Member: id, Instance: *mb.instance, Client: mb.clientID})
	return mb
}

// replaced answers the new process of a static member whose group goes on. If it
// leads, it must not assign: the members keep what they have. Clients before version
// 9 cannot be told; they are shown the leader's old id, so that they follow.
func (g *classicGroup) replaced(mb *member, led string, version int16) *kmsg.JoinGroupResponse {
	resp := g.joined(mb)
	if version >= joinSkipsAssignment {
		resp.SkipAssignment = g.leader == mb.id
	} else {
		resp.LeaderID, resp.Members = led, nil
	}
	return resp
}

// swapBack takes a replacement back that could not be written.
func (g *classicGroup) swapBack(mb, before *member, old, led string, why error) {
	resp := refuseJoin("", why)
	resp.Generation, resp.Protocol, resp.ProtocolType, resp.LeaderID = g.generation, g.protocol, kmsg.StringPtr(g.protocolType), led
	g.answerJoin(mb, resp)
	g.count(mb, -1)
	mb.protocols, mb.rebalanceTimeout, mb.sessionTimeout = before.protocols, before.rebalanceTimeout, before.sessionTimeout
	g.count(mb, 1)
	g.swap(mb.id, old)
	g.scheduleSession(old, mb.sessionTimeout)
}

// assignments are those that the members have.
func (g *classicGroup) assignments() map[string][]byte {
	all := make(map[string][]byte, len(g.members))
	for mb := g.order.First(); mb != nil; mb = mb.link.Next() {
		all[mb.id] = mb.assignment
	}
	return all
}
