package scenarios

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/ktrial/ktrial/broker/kafka"
	"github.com/ktrial/ktrial/broker/metadata"
	"github.com/ktrial/ktrial/faults"
	"github.com/ktrial/ktrial/reports"
)

// nemesis plays a plan: it resolves each fault's targets when it strikes,
// keeps to the budget, and records what really struck.
type nemesis struct {
	c    *cluster
	luck *rand.Rand
	// reckless: the scenario destroys more than its configuration promises to
	// survive, and says so; or its plan keeps to the budget by itself.
	reckless bool

	begun  time.Duration // when the plan's time began
	struck []reports.Fault
	spared []reports.Spared
	active []*blow // strikes that are not healed, in order
	log    func(at time.Duration, text string)
	// watch is told what is about to be lost.
	watch *watch
}

// blow is a fault that has struck.
type blow struct {
	index int // in struck
	heal  func()
	done  bool
}

// play schedules a plan, as far as it fits into the safety phase: in the one
// that follows all must become well.
func (n *nemesis) play(plan faults.Plan, safety time.Duration) {
	n.begun = n.c.w.Now()
	for _, t := range plan {
		if t.At >= safety {
			n.spare(t.Fault, fmt.Sprintf("it was to strike at %v, and the work lasts %v", t.At, safety))
			continue
		}
		n.c.w.At(n.begun+t.At, "fault", func() { n.strike(t) })
	}
}

// strike lets one fault happen, and schedules its cure.
func (n *nemesis) strike(t faults.Timed) {
	fault, err := faults.Resolve(n.keepBudget(t.Fault), n.c, n.luck)
	if err == nil {
		err = n.affords(fault)
	}
	now := n.c.w.Now()
	if err != nil {
		n.spare(t.Fault, err.Error())
		return
	}
	text := fmt.Sprintf("at %v", now-n.begun)
	if t.For > 0 {
		text += fmt.Sprintf(" for %v", t.For)
	}
	text += fmt.Sprintf(": %v", fault)
	n.c.w.Say("fault: %v", fault)
	b := &blow{index: len(n.struck)}
	n.struck = append(n.struck, reports.Fault{At: reports.Seconds(now), Text: text})
	n.watch.strikes(fault)
	n.watch.note(fmt.Sprint(fault))
	n.mark(fault)
	// Luck of its own: the fault does the same when others are taken out of the plan.
	b.heal = fault.Inject(n.c, n.c.w.Rand("nemesis "+text))
	if faults.Momentary(fault) {
		n.struck[b.index].Until = reports.Seconds(now)
		return
	}
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
	n.c.w.Say("healed: %s", n.struck[b.index].Text)
	n.watch.note("healed: " + n.struck[b.index].Text)
	b.heal()
}

// healAll ends what has not been healed.
func (n *nemesis) healAll() {
	for _, b := range slices.Backward(n.active) {
		n.cure(b)
	}
}

// keepBudget turns a fault that would cost what was acknowledged into a milder
// one: power off becomes kill, which leaves the page cache, and kill becomes
// pause. FoundationDB's canKillProcesses is the model.
func (n *nemesis) keepBudget(f faults.Fault) faults.Fault {
	crash, ok := f.(faults.Crash)
	if !ok || n.reckless {
		return f
	}
	aimed, err := faults.Resolve(crash, n.c, n.luck)
	if err != nil {
		return f // it will not strike
	}
	hosts, loses := aimed.(faults.Crash).Crashes()
	_, empty := aimed.(faults.Wipe)
	var milder faults.Fault = faults.Pause{Host: hosts}
	switch {
	case n.c.survives(hosts.Hosts(), loses) && !(loses && n.c.aVoterForgets(hosts.Hosts(), empty)):
		return aimed
	case n.c.survives(hosts.Hosts(), false):
		milder = faults.Kill{Host: hosts}
	}
	n.spare(aimed, fmt.Sprintf("became %v, for no more is promised to survive", milder))
	return milder
}

// spare notes a fault that does not strike as it is.
func (n *nemesis) spare(f faults.Fault, why string) {
	n.c.w.Say("fault does not strike: %v: %s", f, why)
	n.spared = append(n.spared, reports.Spared{At: reports.Seconds(n.c.w.Now()), Text: f.String(), Why: why})
}

// aVoterForgets reports whether a loss of power would take from a controller
// what it said it had: the whole disk, or what an fsync left unwritten that the
// next one reported as done. One such voter is one too many: with another that
// lagged it makes a majority that knows nothing of what was committed.
func (c *cluster) aVoterForgets(hosts []string, empty bool) bool {
	return slices.ContainsFunc(hosts, func(name string) bool {
		return slices.Contains(c.controllers, name) && (empty || c.byHost[name].doubtful)
	})
}

