package group

import (
	"bytes"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/ktrial/ktrial/broker/coordinator"
	"github.com/ktrial/ktrial/broker/coordinator/timeline"
	"github.com/ktrial/ktrial/broker/kafka"
	"github.com/ktrial/ktrial/broker/witness"
)

// Versions of JoinGroup from which clients can do something.
const (
	joinKnowsMemberID     = 4 // join with an id that they were given (KIP-394)
	joinMayHaveNoProtocol = 7 // distinguish an empty protocol from none (KIP-559); Kafka writes null for both
	joinSkipsAssignment   = 9 // lead without assigning (KIP-814)
)

// joinAnswer answers a JoinGroup once; what comes later is dropped.
type joinAnswer struct {
	version int16
	reply   func(*kmsg.JoinGroupResponse)
}

func (a *joinAnswer) send(resp *kmsg.JoinGroupResponse) {
	if a.reply == nil {
		return
	}
	reply := a.reply
	a.reply = nil
	resp.Version = a.version
	if a.version >= joinMayHaveNoProtocol && deref(resp.Protocol) == "" {
		resp.Protocol = nil
	}
	reply(resp)
}

// refuseJoin is an answer with an error, to a client of that member id.
func refuseJoin(id string, why error) *kmsg.JoinGroupResponse {
	resp := kmsg.NewPtrJoinGroupResponse()
	resp.ErrorCode, resp.MemberID, resp.Generation = kafka.Code(why), id, -1
	return resp
}

// joining is a JoinGroup that is being decided.
type joining struct {
	*kmsg.JoinGroupRequest
	from   Caller
	answer *joinAnswer
}

// JoinGroup decides how a member joins. reply is called once, now or by a later
// event: most members wait until all have joined.
func (m *Machine) JoinGroup(from Caller, req *kmsg.JoinGroupRequest, reply func(*kmsg.JoinGroupResponse)) coordinator.Decision {
	j := joining{req, from, &joinAnswer{req.Version, reply}}
	if err := m.judgeJoin(req); err != nil {
		j.answer.send(refuseJoin(req.MemberID, err))
		return coordinator.Decision{}
	}
	d := m.join(j)
	done := d.Done
	d.Done = func(err error) {
		if done != nil {
			done(err)
		}
		// The member stays where it is; only the request that waits is answered.
		if err != nil {
			j.answer.send(refuseJoin("", err))
		}
	}
	return d
}

func (m *Machine) judgeJoin(req *kmsg.JoinGroupRequest) error {
	if req.Group == "" {
		return kerr.InvalidGroupID
	}
	if session := millis(req.SessionTimeoutMillis); session < m.cfg.MinSessionTimeout || session > m.cfg.MaxSessionTimeout {
		return kerr.InvalidSessionTimeout
	}
	return nil
}

// join decides a join of a group of either protocol.
func (m *Machine) join(j joining) coordinator.Decision {
	was, exists := m.groups.Get(j.Group)
	if exists && was.consumer != nil {
		if !was.consumer.empty() {
			return m.joinConsumerGroup(was.consumer, j)
		}
		// An empty KIP-848 group becomes a classic one with its first such member.
		d := m.joinClassic(m.newClassic(j.Group), true, j)
		d.Records = append(was.consumer.tombstones(), d.Records...)
		return d
	}
	if !exists && j.MemberID != "" {
		j.answer.send(refuseJoin(j.MemberID, kerr.UnknownMemberID))
		return coordinator.Decision{}
	}
	if !exists {
		return m.joinClassic(m.newClassic(j.Group), true, j)
	}
	return m.joinClassic(m.classicAt(j.Group, was.classic, timeline.Written), false, j)
}

