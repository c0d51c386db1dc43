package sim

import (
	"fmt"
	"strings"
	"time"

	"github.com/ktrial/ktrial/sim/env"
)

// TB is the part of *testing.T and *rapid.T that RunHost needs.
type TB interface {
	Helper()
	Fatalf(format string, args ...any)
}

// RunHost runs main on the only host of a world, until main returns, and
// reports how the world failed if it did. It is for tests of code that needs a
// host and no cluster. The world is returned to be asked afterwards; it is
// closed already.
func RunHost(t TB, seed uint64, main func(env.Host)) *World {
	t.Helper()
	w := NewWorld(Config{Seed: seed})
	defer w.Close()
	err := w.RunMain("host", main)
	if p, ok := err.(*PanicError); ok && strings.HasPrefix(fmt.Sprintf("%T", p.Value), "rapid.") {
		panic(p.Value) // how rapid itself leaves a test
	}
	if err != nil {
		t.Fatalf("seed %d: %v", seed, err)
	}
	return w
}

// RunMain starts main on a host and runs the world until main returns. It is an
// error if the process ends otherwise, or if main is not done after a virtual
// day.
func (w *World) RunMain(host string, main func(env.Host)) error {
	done := false
	h := w.Host(host)
	h.Start(func(e env.Host) {
		main(e)
		done = true
		w.Stop()
	})
	for !done && h.IsRunning() {
		if w.Now() > 24*time.Hour {
			return fmt.Errorf("sim: the main task of %s is not done after %v of virtual time", host, w.Now())
		}
		if err := w.Run(w.Now() + time.Hour); err != nil {
			return err
		}
	}
	if !done && h.ExitError() != nil {
		return fmt.Errorf("sim: %s exited: %w", host, h.ExitError())
	}
	return nil
}
