package faults

import (
	"math/rand/v2"
	"time"
)

// MoveCoordinator gives the partition of __consumer_offsets in which a group is
// kept to another replica in sync: that broker loads it and is the coordinator
// from then on. No process dies.
type MoveCoordinator struct{ Group string }

func (f MoveCoordinator) String() string { return sentence(f) }

func (f MoveCoordinator) Momentary() {}

func (f MoveCoordinator) InGroup() string { return f.Group }

func (f MoveCoordinator) Inject(c Cluster, luck *rand.Rand) (heal func()) {
	topic, partition := c.OffsetsPartition(f.Group)
	return MoveLeader{topic, partition}.Inject(c, luck)
}

// PingPongCoordinator moves a group's coordinator to and fro: each has hardly
// loaded the group when it is moved on.
type PingPongCoordinator struct {
	Group string
	Every time.Duration
}

func (f PingPongCoordinator) String() string { return sentence(f) }

func (f PingPongCoordinator) InGroup() string { return f.Group }

func (f PingPongCoordinator) Check() error {
	return atLeast("time between moves", f.Every, time.Millisecond)
}

func (f PingPongCoordinator) Inject(c Cluster, luck *rand.Rand) (heal func()) {
	topic, partition := c.OffsetsPartition(f.Group)
	return PingPong{topic, partition, f.Every}.Inject(c, luck)
}
