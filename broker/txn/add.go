package txn

import (
	"github.com/twmb/franz-go/pkg/kerr"

	"github.com/ktrial/ktrial/broker/coordinator"
	"github.com/ktrial/ktrial/broker/kafka"
	"github.com/ktrial/ktrial/broker/planted"
	"github.com/ktrial/ktrial/broker/witness"
)

// AddPartitions adds partitions to the transaction of a producer, and begins one if none
// is open. clientVersion is the transaction.version by which the client acts: with 2 it
// is the leader of the partitions that asks, for the client.
func (m *Machine) AddPartitions(id string, by coordinator.Producer, partitions []kafka.TopicPartition, clientVersion int16) (coordinator.Decision, error) {
	t, pending := m.find(id)
	switch {
	case pending:
		m.env.Reached(ProbeConcurrent)
		return coordinator.Decision{}, kerr.ConcurrentTransactions
	case t == nil || t.ProducerID != by.ID:
		return coordinator.Decision{}, kerr.InvalidProducerIDMapping
	case t.Epoch != by.Epoch:
		return coordinator.Decision{}, m.fenced(id, by, t)
	case t.State == Ongoing && t.has(partitions):
		return settled, nil
	}
	next := t.Transaction
	next.Previous, next.Next = t.ProducerID, kafka.NoProducer
	next.State, next.Partitions, next.ClientVersion = Ongoing, t.with(partitions), clientVersion
	if t.State != Ongoing {
		next.Started = m.env.NowMillis()
	}
	if bugs := m.env.Bugs(); bugs.On(planted.TxnVolatile) {
		bugs.Infected(planted.TxnVolatile, true)
		m.volatile[id] = &entry{Transaction: next}
		m.last[id] = lastEpoch{next.producer(), m.lastEpochOf(id, t)}
		return settled, nil
	}
	d, err := m.transition(id, next, m.lastEpochOf(id, t))
	if err != nil {
		return coordinator.Decision{}, err
	}
	return d, nil
}

// Verify says, of each partition, whether it is in the open transaction of a producer:
// nil or TRANSACTION_ABORTABLE. What is pending does not matter (KAFKA-14904).
func (m *Machine) Verify(id string, by coordinator.Producer, partitions []kafka.TopicPartition) (map[kafka.TopicPartition]error, error) {
	t, _ := m.find(id)
	switch {
	case t == nil || t.ProducerID != by.ID:
		return nil, kerr.InvalidProducerIDMapping
	case t.Epoch != by.Epoch:
		return nil, m.fenced(id, by, t)
	case t.State.prepared():
		return nil, kerr.ConcurrentTransactions
	}
	out := make(map[kafka.TopicPartition]error, len(partitions))
	for i, tp := range partitions {
		out[tp] = nil
		if !t.has(partitions[i : i+1]) {
			m.env.Reached(ProbeNotVerified)
			out[tp] = kerr.TransactionAbortable
		}
	}
	return out, nil
}

// fenced is the refusal of a producer whose epoch is not the present one.
func (m *Machine) fenced(id string, by coordinator.Producer, t *entry) error {
	m.env.Tell(&witness.TxnFenced{TxnID: id, ProducerID: by.ID, Epoch: by.Epoch, Present: t.Epoch, PresentID: t.ProducerID})
	return kerr.ProducerFenced
}
