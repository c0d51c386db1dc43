package txn

import (
	"github.com/ktrial/ktrial/broker/coordinator"
	"github.com/ktrial/ktrial/broker/kafka"
	"github.com/ktrial/ktrial/broker/planted"
	"github.com/ktrial/ktrial/broker/witness"
)

// scheduleTimeouts looks for transactions that are open for too long, again and again.
func (m *Machine) scheduleTimeouts() {
	m.env.Timer("timeouts", m.cfg.TimeoutCheck, 0, func() coordinator.Decision {
		m.scheduleTimeouts()
		for id, t := range m.ids.AllCommitted() {
			if m.timedOut(t) {
				// Each is an event of its own, so that one that cannot be written does not
				// hold up the others.
				m.env.Timer("abort "+id, 0, 0, func() coordinator.Decision { return m.abortTimedOut(id) })
			}
		}
		return coordinator.Decision{}
	})
}

// timedOut reports whether a transaction is open for longer than its producer
// said. It counts from its first partition on, whatever came since.
func (m *Machine) timedOut(t *entry) bool {
	return t.State == Ongoing && t.Started+int64(t.TimeoutMillis) < m.env.NowMillis()
}

// abortTimedOut aborts a transaction and fences its producer, unless it has ended by now.
func (m *Machine) abortTimedOut(id string) coordinator.Decision {
	t, pending := m.find(id)
	if pending || t == nil || !m.timedOut(t) {
		return coordinator.Decision{}
	}
	bump := kafka.ProducerEpoch(1)
	if bugs := m.env.Bugs(); bugs.On(planted.TxnTimeoutNoBump) {
		bugs.Infected(planted.TxnTimeoutNoBump, true)
		bump = 0
	}
	d, err := m.fence(id, t, bump)
	if err != nil {
		return coordinator.Decision{}
	}
	m.env.Tell(&witness.TxnTimedOut{TxnID: id, ProducerID: t.ProducerID, Epoch: t.Epoch, Partitions: t.Partitions})
	return d
}

// scheduleExpiry looks for ids that were not used for long, again and again.
func (m *Machine) scheduleExpiry() {
	m.env.Timer("expiry", m.cfg.ExpiryCheck, 0, func() coordinator.Decision {
		m.scheduleExpiry()
		return m.expire()
	})
}

// expire forgets ids of which nothing was heard for too long.
func (m *Machine) expire() coordinator.Decision {
	d := coordinator.Decision{Divisible: true}
	var gone []string
	now := m.env.NowMillis()
	for id, t := range m.ids.AllCommitted() {
		if _, pending := m.find(id); !pending && t.State.idle() && t.Updated+m.cfg.Expiration.Milliseconds() <= now {
			d.Records = append(d.Records, tombstone(id))
			gone = append(gone, id)
		}
	}
	d.Done = func(error) {
		for _, id := range gone {
			m.settle(id)
		}
	}
	if len(gone) > 0 {
		m.env.Reached(ProbeExpired)
	}
	return d
}
