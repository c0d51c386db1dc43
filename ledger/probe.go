package ledger

import (
	"cmp"
	"fmt"
	"slices"
)

// Probe is a rare state that trials must have met: a green run that never met
// the danger is no evidence. It is declared where it can be reached, and a hunt
// names each one that no run has reached.
type Probe struct {
	Name  string // "ISR shrank"
	About string // what the state is, in a line

	number int
	met    func(Event) bool
}

var probes []*Probe

// NewProbe declares a probe that code reports with env.Host.Reached.
func NewProbe(name, about string) *Probe {
	if slices.ContainsFunc(probes, func(p *Probe) bool { return p.Name == name }) {
		panic(fmt.Sprintf("ledger: probe %q is declared twice", name))
	}
	p := &Probe{Name: name, About: about, number: len(probes)}
	probes = append(probes, p)
	return p
}

// ProbeOn declares a probe that each event of a kind reaches for which met says
// so: what an event says already need not be reported again. A nil met means
// all of them.
func ProbeOn[T any, E interface {
	*T
	Event
}](kind *Kind, name, about string, met func(E) bool) *Probe {
	p := NewProbe(name, about)
	p.met = func(e Event) bool { return met == nil || met(e.(E)) }
	kind.probes = append(kind.probes, p)
	return p
}

// String is the probe's name.
func (p *Probe) String() string { return p.Name }

// Probes are all that were declared, by name.
func Probes() []*Probe {
	out := slices.Clone(probes)
	slices.SortFunc(out, func(a, b *Probe) int { return cmp.Compare(a.Name, b.Name) })
	return out
}
