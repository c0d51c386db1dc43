package group

import (
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/ktrial/ktrial/broker/assignor"
	"github.com/ktrial/ktrial/broker/coordinator"
	"github.com/ktrial/ktrial/broker/kafka"
	"github.com/ktrial/ktrial/broker/witness"
)

// Members of the classic protocol in a KIP-848 group. The coordinator assigns them
// as it does the others, and tells them by the means of their protocol: a generation
// is a member epoch, "rebalance in progress" means that there is news, JoinGroup
// acknowledges what the member owns, and SyncGroup fetches what it gets. There is
// no leader.

// joinConsumerGroup decides a JoinGroup of a KIP-848 group with members.
func (m *Machine) joinConsumerGroup(of group, j joining) coordinator.Decision {
	d, err := m.judgeClassicJoin(of.(*consumerGroup), j)
	if err != nil {
		j.answer.send(refuseJoin("", err))
		return coordinator.Decision{}
	}
	return d
}

func (m *Machine) judgeClassicJoin(g *consumerGroup, j joining) (coordinator.Decision, error) {
	id, isUnknown := j.MemberID, j.MemberID == ""
	if isUnknown {
		id = m.env.NewUUID().String()
	}
	if m.cfg.Consumer.Migration == Disabled {
		return coordinator.Decision{}, kafka.Refuse(kerr.InconsistentGroupProtocol, "Cannot join the consumer group %s with the classic protocol because the group migration is disabled.", g.id)
	}
	if err := m.judgeSize(g, id, j.InstanceID); err != nil {
		return coordinator.Decision{}, err
	}
	if !g.supportsClassic(j) {
		return coordinator.Decision{}, kerr.InconsistentGroupProtocol
	}
	if isUnknown && j.InstanceID == nil && j.Version >= joinKnowsMemberID {
		j.answer.send(refuseJoin(id, kerr.MemberIDRequired))
		return coordinator.Decision{}, nil
	}
	h := &heartbeat{m: m, from: j.from, group: g}
	if err := h.findClassic(id, isUnknown, j.InstanceID); err != nil {
		return coordinator.Decision{}, err
	}
	said, err := assignor.DecodeSubscription(j.Protocols[0].Metadata)
	if err != nil {
		return coordinator.Decision{}, kafka.Refuse(kerr.InconsistentGroupProtocol, "Malformed embedded consumer protocol in subscription deserialization.")
	}
	h.member = h.toldClassic(j, said)
	return h.joinClassic(j, said)
}

// supportsClassic reports whether a classic member fits to those that are there.
func (g *consumerGroup) supportsClassic(j joining) bool {
	if j.ProtocolType != consumerProtocol {
		return false
	}
	for _, p := range j.Protocols {
		if n, _ := g.protocols.Get(p.Name); n == g.classics.Get() {
			return true
		}
	}
	return false
}

// findClassic finds or makes the member that joins.
func (h *heartbeat) findClassic(id string, isUnknown bool, instance *string) error {
	if instance == nil {
		h.findOrReplace(id, nil)
		return nil
	}
	old := h.group.staticMember(*instance)
	if !isUnknown {
		if err := judgeInstance(old, id, *instance); err != nil {
			return err
		}
		h.was = old
		return nil
	}
	h.findOrReplace(id, old)
	return nil
}

// toldClassic is the member with what JoinGroup tells.
func (h *heartbeat) toldClassic(j joining, said assignor.Subscription) *consumerMember {
	is := *h.was
	told := *h.was.told
	told.clientID, told.clientHost = j.from.ClientID, j.from.Host
	setIf(&told.instance, j.InstanceID)
	if said.Rack != "" {
		told.rack = &said.Rack
	}
	if j.RebalanceTimeoutMillis != -1 {
		told.rebalanceTimeout = j.RebalanceTimeoutMillis
	}
	told.topics, told.regex = namesOf(said.Topics), new(string)
	told.classic = &classicProtocols{j.SessionTimeoutMillis, j.protocols()}
	is.told = &told
	return &is
}

