package txn

import (
	"time"

	"github.com/ktrial/ktrial/broker/coordinator"
	"github.com/ktrial/ktrial/broker/kafka"
	"github.com/ktrial/ktrial/broker/planted"
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

// SentTo is what is told of the marker for one of its partitions.
func (m *Marker) SentTo(tp kafka.TopicPartition) witness.SentMarker {
	return witness.SentMarker{TxnID: m.ID, Partition: tp, ProducerID: m.By.ID, Epoch: m.By.Epoch, CoordinatorEpoch: m.CoordinatorEpoch, Commit: m.Commit}
}

// send has the markers of an end written that is decided.
func (m *Machine) send(id string, t *entry) {
	m.sent[id] = t
	marker := Marker{
		ID: id, Shard: m.env.Partition().Partition, By: t.producer(), CoordinatorEpoch: int32(m.env.LeaderEpoch()),
		Commit: t.State == PrepareCommit, Version: int8(t.ClientVersion),
	}
	for _, tp := range t.Partitions {
		m.env.Tell(&witness.MarkerQueued{SentMarker: marker.SentTo(tp), Next: t.Next})
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
	d, err := m.complete(of.ID, t, completed(t.State == PrepareCommit))
	if err != nil {
		return coordinator.Decision{}, err
	}
	if m.env.Bugs().On(planted.TxnCompleteTwice) {
		m.completeAgain(of)
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

func (m *Machine) complete(id string, t *entry, state State) (coordinator.Decision, error) {
	next := t.Transaction
	next.Previous, next.Next = t.ProducerID, kafka.NoProducer
	next.State, next.Partitions = state, nil
	if t.ClientVersion >= bumpsEpoch && t.Next != kafka.NoProducer {
		next.ProducerID, next.Epoch = t.Next, 0
	}
	return m.transition(id, next, m.lastEpochOf(id, t))
}

// completeAgain is what a planted bug does: the transaction is completed a second time, whatever
// its id is in the middle of by then.
func (m *Machine) completeAgain(of Marker) {
	m.env.Timer("complete again "+of.ID, completedAgain, 0, func() coordinator.Decision {
		t, _ := m.ids.Get(of.ID)
		if t == nil || t.State.prepared() {
			return settled
		}
		m.env.Bugs().Infected(planted.TxnCompleteTwice, t.State == Ongoing)
		d, _ := m.complete(of.ID, t, completed(of.Commit))
		return d
	})
}

// completedAgain is when.
const completedAgain = 200 * time.Millisecond

// retryWritten tries again to write that a transaction is over, as long as this broker
// leads the shard.
func (m *Machine) retryWritten(of Marker) {
	m.env.Timer("complete "+of.ID, m.cfg.RetryInterval, m.cfg.RetryInterval, func() coordinator.Decision {
		d, _ := m.MarkersWritten(of)
		return d
	})
}
