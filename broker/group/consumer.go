package group

import (
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/ktrial/ktrial/broker/coordinator"
)

// Groups of the protocol of KIP-848, and how members of the classic protocol take
// part in them, come here. There are none yet: their records are skipped.

func (m *Machine) applyConsumer(key, value) error { return nil }

func (m *Machine) joinConsumerGroup(_ group, j joining) coordinator.Decision {
	j.answer.send(refuseJoin("", kerr.InconsistentGroupProtocol))
	return coordinator.Decision{}
}

func (m *Machine) syncConsumerGroup(_ group, _ *kmsg.SyncGroupRequest, answer *syncAnswer) coordinator.Decision {
	answer.send(refuseSync(kerr.UnknownMemberID))
	return coordinator.Decision{}
}

func (m *Machine) heartbeatConsumerGroup(group, *kmsg.HeartbeatRequest) (coordinator.Decision, error) {
	return coordinator.Decision{}, kerr.UnknownMemberID
}

func (m *Machine) leaveConsumerGroup(_ group, leaving []kmsg.LeaveGroupRequestMember) (coordinator.Decision, []kmsg.LeaveGroupResponseMember) {
	var answers []kmsg.LeaveGroupResponseMember
	for _, l := range leaving {
		answers = append(answers, left(l, kerr.UnknownMemberID))
	}
	return coordinator.Decision{}, answers
}
