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
	t.Topic, t.TopicID, t.ErrorCode, t.ErrorMessage = asked.Topic, asked.TopicID, kafka.Code(err), kafka.Message(err)
	return t
}

// deleteTopics decides as Kafka's ControllerApis does: a topic that is named
// more than once, or by its name and by its id, is refused, once, and stays.
func (b *brain) deleteTopics(req *kmsg.DeleteTopicsRequest) (*kmsg.DeleteTopicsResponse, records) {
	resp := req.ResponseKind().(*kmsg.DeleteTopicsResponse)
	asked := namedTopics(req)
	names, ids := map[string]int{}, map[kafka.UUID]int{}
	for _, t := range asked {
		switch byID := !kafka.UUID(t.TopicID).IsZero(); {
		case byID && t.Topic == nil:
			ids[t.TopicID]++
		case !byID && t.Topic != nil:
			names[*t.Topic]++
		}
	}
	var out records
	for _, t := range asked {
		switch byID := !kafka.UUID(t.TopicID).IsZero(); {
		case byID && t.Topic == nil && ids[t.TopicID] == answered, !byID && t.Topic != nil && names[*t.Topic] == answered:
			continue
		case byID && t.Topic == nil && ids[t.TopicID] > 1:
			ids[t.TopicID] = answered
			resp.Topics = append(resp.Topics, deletedTopic(t, refuse(kerr.InvalidRequest, "Duplicate topic id.")))
			continue
		case !byID && t.Topic != nil && names[*t.Topic] > 1:
			names[*t.Topic] = answered
			resp.Topics = append(resp.Topics, deletedTopic(t, refuse(kerr.InvalidRequest, "Duplicate topic name.")))
			continue
		}
		topic, err := b.findTopic(t)
		if err == nil {
			byName := t.Topic != nil
			t.Topic, t.TopicID = &topic.Name, topic.ID
			if byName && ids[topic.ID] != 0 || !byName && names[topic.Name] == 1 {
				names[topic.Name] = answered
				if ids[topic.ID] == 1 {
					ids[topic.ID] = answered
				}
				err = refuse(kerr.InvalidRequest, "The provided topic name maps to an ID that was already supplied.")
			}
		}
		if err == nil {
			out = append(out, &metadata.RemoveTopicRecord{TopicID: topic.ID})
		}
		resp.Topics = append(resp.Topics, deletedTopic(t, err))
	}
	return resp, out
}

func (b *brain) findTopic(asked kmsg.DeleteTopicsRequestTopic) (*metadata.Topic, error) {
	byID := !kafka.UUID(asked.TopicID).IsZero()
	switch {
	case byID && asked.Topic != nil:
		return nil, refuse(kerr.InvalidRequest, "You may not specify both topic name and topic id.")
	case byID:
		if topic := b.image.TopicByID(asked.TopicID); topic != nil {
			return topic, nil
		}
		return nil, kerr.UnknownTopicID
	case asked.Topic == nil:
		return nil, refuse(kerr.InvalidRequest, "Neither topic name nor id were specified.")
	}
	if topic := b.image.Topic(*asked.Topic); topic != nil {
		return topic, nil
	}
	return nil, kerr.UnknownTopicOrPartition
}
