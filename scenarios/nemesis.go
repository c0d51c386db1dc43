package scenarios

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/ktrial/ktrial/broker/kafka"
	"github.com/ktrial/ktrial/faults"
	"github.com/ktrial/ktrial/reports"
)

// nemesis plays a plan: it resolves each fault's targets when it strikes,
// keeps to the budget, and records what really struck.
type nemesis struct {
	c    *cluster
	luck *rand.Rand
	// reckless: the scenario destroys more than its configuration promises to
	// survive, and says so.
	reckless bool

	begun  time.Duration // when the plan's time began
	struck []reports.Fault
	active []*blow // strikes that are not healed, in order
	log    func(at time.Duration, text string)
}

// blow is a fault that has struck.
type blow struct {
	index int // in struck
	heal  func()
	done  bool
}

// play schedules a plan.
func (n *nemesis) play(plan faults.Plan) {
	n.begun = n.c.w.Now()
	for _, t := range plan {
		n.c.w.At(n.begun+t.At, "fault", func() { n.strike(t) })
	}
}

// strike lets one fault happen, and schedules its cure.
func (n *nemesis) strike(t faults.Timed) {
	fault, err := faults.Resolve(n.keepBudget(t.Fault), n.c, n.luck)
	now := n.c.w.Now()
	if err != nil {
		n.c.w.Logf("fault does not strike: %v: %v", t.Fault, err)
		return
	}
	text := fmt.Sprintf("at %v", now-n.begun)
	if t.For > 0 {
		text += fmt.Sprintf(" for %v", t.For)
	}
	text += fmt.Sprintf(": %v", fault)
	n.c.w.Logf("fault: %v", fault)
	b := &blow{index: len(n.struck)}
	n.struck = append(n.struck, reports.Fault{At: reports.Seconds(now), Text: text})
	n.mark(fault)
	b.heal = fault.Inject(n.c, n.luck)
	n.active = append(n.active, b)
	if t.For > 0 {
		n.c.w.After(t.For, "heal", func() { n.cure(b) })
	}
}

func (n *nemesis) cure(b *blow) {
	if b.done {
		return
	}
	b.done = true
	n.struck[b.index].Until = reports.Seconds(n.c.w.Now())
	n.c.w.Logf("healed: %s", n.struck[b.index].Text)
	b.heal()
}

// healAll ends what has not been healed.
func (n *nemesis) healAll() {
	for _, b := range slices.Backward(n.active) {
		n.cure(b)
	}
}

// keepBudget turns a fault that would destroy the last copy of what was
// acknowledged into one that does not: power off becomes kill, which leaves
// the page cache. FoundationDB's canKillProcesses is the model.
func (n *nemesis) keepBudget(f faults.Fault) faults.Fault {
	if n.reckless {
		return f
	}
	switch f := f.(type) {
	case faults.PowerOff:
		if hosts, ok := n.mayLose(f.Host); !ok {
			return faults.Kill{Host: hosts}
		} else {
			return faults.PowerOff{Host: hosts}
		}
	case faults.Wipe:
		if hosts, ok := n.mayLose(f.Host); !ok {
			return faults.Kill{Host: hosts}
		} else {
			return faults.Wipe{Host: hosts}
		}
	}
	return f
}

// mayLose resolves a target and reports whether every partition keeps a
// replica that has all that was acknowledged, when these hosts lose what they
// have not synced.
func (n *nemesis) mayLose(t faults.Target) (faults.Target, bool) {
	resolved, err := faults.Resolve(faults.PowerOff{Host: t}, n.c, n.luck)
	if err != nil {
		return t, true // it will not strike
	}
	target := resolved.(faults.PowerOff).Host
	return target, n.c.survives(target.Hosts())
}

// mark remembers who loses unsynced writes.
func (n *nemesis) mark(f faults.Fault) {
	var hosts []string
	switch f := f.(type) {
	case faults.PowerOff:
		hosts = f.Host.Hosts()
	case faults.Wipe:
		hosts = f.Host.Hosts()
	}
	im := n.c.image()
	for _, name := range hosts {
		s := n.c.byHost[name]
		if s == nil {
			continue
		}
		s.lossy = true
		if im != nil && im.Broker(s.cfg.NodeID) != nil {
			s.epoch = im.Broker(s.cfg.NodeID).Epoch
		}
	}
}

// survives reports whether each partition has a replica outside of hosts that
// the controllers count as having all that was acknowledged (in the ISR or the
// ELR) and that has not lost unsynced writes since it was counted.
func (c *cluster) survives(hosts []string) bool {
	im := c.image()
	if im == nil {
		return false
	}
	for _, topic := range im.Topics() {
		for _, p := range topic.Partitions {
			if !touches(c, p.Replicas, hosts) {
				continue
			}
			safe := slices.ContainsFunc(slices.Concat(p.ISR, p.ELR), func(id kafka.NodeID) bool {
				s := c.byID[id]
				if slices.Contains(hosts, s.host.Name()) {
					return false
				}
				b := im.Broker(id)
				return !s.lossy || b != nil && b.Epoch > s.epoch
			})
			if !safe {
				return false
			}
		}
	}
	return true
}

func touches(c *cluster, replicas []kafka.NodeID, hosts []string) bool {
	return slices.ContainsFunc(replicas, func(id kafka.NodeID) bool { return slices.Contains(hosts, c.hostOf(id)) })
}
