package server

import (
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/ktrial/ktrial/broker/coordinator/timeline"
	"github.com/ktrial/ktrial/broker/group"
	"github.com/ktrial/ktrial/broker/kafka"
	"github.com/ktrial/ktrial/broker/wire"
)

// ConsumerGroupDescribe 0-1: KIP-848 groups and their members, each with an error of its
// own.
//
//   - A group id that is empty is INVALID_GROUP_ID.
//   - In a cluster whose group.version is 0 all are UNSUPPORTED_VERSION.
//   - Authorized operations are all that there are.
//
// The rest is package group's.
func (b *Broker) consumerGroupDescribe(_ *wire.Context, req *kmsg.ConsumerGroupDescribeRequest) kmsg.Response {
	resp := kmsg.NewPtrConsumerGroupDescribeResponse()
	for _, id := range req.Groups {
		var out kmsg.ConsumerGroupDescribeResponseGroup
		err := error(kerr.InvalidGroupID)
		switch {
		case !hasConsumerGroups(b.image()):
			err = kerr.UnsupportedVersion
		case id != "":
			err = b.Groups.read(b.Groups.partitionFor(id), func(m *group.Machine) {
				out = m.ConsumerGroupDescribe(id, timeline.Committed)
			})
		}
		if err != nil {
			out = kmsg.NewConsumerGroupDescribeResponseGroup()
			out.Group, out.ErrorCode = id, kafka.Code(err)
		}
		if req.IncludeAuthorizedOperations && out.ErrorCode == 0 {
			out.AuthorizedOperations = groupOperations
		}
		resp.Groups = append(resp.Groups, out)
	}
	return resp
}
