package faults

import (
	"math/rand/v2"
	"time"
)

// MoveTransactionCoordinator gives the partition of __transaction_state in which a
// transactional id is kept to another replica in sync: that broker loads it, completes
// what was decided, and is the coordinator from then on. No process dies.
type MoveTransactionCoordinator struct{ ID string }

func (f MoveTransactionCoordinator) String() string { return sentence(f) }

func (f MoveTransactionCoordinator) Momentary() {}

func (f MoveTransactionCoordinator) OfTransactionalID() string { return f.ID }

func (f MoveTransactionCoordinator) Inject(c Cluster, luck *rand.Rand) (heal func()) {
	topic, partition := c.TransactionsPartition(f.ID)
	return MoveLeader{topic, partition}.Inject(c, luck)
}

// PingPongTransactionCoordinator moves the coordinator of a transactional id to and fro:
// each has hardly loaded it when it is moved on.
type PingPongTransactionCoordinator struct {
	ID    string
	Every time.Duration
}

func (f PingPongTransactionCoordinator) String() string { return sentence(f) }

func (f PingPongTransactionCoordinator) OfTransactionalID() string { return f.ID }

func (f PingPongTransactionCoordinator) Check() error {
	return atLeast("time between moves", f.Every, time.Millisecond)
}

func (f PingPongTransactionCoordinator) Inject(c Cluster, luck *rand.Rand) (heal func()) {
	topic, partition := c.TransactionsPartition(f.ID)
	return PingPong{topic, partition, f.Every}.Inject(c, luck)
}
