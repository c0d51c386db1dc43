package server

import (
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/ktrial/ktrial/broker/kafka"
	"github.com/ktrial/ktrial/broker/metadata"
	"github.com/ktrial/ktrial/broker/wire"
)

// Fetch 4-18, of consumers and of followers.
//
//   - Topics by name up to v12, by id from v13; sessions (KIP-227); waits for
//     fetch.min.bytes, at most fetch.max.wait.ms: all that is package replica's.
//
//   - v16: the leader of a partition that this broker does not lead, and, for consumers, where it
//     listens (KIP-951). Followers know brokers from the metadata, and Kafka tells them none.
//
//   - v17, v18 of followers: their directory id and high watermark are read and
//     not used. KIP-1166 only saves the leader an answer.
//
//   - From v11 a follower serves consumers too, up to its own high watermark
//     (KIP-392). The preferred read replica is always -1, as with Kafka's default
//     replica.selector.class, which there is none of.
//
// Missing: replica.selector.class, quotas, tiered storage. A session does not
// remember more than a hundred partitions of topics that do not exist.
func (b *Broker) fetch(ctx *wire.Context, req *kmsg.FetchRequest) kmsg.Response {
	resp := ctx.FetchResponse()
	b.Replicas.FetchInto(resp, req)
	if req.Version >= 16 {
		b.hintFetch(resp, req.ReplicaState.ID >= 0)
	}
	emptyNotNull(resp)
	return resp
}

// emptyNotNull has partitions without records say that they have 0 bytes of
// them. The field is nullable, but Kafka never sends null there, and librdkafka
// takes a size of -1 for a malformed answer.
func emptyNotNull(resp *kmsg.FetchResponse) {
	for i := range resp.Topics {
		for j := range resp.Topics[i].Partitions {
			if p := &resp.Topics[i].Partitions[j]; p.RecordBatches == nil {
				p.RecordBatches = []byte{}
			}
		}
	}
}

// hintFetch names the leader of each partition that this broker does not lead.
func (b *Broker) hintFetch(resp *kmsg.FetchResponse, follower bool) {
	var hints leaderHints
	for i := range resp.Topics {
		t := &resp.Topics[i]
		for j := range t.Partitions {
			p := &t.Partitions[j]
			if p.ErrorCode != kerr.NotLeaderForPartition.Code && p.ErrorCode != kerr.FencedLeaderEpoch.Code {
				continue
			}
			name := fetchedTopic(b.image(), t)
			leader, epoch := hints.leader(b.image(), kafka.TopicPartition{Topic: name, Partition: p.Partition})
			p.CurrentLeader.LeaderID, p.CurrentLeader.LeaderEpoch = leader, epoch
		}
	}
	if follower {
		return
	}
	for _, at := range hints.brokers {
		node := kmsg.NewFetchResponseBroker()
		node.NodeID, node.Host, node.Port, node.Rack = at.id, at.Host, int32(at.Port), at.rack
		resp.Brokers = append(resp.Brokers, node)
	}
}

func fetchedTopic(im *metadata.Image, t *kmsg.FetchResponseTopic) string {
	if t.Topic != "" {
		return t.Topic
	}
	if topic := im.TopicByID(t.TopicID); topic != nil {
		return topic.Name
	}
	return ""
}
