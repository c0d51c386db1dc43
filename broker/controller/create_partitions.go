package controller

import (
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/ktrial/ktrial/broker/kafka"
)

// CreatePartitions (key 37, v0-3) gives topics more partitions, with as many
// replicas as the first has. A topic named twice is refused, once.
func (c *Controller) CreatePartitions(req *kmsg.CreatePartitionsRequest) *kmsg.CreatePartitionsResponse {
	var resp *kmsg.CreatePartitionsResponse
	err := c.write(millis(req.TimeoutMillis), func(b *brain) (out records, err error) {
		resp, out = b.createPartitions(req)
		return out, nil
	})
	if err != nil {
		resp = req.ResponseKind().(*kmsg.CreatePartitionsResponse)
		for i := range req.Topics {
			resp.Topics = append(resp.Topics, grownTopic(req.Topics[i].Topic, err))
		}
	}
	return resp
}

func grownTopic(name string, err error) kmsg.CreatePartitionsResponseTopic {
	t := kmsg.NewCreatePartitionsResponseTopic()
	t.Topic, t.ErrorCode = name, kafka.Code(err)
	if err != kerr.UnknownTopicOrPartition {
		t.ErrorMessage = kafka.Message(err) // Kafka says nothing to that one
	}
	return t
}

func (b *brain) createPartitions(req *kmsg.CreatePartitionsRequest) (*kmsg.CreatePartitionsResponse, records) {
	resp := req.ResponseKind().(*kmsg.CreatePartitionsResponse)
	names := countNames(req.Topics, func(t *kmsg.CreatePartitionsRequestTopic) string { return t.Topic })
	var out records
	for i := range req.Topics {
		asked := &req.Topics[i]
		var written records
		var err error
		switch names[asked.Topic] {
		case 1:
			if written, err = b.growTopic(asked); err == nil && len(out)+len(written) > maxRecords {
				written, err = nil, refuse(kerr.PolicyViolation, "Excessively large number of additional partitions per request.")
			}
		case answered:
			continue
		default:
			names[asked.Topic] = answered
			err = refuse(kerr.InvalidRequest, "Duplicate topic name.")
		}
		out = append(out, written...)
		resp.Topics = append(resp.Topics, grownTopic(asked.Topic, err))
	}
	if req.ValidateOnly {
		out = nil
	}
	return resp, out
}

func (b *brain) growTopic(asked *kmsg.CreatePartitionsRequestTopic) (records, error) {
	topic := b.image.Topic(asked.Topic)
	if topic == nil {
		return nil, kerr.UnknownTopicOrPartition
	}
	have := int32(len(topic.Partitions))
	more := asked.Count - have // which is no number if the count is far below 0
	switch {
	case asked.Count < have:
		return nil, refuse(kerr.InvalidPartitions, "The topic %s currently has %d partition(s); %d would not be an increase.", topic.Name, have, asked.Count)
	case more == 0:
		return nil, refuse(kerr.InvalidPartitions, "Topic already has %d partition(s).", have)
	case more > maxRecords:
		return nil, refuse(kerr.PolicyViolation, "Excessively large number of additional partitions per request.")
	}
	assignment, err := b.moreAssignments(asked, have, more, len(topic.Partitions[0].Replicas))
	if err != nil {
		return nil, err
	}
	var out records
	for i, replicas := range assignment {
		out = append(out, b.newPartition(topic.ID, have+int32(i), replicas))
	}
	return out, nil
}

func (b *brain) moreAssignments(asked *kmsg.CreatePartitionsRequestTopic, have, more int32, factor int) ([][]kafka.NodeID, error) {
	if asked.Assignment == nil {
		return b.place(more, int32(factor))
	}
	if len(asked.Assignment) != int(more) {
		return nil, refuse(kerr.InvalidReplicaAssignment, "Attempted to add %d additional partition(s), but only %d assignment(s) were specified.", more, len(asked.Assignment))
	}
	var out [][]kafka.NodeID
	for i, a := range asked.Assignment {
		replicas := nodeIDs(a.Replicas)
		if err := b.checkAssignment(have+int32(i), replicas, factor); err != nil {
			return nil, err
		}
		out = append(out, replicas)
	}
	return out, nil
}
