package server

import (
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/ktrial/ktrial/broker/coordinator/timeline"
	"github.com/ktrial/ktrial/broker/group"
	"github.com/ktrial/ktrial/broker/kafka"
	"github.com/ktrial/ktrial/broker/wire"
)

// ConsumerGroupDescribe 0-1: KIP-848 groups and their members, as committed, each
// with an error of its own.
//
//   - Authorized operations (KIP-430) are all that there are.
//   - A group id that is empty is INVALID_GROUP_ID.
//
// The rest is package group's.
func (b *Broker) consumerGroupDescribe(_ *wire.Context, req *kmsg.ConsumerGroupDescribeRequest) kmsg.Response {
	resp := kmsg.NewPtrConsumerGroupDescribeResponse()
	for _, id := range req.Groups {
		resp.Groups = append(resp.Groups, b.describeConsumerGroup(id, req.IncludeAuthorizedOperations))
	}
	return resp
}

func (b *Broker) describeConsumerGroup(id string, operations bool) (out kmsg.ConsumerGroupDescribeResponseGroup) {
	err := error(kerr.InvalidGroupID)
	if id != "" {
		err = b.Groups.read(b.Groups.partitionFor(id), func(m *group.Machine) {
			out = m.ConsumerGroupDescribe(id, timeline.Committed)
		})
	}
	if err != nil {
		out = kmsg.NewConsumerGroupDescribeResponseGroup()
		out.Group, out.ErrorCode = id, kafka.Code(err)
		return out
	}
	if operations && out.ErrorCode == 0 {
		out.AuthorizedOperations = groupOperations
	}
	return out
}
