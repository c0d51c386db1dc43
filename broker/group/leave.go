package group

import (
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/ktrial/ktrial/broker/coordinator"
	"github.com/ktrial/ktrial/broker/coordinator/timeline"
	"github.com/ktrial/ktrial/broker/kafka"
	"github.com/ktrial/ktrial/broker/witness"
)

// leaveOfMany is the version of LeaveGroup from which it names several members.
const leaveOfMany = 3

// LeaveGroup decides that members leave, each with a verdict of its own.
func (m *Machine) LeaveGroup(req *kmsg.LeaveGroupRequest) (coordinator.Decision, *kmsg.LeaveGroupResponse) {
	resp := req.ResponseKind().(*kmsg.LeaveGroupResponse)
	leaving := req.Members
	if req.Version < leaveOfMany {
		one := kmsg.NewLeaveGroupRequestMember()
		one.MemberID = req.MemberID
		leaving = []kmsg.LeaveGroupRequestMember{one}
	}
	g := m.group(req.Group, timeline.Written)
	var d coordinator.Decision
	switch {
	case req.Group == "":
		resp.ErrorCode = kerr.InvalidGroupID.Code
		return d, resp
	case g == nil:
		for _, l := range leaving {
			resp.Members = append(resp.Members, left(l, kerr.UnknownMemberID))
		}
	case g.kind() == Consumer:
		d, resp.Members = m.leaveConsumerGroup(g, leaving)
	default:
		d, resp.Members = g.(*classicGroup).leave(leaving)
	}
	if req.Version < leaveOfMany {
		resp.ErrorCode, resp.Members = resp.Members[0].ErrorCode, nil
	}
	return d, resp
}

// left is the verdict on one member.
func left(l kmsg.LeaveGroupRequestMember, why error) kmsg.LeaveGroupResponseMember {
	answer := kmsg.NewLeaveGroupResponseMember()
	answer.MemberID, answer.InstanceID, answer.ErrorCode = l.MemberID, l.InstanceID, kafka.Code(why)
	return answer
}

func (g *classicGroup) leave(leaving []kmsg.LeaveGroupRequestMember) (coordinator.Decision, []kmsg.LeaveGroupResponseMember) {
	var answers []kmsg.LeaveGroupResponseMember
	any := false
	for _, l := range leaving {
		err := g.leaves(l)
		any = any || err == nil
		answers = append(answers, left(l, err))
	}
	switch {
	case any && (g.at == Stable || g.at == CompletingRebalance):
		return g.rebalanceOrComplete(), answers
	case any:
		return g.completeJoinIfAll(), answers
	}
	return coordinator.Decision{}, answers
}

// leaves removes one member. An administrator names one by its instance alone.
func (g *classicGroup) leaves(l kmsg.LeaveGroupRequestMember) error {
	id := l.MemberID
	switch {
	case id == "" && l.InstanceID != nil && g.static[*l.InstanceID] != "":
		id = g.static[*l.InstanceID]
	case id == "":
		return kerr.UnknownMemberID
	case g.isPending(id):
	default:
		mb, err := g.check(id, l.InstanceID)
		if err != nil {
			return err
		}
		id = mb.id
	}
	reason := "it left"
	if l.Reason != nil && *l.Reason != "" {
		reason = *l.Reason
	}
	g.remove(id, witness.MemberLeft{Reason: reason})
	return nil
}
