package faults

import (
	"fmt"
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

// DriftClock makes both clocks of a host run faster (or slower, if negative)
// than they do, by parts in a million. The cure takes that back; what they are
// off by stays.
type DriftClock struct {
	Host Target
	PPM  int64
}

func (f DriftClock) String() string { return sentence(f) }

func (f DriftClock) Check() error {
	if f.PPM <= -1_000_000 || f.PPM > 1_000_000 {
		return fmt.Errorf("found a drift of %d ppm, expected one between -999999 and 1000000", f.PPM)
	}
	return nil
}

func (f DriftClock) Inject(c Cluster, luck *rand.Rand) (heal func()) {
	return each(c, f.Host, luck, func(h *sim.Host) func() {
		h.AddDrift(f.PPM)
		return func() { h.AddDrift(-f.PPM) }
	})
}
