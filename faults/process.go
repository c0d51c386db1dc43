package faults

import (
	"math/rand/v2"
	"slices"
	"time"

	"github.com/ktrial/ktrial/sim"
)

// Kill ends the process at once, as kill -9 does: what it wrote is in the page
// cache and lives on. The cure starts it again.
type Kill struct{ Host Target }

func (f Kill) String() string { return sentence(f) }

func (f Kill) Crashes() (Target, bool) { return f.Host, false }

func (f Kill) Inject(c Cluster, luck *rand.Rand) (heal func()) {
	return down(c, f.Host, luck, (*sim.Host).Kill)
}

// PowerOff takes the power from hosts: of what was not synced a part picked by
// luck is lost, each file on its own, and the last write may be torn. The cure
// switches on and starts the process again.
type PowerOff struct{ Host Target }

func (f PowerOff) String() string { return sentence(f) }

func (f PowerOff) Crashes() (Target, bool) { return f.Host, true }

func (f PowerOff) Inject(c Cluster, luck *rand.Rand) (heal func()) {
	return down(c, f.Host, luck, func(h *sim.Host) { h.PowerOff() })
}

// down strikes each host that a target stands for and keeps it down; the cure
// starts it again.
func down(c Cluster, t Target, luck *rand.Rand, strike func(*sim.Host)) (heal func()) {
	return each(c, t, luck, func(h *sim.Host) func() {
		h.Hold()
		strike(h)
		return func() { release(c, h) }
	})
}

// release lets go of a host that a fault kept down.
func release(c Cluster, h *sim.Host) {
	h.Release()
	revive(c, h)
}

// revive starts a process, unless another fault still wants it down.
func revive(c Cluster, h *sim.Host) {
	if !h.Held() {
		c.Start(h.Name())
	}
}

// each strikes every host that a target stands for. The cures run in reverse.
func each(c Cluster, t Target, luck *rand.Rand, strike func(*sim.Host) (heal func())) (heal func()) {
	hosts, _ := t.hosts(c, luck)
	var heals []func()
	for _, name := range hosts {
		heals = append(heals, strike(c.World().Host(name)))
	}
	return all(heals)
}

// all is the cure made of many. It works once: a cure takes back what its own
// fault did and nothing else.
func all(heals []func()) func() {
	return func() {
		left := heals
		heals = nil
		for _, heal := range slices.Backward(left) {
			if heal != nil {
				heal()
			}
		}
	}
}

// Pause makes the process stand still, as a long garbage collection or a
// stopped virtual machine does. Its connections live, and its peers wait. It is
// over with the life of that process.
type Pause struct{ Host Target }

func (f Pause) String() string { return sentence(f) }

func (f Pause) Inject(c Cluster, luck *rand.Rand) (heal func()) {
	return each(c, f.Host, luck, func(h *sim.Host) func() {
		if !h.IsRunning() {
			return nil
		}
		life := h.Incarnation()
		h.Pause()
		return func() {
			if h.Incarnation() == life {
				h.Resume()
			}
		}
	})
}

// Stop shuts the process down in order: a broker hands its leaderships over
// before it goes. The cure starts it again.
type Stop struct{ Host Target }

func (f Stop) String() string { return sentence(f) }

func (f Stop) Inject(c Cluster, luck *rand.Rand) (heal func()) {
	return each(c, f.Host, luck, func(h *sim.Host) func() {
		return shutDown(c, h, func() {})
	})
}

// StopAndPowerOff shuts the process down in order, and takes the power when it has gone:
// what is behind the mark of a clean shutdown must be on the disk. One that does not come to
// its end keeps its power; one that is down already, or has no time to close its logs, loses
// what it had not synced. The cure switches on and starts it again.
type StopAndPowerOff struct{ Host Target }

func (f StopAndPowerOff) String() string { return sentence(f) }

func (f StopAndPowerOff) Crashes() (Target, bool) { return f.Host, true }

func (f StopAndPowerOff) Inject(c Cluster, luck *rand.Rand) (heal func()) {
	return each(c, f.Host, luck, func(h *sim.Host) func() {
		healed := false
		start := shutDown(c, h, func() {
			if !healed {
				h.PowerOff()
			}
		})
		return func() {
			healed = true
			start()
		}
	})
}

// shutDown asks a process to go in order and calls gone when it has. start
// starts it again: at once if it is down, else when it has gone.
func shutDown(c Cluster, h *sim.Host, gone func()) (start func()) {
	h.Hold()
	down, wanted := false, false
	c.Stop(h.Name(), func() {
		down = true
		if wanted {
			revive(c, h)
		}
		gone()
	})
	return func() {
		wanted = true
		h.Release()
		if down || !h.IsRunning() { // it may have died on the way
			revive(c, h)
		}
	}
}

// RollingRestart restarts hosts one after another, as an upgrade does: each is
// shut down in order, stays down, and has the same time to come back. The next
// follows when it serves again: a broker is fenced until the session of its last
// process is over. A host that dies on its way down ends the round. So does the
// cure, and starts the hosts that are down.
type RollingRestart struct {
	Hosts Target
	Down  time.Duration
}

func (f RollingRestart) String() string { return sentence(f) }

func (f RollingRestart) Check() error { return atLeast("down", f.Down, 0) }

func (f RollingRestart) Inject(c Cluster, luck *rand.Rand) (heal func()) {
	hosts, _ := f.Hosts.hosts(c, luck)
	healed := false
	start := func() {} // the host whose turn it is
	var next, follow func(i int)
	next = func(i int) {
		if healed || i == len(hosts) {
			return
		}
		begin := shutDown(c, c.World().Host(hosts[i]), func() {
			c.World().After(f.Down, "fault", func() { start() })
			c.World().After(2*f.Down, "fault", func() { follow(i) })
		})
		start = once(begin)
	}
	follow = func(i int) {
		if !healed && !c.Serving(hosts[i]) {
			c.World().After(lookAgain, "fault", func() { follow(i) })
			return
		}
		next(i + 1)
	}
	next(0)
	return func() {
		healed = true
		start()
	}
}

// lookAgain is how often a rolling restart looks whether a host is back.
const lookAgain = 200 * time.Millisecond

// once is f, the first time that it is called.
func once(f func()) func() { return all([]func(){f}) }
