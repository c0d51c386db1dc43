package faults

import (
	"fmt"
	"math/rand/v2"
)

// SetFeature finalizes another level of a feature, such as transaction.version: an operator upgrades
// or downgrades a cluster that works (KIP-584, KIP-778).
type SetFeature struct {
	Feature string
	Level   int16
}

func (f SetFeature) String() string { return sentence(f) }

func (f SetFeature) Momentary() {}

func (f SetFeature) Check() error {
	if f.Level < 0 {
		return fmt.Errorf("fault: found level %d, expected at least 0", f.Level)
	}
	return nil
}

func (f SetFeature) Inject(c Cluster, _ *rand.Rand) (heal func()) {
	c.SetFeature(f.Feature, f.Level)
	return func() {} // nothing is hurt
}
