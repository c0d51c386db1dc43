package member

import (
	"slices"

	"github.com/ktrial/ktrial/broker/kafka"
)

// Reconciliation is how a member comes from what it owns to what it shall own.
type Reconciliation struct {
	to                       local
	Assigned, Added, Revoked []kafka.TopicPartition
}

// Reconcile begins a reconciliation, if there is one to begin; nameOf names topics,
// and owned is in order. Topics without a name wait for newer metadata: unnamed says
// that there are some.
func (m *Modern) Reconcile(owned []kafka.TopicPartition, nameOf func(kafka.UUID) string) (r *Reconciliation, unnamed bool) {
	if m.State != Reconciling || m.reconciling || m.stuck || m.current.equal(m.target) {
		return nil, false
	}
	r = &Reconciliation{to: local{epoch: m.target.epoch}}
	for _, t := range m.target.partitions {
		name := nameOf(t.Topic)
		if name == "" {
			unnamed = true
			continue
		}
		r.to.partitions = append(r.to.partitions, t)
		for _, p := range t.Partitions {
			r.Assigned = append(r.Assigned, kafka.TopicPartition{Topic: name, Partition: p})
		}
	}
	if m.current.epoch != noEpoch && r.to.partitions.equal(m.current.partitions) {
		if !unnamed || !m.current.equal(r.to) {
			m.current, m.State = r.to, Acknowledging
		}
		return nil, unnamed
	}
	slices.SortFunc(r.Assigned, kafka.TopicPartition.Compare)
	r.Added, r.Revoked = minus(r.Assigned, owned), minus(owned, r.Assigned)
	m.reconciling, m.rejoined = true, false
	return r, unnamed
}

// minus are the partitions of a that are not in b, both in order.
func minus(a, b []kafka.TopicPartition) []kafka.TopicPartition {
	out := []kafka.TopicPartition{}
	for _, tp := range a {
		if _, found := slices.BinarySearchFunc(b, tp, kafka.TopicPartition.Compare); !found {
			out = append(out, tp)
		}
	}
	return out
}

// Aborts reports whether a reconciliation that has begun is of no more use; then it
// has ended.
func (m *Modern) Aborts() bool {
	if m.State == Reconciling && !m.rejoined {
		return false
	}
	m.reconciling, m.rejoined = false, false
	return true
}

// Reconciled says that a reconciliation is complete: what the member owns now is told
// at once.
func (m *Modern) Reconciled(r *Reconciliation) {
	m.reconciling = false
	m.current, m.State = r.to, Acknowledging
}

// ReconcileFailed says that the listener returned an error. Nothing is acknowledged, so
// that the coordinator will fence the member when the rebalance timeout is over.
func (m *Modern) ReconcileFailed() { m.reconciling, m.stuck = false, true }
