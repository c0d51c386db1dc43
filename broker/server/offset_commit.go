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

// OffsetCommit 2-10: a group's offsets, by topic name up to v9, by topic id in v10 (KIP-848).
//
//   - An id that is unknown is UNKNOWN_TOPIC_ID; a topic or partition that does not exist is
//     UNKNOWN_TOPIC_OR_PARTITION. If nothing is left, the group is not asked.
//   - The group's verdict is one for all that is left, but where a member commits in an
//     older epoch (KIP-1251).
//   - An empty group id is one like others, for old clients' sake.
//
// The rest is package group's.
func (b *Broker) offsetCommit(_ *wire.Context, req *kmsg.OffsetCommitRequest) kmsg.Response {
	resp := kmsg.NewPtrOffsetCommitResponse()
	im := b.image()
	var known []kmsg.OffsetCommitRequestTopic
	for _, t := range oncePerTopic(req.Topics) {
		topic, err := committedTopic(im, t.Topic, t.TopicID, req.Version >= 10)
		if err != nil {
			resp.Topics = append(resp.Topics, notCommitted(t, t.Partitions, err))
			continue
		}
		t.Topic, t.TopicID = topic.Name, topic.ID
		fit, unfit := t, t
		fit.Partitions, unfit.Partitions = nil, nil
		for _, p := range t.Partitions {
			if topic.Partition(p.Partition) != nil {
				fit.Partitions = append(fit.Partitions, p)
			} else {
				unfit.Partitions = append(unfit.Partitions, p)
			}
		}
		if len(unfit.Partitions) > 0 {
			resp.Topics = append(resp.Topics, notCommitted(t, unfit.Partitions, kerr.UnknownTopicOrPartition))
		}
		if len(fit.Partitions) > 0 {
			known = append(known, fit)
		}
	}
	if len(known) > 0 {
		req.Topics = known
		resp.Topics = addTopics(resp.Topics, b.commit(req),
			func(t *kmsg.OffsetCommitResponseTopic) string { return t.Topic },
			func(to, from *kmsg.OffsetCommitResponseTopic) {
				to.Partitions = append(to.Partitions, from.Partitions...)
			})
	}
	return resp
}

// oncePerTopic puts the partitions of a topic together.
func oncePerTopic(topics []kmsg.OffsetCommitRequestTopic) []kmsg.OffsetCommitRequestTopic {
	type key struct {
		name string
		id   kafka.UUID
	}
	at := make(map[key]int, len(topics))
	out := topics[:0]
	for _, t := range topics {
		k := key{t.Topic, t.TopicID}
		if i, ok := at[k]; ok {
			out[i].Partitions = append(out[i].Partitions, t.Partitions...)
			continue
		}
		at[k] = len(out)
		out = append(out, t)
	}
	return out
}

// commit asks the group.
func (b *Broker) commit(req *kmsg.OffsetCommitRequest) (topics []kmsg.OffsetCommitResponseTopic) {
	err := b.Groups.write(req.Group, "OffsetCommit", func(m *group.Machine) coordinator.Decision {
		d, resp := m.OffsetCommit(req)
		topics = resp.Topics
		return d
	})
	if err == nil {
		return topics
	}
	topics = nil
	for _, t := range req.Topics {
		topics = append(topics, notCommitted(t, t.Partitions, err))
	}
	return topics
}

// addTopics adds what the group answered. Partitions of a topic stand together.
func addTopics[T any](to, topics []T, name func(*T) string, join func(to, from *T)) []T {
	at := make(map[string]int, len(to))
	for i := range to {
		at[name(&to[i])] = i
	}
	for i := range topics {
		if j, ok := at[name(&topics[i])]; ok {
			join(&to[j], &topics[i])
			continue
		}
		to = append(to, topics[i])
	}
	return to
}

func notCommitted(t kmsg.OffsetCommitRequestTopic, partitions []kmsg.OffsetCommitRequestTopicPartition, err error) kmsg.OffsetCommitResponseTopic {
	out := kmsg.NewOffsetCommitResponseTopic()
	out.Topic, out.TopicID = t.Topic, t.TopicID
	for _, p := range partitions {
		part := kmsg.NewOffsetCommitResponseTopicPartition()
		part.Partition, part.ErrorCode = p.Partition, kafka.Code(err)
		out.Partitions = append(out.Partitions, part)
	}
	return out
}

// committedTopic is the topic that a client commits for or asks about.
func committedTopic(im *metadata.Image, name string, id kafka.UUID, byID bool) (*metadata.Topic, error) {
	if byID {
		if t := im.TopicByID(id); t != nil {
			return t, nil
		}
		return nil, kerr.UnknownTopicID
	}
	if t := im.Topic(name); t != nil {
		return t, nil
	}
	return nil, kerr.UnknownTopicOrPartition
}