// joinClassic decides the join. A static member may replace the last one of the
// KIP-848 protocol: then the group becomes a classic one.
func (h *heartbeat) joinClassic(j joining, said assignor.Subscription) (coordinator.Decision, error) {
	g, m := h.group, h.m
	downgrade := h.replaced != nil && m.mayDowngradeReplaced(g, h.replaced)
	bump, err := h.update(false)
	if err != nil {
		return coordinator.Decision{}, err
	}
	epoch := h.updateEpoch(bump)
	owned := byID(said.Owned, m.env.Image())
	var d coordinator.Decision
	if downgrade {
		d = h.downgradeReplaced(epoch, &owned)
	} else {
		target, share := h.updateTarget(epoch)
		h.reconcile(target, share, &owned)
		d = h.decision()
	}
	resp := kmsg.NewPtrJoinGroupResponse()
	resp.MemberID, resp.Generation = h.member.id, h.member.epoch
	resp.ProtocolType, resp.Protocol = kmsg.StringPtr(consumerProtocol), kmsg.StringPtr(j.Protocols[0].Name)
	d.Done = func(err error) {
		if err != nil {
			return // JoinGroup answers it
		}
		m.stopJoinTimer(g.id, h.member.id)
		if !downgrade {
			m.scheduleConsumerSession(g.id, h.member.id, millis(j.SessionTimeoutMillis))
			m.expelLater("sync", g.id, h.member.id, millis(j.RebalanceTimeoutMillis), "it sent no SyncGroup within the rebalance timeout")
		}
		j.answer.send(resp)
	}
	return d, nil
}

// downgradeReplaced makes a classic group with a member instead of another. It
// rebalances only if the target assignment is out of date.
func (h *heartbeat) downgradeReplaced(epoch int32, owned *[]topicPartitions) coordinator.Decision {
	g, m := h.group, h.m
	stale := g.target.Get().epoch < epoch
	if !stale {
		h.reconcile(g.target.Get().epoch, h.currentTarget(), owned)
	}
	var members []*consumerMember
	for id, member := range g.members.All() {
		if id == h.replaced.id {
			member = h.member
		}
		members = append(members, member)
	}
	tombstones := append(h.records, g.tombstonesFor(map[string]string{h.replaced.id: h.member.id})...)
	to, d := m.downgrade(g, tombstones, members, h.targetOf)
	appended := d.Appended
	d.Appended = func(err error) {
		appended(err)
		if err == nil {
			h.tellJoined()
		}
	}
	if stale {
		to.prepareRebalance()
	}
	return d
}

// classicMember finds the classic member that sends a request of its protocol.
func (g *consumerGroup) classicMember(id string, instance *string, generation int32) (*consumerMember, error) {
	m, ok := g.members.Get(id)
	if instance != nil {
		m = g.staticMember(*instance)
		switch {
		case m == nil:
			return nil, kafka.Refuse(kerr.UnknownMemberID, "Member with instance id %s is not a member of group %s.", *instance, g.id)
		case m.id != id:
			return nil, kerr.FencedInstanceID
		}
	} else if !ok {
		return nil, g.unknownMember(id)
	}
	switch {
	case m.told.classic == nil:
		return nil, kafka.Refuse(kerr.UnknownMemberID, "Member %s does not use the classic protocol.", id)
	case m.epoch != generation:
		return nil, kerr.IllegalGeneration
	}
	return m, nil
}

// syncConsumerGroup decides a SyncGroup of a KIP-848 group: the member gets what it
// has by the target assignment.
func (m *Machine) syncConsumerGroup(of group, req *kmsg.SyncGroupRequest, answer *syncAnswer) coordinator.Decision {
	g := of.(*consumerGroup)
	member, err := m.judgeClassicSync(g, req)
	if err != nil {
		m.tellRefused(g.id, req.MemberID, deref(req.InstanceID), err)
		answer.send(refuseSync(err))
		return coordinator.Decision{}
	}
	return coordinator.Decision{Done: func(err error) {
		if err != nil {
			answer.send(refuseSync(err))
			return
		}
		m.env.CancelTimer(consumerTimer("sync", g.id, member.id))
		m.scheduleConsumerSession(g.id, member.id, member.classicSession())
		resp := kmsg.NewPtrSyncGroupResponse()
		resp.ProtocolType, resp.Protocol = req.ProtocolType, req.Protocol
		resp.MemberAssignment = m.classicAssignment(member.assigned, member.told.classic.protocols[0].metadata)
		m.tellAssigned(g.id, member)
		answer.send(resp)
	}}
}

