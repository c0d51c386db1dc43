// Package machine is what work costs: a host's cores, the threads of its processes,
// its pauses. It knows kinds of work by number and what one of each takes; the
// processes say how much they do.
//
// Cores serve bursts of work in the order in which they come, each to its end: a
// burst is some microseconds long, so that it makes no difference that operating
// systems would take turns.
package machine

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/ktrial/ktrial/sim/env"
	"github.com/ktrial/ktrial/sim/kernel"
)

// Config is what a machine is made from.
type Config struct {
	// Name distinguishes machines. Hosts with the same name share one.
	Name string
	// Cores is how many bursts of work run at once.
	Cores int
	// Prices are what one of each kind of work takes of a core.
	Prices Prices
	// Handoff is what passes, without CPU, until a thread that was given work begins.
	Handoff time.Duration
}

// Stops are how a process is stopped now and then. Its tasks may be woken meanwhile, but
// no core works for them, and its host neither sends nor receives.
type Stops struct {
	// Pauses come with time, whatever the process does.
	Pauses []Pause
	// Collections come with work: Every is time of cores that the process has used. So
	// come those of garbage, for it is work that makes it.
	Collections []Pause
}

// Prices are in picoseconds, by kind of work.
type Prices [256]int64

// Pause says that a process is stopped for between Least and Most, once in Every on
// average.
type Pause struct {
	Least, Most time.Duration
	Every       time.Duration
}

// Machine is one machine: what its hosts share.
type Machine struct {
	cfg   *Config
	k     *kernel.Kernel
	cores []time.Duration // when each is free

	used  time.Duration                // of all cores
	spent [256]time.Duration           // by kind
	did   [256]int64                   // by kind
	pools []*Pool                      // in the order of their making
	took  [16]struct{ sum, n float64 } // by stage
}

// New makes a machine.
func New(k *kernel.Kernel, cfg *Config) *Machine {
	if cfg.Cores < 1 {
		panic(fmt.Sprintf("machine: %s: %d cores, expected at least 1", cfg.Name, cfg.Cores))
	}
	return &Machine{cfg: cfg, k: k, cores: make([]time.Duration, cfg.Cores)}
}

// Config is what it was made from.
func (m *Machine) Config() *Config { return m.cfg }

// Cores is how many there are.
func (m *Machine) Cores() int { return len(m.cores) }

// Used is the time of all cores together that was spent.
func (m *Machine) Used() time.Duration { return m.used }

// Spent is the time that a kind of work has taken, and how much of it was done.
func (m *Machine) Spent(kind env.Kind) (time.Duration, int64) { return m.spent[kind], m.did[kind] }

// Took is the time that a stage took, summed over all units, and how many there were.
func (m *Machine) Took(stage env.Stage) (seconds, n float64) {
	return m.took[stage].sum, m.took[stage].n
}

// price is what work takes, counted as done.
func (m *Machine) price(work []env.Work) time.Duration {
	var sum int64
	for _, w := range work {
		ps := m.cfg.Prices[w.Kind] * w.N
		m.spent[w.Kind] += time.Duration(ps / 1000)
		m.did[w.Kind] += w.N
		sum += ps
	}
	return time.Duration(sum / 1000)
}

// run has a core do work of that length, not before a time, and returns when it is done.
func (m *Machine) run(d, notBefore time.Duration) time.Duration {
	first := 0
	for i, free := range m.cores {
		if free < m.cores[first] {
			first = i
		}
	}
	start := max(m.k.Now(), notBefore, m.cores[first])
	m.used += d
	if start == max(m.k.Now(), m.cores[first]) {
		m.cores[first] = start + d
	} // else it begins later, and the core is free until then: others may have it
	return start + d
}

// Process is the machine as one process sees it: an env.Machine.
type Process struct {
	m           *Machine
	p           *kernel.Process
	ahead       func(until time.Duration) // see SpendAhead
	busy        func() time.Duration
	stopped     time.Duration // until when a stop lasts
	owed        time.Duration // see Owe
	owing       [1]env.Work
	collections []collection
	luck        *rand.Rand
}

// collection is a kind of stop, and after how much more work the next comes.
type collection struct {
	*Pause
	after time.Duration
}

var _ env.Machine = (*Process)(nil)

