package server

import (
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/ktrial/ktrial/broker/kafka"
	"github.com/ktrial/ktrial/broker/wire"
)

// AddOffsetsToTxn 0-4: AddPartitionsToTxn of the group's partition of __consumer_offsets.
//
//   - Whether there is such a group, or the topic, is not asked.
//   - Below v2 a fenced producer is told INVALID_PRODUCER_EPOCH.
func (b *Broker) addOffsetsToTxn(_ *wire.Context, req *kmsg.AddOffsetsToTxnRequest) kmsg.Response {
	resp := kmsg.NewPtrAddOffsetsToTxnResponse()
	tp := kafka.TopicPartition{Topic: kafka.OffsetsTopic, Partition: b.Groups.partitionFor(req.Group)}
	err := b.addPartitions(req.TransactionalID, req.ProducerID, req.ProducerEpoch, []kafka.TopicPartition{tp}, 0)
	resp.ErrorCode = fencedBefore(2, req.Version, kafka.Code(err))
	return resp
}
