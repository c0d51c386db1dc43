package controller

import (
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/ktrial/ktrial/broker/kafka"
	"github.com/ktrial/ktrial/broker/metadata"
)

// DeleteTopics (key 20, v1-6) deletes topics, each on its own.
//
// Version notes: from v6 a topic is named by name or by id, not both.
func (c *Controller) DeleteTopics(req *kmsg.DeleteTopicsRequest) *kmsg.DeleteTopicsResponse {
	var resp *kmsg.DeleteTopicsResponse
	err := c.write(millis(req.TimeoutMillis), func(b *brain) (out records, err error) {
		resp, out = b.deleteTopics(req)
		return out, nil
	})
	if err != nil {
		resp = req.ResponseKind().(*kmsg.DeleteTopicsResponse)
		for _, asked := range namedTopics(req) {
			resp.Topics = append(resp.Topics, deletedTopic(asked, err))
		}
	}
	return resp
}

// namedTopics is what any version asks for.
func namedTopics(req *kmsg.DeleteTopicsRequest) []kmsg.DeleteTopicsRequestTopic {
	if req.Version >= 6 {
		return req.Topics
	}
	var out []kmsg.DeleteTopicsRequestTopic
	for _, name := range req.TopicNames {
		out = append(out, kmsg.DeleteTopicsRequestTopic{Topic: &name})
	}
	return out
}

func deletedTopic(asked kmsg.DeleteTopicsRequestTopic, err error) kmsg.DeleteTopicsResponseTopic {
	t := kmsg.NewDeleteTopicsResponseTopic()
	t.Topic, t.TopicID, t.ErrorCode, t.ErrorMessage = asked.Topic, asked.TopicID, kafka.Code(err), message(err)
	return t
}

func (b *brain) deleteTopics(req *kmsg.DeleteTopicsRequest) (*kmsg.DeleteTopicsResponse, records) {
	resp := req.ResponseKind().(*kmsg.DeleteTopicsResponse)
	gone := map[kafka.UUID]bool{}
	var out records
	for _, asked := range namedTopics(req) {
		topic, err := b.findTopic(asked)
		if err == nil && gone[topic.ID] {
			err = refuse(kerr.InvalidRequest, "topic %q is named more than once", topic.Name)
		}
		if err == nil {
			gone[topic.ID] = true
			out = append(out, &metadata.RemoveTopicRecord{TopicID: topic.ID})
			asked.Topic, asked.TopicID = &topic.Name, topic.ID
		}
		resp.Topics = append(resp.Topics, deletedTopic(asked, err))
	}
	return resp, out
}

func (b *brain) findTopic(asked kmsg.DeleteTopicsRequestTopic) (*metadata.Topic, error) {
	byID := !kafka.UUID(asked.TopicID).IsZero()
	switch {
	case byID && asked.Topic != nil:
		return nil, refuse(kerr.InvalidRequest, "a topic is named both %q and %v", *asked.Topic, kafka.UUID(asked.TopicID))
	case byID:
		if topic := b.image.TopicByID(asked.TopicID); topic != nil {
			return topic, nil
		}
		return nil, kerr.UnknownTopicID
	case asked.Topic == nil:
		return nil, refuse(kerr.InvalidRequest, "a topic has neither name nor id")
	}
	if topic := b.image.Topic(*asked.Topic); topic != nil {
		return topic, nil
	}
	return nil, kerr.UnknownTopicOrPartition
}