// affords refuses rot that may take the last copy of what was acknowledged, and
// rot that nobody looks for: only the recovery after an unclean end reads all
// records again. A replica that runs, or stopped in order, would serve what
// rotted, to consumers that find it damaged and get no further, as with Kafka.
func (n *nemesis) affords(f faults.Fault) error {
	rot, ok := f.(faults.Rot)
	if !ok || n.reckless {
		return nil
	}
	for _, name := range rot.Host.Hosts() {
		if s := n.c.byHost[name]; s != nil && (s.host.IsRunning() || !s.unclean(n.c.image())) {
			return fmt.Errorf("%s will not recover its logs, so nobody would notice", name)
		}
	}
	if !n.c.survives(rot.Host.Hosts(), true) {
		return errors.New("nobody else is known to have all that was acknowledged")
	}
	return nil
}

// mark remembers who went down uncleanly, who lost unsynced writes, and whose
// disk may have less than it said.
func (n *nemesis) mark(f faults.Fault) {
	for _, name := range deceives(f).Hosts() {
		if s := n.c.byHost[name]; s != nil {
			s.doubtful = true
		}
	}
	crash, ok := f.(faults.Crash)
	if !ok {
		return
	}
	target, loses := crash.Crashes()
	im := n.c.image()
	for _, name := range target.Hosts() {
		s := n.c.byHost[name]
		if s == nil {
			continue
		}
		if s.lossy = loses || s.lossy && s.unclean(im); im != nil && im.Broker(s.cfg.NodeID) != nil {
			s.epoch = im.Broker(s.cfg.NodeID).Epoch
		}
		s.crashed = true
	}
}

// deceives names whose disk reports as synced what it does not have. It shows
// when the power goes.
func deceives(f faults.Fault) (hosts faults.Target) {
	switch f := f.(type) {
	case faults.FailFsync: // the pages are marked clean, so the next fsync succeeds without them
		return f.Host
	case faults.LyingFsync:
		return f.Host
	case faults.LostWrite:
		return f.Host
	case faults.MisdirectedWrite:
		return f.Host
	}
	return hosts
}

// unclean reports whether the server went down uncleanly and has not been
// registered anew since: what the controllers count it for, they count a
// former life for.
func (s *member) unclean(im *metadata.Image) bool {
	if !s.crashed || im == nil {
		return s.crashed
	}
	b := im.Broker(s.cfg.NodeID)
	return b == nil || b.Epoch <= s.epoch
}

// survives reports whether a crash of hosts leaves each of their partitions
// with a replica that is counted as having all that was acknowledged (in the
// ISR or the ELR) and did not go down uncleanly since. Kafka does not know a
// kill from a loss of power: whoever comes back unclean is no longer counted
// (KIP-966). As long as nobody has lost anything that does no harm, because
// the last leader, which has everything, is then elected.
func (c *cluster) survives(hosts []string, loses bool) bool {
	// Who has just started may have an old image, and nobody a newer one.
	im := c.image()
	if im == nil || im.Offset+1 < c.committed() {
		return false
	}
	for _, topic := range im.Topics() {
		for _, p := range topic.Partitions {
			if touches(c, p.Replicas, hosts) && !c.keeps(im, p, hosts, loses) {
				return false
			}
		}
	}
	return true
}

// keeps is survives for one partition: fewer than min.insync.replicas of its
// replicas are down uncleanly, or came back so and are not in sync again. More
// may not, though others live: who is merely slow can be fenced out of the ISR
// before them, and then nobody is left who counts.
func (c *cluster) keeps(im *metadata.Image, p *metadata.Partition, hosts []string, loses bool) bool {
	down := 0
	for _, id := range p.Replicas {
		if s := c.byID[id]; slices.Contains(hosts, s.host.Name()) || s.crashed && (s.unclean(im) || !slices.Contains(p.ISR, id)) {
			down++
		}
	}
	lost := slices.ContainsFunc(p.Replicas, func(id kafka.NodeID) bool { return c.byID[id].lost(im, p) })
	return down < max(1, c.minISR[p.Topic]) || !loses && !lost
}

// lost reports whether a server lost writes and has not caught up since.
func (s *member) lost(im *metadata.Image, p *metadata.Partition) bool {
	return s.lossy && (s.unclean(im) || !slices.Contains(p.ISR, s.cfg.NodeID))
}

func touches(c *cluster, replicas []kafka.NodeID, hosts []string) bool {
	return slices.ContainsFunc(replicas, func(id kafka.NodeID) bool { return slices.Contains(hosts, c.hostOf(id)) })
}
