package server

import (
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/ktrial/ktrial/broker/coordinator"
	"github.com/ktrial/ktrial/broker/kafka"
	"github.com/ktrial/ktrial/broker/log"
	"github.com/ktrial/ktrial/broker/planted"
	"github.com/ktrial/ktrial/broker/record"
)

// Versions of Produce with a meaning for transactions.
const (
	produceKnowsAbortable = 11 // TRANSACTION_ABORTABLE (KIP-890)
	produceAdds           = 12 // partitions are added by their leaders
)

// verification is what a leader wants to know of one transaction before records of it
// are appended.
type verification struct {
	id string
	by coordinator.Producer
	// adds: the partitions are added to the transaction, else they must be in it.
	adds bool
	// abortable: the client knows TRANSACTION_ABORTABLE.
	abortable bool

	partitions []kafka.TopicPartition
	sequences  []kafka.Sequence // the first of each batch
}

func (v *verification) want(tp kafka.TopicPartition, first kafka.Sequence) {
	v.partitions = append(v.partitions, tp)
	v.sequences = append(v.sequences, first)
}

// verify asks the coordinator, where that must be, and is the guards with which the
// records may be appended, and the errors of the other partitions. A transaction that is
// not over yet is asked about again for so long. It blocks.
func (b *Broker) verify(v *verification, patience time.Duration) (map[kafka.TopicPartition]log.Guard, map[kafka.TopicPartition]error) {
	guards, refused := map[kafka.TopicPartition]log.Guard{}, map[kafka.TopicPartition]error{}
	if !v.adds && !b.Replicas.VerifiesTransactions() {
		return guards, refused
	}
	q := question{id: v.id, by: v.by, verifyOnly: !v.adds}
	for i, tp := range v.partitions {
		guard, err := b.Replicas.BeginVerification(tp, v.by.ID, v.by.Epoch, v.sequences[i], v.adds)
		switch {
		case err != nil:
			refused[tp] = err
		case guard != 0: // else its transaction is open here already
			guards[tp] = guard
			q.partitions = append(q.partitions, tp)
		}
	}
	if len(q.partitions) == 0 {
		return guards, refused
	}
	if !v.adds && b.Bugs.On(planted.TxnNoVerify) {
		b.Bugs.Infected(planted.TxnNoVerify, true)
		return guards, refused
	}
	for tp, err := range b.askPatiently(&q, patience) { //det:allow each by itself
		if err == nil {
			continue
		}
		b.Host.Reached(ProbeVerificationFailed)
		if err == kerr.TransactionAbortable && !v.abortable {
			err = kerr.InvalidTxnState
		}
		delete(guards, tp)
		refused[tp] = err
	}
	return guards, refused
}

// askPatiently asks the coordinator, again and again while the producer's last
// transaction is not over, for at most so long: a client that begins the next one at once
// would otherwise be told to come again nearly always.
func (b *Broker) askPatiently(q *question, patience time.Duration) map[kafka.TopicPartition]error {
	deadline := b.Host.Uptime() + patience
	for {
		again := *q
		answers := b.Transactions.verifier.ask(&again)
		concurrent := false
		for _, tp := range q.partitions {
			concurrent = concurrent || answers[tp] == kerr.ConcurrentTransactions
		}
		if !concurrent || b.Host.Uptime() >= deadline {
			return answers
		}
		b.Host.Reached(ProbeAddRetried)
		b.Host.Sleep(b.Transactions.settings.AddBackoff)
	}
}

// verifyProduce verifies what a produce has of a transaction. What must not be appended is
// taken out of req, into the refusals.
func (b *Broker) verifyProduce(req *kmsg.ProduceRequest, r *produceRefusals) (*kmsg.ProduceRequest, map[kafka.TopicPartition]log.Guard) {
	v := verification{adds: req.Version >= produceAdds, abortable: req.Version >= produceKnowsAbortable}
	several := false
	eachTransactional(req, func(tp kafka.TopicPartition, batch record.Batch) {
		if !batch.HasProducer() {
			return // a plain one, whatever its attributes say
		}
		by := coordinator.Producer{ID: batch.ProducerID(), Epoch: batch.ProducerEpoch()}
		several = several || len(v.partitions) > 0 && by.ID != v.by.ID
		v.by = by
		v.want(tp, batch.BaseSequence())
	})
	if len(v.partitions) == 0 {
		return req, nil
	}
	if several {
		return r.split(req, func(kafka.TopicPartition) error { return kerr.InvalidProducerIDMapping }), nil
	}
	v.id = *req.TransactionID
	patience := time.Duration(0)
	if v.adds {
		patience = min(b.Transactions.settings.AddBackoffMax, b.Settings.RequestTimeout)
	}
	guards, refused := b.verify(&v, patience)
	if len(refused) == 0 {
		return req, guards
	}
	return r.split(req, func(tp kafka.TopicPartition) error { return asProduceError(refused[tp], v.adds) }), guards
}

// eachTransactional calls fn with the first batch of each partition, if it is of a
// transaction.
func eachTransactional(req *kmsg.ProduceRequest, fn func(kafka.TopicPartition, record.Batch)) {
	for i := range req.Topics {
		t := &req.Topics[i]
		for j := range t.Partitions {
			p := &t.Partitions[j]
			if batch, _, err := record.Next(p.Records); err == nil && batch.IsTransactional() {
				fn(kafka.TopicPartition{Topic: t.Topic, Partition: p.Partition}, batch)
			}
		}
	}
}

// asProduceError is what the coordinator said, or that it could not be asked, as
// producers know it (ReplicaManager.handleProduceAppend).
func asProduceError(err error, adds bool) error {
	switch err {
	case kerr.InvalidTxnState:
		return &log.Refused{Kind: kerr.InvalidTxnState, Why: "Partition was not added to the transaction"}
	case kerr.ConcurrentTransactions:
		if adds {
			return err
		}
	case kerr.NetworkException, kerr.CoordinatorLoadInProgress, kerr.CoordinatorNotAvailable, kerr.NotCoordinator:
	default:
		return err
	}
	// Old clients would not send again after any other.
	return &log.Refused{Kind: kerr.NotEnoughReplicas, Why: fmt.Sprintf("Unable to verify the partition has been added to the transaction. Underlying error: %s", err.(*kerr.Error).Message)}
}
