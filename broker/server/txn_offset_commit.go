package server

import (
	"errors"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/ktrial/ktrial/broker/coordinator"
	"github.com/ktrial/ktrial/broker/group"
	"github.com/ktrial/ktrial/broker/kafka"
	"github.com/ktrial/ktrial/broker/log"
	"github.com/ktrial/ktrial/broker/record"
	"github.com/ktrial/ktrial/broker/wire"
)

// TxnOffsetCommit 0-6: a group's offsets that count when the transaction is committed, by topic
// name up to v5, by topic id in v6 (KIP-1319).
//
//   - A topic or partition that does not exist is UNKNOWN_TOPIC_OR_PARTITION, an id that is
//     unknown UNKNOWN_TOPIC_ID. If nothing is left, nothing is asked.
//   - The group's partition of __consumer_offsets must be in the transaction; from v5 on it is added
//     here (KIP-890), also if the group refuses the offsets then.
//   - An empty group id is INVALID_GROUP_ID.
//   - Below v2 COORDINATOR_LOAD_IN_PROGRESS is COORDINATOR_NOT_AVAILABLE (KAFKA-7296).
//
// The rest is package group's.
func (b *Broker) txnOffsetCommit(_ *wire.Context, req *kmsg.TxnOffsetCommitRequest) kmsg.Response {
	resp := kmsg.NewPtrTxnOffsetCommitResponse()
	resp.Version = req.Version
	im := b.image()
	var known []kmsg.TxnOffsetCommitRequestTopic
	for _, t := range req.Topics {
		topic, err := committedTopic(im, t.Topic, t.TopicID, req.Version >= 6)
		if err != nil {
			resp.Topics = append(resp.Topics, notStaged(t, t.Partitions, err))
			continue
		}
		t.Topic, t.TopicID = topic.Name, topic.ID
		var fit, unfit []kmsg.TxnOffsetCommitRequestTopicPartition
		for _, p := range t.Partitions {
			if topic.Partition(p.Partition) != nil {
				fit = append(fit, p)
			} else {
				unfit = append(unfit, p)
			}
		}
		if len(unfit) > 0 {
			resp.Topics = append(resp.Topics, notStaged(t, unfit, kerr.UnknownTopicOrPartition))
		}
		if len(fit) > 0 {
			t.Partitions = fit
			known = append(known, t)
		}
	}
	if len(known) > 0 {
		req.Topics = known
		resp.Topics = addTopics(resp.Topics, b.stage(req),
			func(t *kmsg.TxnOffsetCommitResponseTopic) string { return t.Topic },
			func(to, from *kmsg.TxnOffsetCommitResponseTopic) {
				to.Partitions = append(to.Partitions, from.Partitions...)
			})
	}
	return resp
}

// stage asks the transaction's coordinator, then the group.
func (b *Broker) stage(req *kmsg.TxnOffsetCommitRequest) (topics []kmsg.TxnOffsetCommitResponseTopic) {
	by := producerOf(req.ProducerID, req.ProducerEpoch)
	guard, err := b.verifyOffsets(req, by)
	if err == nil {
		err = b.Groups.writeTxn(req.Group, by, guard, func(m *group.Machine) coordinator.Decision {
			d, resp := m.TxnOffsetCommit(req)
			topics = resp.Topics
			return d
		})
	}
	if err == nil {
		return topics
	}
	if req.Version < 2 && errors.Is(err, kerr.CoordinatorLoadInProgress) {
		err = kerr.CoordinatorNotAvailable
	}
	topics = nil
	for _, t := range req.Topics {
		topics = append(topics, notStaged(t, t.Partitions, err))
	}
	return topics
}

// verifyOffsets has the coordinator say that the group's partition is in the transaction,
// or add it.
func (b *Broker) verifyOffsets(req *kmsg.TxnOffsetCommitRequest, by coordinator.Producer) (log.Guard, error) {
	if req.Group == "" {
		return 0, kerr.InvalidGroupID
	}
	tp := kafka.TopicPartition{Topic: kafka.OffsetsTopic, Partition: b.Groups.partitionFor(req.Group)}
	v := verification{id: req.TransactionalID, by: by, adds: req.Version >= 5, abortable: req.Version >= 4}
	v.want(tp, record.NoSequence)
	guards, refused := b.verify(&v, 0)
	switch err := refused[tp]; err {
	case kerr.NetworkException:
		return 0, kerr.CoordinatorLoadInProgress
	case kerr.UnknownTopicOrPartition:
		return 0, kerr.CoordinatorNotAvailable
	case kerr.NotLeaderForPartition:
		return 0, kerr.NotCoordinator
	default:
		return guards[tp], err
	}
}

// writeTxn has a group's machine decide records of a transaction, and waits until they
// are committed. It blocks.
func (g *Groups) writeTxn(id string, by coordinator.Producer, guard log.Guard, decide func(m *group.Machine) coordinator.Decision) error {
	return g.runtime.WriteTxn(g.partitionFor(id), "TxnOffsetCommit", by, guard, g.settings.CommitTimeout, func(m coordinator.Machine) (coordinator.Decision, error) {
		return decide(m.(*group.Machine)), nil
	})
}

func notStaged(t kmsg.TxnOffsetCommitRequestTopic, partitions []kmsg.TxnOffsetCommitRequestTopicPartition, err error) kmsg.TxnOffsetCommitResponseTopic {
	out := kmsg.NewTxnOffsetCommitResponseTopic()
	out.Topic, out.TopicID = t.Topic, t.TopicID
	for _, p := range partitions {
		part := kmsg.NewTxnOffsetCommitResponseTopicPartition()
		part.Partition, part.ErrorCode = p.Partition, kafka.Code(err)
		out.Partitions = append(out.Partitions, part)
	}
	return out
}
