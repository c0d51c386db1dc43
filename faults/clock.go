package faults

import (
	"math/rand/v2"
	"time"

	"github.com/ktrial/ktrial/sim"
)

// StepClock makes the wall clock jump, as a time server or an operator does.
// The cure jumps back.
type StepClock struct {
	Host Target
	By   time.Duration
}

func (f StepClock) String() string { return sentence(f) }

func (f StepClock) Inject(c Cluster, luck *rand.Rand) (heal func()) {
	return each(c, f.Host, luck, func(h *sim.Host) func() {
		h.StepClock(f.By)
		return func() { h.StepClock(-f.By) }
	})
}

// DriftClock makes both clocks of a host run fast (or slow, if negative) by
// parts in a million. The cure lets them run right; what they are off by stays.
type DriftClock struct {
	Host Target
	PPM  int64
}

func (f DriftClock) String() string { return sentence(f) }

func (f DriftClock) Inject(c Cluster, luck *rand.Rand) (heal func()) {
	return each(c, f.Host, luck, func(h *sim.Host) func() {
		h.DriftClock(f.PPM)
		return func() { h.DriftClock(0) }
	})
}
