package server

import (
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/ktrial/ktrial/broker/kafka"
	"github.com/ktrial/ktrial/broker/metadata"
	"github.com/ktrial/ktrial/broker/wire"
)

// Metadata 0-13.
//
//   - No list of topics asks for all (v0: an empty one does). By topic id from
//     v12; an unknown one is UNKNOWN_TOPIC_ID.
//
//   - Lists the brokers that are not fenced. The controller id is that of any of
//     them, drawn anew for each answer as in Kafka: it forwards to the real one.
//
//   - A partition whose leader is not there or not known is
//     LEADER_NOT_AVAILABLE; one whose leader has no such listener is
//     LISTENER_NOT_FOUND from v6.
//
//   - Replicas on brokers that are fenced or gone are offline (v5).
//
//   - A topic that does not exist is created in the background if both the
//     client (v4) and auto.create.topics.enable say so; the answer is
//     UNKNOWN_TOPIC_OR_PARTITION all the same, and the client asks again.
//
//   - Authorized operations (KIP-430) are all that there are.
//
//   - A topic id before v12 makes the whole request invalid: INVALID_REQUEST for
//     every topic, and no brokers.
//
// Missing: REBOOTSTRAP_REQUIRED.
func (b *Broker) metadata(_ *wire.Context, req *kmsg.MetadataRequest) kmsg.Response {
	im := b.image()
	resp := kmsg.NewPtrMetadataResponse()
	if req.Version < 12 && slices.ContainsFunc(req.Topics, func(t kmsg.MetadataRequestTopic) bool {
		return t.Topic == nil || !kafka.UUID(t.TopicID).IsZero()
	}) {
		for _, t := range req.Topics {
			resp.Topics = append(resp.Topics, topicError(t.Topic, t.TopicID, kerr.InvalidRequest))
		}
		return resp
	}
	if req.IncludeClusterAuthorizedOperations {
		resp.AuthorizedOperations = clusterOperations
	}
	resp.ClusterID = ptr(b.ClusterID)
	alive := b.describeBrokers(im, resp)
	resp.ControllerID = int32(kafka.NoNode)
	if alive > 0 {
		resp.ControllerID = resp.Brokers[b.Host.Rand().IntN(alive)].NodeID
	}
	if req.Topics == nil || req.Version == 0 && len(req.Topics) == 0 {
		for _, t := range im.Topics() {
			resp.Topics = append(resp.Topics, describeTopic(im, t, req.Version))
		}
	} else {
		b.describeTopics(im, req, resp)
	}
	if req.IncludeTopicAuthorizedOperations {
		for i := range resp.Topics {
			resp.Topics[i].AuthorizedOperations = topicOperations
		}
	}
	return resp
}

// describeBrokers lists the brokers that serve, and counts them.
func (b *Broker) describeBrokers(im *metadata.Image, resp *kmsg.MetadataResponse) int {
	for _, broker := range im.Brokers() {
		at, known := endpoint(broker)
		if broker.Fenced || !known {
			continue
		}
		out := kmsg.NewMetadataResponseBroker()
		out.NodeID, out.Host, out.Port, out.Rack = int32(broker.ID), at.Host, int32(at.Port), broker.Rack
		resp.Brokers = append(resp.Brokers, out)
	}
	return len(resp.Brokers)
}

// portion is how many topics of one request are looked up at a time. In between
// others have their turn: all nodes of a served cluster share a thread.
const portion = 1000

func (b *Broker) describeTopics(im *metadata.Image, req *kmsg.MetadataRequest, resp *kmsg.MetadataResponse) {
	var missing []string
	seen := make(map[string]bool, len(req.Topics))
	for i, asked := range req.Topics {
		if i%portion == portion-1 {
			b.Host.Sleep(time.Millisecond)
			im = b.image()
		}
		name := asked.Topic
		if !kafka.UUID(asked.TopicID).IsZero() || name == nil {
			t := im.TopicByID(asked.TopicID)
			if t == nil {
				resp.Topics = append(resp.Topics, topicError(nil, asked.TopicID, kerr.UnknownTopicID))
				continue
			}
			name = &t.Name
		}
		if seen[*name] {
			continue
		}
		seen[*name] = true
		switch t := im.Topic(*name); {
		case t != nil:
			resp.Topics = append(resp.Topics, describeTopic(im, t, req.Version))
		case validTopicName(*name) != nil:
			resp.Topics = append(resp.Topics, topicError(name, kafka.UUID{}, kerr.InvalidTopicException))
		default:
			missing = append(missing, *name)
			resp.Topics = append(resp.Topics, topicError(name, kafka.UUID{}, kerr.UnknownTopicOrPartition))
		}
	}
	// Before v4 a client cannot say, and Kafka takes it to be willing.
	if b.Settings.AutoCreateTopics && (req.AllowAutoTopicCreation || req.Version < 4) {
		b.creator.create(missing)
	}
}

func topicError(name *string, id kafka.UUID, err error) kmsg.MetadataResponseTopic {
	out := kmsg.NewMetadataResponseTopic()
	out.Topic, out.TopicID, out.ErrorCode = name, id, kafka.Code(err)
	if name != nil {
		out.IsInternal = internalTopic(*name)
	}
	return out
}

func describeTopic(im *metadata.Image, t *metadata.Topic, version int16) kmsg.MetadataResponseTopic {
	out := kmsg.NewMetadataResponseTopic()
	out.Topic, out.TopicID, out.IsInternal = ptr(t.Name), t.ID, internalTopic(t.Name)
	out.Partitions = make([]kmsg.MetadataResponseTopicPartition, len(t.Partitions))
	for i, p := range t.Partitions {
		out.Partitions[i] = describePartition(im, p, version)
	}
	return out
}

func describePartition(im *metadata.Image, p *metadata.Partition, version int16) kmsg.MetadataResponseTopicPartition {
	out := kmsg.NewMetadataResponseTopicPartition()
	leader, err := leaderOf(im, p)
	if err != nil && version < 6 {
		err = kerr.LeaderNotAvailable
	}
	out.ErrorCode = kafka.Code(err)
	out.Partition, out.Leader, out.LeaderEpoch = p.ID, int32(leader), int32(p.LeaderEpoch)
	out.Replicas, out.ISR = int32s(p.Replicas), int32s(p.ISR)
	out.OfflineReplicas = offline(im, p)
	return out
}

// leaderOf is the leader that clients can reach, or NoNode and why not.
func leaderOf(im *metadata.Image, p *metadata.Partition) (kafka.NodeID, error) {
	broker := im.Broker(p.Leader)
	if broker == nil {
		return kafka.NoNode, kerr.LeaderNotAvailable
	}
	if _, known := endpoint(broker); !known {
		return kafka.NoNode, kerr.ListenerNotFound
	}
	return p.Leader, nil
}

// offline lists the replicas of p on brokers that do not serve.
func offline(im *metadata.Image, p *metadata.Partition) []int32 {
	out := []int32{}
	for _, id := range p.Replicas {
		if broker := im.Broker(id); broker == nil || broker.Fenced {
			out = append(out, int32(id))
		}
	}
	return out
}
