package server

import (
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/ktrial/ktrial/broker/coordinator"
	"github.com/ktrial/ktrial/broker/group"
	"github.com/ktrial/ktrial/broker/kafka"
	"github.com/ktrial/ktrial/broker/wire"
)

// Heartbeat 0-4: a member of a classic group is alive, and learns that its group
// rebalances.
//
//   - While the group is loaded the answer is no error: the member need not do
//     anything, and its session begins when the group is there.
//   - A group id that is empty is INVALID_GROUP_ID.
//
// The rest is package group's.
func (b *Broker) heartbeat(_ *wire.Context, req *kmsg.HeartbeatRequest) kmsg.Response {
	resp := kmsg.NewPtrHeartbeatResponse()
	if req.Group == "" {
		resp.ErrorCode = kerr.InvalidGroupID.Code
		return resp
	}
	var verdict error
	err := b.Groups.write(req.Group, "Heartbeat", func(m *group.Machine) (d coordinator.Decision) {
		d, verdict = m.Heartbeat(req)
		return d
	})
	switch {
	case isLoading(err):
	case err != nil:
		resp.ErrorCode = kafka.Code(err)
	default:
		resp.ErrorCode = kafka.Code(verdict)
	}
	return resp
}
