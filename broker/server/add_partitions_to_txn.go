package server

import (
	"slices"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/ktrial/ktrial/broker/coordinator"
	"github.com/ktrial/ktrial/broker/kafka"
	"github.com/ktrial/ktrial/broker/txn"
	"github.com/ktrial/ktrial/broker/wire"
)

// AddPartitionsToTxn 0-5.
//
//   - 0-3 are for clients, and of one transaction.
//   - 4-5 are for brokers, and of many transactions (KIP-890): each is verified, which changes
//     nothing, or added to, for clients that leave that to the leader.
//   - A partition that does not exist refuses all of its transaction: it is
//     UNKNOWN_TOPIC_OR_PARTITION, the others OPERATION_NOT_ATTEMPTED.
//   - A partition that is added twice is answered twice; in the other answers there is each once.
//   - An id that is null or empty is INVALID_REQUEST.
//   - Below v2 a fenced producer is told INVALID_PRODUCER_EPOCH.
//
// The rest is package txn's.
func (b *Broker) addPartitionsToTxn(_ *wire.Context, req *kmsg.AddPartitionsToTxnRequest) kmsg.Response {
	resp := kmsg.NewPtrAddPartitionsToTxnResponse()
	resp.Version = req.Version
	if req.Version >= 4 {
		for i := range req.Transactions {
			resp.Transactions = append(resp.Transactions, b.addForBroker(&req.Transactions[i]))
		}
		return resp
	}
	partitions := addedPartitions(req.Topics, func(t kmsg.AddPartitionsToTxnRequestTopic) (string, []int32) { return t.Topic, t.Partitions })
	answered := distinct(partitions)
	codes := b.notAttempted(answered)
	if codes == nil {
		code := fencedBefore(2, req.Version, kafka.Code(b.addPartitions(req.TransactionalID, req.ProducerID, req.ProducerEpoch, answered, 0)))
		answered = partitions
		codes = func(kafka.TopicPartition) int16 { return code }
	}
	for _, of := range byTopic(answered) {
		t := kmsg.NewAddPartitionsToTxnResponseTopic()
		t.Topic = of[0].Topic
		for _, tp := range of {
			p := kmsg.NewAddPartitionsToTxnResponseTopicPartition()
			p.Partition, p.ErrorCode = tp.Partition, codes(tp)
			t.Partitions = append(t.Partitions, p)
		}
		resp.Topics = append(resp.Topics, t)
	}
	return resp
}

// notAttempted is the answer for each partition of which some do not exist; nil if all do.
func (b *Broker) notAttempted(partitions []kafka.TopicPartition) func(tp kafka.TopicPartition) int16 {
	im := b.image()
	if !slices.ContainsFunc(partitions, func(tp kafka.TopicPartition) bool { return im.Partition(tp) == nil }) {
		return nil
	}
	return func(tp kafka.TopicPartition) int16 {
		if im.Partition(tp) == nil {
			return kerr.UnknownTopicOrPartition.Code
		}
		return kerr.OperationNotAttempted.Code
	}
}

// addedPartitions are the partitions that a request names, in order.
func addedPartitions[T any](topics []T, of func(T) (string, []int32)) (all []kafka.TopicPartition) {
	for _, t := range topics {
		topic, partitions := of(t)
		for _, p := range partitions {
			all = append(all, kafka.TopicPartition{Topic: topic, Partition: p})
		}
	}
	slices.SortFunc(all, kafka.TopicPartition.Compare)
	return all
}

// distinct are partitions, in order, each once.
func distinct(partitions []kafka.TopicPartition) []kafka.TopicPartition {
	return slices.Compact(slices.Clone(partitions))
}

func producerOf(id int64, epoch int16) coordinator.Producer {
	return coordinator.Producer{ID: kafka.ProducerID(id), Epoch: kafka.ProducerEpoch(epoch)}
}

func (b *Broker) addPartitions(id string, producer int64, epoch int16, partitions []kafka.TopicPartition, clientVersion int16) error {
	if id == "" {
		return kerr.InvalidRequest
	}
	return b.Transactions.write(id, "AddPartitionsToTxn", func(m *txn.Machine) (coordinator.Decision, error) {
		return m.AddPartitions(id, producerOf(producer, epoch), partitions, clientVersion)
	})
}

// addForBroker answers a leader about one transaction.
func (b *Broker) addForBroker(t *kmsg.AddPartitionsToTxnRequestTransaction) kmsg.AddPartitionsToTxnResponseTransaction {
	partitions := addedPartitions(t.Topics, func(t kmsg.AddPartitionsToTxnRequestTransactionTopic) (string, []int32) { return t.Topic, t.Partitions })
	answered := distinct(partitions)
	codes := b.notAttempted(answered)
	if codes == nil {
		codes = b.addOrVerify(t, answered)
		if !t.VerifyOnly {
			answered = partitions
		}
	}
	out := kmsg.NewAddPartitionsToTxnResponseTransaction()
	out.TransactionalID = t.TransactionalID
	for _, of := range byTopic(answered) {
		topic := kmsg.NewAddPartitionsToTxnResponseTransactionTopic()
		topic.Topic = of[0].Topic
		for _, tp := range of {
			p := kmsg.NewAddPartitionsToTxnResponseTransactionTopicPartition()
			p.Partition, p.ErrorCode = tp.Partition, codes(tp)
			topic.Partitions = append(topic.Partitions, p)
		}
		out.Topics = append(out.Topics, topic)
	}
	return out
}

// addOrVerify does what a leader asks for partitions that exist, and returns the answer for each.
func (b *Broker) addOrVerify(t *kmsg.AddPartitionsToTxnRequestTransaction, partitions []kafka.TopicPartition) func(kafka.TopicPartition) int16 {
	var errs map[kafka.TopicPartition]error
	var err error
	switch {
	case t.VerifyOnly && t.TransactionalID == "":
		err = kerr.InvalidRequest
	case t.VerifyOnly:
		err = b.Transactions.read(b.Transactions.partitionFor(t.TransactionalID), func(m *txn.Machine) (err error) {
			errs, err = m.Verify(t.TransactionalID, producerOf(t.ProducerID, t.ProducerEpoch), partitions)
			return err
		})
	default:
		err = b.addPartitions(t.TransactionalID, t.ProducerID, t.ProducerEpoch, partitions, 2)
	}
	return func(tp kafka.TopicPartition) int16 {
		if err != nil {
			return kafka.Code(err)
		}
		return kafka.Code(errs[tp])
	}
}
