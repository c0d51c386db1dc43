package market

import (
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/ktrial/ktrial/faults"
)

// CrashTwice kills a process, starts it again at once, and kills it once more:
// what it does first in its new life is cut off. The cure starts it again.
type CrashTwice struct {
	Host  faults.Target
	Apart time.Duration // between the two deaths
}

// String is the line of a plan, by the declaration.
func (f CrashTwice) String() string { return faults.Sentence(f) }

// Crashes says that hosts lose their process, and nothing that they had
// written. It is a trait: the budget asks for it.
func (f CrashTwice) Crashes() (hosts faults.Target, loses bool) { return f.Host, false }

// Check is a trait, too: it says which parameters make no sense.
func (f CrashTwice) Check() error {
	if f.Apart <= 0 {
		return fmt.Errorf("found %v between the two deaths, expected more than 0", f.Apart)
	}
	return nil
}

// Inject strikes now and returns the cure.
func (f CrashTwice) Inject(c faults.Cluster, _ *rand.Rand) (heal func()) {
	healed := false
	for _, name := range f.Host.Hosts() {
		c.World().Host(name).Kill()
		c.Start(name)
		c.World().After(f.Apart, "crash once more", func() {
			if !healed {
				c.World().Host(name).Kill()
			}
		})
	}
	return func() {
		healed = true
		for _, name := range f.Host.Hosts() {
			c.Start(name)
		}
	}
}