// joinClassic decides a join of a classic group. One that is new gets an empty record,
// so that the log knows it, and forgets it if the record cannot be written.
func (m *Machine) joinClassic(g *classicGroup, isNew bool, j joining) coordinator.Decision {
	if isNew {
		m.env.Tell(&witness.GroupState{Group: g.id, To: string(Empty)})
	}
	m.classic[g.id] = g
	var d coordinator.Decision
	switch {
	case !g.accepts(j.MemberID):
		g.remove(j.MemberID, witness.MemberLeft{Reason: "the group is full", Expelled: true})
		j.answer.send(refuseJoin("", kerr.GroupMaxSizeReached))
	case j.MemberID == "":
		d = g.joinNew(j)
	default:
		d = g.joinKnown(j)
	}
	if !isNew || len(d.Records) > 0 {
		return d
	}
	d.Records = []coordinator.Record{encode(&groupKey{g.id}, &groupMetadata{since: g.since})}
	d.Appended = func(err error) {
		if err != nil && m.classic[g.id] == g {
			g.drop(err)
		}
	}
	return d
}

// accepts reports whether there is room for a member. While a group rebalances,
// those count that have come so far.
func (g *classicGroup) accepts(id string) bool {
	mb, most := g.members[id], g.m.cfg.MaxSize
	switch g.at {
	case PreparingRebalance:
		return mb != nil && mb.join != nil || g.waiting < most
	case CompletingRebalance, Stable:
		return mb != nil || len(g.members) < most
	}
	return true
}

// joinNew decides a join without a member id: of a dynamic member that is new, or of
// a static one that is new or has started again.
func (g *classicGroup) joinNew(j joining) coordinator.Decision {
	if !g.supports(j.ProtocolType, j.Protocols) {
		j.answer.send(refuseJoin("", kerr.InconsistentGroupProtocol))
		return coordinator.Decision{}
	}
	id := javaUUID(g.m.env.NewUUID())
	if j.InstanceID == nil {
		return g.joinNewDynamic(j.from.ClientID+"-"+id, j)
	}
	id = *j.InstanceID + "-" + id
	if old, ok := g.static[*j.InstanceID]; ok {
		return g.replace(old, id, j)
	}
	return g.admit(id, j)
}

// joinNewDynamic gives a client an id to join with. Otherwise each retry of a join
// whose answer was lost would leave a member behind that never comes (KIP-394).
func (g *classicGroup) joinNewDynamic(id string, j joining) coordinator.Decision {
	if j.Version < joinKnowsMemberID {
		return g.admit(id, j)
	}
	if g.pending == nil {
		g.pending = map[string]time.Duration{}
	}
	g.pending[id] = millis(j.SessionTimeoutMillis)
	g.scheduleSession(id, g.pending[id])
	j.answer.send(refuseJoin(id, kerr.MemberIDRequired))
	return coordinator.Decision{}
}

// joinKnown decides a join with a member id.
func (g *classicGroup) joinKnown(j joining) coordinator.Decision {
	id := j.MemberID
	switch {
	case !g.supports(j.ProtocolType, j.Protocols):
		j.answer.send(refuseJoin(id, kerr.InconsistentGroupProtocol))
		return coordinator.Decision{}
	case g.isPending(id) && j.InstanceID != nil:
		// Ids are given to dynamic members only. Kafka's coordinator throws here.
		j.answer.send(refuseJoin("", kerr.UnknownServerError))
		return coordinator.Decision{}
	case g.isPending(id):
		return g.admit(id, j)
	}
	mb, err := g.check(id, j.InstanceID)
	if err != nil {
		j.answer.send(refuseJoin(id, err))
		return coordinator.Decision{}
	}
	switch {
	case g.at == Empty:
		j.answer.send(refuseJoin(id, kerr.UnknownMemberID))
		return coordinator.Decision{}
	case g.at == PreparingRebalance, !mb.matches(j.Protocols), g.at == Stable && g.leader == id:
		// A leader joins again when what it assigns by has changed, such as the number
		// of partitions, though its own metadata has not.
		g.update(mb, j)
		return g.rebalanceOrComplete()
	}
	// The answer to its last join was lost. It is told again.
	j.answer.send(g.joined(mb))
	return coordinator.Decision{}
}

