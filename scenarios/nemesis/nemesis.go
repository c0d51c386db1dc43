// Package nemesis plays plans of faults against a cluster. It resolves each
// fault's targets when the fault strikes, keeps to the budget of the cluster,
// and tells the ledger what really struck (faults.Struck, Healed, Skipped).
package nemesis

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/ktrial/ktrial/faults"
	"github.com/ktrial/ktrial/scenarios/cluster"
	"github.com/ktrial/ktrial/sim/kernel"
)

// Nemesis plays one plan.
type Nemesis struct {
	c      *cluster.Cluster
	source *kernel.Source
	luck   *rand.Rand // draws from source
	// unbounded: faults strike as they are planned, whatever they cost.
	unbounded bool

	begun   time.Duration // when the plan's time began
	strikes int
	active  []*strike // that are not healed, in order
}

// strike is a fault that has struck.
type strike struct {
	number int
	plan   string // the line of a plan that does the same
	heal   func()
	healed bool
}

// New makes a nemesis. Luck picks targets such as "any broker". An unbounded
// nemesis does not keep to the budget: the scenario destroys more than its
// configuration promises to survive, and says so, or its plan keeps to the
// budget by itself.
func New(c *cluster.Cluster, luck *kernel.Source, unbounded bool) *Nemesis {
	return &Nemesis{c: c, source: luck, luck: rand.New(luck), unbounded: unbounded}
}

// Play schedules a plan, as far as it fits into the safety phase.
func (n *Nemesis) Play(plan faults.Plan, safety time.Duration) {
	n.begun = n.c.World().Now()
	for _, t := range plan {
		if t.At >= safety {
			n.skip(t.Fault, fmt.Sprintf("it was to strike at %v, and the work lasts %v", t.At, safety))
			continue
		}
		n.c.World().At(n.begun+t.At, "fault", func() { n.strike(t) })
	}
}

// Strike lets a fault happen now, whatever its time says, and schedules its
// cure.
func (n *Nemesis) Strike(t faults.Timed) {
	n.begun = n.c.World().Now()
	n.strike(t)
}

func (n *Nemesis) strike(t faults.Timed) {
	n.source.Under(t.String())
	fault, err := faults.Resolve(n.keepBudget(t.Fault), n.c, n.luck)
	if err == nil {
		err = n.affords(fault)
	}
	if err != nil {
		n.skip(t.Fault, err.Error())
		return
	}
	w := n.c.World()
	n.strikes++
	s := &strike{number: n.strikes, plan: faults.Timed{At: w.Now() - n.begun, For: t.For, Fault: fault}.String()}
	w.Tell(&faults.Struck{Number: s.number, Plan: s.plan, Text: fault.String(), Group: faults.GroupOf(fault), Fault: fault, Momentary: faults.IsMomentary(fault)})
	n.account(fault)
	// Luck of its own: the fault does the same when others are taken out of the plan.
	s.heal = fault.Inject(n.c, w.Rand("nemesis "+s.plan))
	if faults.IsMomentary(fault) {
		return
	}
	n.active = append(n.active, s)
	if t.For > 0 {
		w.After(t.For, "heal", func() { n.cure(s) })
	}
}

func (n *Nemesis) cure(s *strike) {
	if s.healed {
		return
	}
	s.healed = true
	n.c.World().Tell(&faults.Healed{Number: s.number, Plan: s.plan})
	s.heal()
}

// HealAll ends what has not been healed, the latest first.
func (n *Nemesis) HealAll() {
	for _, s := range slices.Backward(n.active) {
		n.cure(s)
	}
}

func (n *Nemesis) skip(f faults.Fault, reason string) {
	n.c.World().Tell(&faults.Skipped{Text: f.String(), Reason: reason})
}

// keepBudget turns a fault that would cost what was acknowledged into a milder
// one: power off becomes kill, which leaves the page cache, and kill becomes
// pause. FoundationDB's canKillProcesses is the model.
func (n *Nemesis) keepBudget(f faults.Fault) faults.Fault {
	crash, ok := f.(faults.Crash)
	if !ok || n.unbounded {
		return f
	}
	aimed, err := faults.Resolve(crash, n.c, n.luck)
	if err != nil {
		return f // it will not strike
	}
	target, loses := aimed.(faults.Crash).Crashes()
	hosts := target.Hosts()
	_, wiped := aimed.(faults.Wiper)
	var milder faults.Fault = faults.Pause{Host: target}
	switch {
	case n.c.Survives(hosts, loses) && !(loses && n.c.VoterForgets(hosts, wiped)):
		return aimed
	case n.c.Survives(hosts, false):
		milder = faults.Kill{Host: target}
	}
	n.skip(aimed, fmt.Sprintf("became %v, for no more is promised to survive", milder))
	return milder
}

// affords refuses damage at rest that may hit the last copy of what was
// acknowledged, and damage that no process looks for: only the recovery after
// an unclean shutdown reads all records again. A replica that runs, or stopped
// in order, would serve damaged records, and consumers would get no further, as
// with Kafka.
func (n *Nemesis) affords(f faults.Fault) error {
	damager, ok := f.(faults.Damager)
	if !ok || n.unbounded {
		return nil
	}
	hosts := damager.Damages().Hosts()
	for _, name := range hosts {
		if s := n.c.Server(name); s != nil && (s.Host.IsRunning() || !s.Unclean(n.c.Image())) {
			return fmt.Errorf("%s will not recover its logs, so the damage would go unnoticed", name)
		}
	}
	if !n.c.Survives(hosts, true) {
		return errors.New("no other replica is known to have all that was acknowledged")
	}
	return nil
}

// account charges a fault to the budget.
func (n *Nemesis) account(f faults.Fault) {
	if deceiver, ok := f.(faults.Deceiver); ok {
		n.c.Doubt(deceiver.Deceives().Hosts())
	}
	if crash, ok := f.(faults.Crash); ok {
		hosts, loses := crash.Crashes()
		n.c.Crash(hosts.Hosts(), loses)
	}
}
