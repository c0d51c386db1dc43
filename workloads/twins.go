package workloads

import (
	"time"

	"github.com/ktrial/ktrial/sim/env"
)

// Twins is the work of a group of static members in which, by a mistake of its
// operators, the first member is started a second time on another host: two processes
// have one group.instance.id (KIP-345). The one that came first is refused, and ends.
//
// Clients ask: take me for member-1. Servers owe: only one of the two is, the last that
// joined.
type Twins struct {
	GroupConsume
	// After is how long after the beginning of the work the second process starts.
	After time.Duration
}

// Name is how `ktrial list` names it.
func (w Twins) Name() string { return "twins" }

// About is one line for `ktrial list`.
func (w Twins) About() string {
	return "a static member of a group is started a second time on another host; the one that came first must end"
}

// Set changes a parameter, or a client configuration by Kafka's name.
func (w Twins) Set(name, value string) (Workload, error) {
	changed, err := w.GroupConsume.Set(name, value)
	if err != nil {
		return nil, err
	}
	w.GroupConsume = changed.(GroupConsume)
	return w, nil
}

// Clients are those of the group, and the second process of the first member.
func (w Twins) Clients(s *Stage) []Client {
	w.Static = true
	g := w.group(s)
	out := g.clients()
	for i := range out {
		if out[i].Host == "member-1" {
			out[i].Main = g.twin(0)
		}
	}
	return append(out, Client{Host: "twin", Role: Reads, Group: w.Group, Stops: true, Main: g.twin(w.After)})
}

// twin is one of the two processes of member-1. When it is told that the other has
// replaced it, it does nothing more.
func (g *group) twin(after time.Duration) func(env.Host) {
	replaced := false
	return func(h env.Host) {
		g.s.AwaitWork(h)
		h.Sleep(after)
		for !replaced && !g.done() && !g.s.Stopping(h.Name()) {
			p := &processing{g: g, number: 1}
			p.live(h, func() bool { replaced = p.member.Fenced(); return replaced })
		}
	}
}
