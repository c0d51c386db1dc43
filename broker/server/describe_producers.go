package server

import (
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/ktrial/ktrial/broker/kafka"
	"github.com/ktrial/ktrial/broker/log"
	"github.com/ktrial/ktrial/broker/wire"
)

// DescribeProducers 0 (KIP-664): the producers whose state a replica keeps,
// with their open transactions. Any replica answers, not only the leader: that
// is how their states are compared. A broker without one says
// NOT_LEADER_OR_FOLLOWER. A partition that is named again is not answered again, so
// that a small request cannot ask for a huge answer.
func (b *Broker) describeProducers(_ *wire.Context, req *kmsg.DescribeProducersRequest) kmsg.Response {
	resp := kmsg.NewPtrDescribeProducersResponse()
	told := map[kafka.TopicPartition]bool{}
	for _, asked := range req.Topics {
		topic := kmsg.NewDescribeProducersResponseTopic()
		topic.Topic = asked.Topic
		for _, partition := range asked.Partitions {
			if tp := (kafka.TopicPartition{Topic: asked.Topic, Partition: partition}); told[tp] {
				continue
			} else {
				told[tp] = true
			}
			out := kmsg.NewDescribeProducersResponseTopicPartition()
			out.Partition = partition
			states, err := b.producersOf(kafka.TopicPartition{Topic: asked.Topic, Partition: partition})
			out.ErrorCode = kafka.Code(err)
			if b.image().Topic(asked.Topic) == nil {
				_, out.ErrorMessage = errorOf(err) // the replicas say nothing
			}
			for _, s := range states {
				out.ActiveProducers = append(out.ActiveProducers, describeProducer(s))
			}
			topic.Partitions = append(topic.Partitions, out)
		}
		resp.Topics = append(resp.Topics, topic)
	}
	return resp
}

func (b *Broker) producersOf(tp kafka.TopicPartition) ([]log.ProducerState, error) {
	if err := validTopicName(tp.Topic); err != nil {
		return nil, err
	}
	if b.image().Partition(tp) == nil {
		return nil, kerr.UnknownTopicOrPartition
	}
	l := b.Dir.Get(tp)
	if l == nil || b.Replicas.Partition(tp) == nil {
		return nil, kerr.NotLeaderForPartition
	}
	return l.Producers(), nil
}

func describeProducer(s log.ProducerState) kmsg.DescribeProducersResponseTopicPartitionActiveProducer {
	out := kmsg.NewDescribeProducersResponseTopicPartitionActiveProducer()
	out.ProducerID, out.ProducerEpoch = int64(s.ID), int32(s.Epoch)
	out.LastSequence, out.LastTimestamp = int32(s.LastSequence), s.LastTimestamp
	out.CoordinatorEpoch, out.CurrentTxnStartOffset = s.CoordinatorEpoch, int64(s.TxnStart)
	return out
}
