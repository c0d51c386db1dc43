package server

import (
	"errors"
	"slices"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/ktrial/ktrial/broker/kafka"
	"github.com/ktrial/ktrial/broker/log"
	"github.com/ktrial/ktrial/broker/metadata"
	"github.com/ktrial/ktrial/broker/record"
	"github.com/ktrial/ktrial/broker/wire"
)

// Produce 3-13; 0-2 are advertised (KAFKA-18659) but their message sets are
// UNSUPPORTED_FOR_MESSAGE_FORMAT.
//
//   - acks is 0, 1 or -1 (all), else INVALID_REQUIRED_ACKS for every partition
//     that exists and whose batch could be appended.
//
//   - v13 names topics by id; an unknown one is UNKNOWN_TOPIC_ID.
//
//   - A partition that is named twice is answered once: the last batch counts.
//
//   - A partition that is not in the metadata is UNKNOWN_TOPIC_OR_PARTITION;
//     one that is led elsewhere NOT_LEADER_OR_FOLLOWER, and v10 names the leader
//     (KIP-951). The rest is package replica's.
//
//   - Topics of coordinators are not for clients: INVALID_TOPIC_EXCEPTION.
//
//   - acks=0 has no answer. After an error the connection is closed instead, so
//     that the client looks for the leader again.
//
//   - Records of a transaction: produce_txn.go. Without a transactional id the request as a whole is
//     TRANSACTIONAL_ID_AUTHORIZATION_FAILED.
//
// Missing: quotas.
func (b *Broker) produce(ctx *wire.Context, req *kmsg.ProduceRequest) kmsg.Response {
	im := b.image()
	var refused produceRefusals
	dropRepeated(req)
	fit := refused.sift(ctx, im, req)
	fit, guards := b.verifyProduce(fit, &refused)
	resp := ctx.ProduceResponse()
	resp.Version = req.Version
	b.Replicas.ProduceInto(resp, fit, guards)
	refused.addTo(resp)
	if req.Acks == 0 {
		if failed(resp) {
			ctx.Conn.Close()
		}
		return nil
	}
	if req.Version >= 10 {
		b.hintProduce(resp)
	}
	if req.Version >= 13 {
		nameByID(im, resp)
	}
	return resp
}

// produceRefusals are the partitions that never get to the replicas.
type produceRefusals struct {
	topics []kmsg.ProduceResponseTopic
}

// sift resolves topic ids and leaves what may be appended. In the usual case
// that is all of req, and nothing is copied.
func (r *produceRefusals) sift(ctx *wire.Context, im *metadata.Image, req *kmsg.ProduceRequest) *kmsg.ProduceRequest {
	if req.Version >= 13 {
		for i := range req.Topics {
			if topic := im.TopicByID(req.Topics[i].TopicID); topic != nil {
				req.Topics[i].Topic = topic.Name
			}
		}
	}
	if req.TransactionID == nil && hasTransactional(req) {
		return r.split(req, func(kafka.TopicPartition) error { return kerr.TransactionalIDAuthorizationFailed })
	}
	return r.split(req, func(tp kafka.TopicPartition) error { return refusal(ctx, im, req, tp) })
}

func hasTransactional(req *kmsg.ProduceRequest) (has bool) {
	eachTransactional(req, func(kafka.TopicPartition, record.Batch) { has = true })
	return has
}

// split takes the partitions that are refused out of req. It copies nothing if none is.
func (r *produceRefusals) split(req *kmsg.ProduceRequest, refuse func(kafka.TopicPartition) error) *kmsg.ProduceRequest {
	whole := true
	for i := range req.Topics {
		t := &req.Topics[i]
		for j := range t.Partitions {
			whole = whole && refuse(kafka.TopicPartition{Topic: t.Topic, Partition: t.Partitions[j].Partition}) == nil
		}
	}
	if whole {
		return req
	}
	fit := *req
	fit.Topics = nil
	for i := range req.Topics {
		t := req.Topics[i]
		t.Partitions = nil
		for _, p := range req.Topics[i].Partitions {
			if err := refuse(kafka.TopicPartition{Topic: t.Topic, Partition: p.Partition}); err != nil {
				r.add(&t, p.Partition, err)
			} else {
				t.Partitions = append(t.Partitions, p)
			}
		}
		if len(t.Partitions) > 0 {
			fit.Topics = append(fit.Topics, t)
		}
	}
	return &fit
}

// adminClient is the client id that may append to the topics of coordinators, as Kafka's
// own tools did (AdminUtils.ADMIN_CLIENT_ID).
const adminClient = "__admin_client"