// Process makes the view of one process. busy and setBusy are until when what its host
// sends and receives is held up; luck draws its stops.
func (m *Machine) Process(p *kernel.Process, busy func() time.Duration, setBusy func(time.Duration), stops Stops, luck *rand.Rand) *Process {
	v := &Process{m: m, p: p, busy: busy, ahead: setBusy, luck: luck}
	for i := range stops.Pauses {
		v.pauseSometimes(&stops.Pauses[i])
	}
	for i := range stops.Collections {
		c := &stops.Collections[i]
		v.collections = append(v.collections, collection{c, kernel.Exponential(luck, c.Every)})
	}
	return v
}

// pauseSometimes has the process stopped again and again.
func (v *Process) pauseSometimes(pause *Pause) {
	next := v.m.k.Now() + kernel.Exponential(v.luck, pause.Every)
	v.m.k.At(next, func() {
		if !v.p.Dead() {
			v.stop(pause)
			v.pauseSometimes(pause)
		}
	})
}

// stop stops the process from now on.
func (v *Process) stop(pause *Pause) {
	long := pause.Least
	if pause.Most > pause.Least {
		long += time.Duration(v.luck.Int64N(int64(pause.Most - pause.Least)))
	}
	v.stopped = max(v.stopped, v.m.k.Now()) + long
	v.ahead(max(v.busy(), v.stopped))
}

// price is what work takes of the process, which may have to be stopped for it.
func (v *Process) price(work []env.Work) time.Duration {
	d := v.m.price(work)
	if v.p.Dead() {
		return d
	}
	for i := range v.collections {
		c := &v.collections[i]
		for c.after -= d; c.after <= 0; c.after += kernel.Exponential(v.luck, c.Every) {
			v.stop(c.Pause)
		}
	}
	return d
}

// Spend blocks the running task until the work is done, and all that is owed.
func (v *Process) Spend(work ...env.Work) {
	d := v.price(work) + v.owed
	v.owed = 0
	if d <= 0 || v.p.Dead() {
		return
	}
	notBefore := v.stopped
	if h, ok := v.m.k.Current().Held().(*thread); ok {
		notBefore = max(notBefore, h.from)
	}
	v.m.k.Block("compute", "", nil, v.m.run(d, notBefore))
}

// grain is how much a process may owe while a core is free. Each time that a core is asked
// for is an event of the simulation, so that paying for each microsecond would double what a
// record costs it; a record that is paid for later was sent, in virtual time, at most this
// much too early.
//
// slice is how much it may owe while none is: a thread that computes without waiting keeps
// its core for a slice of the scheduler, whatever else wants it (Linux: 0.7 ms times 1 +
// log2 of the cores). In parts of ten microseconds it would have one such part for each
// request of a broker, and starve.
const (
	grain = 10 * time.Microsecond
	slice = time.Millisecond
	// patience is for how long a thread that computes is passed over.
	patience = 2 * slice
)

// Owe adds to what the process owes, and pays once it is enough.
func (v *Process) Owe(kind env.Kind, n int64) {
	v.owing[0] = env.Work{Kind: kind, N: n}
	v.owed += v.price(v.owing[:])
	switch {
	case v.owed >= grain && v.m.idle():
		v.Spend()
	case v.owed >= slice:
		v.giveWay()
		v.Spend()
	}
}

// giveWay lets others have the cores for a while. A thread that has used up its slice comes
// after those that are woken: they have slept, and so have a right to the next turn. But it
// gets its own before long.
func (v *Process) giveWay() {
	deadline := v.m.k.Now() + patience
	for v.m.k.Now() < deadline && !v.m.idle() {
		v.m.k.Block("compute", "", nil, min(deadline, slices.Min(v.m.cores)))
	}
}

// idle reports whether a core has nothing to do.
func (m *Machine) idle() bool { return slices.Min(m.cores) <= m.k.Now() }

// Took counts what a stage took.
func (v *Process) Took(stage env.Stage, d time.Duration, n int64) {
	t := &v.m.took[stage]
	t.sum += d.Seconds() * float64(n)
	t.n += float64(n)
}

// SpendAhead has the host send and receive later by what the work takes.
func (v *Process) SpendAhead(work ...env.Work) {
	if d := v.price(work); d > 0 && !v.p.Dead() {
		v.ahead(v.m.run(d, max(v.busy(), v.stopped)))
	}
}
