package server

import (
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/ktrial/ktrial/broker/coordinator"
	"github.com/ktrial/ktrial/broker/group"
	"github.com/ktrial/ktrial/broker/kafka"
	"github.com/ktrial/ktrial/broker/wire"
)

// ConsumerGroupHeartbeat 0-1: a member of a KIP-848 group joins, tells what it wants
// and has, is told what it gets, and leaves.
//
//   - UNSUPPORTED_VERSION where the protocol is not among group.coordinator.rebalance.protocols,
//     or the level of the feature group.version is 0.
//   - A member is refused with a message that says why; errors such as NOT_COORDINATOR
//     have none.
//
// The rest is package group's.
func (b *Broker) consumerGroupHeartbeat(ctx *wire.Context, req *kmsg.ConsumerGroupHeartbeatRequest) kmsg.Response {
	resp := kmsg.NewPtrConsumerGroupHeartbeatResponse()
	if b.image().Feature("group.version") == 0 || !b.Groups.settings.Consumer.enabled() {
		resp.ErrorCode = kerr.UnsupportedVersion.Code
		return resp
	}
	from := caller(ctx)
	err := b.Groups.write(req.Group, "ConsumerGroupHeartbeat", func(m *group.Machine) (d coordinator.Decision) {
		d, resp = m.ConsumerGroupHeartbeat(from, req)
		return d
	})
	if err != nil {
		resp = kmsg.NewPtrConsumerGroupHeartbeatResponse()
		resp.ErrorCode = kafka.Code(err)
	}
	return resp
}
