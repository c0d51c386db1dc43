package server

import (
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/ktrial/ktrial/broker/coordinator"
	"github.com/ktrial/ktrial/broker/group"
	"github.com/ktrial/ktrial/broker/kafka"
	"github.com/ktrial/ktrial/broker/metadata"
	"github.com/ktrial/ktrial/broker/wire"
)

// ConsumerGroupHeartbeat 0-1: all that a member of a KIP-848 group has to say, and to be
// told. Where group.version is 0, or group.coordinator.rebalance.protocols does not name
// the protocol, it is UNSUPPORTED_VERSION. The rest is package group's.
func (b *Broker) consumerGroupHeartbeat(ctx *wire.Context, req *kmsg.ConsumerGroupHeartbeatRequest) kmsg.Response {
	resp, err := kmsg.NewPtrConsumerGroupHeartbeatResponse(), error(kerr.UnsupportedVersion)
	if hasConsumerGroups(b.image()) && b.Groups.settings.Consumer.enabled() {
		from := caller(ctx)
		err = b.Groups.write(req.Group, "ConsumerGroupHeartbeat", func(m *group.Machine) (d coordinator.Decision) {
			d, resp = m.ConsumerGroupHeartbeat(from, req)
			return d
		})
	}
	if err != nil {
		resp = kmsg.NewPtrConsumerGroupHeartbeatResponse()
		resp.ErrorCode = kafka.Code(err)
	}
	return resp
}

// hasConsumerGroups reports whether the cluster has groups of KIP-848 (group.version 1).
func hasConsumerGroups(im *metadata.Image) bool { return im.Feature("group.version") >= 1 }
