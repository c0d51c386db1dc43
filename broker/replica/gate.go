package replica

import "github.com/ktrial/ktrial/sim/env"

// gate lets many tasks rely on a replica's role at once, and one at a time
// change it, as Kafka's leaderIsrUpdateLock does. Tasks only meet at it while
// the disk is slow: an append that has begun in one epoch must be over before
// the next epoch looks where the log ends.
type gate struct {
	host     env.Host
	users    int
	changing bool
	waiting  int // for lock; they go before tasks that want to enter
	wake     env.Signal
}

// enter waits while the role changes. It blocks.
func (g *gate) enter() {
	for g.changing || g.waiting > 0 {
		g.wait()
	}
	g.users++
}

func (g *gate) leave() {
	g.users--
	g.stir()
}

// lock waits until no task is inside. It blocks.
func (g *gate) lock() {
	g.waiting++
	for g.changing || g.users > 0 {
		g.wait()
	}
	g.waiting--
	g.changing = true
}

func (g *gate) unlock() {
	g.changing = false
	g.stir()
}

func (g *gate) wait() {
	if g.wake == nil {
		g.wake = g.host.NewSignal("role of a replica")
	}
	g.wake.Wait(env.Forever)
}

func (g *gate) stir() {
	if g.wake != nil {
		g.wake.Broadcast()
	}
}