// refusal is why a partition of a produce cannot even be tried, or nil.
func refusal(ctx *wire.Context, im *metadata.Image, req *kmsg.ProduceRequest, tp kafka.TopicPartition) error {
	if req.Version >= 13 && tp.Topic == "" {
		return kerr.UnknownTopicID
	}
	if im.Partition(tp) == nil {
		return kerr.UnknownTopicOrPartition
	}
	if req.Version < 3 {
		return kerr.UnsupportedForMessageFormat
	}
	if internalTopic(tp.Topic) && ctx.ClientID != adminClient {
		return kerr.InvalidTopicException
	}
	return nil
}

func (r *produceRefusals) add(t *kmsg.ProduceRequestTopic, partition int32, err error) {
	out := kmsg.NewProduceResponseTopicPartition()
	out.Partition, out.ErrorCode = partition, kafka.Code(err)
	out.BaseOffset, out.LogAppendTime, out.LogStartOffset = int64(kafka.NoOffset), -1, int64(kafka.NoOffset)
	var why *log.Refused
	if errors.As(err, &why) {
		out.ErrorMessage = &why.Why
	}
	if n := len(r.topics); n == 0 || r.topics[n-1].Topic != t.Topic || r.topics[n-1].TopicID != t.TopicID {
		topic := kmsg.NewProduceResponseTopic()
		topic.Topic, topic.TopicID = t.Topic, t.TopicID
		r.topics = append(r.topics, topic)
	}
	last := &r.topics[len(r.topics)-1]
	last.Partitions = append(last.Partitions, out)
}

// addTo adds the refusals to what the replicas answered.
func (r *produceRefusals) addTo(resp *kmsg.ProduceResponse) {
	if len(r.topics) == 0 {
		return
	}
	type name struct {
		topic string
		id    kafka.UUID
	}
	at := make(map[name]int, len(resp.Topics))
	for i := range resp.Topics {
		at[name{resp.Topics[i].Topic, resp.Topics[i].TopicID}] = i
	}
	for _, t := range r.topics {
		i, known := at[name{t.Topic, t.TopicID}]
		if !known {
			at[name{t.Topic, t.TopicID}] = len(resp.Topics)
			resp.Topics = append(resp.Topics, t)
			continue
		}
		resp.Topics[i].Partitions = append(resp.Topics[i].Partitions, t.Partitions...)
	}
}

// dropRepeated leaves the last of the batches for one partition, as Kafka's map
// of them does.
func dropRepeated(req *kmsg.ProduceRequest) {
	type name struct {
		topic     string
		id        kafka.UUID
		partition int32
	}
	if len(req.Topics) == 1 && len(req.Topics[0].Partitions) == 1 {
		return // nearly always
	}
	last := map[name]*kmsg.ProduceRequestTopicPartition{}
	for i := range req.Topics {
		t := &req.Topics[i]
		kept := t.Partitions[:0]
		for _, p := range t.Partitions {
			at := name{t.Topic, t.TopicID, p.Partition}
			if first := last[at]; first != nil {
				*first = p
				continue
			}
			kept = append(kept, p)
			last[at] = &kept[len(kept)-1]
		}
		t.Partitions = kept
	}
	req.Topics = slices.DeleteFunc(req.Topics, func(t kmsg.ProduceRequestTopic) bool { return len(t.Partitions) == 0 })
}

func failed(resp *kmsg.ProduceResponse) bool {
	for _, t := range resp.Topics {
		for _, p := range t.Partitions {
			if p.ErrorCode != 0 {
				return true
			}
		}
	}
	return false
}

// hintProduce names the leader of each partition that this broker does not
// lead.
func (b *Broker) hintProduce(resp *kmsg.ProduceResponse) {
	var hints leaderHints
	for i := range resp.Topics {
		t := &resp.Topics[i]
		for j := range t.Partitions {
			p := &t.Partitions[j]
			if p.ErrorCode != kerr.NotLeaderForPartition.Code {
				continue
			}
			leader, epoch := hints.leader(b.image(), kafka.TopicPartition{Topic: t.Topic, Partition: p.Partition})
			p.CurrentLeader.LeaderID, p.CurrentLeader.LeaderEpoch = leader, epoch
		}
	}
	for _, at := range hints.brokers {
		node := kmsg.NewProduceResponseBroker()
		node.NodeID, node.Host, node.Port, node.Rack = at.id, at.Host, int32(at.Port), at.rack
		resp.Brokers = append(resp.Brokers, node)
	}
}

func nameByID(im *metadata.Image, resp *kmsg.ProduceResponse) {
	for i := range resp.Topics {
		t := &resp.Topics[i]
		if topic := im.Topic(t.Topic); topic != nil && kafka.UUID(t.TopicID).IsZero() {
			t.TopicID = topic.ID
		}
	}
}
