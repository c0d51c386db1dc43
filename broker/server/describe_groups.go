package server

import (
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/ktrial/ktrial/broker/coordinator/timeline"
	"github.com/ktrial/ktrial/broker/group"
	"github.com/ktrial/ktrial/broker/kafka"
	"github.com/ktrial/ktrial/broker/wire"
)

// DescribeGroups 0-6: classic groups and their members, each with an error of its own.
//
//   - Authorized operations (KIP-430, v3) are all that there are.
//   - A group that does not exist is Dead, without error; from v6 it is GROUP_ID_NOT_FOUND
//     (KIP-1043).
//
// The rest is package group's.
func (b *Broker) describeGroups(_ *wire.Context, req *kmsg.DescribeGroupsRequest) kmsg.Response {
	resp := kmsg.NewPtrDescribeGroupsResponse()
	for _, id := range req.Groups {
		var out kmsg.DescribeGroupsResponseGroup
		err := b.Groups.read(b.Groups.partitionFor(id), func(m *group.Machine) {
			out = m.DescribeGroup(id, req.Version, timeline.Committed)
		})
		if err != nil {
			out = kmsg.NewDescribeGroupsResponseGroup()
			out.Group, out.ErrorCode = id, kafka.Code(err)
		}
		if req.IncludeAuthorizedOperations && out.ErrorCode == 0 {
			out.AuthorizedOperations = groupOperations
		}
		resp.Groups = append(resp.Groups, out)
	}
	return resp
}
