package faults

import (
	"math/rand/v2"
	"time"

	"github.com/ktrial/ktrial/sim"
)

// Kill ends the process at once, as kill -9 does: what it wrote is in the page
// cache and lives on. The cure starts it again.
type Kill struct{ Host Target }

func (f Kill) String() string { return sentence(f) }

func (f Kill) Inject(c Cluster, luck *rand.Rand) (heal func()) {
	return down(c, f.Host, luck, (*sim.Host).Kill)
}

// PowerOff takes the power from hosts: of what was not synced a part picked by
// luck is lost, each file on its own, and the last write may be torn. The cure
// switches on and starts the process again.
type PowerOff struct{ Host Target }

func (f PowerOff) String() string { return sentence(f) }

func (f PowerOff) Inject(c Cluster, luck *rand.Rand) (heal func()) {
	return down(c, f.Host, luck, func(h *sim.Host) { h.PowerOff() })
}

// down strikes each host that a target stands for; the cure starts them again.
func down(c Cluster, t Target, luck *rand.Rand, strike func(*sim.Host)) (heal func()) {
	return each(c, t, luck, func(h *sim.Host) func() {
		strike(h)
		return func() { c.Start(h.Name()) }
	})
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

// all is the cure made of many.
func all(heals []func()) func() {
	return func() {
		for i := len(heals) - 1; i >= 0; i-- {
			if heals[i] != nil {
				heals[i]()
			}
		}
	}
}

// Pause makes the process stand still, as a long garbage collection or a
// stopped virtual machine does. Its connections live, and its peers wait.
type Pause struct{ Host Target }

func (f Pause) String() string { return sentence(f) }

func (f Pause) Inject(c Cluster, luck *rand.Rand) (heal func()) {
	return each(c, f.Host, luck, func(h *sim.Host) func() {
		h.Pause()
		return h.Resume
	})
}

// Stop shuts the process down in order: a broker hands its leaderships over
// before it goes. The cure starts it again.
type Stop struct{ Host Target }

func (f Stop) String() string { return sentence(f) }

func (f Stop) Inject(c Cluster, luck *rand.Rand) (heal func()) {
	return each(c, f.Host, luck, func(h *sim.Host) func() {
		stopped, healed := false, false
		start := func() {
			if stopped && healed {
				c.Start(h.Name())
			}
		}
		c.Stop(h.Name(), func() { stopped = true; start() })
		return func() {
			healed = true
			if !h.IsRunning() {
				stopped = true // it died on the way down
			}
			start()
		}
	})
}

// RollingRestart restarts hosts one after another, as an upgrade does: each is
// shut down in order, stays down, and the next follows when it has had the
// same time to come back. The cure ends the round early and starts whoever is
// down.
type RollingRestart struct {
	Hosts Target
	Down  time.Duration
}

func (f RollingRestart) String() string { return sentence(f) }

func (f RollingRestart) Inject(c Cluster, luck *rand.Rand) (heal func()) {
	hosts, _ := f.Hosts.hosts(c, luck)
	ended := false
	var next func(i int)
	next = func(i int) {
		if ended || i == len(hosts) {
			return
		}
		c.Stop(hosts[i], func() {
			c.World().After(f.Down, "fault", func() { c.Start(hosts[i]) })
			c.World().After(2*f.Down, "fault", func() { next(i + 1) })
		})
	}
	next(0)
	return func() {
		ended = true
		for _, name := range hosts {
			c.Start(name)
		}
	}
}
