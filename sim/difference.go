package sim

import (
	"fmt"

	"github.com/ktrial/ktrial/sim/kernel"
)

// Tracing is what a run records beside its hash. Put what Difference hands out
// into Config.Tracing; nil records nothing.
type Tracing struct {
	cfg kernel.TraceConfig
}

// Divergence is the first step in which two runs of the same seed differ.
type Divergence struct {
	Index         uint64 // of the step, counted from the start
	First, Second string // what happened in each run
}

func (d *Divergence) Error() string {
	return fmt.Sprintf("not deterministic: step %d differs between two runs of one seed\n  first run:  %s\n  second run: %s",
		d.Index, d.First, d.Second)
}

// Difference does the same run twice and names the first step that differs, or
// returns nil if the runs were the same. run must pass the Tracing on to
// NewWorld and return the world when it has run to its end.
//
// Nothing is recorded at first but a hash of each 4096 steps. When those differ
// the runs are repeated, and the stretch that differed is recorded and compared
// step by step. What leaks into the run need not strike the same way again, so
// that is tried a few times.
func Difference(run func(*Tracing) *World) *Divergence {
	a, b := run(nil).k.Trace(), run(nil).k.Trace()
	if same(a, b) {
		return nil
	}
	at := parting(a, b)
	for range 5 {
		a = run(&Tracing{kernel.TraceConfig{Record: 64 * kernel.Chunk, From: at * kernel.Chunk}}).k.Trace()
		b = run(&Tracing{kernel.TraceConfig{From: at * kernel.Chunk, Against: a}}).k.Trace()
		if now := parting(a, b); now < at {
			at = now
		} else if d := b.Difference(); d != nil {
			return &Divergence{d.Index, d.Left, d.Right}
		} else if b.Len() < a.Len() {
			return &Divergence{b.Len(), "goes on", "ends"}
		}
	}
	return &Divergence{at * kernel.Chunk, "somewhere in the next 4096 steps", "not the same twice"}
}

func same(a, b *kernel.Trace) bool { return a.Hash() == b.Hash() && a.Len() == b.Len() }

// parting is the number of the first stretch whose hashes differ.
func parting(a, b *kernel.Trace) uint64 {
	x, y := a.Chunks(), b.Chunks()
	i := 0
	for i < len(x) && i < len(y) && x[i] == y[i] {
		i++
	}
	return uint64(i)
}
