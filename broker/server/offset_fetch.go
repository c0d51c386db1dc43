package server

import (
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/ktrial/ktrial/broker/coordinator"
	"github.com/ktrial/ktrial/broker/coordinator/timeline"
	"github.com/ktrial/ktrial/broker/group"
	"github.com/ktrial/ktrial/broker/kafka"
	"github.com/ktrial/ktrial/broker/metadata"
	"github.com/ktrial/ktrial/broker/wire"
)

// OffsetFetch 1-10: the committed offsets of a group, from v8 on of several (KIP-709), by
// topic id in v10.
//
//   - A group that does not exist has no offsets; that is no error.
//   - Without a list of topics (from v2): all that the group has.
//   - What is told is committed in __consumer_offsets. With RequireStable (v7, KIP-447)
//     the group is asked as by a write without records: nothing that is under way is missed.
//   - A topic id that is unknown is UNKNOWN_TOPIC_ID. Names are not looked up.
//   - An error of the group is on each partition in v1, on the whole answer up to v7.
//
// The rest is package group's.
func (b *Broker) offsetFetch(_ *wire.Context, req *kmsg.OffsetFetchRequest) kmsg.Response {
	resp := kmsg.NewPtrOffsetFetchResponse()
	if req.Version >= 8 {
		for _, g := range req.Groups {
			resp.Groups = append(resp.Groups, b.fetchOffsets(g, req.RequireStable, req.Version))
		}
		return resp
	}
	g := kmsg.NewOffsetFetchRequestGroup()
	g.Group = req.Group
	if req.Topics != nil || req.Version < 2 {
		g.Topics = []kmsg.OffsetFetchRequestGroupTopic{}
	}
	for _, t := range req.Topics {
		topic := kmsg.NewOffsetFetchRequestGroupTopic()
		topic.Topic, topic.Partitions = t.Topic, t.Partitions
		g.Topics = append(g.Topics, topic)
	}
	ofOne(resp, req, b.fetchOffsets(g, req.RequireStable, req.Version))
	return resp
}

// ofOne fills in the answer for a single group, as it was before v8.
func ofOne(resp *kmsg.OffsetFetchResponse, req *kmsg.OffsetFetchRequest, g kmsg.OffsetFetchResponseGroup) {
	resp.ErrorCode = g.ErrorCode
	if req.Version < 2 && g.ErrorCode != 0 {
		for _, t := range req.Topics {
			topic := kmsg.NewOffsetFetchRequestGroupTopic()
			topic.Topic, topic.Partitions = t.Topic, t.Partitions
			g.Topics = append(g.Topics, noOffsets(topic, kerr.ErrorForCode(g.ErrorCode)))
		}
	}
	for _, t := range g.Topics {
		topic := kmsg.NewOffsetFetchResponseTopic()
		topic.Topic = t.Topic
		for _, p := range t.Partitions {
			part := kmsg.NewOffsetFetchResponseTopicPartition()
			part.Partition, part.Offset, part.LeaderEpoch = p.Partition, p.Offset, p.LeaderEpoch
			part.Metadata, part.ErrorCode = p.Metadata, p.ErrorCode
			topic.Partitions = append(topic.Partitions, part)
		}
		resp.Topics = append(resp.Topics, topic)
	}
}

// fetchOffsets asks one group.
func (b *Broker) fetchOffsets(asked kmsg.OffsetFetchRequestGroup, stable bool, version int16) kmsg.OffsetFetchResponseGroup {
	all, byID := asked.Topics == nil, version >= 10
	var unknown []kmsg.OffsetFetchResponseGroupTopic
	if byID && !all {
		asked.Topics, unknown = nameTopics(b.image(), asked.Topics)
	}
	resp, err := b.askOffsets(asked, stable)
	if err != nil {
		resp = kmsg.NewOffsetFetchResponseGroup()
		resp.Group, resp.ErrorCode = asked.Group, kafka.Code(err)
		return resp
	}
	if resp.ErrorCode != 0 {
		return resp
	}
	if byID && all {
		resp.Topics = withIDs(b.image(), resp.Topics)
	}
	resp.Topics = append(unknown, resp.Topics...)
	return resp
}

func (b *Broker) askOffsets(asked kmsg.OffsetFetchRequestGroup, stable bool) (resp kmsg.OffsetFetchResponseGroup, err error) {
	if !stable {
		err = b.Groups.read(b.Groups.partitionFor(asked.Group), func(m *group.Machine) {
			resp = m.OffsetFetch(asked, timeline.Committed, false)
		})
		return resp, err
	}
	err = b.Groups.write(asked.Group, "OffsetFetch", func(m *group.Machine) coordinator.Decision {
		resp = m.OffsetFetch(asked, timeline.Written, true)
		return coordinator.Decision{}
	})
	// A client that must wait for what is stable asks another broker rather than this one
	// again (CoordinatorOperationExceptionHelper and fetchOffsets in GroupCoordinatorService).
	if kafka.Code(err) == kerr.CoordinatorNotAvailable.Code {
		err = kerr.NotCoordinator
	}
	return resp, err
}

// nameTopics finds the names of topics that are asked for by id, and answers for those
// that are unknown.
func nameTopics(im *metadata.Image, asked []kmsg.OffsetFetchRequestGroupTopic) (known []kmsg.OffsetFetchRequestGroupTopic, unknown []kmsg.OffsetFetchResponseGroupTopic) {
	known = []kmsg.OffsetFetchRequestGroupTopic{} // none is not all
	for _, t := range asked {
		topic := im.TopicByID(t.TopicID)
		if topic == nil {
			unknown = append(unknown, noOffsets(t, kerr.UnknownTopicID))
			continue
		}
		t.Topic = topic.Name
		known = append(known, t)
	}
	return known, unknown
}

// noOffsets answers for a topic with an error.
func noOffsets(t kmsg.OffsetFetchRequestGroupTopic, err error) kmsg.OffsetFetchResponseGroupTopic {
	out := kmsg.NewOffsetFetchResponseGroupTopic()
	out.Topic, out.TopicID = t.Topic, t.TopicID
	for _, p := range t.Partitions {
		part := kmsg.NewOffsetFetchResponseGroupTopicPartition()
		part.Partition, part.ErrorCode = p, kafka.Code(err)
		part.Offset, part.LeaderEpoch, part.Metadata = int64(kafka.NoOffset), kafka.NoEpoch, ptr("")
		out.Partitions = append(out.Partitions, part)
	}
	return out
}

// withIDs adds the ids of topics. Those that are gone have none, and are left out.
func withIDs(im *metadata.Image, topics []kmsg.OffsetFetchResponseGroupTopic) []kmsg.OffsetFetchResponseGroupTopic {
	out := []kmsg.OffsetFetchResponseGroupTopic{}
	for _, t := range topics {
		if topic := im.Topic(t.Topic); topic != nil {
			t.TopicID = topic.ID
			out = append(out, t)
		}
	}
	return out
}