// matches reports whether a member joins with what it joined with before.
func (mb *member) matches(protocols []kmsg.JoinGroupRequestProtocol) bool {
	if len(protocols) != len(mb.protocols) {
		return false
	}
	for i, p := range protocols {
		if p.Name != mb.protocols[i].name || !bytes.Equal(p.Metadata, mb.protocols[i].metadata) {
			return false
		}
	}
	return true
}

// admit adds a member, which waits for the end of the join phase.
func (g *classicGroup) admit(id string, j joining) coordinator.Decision {
	mb := &member{
		id: id, instance: j.InstanceID, clientID: j.from.ClientID, host: j.from.Host,
		rebalanceTimeout: j.rebalanceTimeout(), sessionTimeout: millis(j.SessionTimeoutMillis),
		protocols: j.protocols(), isNew: true, join: j.answer,
	}
	if g.at == PreparingRebalance && g.before == Empty {
		g.another = true
	}
	if len(g.members) == 0 {
		g.protocolType = j.ProtocolType
	}
	g.add(mb)
	g.m.env.Tell(&witness.MemberJoined{Group: g.id, Generation: g.generation, Member: id, Instance: deref(mb.instance), Client: mb.clientID})
	g.scheduleSession(id, newMemberJoinTimeout)
	return g.rebalanceOrComplete()
}

// rebalanceTimeout is that of the request; version 0 has none.
func (j *joining) rebalanceTimeout() time.Duration {
	if j.Version == 0 {
		return millis(j.SessionTimeoutMillis)
	}
	return millis(j.RebalanceTimeoutMillis)
}

// protocols are those of the request, without its bytes, which belong to a frame.
func (j *joining) protocols() []protocol {
	all := make([]protocol, 0, len(j.Protocols))
	for _, p := range j.Protocols {
		all = append(all, protocol{p.Name, bytes.Clone(p.Metadata)})
	}
	return all
}

// update takes over what a member joins with, and parks its request.
func (g *classicGroup) update(mb *member, j joining) {
	g.count(mb, -1)
	mb.protocols = j.protocols()
	mb.rebalanceTimeout, mb.sessionTimeout = j.rebalanceTimeout(), millis(j.SessionTimeoutMillis)
	g.count(mb, 1)
	// A request of the same member that waits already is of a client that asks again.
	// Kafka leaves it without an answer; its connection would never be served again.
	g.answerJoin(mb, refuseJoin(mb.id, kerr.RebalanceInProgress))
	mb.join = j.answer
	g.waiting++
}

// answerJoin answers a member's parked JoinGroup, if there is one.
func (g *classicGroup) answerJoin(mb *member, resp *kmsg.JoinGroupResponse) {
	if mb.join == nil {
		return
	}
	answer := mb.join
	mb.join = nil
	g.waiting--
	answer.send(resp)
}

// joined tells a member of the generation; its leader also of all members.
func (g *classicGroup) joined(mb *member) *kmsg.JoinGroupResponse {
	resp := kmsg.NewPtrJoinGroupResponse()
	resp.MemberID, resp.Generation = mb.id, g.generation
	resp.ProtocolType, resp.Protocol = kmsg.StringPtr(g.protocolType), g.protocol
	resp.LeaderID = g.leader
	if g.leader == mb.id {
		resp.Members = g.roster()
	}
	return resp
}

// roster is the members as their leader is told of them.
func (g *classicGroup) roster() []kmsg.JoinGroupResponseMember {
	all := make([]kmsg.JoinGroupResponseMember, 0, len(g.members))
	for mb := g.order.First(); mb != nil; mb = mb.link.Next() {
		r := kmsg.NewJoinGroupResponseMember()
		r.MemberID, r.InstanceID, r.ProtocolMetadata = mb.id, mb.instance, mb.metadata(g.protocol)
		all = append(all, r)
	}
	return all
}
