package server

import (
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/ktrial/ktrial/broker/coordinator"
	"github.com/ktrial/ktrial/broker/group"
	"github.com/ktrial/ktrial/broker/kafka"
	"github.com/ktrial/ktrial/broker/wire"
)

// OffsetDelete 0: a group forgets offsets (KIP-496).
//
//   - A topic or partition that does not exist is UNKNOWN_TOPIC_OR_PARTITION. The group is
//     asked even if nothing is left: what it refuses is the answer.
//   - A group id that is empty is INVALID_GROUP_ID.
//
// The rest is package group's.
func (b *Broker) offsetDelete(_ *wire.Context, req *kmsg.OffsetDeleteRequest) kmsg.Response {
	resp := kmsg.NewPtrOffsetDeleteResponse()
	asked := *req
	asked.Topics = b.siftDeleted(req, resp)
	var answer *kmsg.OffsetDeleteResponse
	err := error(kerr.InvalidGroupID)
	if req.Group != "" {
		err = b.Groups.write(req.Group, "OffsetDelete", func(m *group.Machine) (d coordinator.Decision) {
			d, answer = m.OffsetDelete(&asked)
			return d
		})
	}
	switch {
	case err != nil:
		resp.ErrorCode, resp.Topics = kafka.Code(err), nil
	case answer.ErrorCode != 0:
		resp.ErrorCode, resp.Topics = answer.ErrorCode, nil
	default:
		addDeleted(resp, answer.Topics)
	}
	return resp
}

// siftDeleted leaves what exists, and answers for the rest.
func (b *Broker) siftDeleted(req *kmsg.OffsetDeleteRequest, resp *kmsg.OffsetDeleteResponse) (known []kmsg.OffsetDeleteRequestTopic) {
	for _, t := range req.Topics {
		topic := b.image().Topic(t.Topic)
		fit := kmsg.NewOffsetDeleteRequestTopic()
		fit.Topic = t.Topic
		out := kmsg.NewOffsetDeleteResponseTopic()
		out.Topic = t.Topic
		for _, p := range t.Partitions {
			if topic.Partition(p.Partition) != nil {
				fit.Partitions = append(fit.Partitions, p)
				continue
			}
			part := kmsg.NewOffsetDeleteResponseTopicPartition()
			part.Partition, part.ErrorCode = p.Partition, kerr.UnknownTopicOrPartition.Code
			out.Partitions = append(out.Partitions, part)
		}
		if len(out.Partitions) > 0 {
			resp.Topics = append(resp.Topics, out)
		}
		if len(fit.Partitions) > 0 {
			known = append(known, fit)
		}
	}
	return known
}

func addDeleted(resp *kmsg.OffsetDeleteResponse, topics []kmsg.OffsetDeleteResponseTopic) {
	at := make(map[string]int, len(resp.Topics))
	for i, t := range resp.Topics {
		at[t.Topic] = i
	}
	for _, t := range topics {
		if i, ok := at[t.Topic]; ok {
			resp.Topics[i].Partitions = append(resp.Topics[i].Partitions, t.Partitions...)
			continue
		}
		resp.Topics = append(resp.Topics, t)
	}
}
