package server

import (
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/ktrial/ktrial/broker/coordinator"
	"github.com/ktrial/ktrial/broker/kafka"
	"github.com/ktrial/ktrial/broker/metadata"
	"github.com/ktrial/ktrial/sim/env"
)

// verifier asks transaction coordinators, for the leaders of this broker, whether
// partitions are in a producer's transaction, or has them added (KIP-890;
// AddPartitionsToTxnManager). To each coordinator's broker one request is on its way
// at a time; what comes meanwhile goes into the next.
type verifier struct {
	host        env.Host
	node        kafka.NodeID
	image       func() *metadata.Image
	partitionOf func(id string) int32
	timeout     time.Duration // request.timeout.ms

	asking map[kafka.NodeID]*asking
}

// asking is what is asked of one broker.
type asking struct {
	peer    peer
	waiting []*question
	busy    bool
}

// question is what a task waits to be told of one transaction.
type question struct {
	id         string
	by         coordinator.Producer
	verifyOnly bool // else the partitions are added
	partitions []kafka.TopicPartition

	answers map[kafka.TopicPartition]error
	over    bool
	wake    env.Signal
}

// ask asks, and is the answer for each partition; it is nil where the partition is in the
// transaction. It blocks.
func (v *verifier) ask(q *question) map[kafka.TopicPartition]error {
	tp := kafka.TopicPartition{Topic: kafka.TransactionsTopic, Partition: v.partitionOf(q.id)}
	to, _, ok := aliveLeader(v.image(), tp)
	if !ok {
		q.end(kerr.CoordinatorNotAvailable)
		return q.answers
	}
	a := v.asking[to]
	if a == nil {
		a = &asking{peer: peer{host: v.host, clientID: fmt.Sprintf("broker-%d-add-partitions-to-txn", v.node)}}
		v.asking[to] = a
	}
	q.wake = v.host.NewSignal("transaction verified")
	if a.put(q) && !a.busy {
		a.busy = true
		v.host.Go(fmt.Sprintf("transactions verified by broker %d", to), func() { v.run(to, a) })
	}
	for !q.over {
		q.wake.Wait(env.Forever)
	}
	return q.answers
}

// put has a question wait. One of the same transaction that waits already is
// answered: its client must have asked again, or is fenced.
func (a *asking) put(q *question) bool {
	for i, before := range a.waiting {
		switch {
		case before.id != q.id:
			continue
		case before.by.Epoch > q.by.Epoch:
			q.end(kerr.InvalidProducerEpoch)
			return false
		case before.by.Epoch < q.by.Epoch:
			before.end(kerr.InvalidProducerEpoch)
		default:
			before.end(kerr.NetworkException)
		}
		a.waiting[i] = q
		return true
	}
	a.waiting = append(a.waiting, q)
	return true
}

// run asks until nothing waits.
func (v *verifier) run(to kafka.NodeID, a *asking) {
	for len(a.waiting) > 0 {
		questions := a.waiting
		a.waiting = nil
		v.askAll(to, a, questions)
	}
	a.busy = false
}

func (v *verifier) askAll(to kafka.NodeID, a *asking, questions []*question) {
	end := func(err error) {
		for _, q := range questions {
			q.end(err)
		}
	}
	at, known := endpoint(v.image().Broker(to))
	if !known {
		end(kerr.NetworkException)
		return
	}
	answer, err := a.peer.call(fmt.Sprintf("%s:%d", at.Host, at.Port), verifyRequest(questions), v.timeout)
	if err != nil {
		end(kerr.NetworkException)
		return
	}
	resp := answer.(*kmsg.AddPartitionsToTxnResponse)
	if err := kerr.ErrorForCode(resp.ErrorCode); err != nil {
		end(err)
		return
	}
	for _, t := range resp.Transactions {
		for _, q := range questions {
			if q.id == t.TransactionalID && !q.over {
				q.answered(t.Topics)
			}
		}
	}
	end(nil) // what the answer does not name
}

// end answers all partitions alike, unless they are answered.
func (q *question) end(err error) {
	if q.over {
		return
	}
	q.answers = make(map[kafka.TopicPartition]error, len(q.partitions))
	for _, tp := range q.partitions {
		q.answers[tp] = err
	}
	q.finish()
}

func (q *question) answered(topics []kmsg.AddPartitionsToTxnResponseTransactionTopic) {
	q.answers = make(map[kafka.TopicPartition]error, len(q.partitions))
	for _, t := range topics {
		for _, p := range t.Partitions {
			err := kerr.ErrorForCode(p.ErrorCode)
			if err == kerr.ProducerFenced { // producers know this one from the log
				err = kerr.InvalidProducerEpoch
			}
			q.answers[kafka.TopicPartition{Topic: t.Topic, Partition: p.Partition}] = err
		}
	}
	q.finish()
}

func (q *question) finish() {
	q.over = true
	if q.wake != nil {
		q.wake.Notify()
	}
}

func verifyRequest(questions []*question) *kmsg.AddPartitionsToTxnRequest {
	req := kmsg.NewPtrAddPartitionsToTxnRequest()
	for _, q := range questions {
		t := kmsg.NewAddPartitionsToTxnRequestTransaction()
		t.TransactionalID, t.ProducerID, t.ProducerEpoch, t.VerifyOnly = q.id, int64(q.by.ID), int16(q.by.Epoch), q.verifyOnly
		for _, of := range byTopic(q.partitions) {
			topic := kmsg.NewAddPartitionsToTxnRequestTransactionTopic()
			topic.Topic = of[0].Topic
			for _, tp := range of {
				topic.Partitions = append(topic.Partitions, tp.Partition)
			}
			t.Topics = append(t.Topics, topic)
		}
		req.Transactions = append(req.Transactions, t)
	}
	return req
}
