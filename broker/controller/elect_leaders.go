package controller

import (
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/ktrial/ktrial/broker/kafka"
	"github.com/ktrial/ktrial/broker/metadata"
)

// ElectLeaders (key 43, v0-2) asks for elections: of the preferred leaders, or
// unclean ones where there is no leader.
//
// Behavior: a partition that needs no election is answered so, and left out
// when all partitions were asked for. A kind of election that does not exist is
// an error of every partition, and of the whole.
func (c *Controller) ElectLeaders(req *kmsg.ElectLeadersRequest) *kmsg.ElectLeadersResponse {
	var resp *kmsg.ElectLeadersResponse
	err := c.write(millis(req.TimeoutMillis), func(b *brain) (out records, err error) {
		resp, out, err = b.electLeaders(req)
		return out, err
	})
	if err != nil {
		resp = req.ResponseKind().(*kmsg.ElectLeadersResponse)
		resp.ErrorCode = kafka.Code(err)
	}
	return resp
}

func (b *brain) electLeaders(req *kmsg.ElectLeadersRequest) (*kmsg.ElectLeadersResponse, records, error) {
	kind, known := preferred, true
	if req.Version >= 1 { // before, the preferred leader was the only kind
		kind, known = map[int8]election{0: preferred, 1: unclean}[req.ElectionType], req.ElectionType == 0 || req.ElectionType == 1
	}
	resp := req.ResponseKind().(*kmsg.ElectLeadersResponse)
	topics, all := req.Topics, req.Topics == nil
	if all {
		topics = b.everything()
	}
	var out records
	for _, asked := range topics {
		t := kmsg.NewElectLeadersResponseTopic()
		t.Topic = asked.Topic
		for _, id := range asked.Partitions {
			if !known {
				resp.ErrorCode = kerr.InvalidRequest.Code
				t.Partitions = append(t.Partitions, elected(id, refuse(kerr.InvalidRequest, "Unknown election type %d", req.ElectionType)))
				continue
			}
			record, err := b.electLeader(asked.Topic, id, kind)
			out = appendChange(out, record)
			if all && err == kerr.ElectionNotNeeded {
				continue
			}
			t.Partitions = append(t.Partitions, elected(id, err))
		}
		if !all || len(t.Partitions) > 0 {
			resp.Topics = append(resp.Topics, t)
		}
	}
	return resp, out, nil
}

func elected(id int32, err error) kmsg.ElectLeadersResponseTopicPartition {
	p := kmsg.NewElectLeadersResponseTopicPartition()
	p.Partition, p.ErrorCode, p.ErrorMessage = id, kafka.Code(err), kafka.Message(err)
	return p
}

func (b *brain) everything() []kmsg.ElectLeadersRequestTopic {
	var out []kmsg.ElectLeadersRequestTopic
	for _, topic := range b.image.Topics() {
		t := kmsg.ElectLeadersRequestTopic{Topic: topic.Name}
		for _, p := range topic.Partitions {
			t.Partitions = append(t.Partitions, p.ID)
		}
		out = append(out, t)
	}
	return out
}

func (b *brain) electLeader(topic string, id int32, kind election) (*metadata.PartitionChangeRecord, error) {
	p := b.image.Partition(kafka.TopicPartition{Topic: topic, Partition: id})
	switch {
	case b.image.Topic(topic) == nil:
		return nil, refuse(kerr.UnknownTopicOrPartition, "No such topic as %s", topic)
	case p == nil:
		return nil, refuse(kerr.UnknownTopicOrPartition, "No such partition as %s-%d", topic, id)
	case kind == preferred && p.Leader == p.Replicas[0], kind == unclean && p.Leader != kafka.NoNode:
		return nil, kerr.ElectionNotNeeded
	}
	c := b.change(p)
	c.election = kind
	record := c.build()
	switch {
	case record != nil:
		return record, nil
	case kind == preferred:
		return nil, kerr.PreferredLeaderNotAvailable
	}
	return nil, kerr.EligibleLeadersNotAvailable
}

// maxElections bounds what one periodic round decides.
const maxElections = 1000

// balance gives partitions back to their preferred leaders.
func (b *brain) balance() records {
	return b.electAll(func(p *metadata.Partition) (election, bool) {
		return preferred, p.Leader != p.Replicas[0]
	})
}

// electUnclean gives partitions without a leader one that may lack records,
// where their topic allows it (KAFKA-12670).
func (b *brain) electUnclean() records {
	return b.electAll(func(p *metadata.Partition) (election, bool) {
		return unclean, p.Leader == kafka.NoNode && b.uncleanElection(p.Topic)
	})
}

func (b *brain) electAll(wanted func(*metadata.Partition) (election, bool)) records {
	var out records
	b.partitions(func(p *metadata.Partition) {
		if len(out) == maxElections {
			return
		}
		if kind, ok := wanted(p); ok {
			c := b.change(p)
			c.election = kind
			out = c.add(out)
		}
	})
	return out
}
