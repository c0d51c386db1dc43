package server

import (
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/ktrial/ktrial/broker/coordinator"
	"github.com/ktrial/ktrial/broker/group"
	"github.com/ktrial/ktrial/broker/kafka"
	"github.com/ktrial/ktrial/broker/wire"
)

// JoinGroup 2-9; 0 and 1 are advertised (KAFKA-19444) but UNSUPPORTED_VERSION. A member of a classic group
// joins, and is answered when all have.
//
//   - The answer may take as long as the longest rebalance timeout of the group. Only
//     this connection waits for it.
//   - A group id that is empty is INVALID_GROUP_ID.
//
// The rest is package group's.
func (b *Broker) joinGroup(ctx *wire.Context, req *kmsg.JoinGroupRequest) kmsg.Response {
	resp, err := (*kmsg.JoinGroupResponse)(nil), error(nil)
	switch {
	case req.Version < 2:
		err = kerr.UnsupportedVersion
	case req.Group == "":
		err = kerr.InvalidGroupID
	default:
		from := caller(ctx)
		resp, err = await(b.Groups, req.Group, "JoinGroup", func(m *group.Machine, reply func(*kmsg.JoinGroupResponse)) coordinator.Decision {
			return m.JoinGroup(from, req, reply)
		})
	}
	if err != nil {
		resp = kmsg.NewPtrJoinGroupResponse()
		resp.ErrorCode, resp.MemberID = kafka.Code(err), req.MemberID
		if req.Version < 7 {
			resp.Protocol = ptr("") // it is not nullable
		}
	}
	return resp
}
