package server

import (
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/ktrial/ktrial/broker/coordinator"
	"github.com/ktrial/ktrial/broker/group"
	"github.com/ktrial/ktrial/broker/kafka"
	"github.com/ktrial/ktrial/broker/wire"
)

// LeaveGroup 0-5: members leave their group, from v3 on several at once (KIP-345), each
// with a verdict of its own. A group id that is empty is INVALID_GROUP_ID. The rest
// is package group's.
func (b *Broker) leaveGroup(_ *wire.Context, req *kmsg.LeaveGroupRequest) kmsg.Response {
	resp, err := kmsg.NewPtrLeaveGroupResponse(), error(kerr.InvalidGroupID)
	if req.Group != "" {
		err = b.Groups.write(req.Group, "LeaveGroup", func(m *group.Machine) (d coordinator.Decision) {
			d, resp = m.LeaveGroup(req)
			return d
		})
	}
	if err != nil {
		resp = kmsg.NewPtrLeaveGroupResponse()
		resp.ErrorCode = kafka.Code(err)
	}
	return resp
}
