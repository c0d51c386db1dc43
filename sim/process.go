package sim

import (
	"fmt"
	"math"
	"math/rand/v2"
	"time"

	"github.com/ktrial/ktrial/ledger"
	"github.com/ktrial/ktrial/sim/env"
	"github.com/ktrial/ktrial/sim/kernel"
	"github.com/ktrial/ktrial/sim/machine"
)

// process is one incarnation of a process: what its code knows as env.Host.
type process struct {
	*kernel.Process
	h      *Host
	luck   kernel.Source
	rng    *rand.Rand // draws from luck
	disk   env.Disk
	pauses int // that were not taken back
	// machine is what work costs; nil: nothing.
	machine *machine.Process
}

var _ env.Host = (*process)(nil)

func (p *process) Name() string   { return p.h.name }
func (p *process) Disk() env.Disk { return p.disk }

// Now, Uptime, Rand, Yield and Unlucky count as calls to the host: code that loops without
// ever waiting looks at a clock or asks for luck.
func (p *process) Now() env.Time {
	p.h.w.k.Count()
	return p.h.clock.wall(p.h.w.k.Now())
}

func (p *process) Uptime() time.Duration {
	p.h.w.k.Count()
	return p.h.clock.uptime(p.h.w.k.Now())
}

func (p *process) Rand() *rand.Rand {
	p.h.w.k.Count()
	return p.rng
}

// deadline is the virtual time at which d has passed on the host's clock.
func (p *process) deadline(d time.Duration) time.Duration {
	now := p.h.w.k.Now()
	switch {
	case d == env.Forever:
		return kernel.Never
	case d <= 0:
		return now
	}
	up := p.h.clock.uptime(now)
	if d > math.MaxInt64-up {
		return kernel.Never
	}
	if p.h.clock.ppm == 0 {
		return now + d
	}
	return p.h.clock.virtual(up + d)
}

func (p *process) Sleep(d time.Duration) { p.h.w.k.Sleep(p.deadline(max(d, 0))) }

func (p *process) After(d time.Duration, name string, f func()) env.Timer {
	return p.Process.After(p.deadline(max(d, 0)), name, f)
}

func (p *process) NewSignal(name string) env.Signal {
	s := &signal{p: p}
	s.Init(p.Process, name)
	return s
}

// signal measures its timeouts by the clock of its host.
type signal struct {
	kernel.Signal
	p *process
}

func (s *signal) Wait(timeout time.Duration) bool {
	return s.Signal.Wait(s.p.deadline(timeout))
}

// Yield does something else in every run: nothing, let others go first, or
// take a while.
func (p *process) Yield(site string) {
	p.h.w.k.Count()
	p.h.w.luck.yield(p.h.name, site)
}

func (p *process) Unlucky(site string) bool {
	p.h.w.k.Count()
	return !p.Dead() && p.h.w.luck.unlucky(p.h.name, site)
}

func (p *process) Work(d time.Duration) {
	if d > 0 && !p.Dead() {
		p.h.node.SetBusy(max(p.h.node.Busy(), p.h.w.k.Now()) + d)
	}
}

func (p *process) Machine() env.Machine {
	if p.machine == nil {
		return nil
	}
	return p.machine
}

func (p *process) Exit(err error) {
	if !p.Dead() {
		if err == nil {
			err = errExited
		}
		p.h.exit = err
		p.Tell(&Exited{Reason: err.Error()})
	}
	p.Process.Exit()
}

func (p *process) Reached(probe *ledger.Probe) {
	if !p.Dead() {
		p.h.w.ledger.Reach(probe)
	}
}

func (p *process) Tell(e ledger.Event) {
	if p.Dead() {
		return
	}
	if e.Kind().Weight == ledger.Notable {
		p.h.w.k.Trace().Text(kernel.KindLog, p.ID(), e.Sentence())
	}
	p.h.w.enter(p.h.name, p.h.incarnation, e)
}

func (p *process) Traced() bool { return p.h.w.ledger.Traced() && !p.Dead() }

func (p *process) Listen(port int) (env.Listener, error) {
	if p.Dead() {
		return nil, fmt.Errorf("network: listen on port %d: %w", port, env.ErrClosed)
	}
	l, err := p.h.node.Listen(p.Process, port)
	if err != nil {
		return nil, err
	}
	return l, nil
}

func (p *process) Dial(addr string, timeout time.Duration) (env.Conn, error) {
	if p.Dead() {
		p.h.w.k.Hang("dial")
	}
	c, err := p.h.node.Dial(p.Process, addr, p.deadline(timeout))
	if err != nil {
		return nil, err
	}
	return c, nil
}
