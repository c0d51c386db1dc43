package server

import (
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/ktrial/ktrial/broker/coordinator"
	"github.com/ktrial/ktrial/broker/group"
	"github.com/ktrial/ktrial/broker/kafka"
	"github.com/ktrial/ktrial/broker/wire"
)

// SyncGroup 0-5: the leader of a classic group brings the assignment, and every member
// is answered with its part when the assignment is committed.
//
//   - From v5 the type and the name of the protocol must be there, else
//     INCONSISTENT_GROUP_PROTOCOL (KIP-559).
//   - A group id that is empty is INVALID_GROUP_ID.
//
// The rest is package group's.
func (b *Broker) syncGroup(_ *wire.Context, req *kmsg.SyncGroupRequest) kmsg.Response {
	resp, err := (*kmsg.SyncGroupResponse)(nil), error(nil)
	switch {
	case req.Version >= 5 && (req.ProtocolType == nil || req.Protocol == nil):
		err = kerr.InconsistentGroupProtocol
	case req.Group == "":
		err = kerr.InvalidGroupID
	default:
		resp, err = await(b.Groups, req.Group, "SyncGroup", func(m *group.Machine, reply func(*kmsg.SyncGroupResponse)) coordinator.Decision {
			return m.SyncGroup(req, reply)
		})
	}
	if err != nil {
		resp = kmsg.NewPtrSyncGroupResponse()
		resp.ErrorCode = kafka.Code(err)
	}
	return resp
}
