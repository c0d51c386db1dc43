package txn

import (
	"github.com/ktrial/ktrial/broker/coordinator"
	"github.com/ktrial/ktrial/broker/kafka"
	"github.com/ktrial/ktrial/broker/witness"
)

// Marker is what ends a transaction in its partitions.
type Marker struct {
	ID    string // transactional id
	Shard int32  // partition of __transaction_state
	By    coordinator.Producer
	// CoordinatorEpoch is the leader epoch of the shard.
	CoordinatorEpoch int32
	Commit           bool
	Version          int8 // transaction.version of the transaction
}

// send has the markers of an end written that is decided.
func (m *Machine) send(id string, t *entry) {
	m.sent[id] = t
	marker := Marker{
		ID: id, Shard: m.env.Partition().Partition, By: t.producer(), CoordinatorEpoch: int32(m.env.LeaderEpoch()),
		Commit: t.State == PrepareCommit, Version: int8(t.ClientVersion),
	}
	for _, tp := range t.Partitions {
		m.env.Tell(&witness.MarkerQueued{
			TxnID: id, Partition: tp, ProducerID: marker.By.ID, Epoch: marker.By.Epoch, CoordinatorEpoch: marker.CoordinatorEpoch, Commit: marker.Commit,
		})
	}
	m.cfg.Outbox.Send(marker, t.Partitions)
}

// MarkersWritten decides that a transaction is over: all its partitions have the
// marker. Of another end than the present one it is nothing.
func (m *Machine) MarkersWritten(of Marker) (coordinator.Decision, error) {
	t, _ := m.ids.Get(of.ID)
	if t == nil || !t.State.prepared() || t.producer() != of.By || m.sent[of.ID] != t {
		return settled, nil
	}
	next := t.Transaction
	next.Previous, next.Next = t.ProducerID, kafka.NoProducer
	next.State, next.Partitions = complete(t.State == PrepareCommit), nil
	if t.ClientVersion >= bumpsEpoch && t.Next != kafka.NoProducer {
		next.ProducerID, next.Epoch = t.Next, 0
	}
	d, err := m.transition(of.ID, next, m.lastEpochOf(of.ID, t))
	if err != nil {
		return coordinator.Decision{}, err
	}
	done := d.Done
	d.Done = func(err error) {
		if err != nil {
			m.retryWritten(of)
		}
		done(err)
	}
	return d, nil
}

// retryWritten tries again to write that a transaction is over, as long as this broker
// leads the shard.
func (m *Machine) retryWritten(of Marker) {
	m.env.Timer("complete "+of.ID, m.cfg.RetryInterval, m.cfg.RetryInterval, func() coordinator.Decision {
		d, _ := m.MarkersWritten(of)
		return d
	})
}
