package server

import (
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/ktrial/ktrial/broker/coordinator"
	"github.com/ktrial/ktrial/broker/group"
	"github.com/ktrial/ktrial/broker/kafka"
	"github.com/ktrial/ktrial/broker/wire"
)

// DeleteGroups 0-3: groups without members go, with their offsets; those of one partition
// in one write. The rest is package group's.
func (b *Broker) deleteGroups(_ *wire.Context, req *kmsg.DeleteGroupsRequest) kmsg.Response {
	resp := kmsg.NewPtrDeleteGroupsResponse()
	ids, asked := map[int32][]string{}, map[string]bool{}
	var order []int32
	for _, id := range req.Groups {
		if asked[id] {
			continue // one that is named twice is answered once
		}
		asked[id] = true
		p := b.Groups.partitionFor(id)
		if ids[p] == nil {
			order = append(order, p)
		}
		ids[p] = append(ids[p], id)
	}
	for _, p := range order {
		resp.Groups = append(resp.Groups, b.deleteGroupsAt(p, ids[p])...)
	}
	return resp
}

func (b *Broker) deleteGroupsAt(partition int32, ids []string) (answers []kmsg.DeleteGroupsResponseGroup) {
	err := b.Groups.writeAt(partition, "DeleteGroups", func(m *group.Machine) (d coordinator.Decision) {
		d, answers = m.DeleteGroups(ids)
		return d
	})
	if err == nil {
		return answers
	}
	answers = nil
	for _, id := range ids {
		out := kmsg.NewDeleteGroupsResponseGroup()
		out.Group, out.ErrorCode = id, kafka.Code(err)
		answers = append(answers, out)
	}
	return answers
}