func (m *Machine) judgeClassicSync(g *consumerGroup, req *kmsg.SyncGroupRequest) (*consumerMember, error) {
	member, err := g.classicMember(req.MemberID, req.InstanceID, req.Generation)
	switch {
	case err != nil:
		return nil, err
	case req.ProtocolType != nil && *req.ProtocolType != consumerProtocol,
		req.Protocol != nil && *req.Protocol != member.told.classic.protocols[0].name:
		return nil, kerr.InconsistentGroupProtocol
	case g.target.Get().epoch > member.epoch && member.state != unrevoked:
		m.startJoinTimer(g.id, member)
		return nil, kerr.RebalanceInProgress
	}
	return member, nil
}

// heartbeatConsumerGroup decides a classic heartbeat: the member has to join again
// when there is something to give up, or to get.
func (m *Machine) heartbeatConsumerGroup(of group, req *kmsg.HeartbeatRequest) (coordinator.Decision, error) {
	g := of.(*consumerGroup)
	member, err := g.classicMember(req.MemberID, req.InstanceID, req.Generation)
	if err != nil {
		m.tellRefused(g.id, req.MemberID, deref(req.InstanceID), err)
		return coordinator.Decision{}, err
	}
	m.env.Tell(&witness.MemberHeard{Group: g.id, Member: member.id})
	m.scheduleConsumerSession(g.id, member.id, member.classicSession())
	if member.epoch < g.target.Get().epoch || member.state == unrevoked || member.state == unreleased && !g.waits(member) {
		m.startJoinTimer(g.id, member)
		return coordinator.Decision{}, kerr.RebalanceInProgress
	}
	return coordinator.Decision{}, nil
}

// waits reports whether other members still have something of a member's target.
func (g *consumerGroup) waits(m *consumerMember) bool {
	target, _ := g.targets.Get(m.id)
	taken, _ := split(target, func(topic kafka.UUID, n int32) bool { return !has(m.assigned, topic, n) && g.isOwned(topic, n) })
	return len(taken) > 0
}

// startJoinTimer removes a member that does not join again within its rebalance
// timeout. It runs from the first time that the member is told.
func (m *Machine) startJoinTimer(group string, member *consumerMember) {
	soft := m.soft(group)
	if soft.joining[member.id] {
		return
	}
	if soft.joining == nil {
		soft.joining = map[string]bool{}
	}
	soft.joining[member.id] = true
	m.env.Timer(consumerTimer("join", group, member.id), millis(member.told.rebalanceTimeout), consumerRetry, func() coordinator.Decision {
		delete(soft.joining, member.id)
		g, is := m.findConsumer(group, member.id)
		if is == nil {
			return coordinator.Decision{}
		}
		return m.removeMembers(g, witness.MemberLeft{Reason: "it did not join again within the rebalance timeout", Expelled: true}, is)
	})
}

func (m *Machine) stopJoinTimer(group, member string) {
	m.env.CancelTimer(consumerTimer("join", group, member))
	delete(m.soft(group).joining, member)
}

// leaveConsumerGroup decides that members leave by LeaveGroup, of either protocol.
func (m *Machine) leaveConsumerGroup(of group, leaving []kmsg.LeaveGroupRequestMember) (coordinator.Decision, []kmsg.LeaveGroupResponseMember) {
	g := of.(*consumerGroup)
	var answers []kmsg.LeaveGroupResponseMember
	var gone []*consumerMember
	seen := map[string]bool{}
	for _, l := range leaving {
		member, err := g.leaver(l)
		answers = append(answers, left(l, err))
		if err == nil && !seen[member.id] {
			seen[member.id] = true
			gone = append(gone, member)
		}
	}
	return m.removeMembers(g, itLeft, gone...), answers
}

// leaver is the member that LeaveGroup names. An administrator names one by its
// instance alone.
func (g *consumerGroup) leaver(l kmsg.LeaveGroupRequestMember) (*consumerMember, error) {
	if l.InstanceID == nil {
		m, ok := g.members.Get(l.MemberID)
		if !ok {
			return nil, kerr.UnknownMemberID
		}
		return m, nil
	}
	m := g.staticMember(*l.InstanceID)
	if m != nil && l.MemberID == "" {
		return m, nil
	}
	return m, judgeInstance(m, l.MemberID, *l.InstanceID)
}
