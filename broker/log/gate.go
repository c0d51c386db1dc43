package log

import "github.com/ktrial/ktrial/sim/env"

// gate lets one task through at a time, in the order in which they came. It
// costs nothing while no task waits.
type gate struct {
	held    bool
	waiting int
	signal  env.Signal
}

// enter blocks until the gate is the caller's.
func (g *gate) enter(host env.Host, name string) {
	if !g.held {
		g.held = true
		return
	}
	if g.signal == nil {
		g.signal = host.NewSignal(name)
	}
	g.waiting++
	g.signal.Wait(env.Forever) // leave hands the gate over: it stays held
}

func (g *gate) leave() {
	if g.waiting == 0 {
		g.held = false
		return
	}
	g.waiting--
	g.signal.Notify()
}
