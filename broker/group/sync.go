package group

import (
	"bytes"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/ktrial/ktrial/broker/coordinator"
	"github.com/ktrial/ktrial/broker/coordinator/timeline"
	"github.com/ktrial/ktrial/broker/kafka"
	"github.com/ktrial/ktrial/broker/planted"
	"github.com/ktrial/ktrial/broker/witness"
)

// syncAnswer answers a SyncGroup once; what comes later is dropped.
type syncAnswer struct {
	version int16
	reply   func(*kmsg.SyncGroupResponse)
}

func (a *syncAnswer) send(resp *kmsg.SyncGroupResponse) {
	if a.reply == nil {
		return
	}
	reply := a.reply
	a.reply = nil
	resp.Version = a.version
	reply(resp)
}

func refuseSync(why error) *kmsg.SyncGroupResponse {
	resp := kmsg.NewPtrSyncGroupResponse()
	resp.ErrorCode, resp.MemberAssignment = kafka.Code(why), []byte{}
	return resp
}

// SyncGroup decides how a member gets its assignment; the leader's request brings
// all. reply is called once, now or by a later event: members wait until the
// assignment is committed.
func (m *Machine) SyncGroup(req *kmsg.SyncGroupRequest, reply func(*kmsg.SyncGroupResponse)) coordinator.Decision {
	answer := &syncAnswer{req.Version, reply}
	g := m.group(req.Group, timeline.Written)
	switch {
	case req.Group == "":
		answer.send(refuseSync(kerr.InvalidGroupID))
		return coordinator.Decision{}
	case g == nil || g.empty():
		answer.send(refuseSync(kerr.UnknownMemberID))
		return coordinator.Decision{}
	case g.kind() == Consumer:
		return m.syncConsumerGroup(g, req, answer)
	}
	d := g.(*classicGroup).sync(req, answer)
	done := d.Done
	d.Done = func(err error) {
		if done != nil {
			done(err)
		}
		if err != nil {
			answer.send(refuseSync(err))
		}
	}
	return d
}

func (g *classicGroup) sync(req *kmsg.SyncGroupRequest, answer *syncAnswer) coordinator.Decision {
	mb, err := g.judgeSync(req)
	if err != nil {
		answer.send(refuseSync(err))
		return coordinator.Decision{}
	}
	delete(g.unsynced, mb.id)
	if g.at == Stable {
		answer.send(g.synced(mb))
		return coordinator.Decision{}
	}
	if bugs := g.m.env.Bugs(); mb.assignment != nil && g.leader != mb.id && bugs.On(planted.StaleAssignment) {
		bugs.Infected(planted.StaleAssignment, true)
		answer.send(g.synced(mb))
		return coordinator.Decision{}
	}
	g.answerSync(mb, kerr.RebalanceInProgress) // it asks again: see update
	mb.sync = answer
	if g.leader != mb.id {
		return coordinator.Decision{}
	}
	return g.assign(req)
}

// judgeSync refuses a SyncGroup, in Kafka's order.
func (g *classicGroup) judgeSync(req *kmsg.SyncGroupRequest) (*member, error) {
	mb, err := g.checkGeneration(req.MemberID, req.InstanceID, req.Generation)
	switch {
	case err != nil:
		return nil, err
	case req.ProtocolType != nil && *req.ProtocolType != g.protocolType,
		req.Protocol != nil && g.protocol != nil && *req.Protocol != *g.protocol:
		return nil, kerr.InconsistentGroupProtocol
	case g.at == PreparingRebalance:
		return nil, kerr.RebalanceInProgress
	}
	return mb, nil
}

// assign writes the leader's assignment. The group is Stable once it is committed, if
// it is still in that round.
func (g *classicGroup) assign(req *kmsg.SyncGroupRequest) coordinator.Decision {
	given := map[string][]byte{}
	for _, a := range req.GroupAssignment {
		given[a.MemberID] = bytes.Clone(a.MemberAssignment)
	}
	assignments := make(map[string][]byte, len(g.members))
	for id := range g.members {
		assignments[id] = given[id] // a member that the leader left out gets nothing
	}
	generation := g.generation
	d := coordinator.Decision{
		Records: []coordinator.Record{g.record(assignments)},
		Done: func(err error) {
			switch {
			case g.at != CompletingRebalance || g.generation != generation:
			case err != nil:
				g.m.env.Reached(ProbeNotWritten)
				g.resetAssignments(err)
				g.prepareRebalance()
			default:
				g.propagate(assignments)
			}
		},
	}
	if bugs := g.m.env.Bugs(); bugs.On(planted.RespondBeforePersist) {
		bugs.Infected(planted.RespondBeforePersist, true)
		d.Done(nil)
	}
	return d
}

// propagate gives the members their assignments. A session begins anew where a
// member has been waiting.
func (g *classicGroup) propagate(assignments map[string][]byte) {
	for mb := g.order.First(); mb != nil; mb = mb.link.Next() {
		mb.assignment = assignments[mb.id]
	}
	g.transition(Stable)
	for mb := g.order.First(); mb != nil; mb = mb.link.Next() {
		if mb.sync != nil {
			g.sendSync(mb, g.synced(mb))
		}
	}
}

// resetAssignments takes the assignments back, and tells members that wait for them why.
func (g *classicGroup) resetAssignments(why error) {
	for mb := g.order.First(); mb != nil; mb = mb.link.Next() {
		mb.assignment = nil
		g.answerSync(mb, why)
	}
}

// synced tells a member its assignment.
func (g *classicGroup) synced(mb *member) *kmsg.SyncGroupResponse {
	resp := kmsg.NewPtrSyncGroupResponse()
	resp.ProtocolType, resp.Protocol, resp.MemberAssignment = kmsg.StringPtr(g.protocolType), g.protocol, mb.assignment
	if resp.MemberAssignment == nil {
		resp.MemberAssignment = []byte{}
	}
	g.m.env.Tell(&witness.GroupAssigned{Group: g.id, Generation: g.generation, Member: mb.id, Partitions: assignedPartitions(mb.assignment), Classic: true})
	return resp
}

// answerSync refuses a member's parked SyncGroup, if there is one.
func (g *classicGroup) answerSync(mb *member, why error) {
	if mb.sync != nil {
		g.sendSync(mb, refuseSync(why))
	}
}

func (g *classicGroup) sendSync(mb *member, resp *kmsg.SyncGroupResponse) {
	answer := mb.sync
	mb.sync = nil
	if g.members[mb.id] == mb {
		g.scheduleSession(mb.id, mb.sessionTimeout)
	}
	answer.send(resp)
}
