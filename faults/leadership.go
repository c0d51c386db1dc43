package faults

import (
	"math/rand/v2"
	"time"
)

// MoveLeader gives the leadership of a partition to another replica in sync.
// No process dies: the old leader stays, perhaps with records that no other
// replica has.
type MoveLeader struct {
	Topic     string
	Partition int32
}

func (f MoveLeader) String() string { return sentence(f) }

func (f MoveLeader) Momentary() {}

func (f MoveLeader) At() (string, int32) { return f.Topic, f.Partition }

func (f MoveLeader) Inject(c Cluster, _ *rand.Rand) (heal func()) {
	c.MoveLeader(f.Topic, f.Partition)
	return func() {}
}

// PingPong moves leadership to and fro faster than followers may follow.
type PingPong struct {
	Topic     string
	Partition int32
	Every     time.Duration
}

func (f PingPong) String() string { return sentence(f) }

func (f PingPong) At() (string, int32) { return f.Topic, f.Partition }

func (f PingPong) Check() error { return atLeast("time between moves", f.Every, time.Millisecond) }

func (f PingPong) Inject(c Cluster, _ *rand.Rand) (heal func()) {
	healed := false
	var again func()
	again = func() {
		if healed {
			return
		}
		c.MoveLeader(f.Topic, f.Partition)
		c.World().After(f.Every, "fault", again)
	}
	again()
	return func() { healed = true }
}

// ElectPreferred makes the preferred replicas leaders.
type ElectPreferred struct{}

func (f ElectPreferred) String() string { return sentence(f) }

func (f ElectPreferred) Momentary() {}

func (f ElectPreferred) Inject(c Cluster, _ *rand.Rand) (heal func()) {
	c.ElectPreferred()
	return func() {}
}

// ResignController makes the active controller give up: another takes over.
type ResignController struct{}

func (f ResignController) String() string { return sentence(f) }

func (f ResignController) Momentary() {}

func (f ResignController) Inject(c Cluster, _ *rand.Rand) (heal func()) {
	c.ResignController()
	return func() {}
}
