package sim

import (
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/ktrial/ktrial/ledger"
	"github.com/ktrial/ktrial/sim/disk"
	"github.com/ktrial/ktrial/sim/env"
	"github.com/ktrial/ktrial/sim/kernel"
	"github.com/ktrial/ktrial/sim/machine"
	"github.com/ktrial/ktrial/sim/network"
)

// Host is a machine: a clock, a CPU, a disk and an address on the network. At most
// one process runs on it at a time.
//
// Its methods are for the world (At, After, OnEvent) and for tasks of other
// hosts. A process that kills its own host does not survive the call.
type Host struct {
	w     *World
	name  string
	clock clock
	node  *network.Node
	disk  *disk.Disk
	on    *Machine // nil: work is free
	stops machine.Stops

	main        func(env.Host)
	proc        *process // nil or dead: none runs
	incarnation int
	exit        error
	holds       int // see Hold
}

func newHost(w *World, name string) *Host {
	h := &Host{w: w, name: name, node: w.net.Attach(name)}
	dc := w.cfg.Disk
	if h.on, h.stops = w.machineFor(name); h.on != nil {
		h.node.SetCard(h.on.Card)
		dc.Devices = h.on.Disks
	}
	h.disk = disk.New(w.k, name, w.cfg.Seed, dc)
	h.disk.Tell = func(e ledger.Event) { w.enter(name, h.incarnation, e) }
	h.clock.init(w, name)
	h.node.Virtual = h.clock.virtual
	return h
}

// Name is the host's name.
func (h *Host) Name() string { return h.name }

// Machine is what the host is on; nil: its work is free.
func (h *Host) Machine() *Machine { return h.on }

// Disk is the host's disk, with its faults and what a checker may ask.
func (h *Host) Disk() *disk.Disk { return h.disk }

// Start starts a process whose first task runs main. The process lives until
// it is killed, exits, or has no task and no timer left; main may return before.
func (h *Host) Start(main func(env.Host)) {
	if h.IsRunning() {
		panic(fmt.Sprintf("sim: start on %s: a process (incarnation %d) runs already", h.name, h.incarnation))
	}
	h.node.PowerOn()
	h.main = main
	h.incarnation++
	h.exit = nil
	p := &process{h: h}
	h.proc = p
	p.Process = h.w.k.NewProcess(h.name, h.incarnation, func() { h.node.EndProcess(p.Process) })
	p.luck = h.w.k.Source(h.w.cfg.Seed, fmt.Sprintf("process %s %d", h.name, h.incarnation))
	p.luck.BySite(h.w.k)
	p.rng = rand.New(&p.luck)
	p.disk = h.disk.View(p.Process)
	if fs := h.w.cfg.FileSystem; fs != nil {
		p.disk = fs(h.name, p)
	}
	if h.on != nil {
		luck := kernel.Stream(h.w.cfg.Seed, fmt.Sprintf("pauses of %s %d", h.name, h.incarnation))
		p.machine = h.on.Machine.Process(p.Process, h.node.Busy, h.node.SetBusy, h.stops, luck)
	}
	h.happens(&Started{}, "starts")
	p.Process.Go("main", func() { main(p) })
}

// Restart starts the last main again.
func (h *Host) Restart() { h.Start(h.main) }

// IsRunning reports whether a process runs, or is paused.
func (h *Host) IsRunning() bool { return h.proc != nil && !h.proc.Dead() }

// Incarnation counts the processes that were started.
func (h *Host) Incarnation() int { return h.incarnation }

// Turns counts how often the running process was woken: a task of it had its turn, or a
// timer of it fired. A process that is started counts from 0.
func (h *Host) Turns() uint64 {
	if h.proc == nil {
		return 0
	}
	return h.proc.Turns()
}

// Process is what the running process was given as its env.Host, or nil.
func (h *Host) Process() env.Host {
	if !h.IsRunning() {
		return nil
	}
	return h.proc
}

// ExitError is what the last process said when it called Exit.
func (h *Host) ExitError() error { return h.exit }

// Kill ends the process at once. The operating system lives on: the page cache
// is kept and the peers of its connections hear of it.
func (h *Host) Kill() {
	if h.IsRunning() {
		h.happens(&Killed{}, "is killed")
		h.proc.Kill()
	}
}

// PowerOff stops the machine at once: what was not synced may be lost, and
// no peer hears of it. It returns what the disk has lost. Start switches it on
// again.
func (h *Host) PowerOff() []disk.Loss {
	h.happens(&PoweredOff{}, "loses power")
	for _, f := range h.w.beforeDark {
		f(h)
	}
	h.node.PowerOff()
	losses := h.disk.PowerCut()
	for _, l := range losses {
		h.w.enter(h.name, h.incarnation, &PowerLoss{l.Path, l.Text})
	}
	h.clock.reboot(h.w.Now())
	if h.IsRunning() {
		h.proc.Kill()
	}
	return losses
}

// Pause stops the process, as SIGSTOP or a long collection of garbage does. The
// operating system lives on and takes in what comes from the network. Pauses of
// one process add up: each needs its own Resume. They end with the process.
func (h *Host) Pause() {
	if h.IsRunning() {
		h.happens(&Paused{}, "is paused")
		h.proc.pauses++
		h.proc.Pause()
	}
}

// Resume takes back one Pause; after the last the process goes on.
func (h *Host) Resume() {
	if h.IsRunning() && h.proc.pauses > 0 {
		h.happens(&Resumed{}, "is resumed")
		if h.proc.pauses--; h.proc.pauses == 0 {
			h.proc.Resume()
		}
	}
}

// Hold records that something wants the host to stay down, which the code that
// starts processes has to respect. Holds add up: each needs its own Release.
func (h *Host) Hold() { h.holds++ }

// Release takes back one Hold.
func (h *Host) Release() { h.holds = max(0, h.holds-1) }

// Held reports whether there is a Hold left.
func (h *Host) Held() bool { return h.holds > 0 }

// IsPaused reports whether the process is paused.
func (h *Host) IsPaused() bool { return h.IsRunning() && h.proc.Paused() }

// StepClock moves the wall clock.
func (h *Host) StepClock(by time.Duration) {
	h.happens(&ClockStepped{by}, "clock steps")
	h.clock.step(by)
}

// DriftClock makes both clocks of the host run faster by so many millionths;
// negative: slower.
func (h *Host) DriftClock(ppm int64) {
	h.clock.drift(h.w.Now(), ppm)
	h.happens(&ClockDrifts{h.clock.ppm}, "clock drifts")
}

// AddDrift makes both clocks run faster than they do by so many millionths.
// Drifts add up; the opposite takes one back, whatever came in between.
func (h *Host) AddDrift(ppm int64) {
	h.clock.addDrift(h.w.Now(), ppm)
	h.happens(&ClockDrifts{h.clock.ppm}, "clock drifts")
}

// Now reads the host's wall clock.
func (h *Host) Now() env.Time { return h.clock.wall(h.w.Now()) }

// happens tells of an event of the machine below the process.
func (h *Host) happens(e ledger.Event, mark string) {
	h.w.k.Trace().Text(kernel.KindMark, 0, h.name+" "+mark)
	h.w.enter(h.name, h.incarnation, e)
}
