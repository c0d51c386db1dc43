package server

import (
	"slices"
	"strings"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/ktrial/ktrial/broker/kafka"
	"github.com/ktrial/ktrial/broker/metadata"
	"github.com/ktrial/ktrial/broker/wire"
)

// DescribeTopicPartitions 0 (KIP-966): Metadata with pages, and with the
// eligible leader replicas.
//
//   - Topics in the order of their names; no list asks for all, from the
//     cursor's on.
//   - At most max.request.partition.size.limit partitions, or as many as were
//     asked for, but one at least; then the next cursor says where to go on.
//   - A cursor at a topic that is not asked for, or before its first partition, is
//     INVALID_REQUEST for every topic.
func (b *Broker) describeTopicPartitions(_ *wire.Context, req *kmsg.DescribeTopicPartitionsRequest) kmsg.Response {
	im := b.image()
	resp := kmsg.NewPtrDescribeTopicPartitionsResponse()
	if badCursor(req) {
		for _, t := range req.Topics {
			out := kmsg.NewDescribeTopicPartitionsResponseTopic()
			out.Topic, out.ErrorCode, out.IsInternal = ptr(t.Topic), kerr.InvalidRequest.Code, internalTopic(t.Topic)
			resp.Topics = append(resp.Topics, out)
		}
		return resp
	}
	room := max(1, min(b.Settings.MaxDescribedPartitions, req.ResponsePartitionLimit))
	for _, name := range pageOf(im, req) {
		first := int32(0)
		if req.Cursor != nil && req.Cursor.Topic == name {
			first = req.Cursor.Partition
		}
		if room == 0 {
			resp.NextCursor = cursor(name, first)
			break
		}
		out := kmsg.NewDescribeTopicPartitionsResponseTopic()
		out.Topic, out.IsInternal, out.AuthorizedOperations = ptr(name), internalTopic(name), topicOperations
		t := im.Topic(name)
		if t == nil {
			out.ErrorCode = kerr.UnknownTopicOrPartition.Code
			if validTopicName(name) != nil {
				out.ErrorCode = kerr.InvalidTopicException.Code
			}
			resp.Topics = append(resp.Topics, out)
			continue
		}
		out.TopicID = t.ID
		end := min(int64(first)+int64(room), int64(len(t.Partitions)))
		for i := int64(first); i < end; i++ {
			out.Partitions = append(out.Partitions, describeEligible(im, t.Partitions[i]))
		}
		room -= int32(len(out.Partitions))
		resp.Topics = append(resp.Topics, out)
		if end < int64(len(t.Partitions)) {
			resp.NextCursor = cursor(name, int32(end))
			break
		}
	}
	return resp
}

func badCursor(req *kmsg.DescribeTopicPartitionsRequest) bool {
	c := req.Cursor
	if c == nil {
		return false
	}
	asked := len(req.Topics) == 0 || slices.ContainsFunc(req.Topics, func(t kmsg.DescribeTopicPartitionsRequestTopic) bool { return t.Topic == c.Topic })
	return !asked || c.Partition < 0
}

// pageOf names the topics asked for, from the cursor's on.
func pageOf(im *metadata.Image, req *kmsg.DescribeTopicPartitionsRequest) []string {
	var names []string
	for _, t := range req.Topics {
		names = append(names, t.Topic)
	}
	if len(req.Topics) == 0 {
		for _, t := range im.Topics() {
			names = append(names, t.Name)
		}
	}
	slices.Sort(names)
	names = slices.Compact(names)
	if req.Cursor != nil {
		from, _ := slices.BinarySearchFunc(names, req.Cursor.Topic, strings.Compare)
		names = names[from:]
	}
	return names
}

func describeEligible(im *metadata.Image, p *metadata.Partition) kmsg.DescribeTopicPartitionsResponseTopicPartition {
	out := kmsg.NewDescribeTopicPartitionsResponseTopicPartition()
	leader, err := leaderOf(im, p)
	out.ErrorCode = kafka.Code(err)
	out.Partition, out.LeaderID, out.LeaderEpoch = p.ID, int32(leader), int32(p.LeaderEpoch)
	out.Replicas, out.ISR, out.OfflineReplicas = int32s(p.Replicas), int32s(p.ISR), offline(im, p)
	out.EligibleLeaderReplicas, out.LastKnownELR = int32s(p.ELR), int32s(p.LastKnownELR)
	return out
}

func cursor(topic string, partition int32) *kmsg.DescribeTopicPartitionsResponseNextCursor {
	c := kmsg.NewDescribeTopicPartitionsResponseNextCursor()
	c.Topic, c.Partition = topic, partition
	return &c
}
