package sim

import (
	"errors"
	"io"
	"math/rand/v2"
	"time"

	"github.com/ktrial/ktrial/ledger"
	"github.com/ktrial/ktrial/sim/disk"
	"github.com/ktrial/ktrial/sim/env"
	"github.com/ktrial/ktrial/sim/kernel"
	"github.com/ktrial/ktrial/sim/network"
)

// World is everything there is.
type World struct {
	cfg    Config
	k      *kernel.Kernel
	net    *network.Network
	hosts  []*Host
	byName map[string]*Host
	luck   luck
	ledger *ledger.Ledger
	closed bool
	// beforeDark is called when a host is about to lose power.
	beforeDark []func(*Host)
	dog        watchdog
	machines   []*Machine // in the order in which their first host was made
}

// NewWorld makes a world without hosts at virtual time zero.
func NewWorld(cfg Config) *World {
	if cfg.Network == (network.Config{}) {
		cfg.Network = network.LAN()
	}
	if cfg.Disk == (disk.Config{}) {
		cfg.Disk = disk.SSD()
	}
	if cfg.Birth == 0 {
		cfg.Birth = env.Time(time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC).UnixNano())
	}
	kc := kernel.Config{MaxEvents: cfg.MaxEvents, MaxPerInstant: cfg.MaxPerInstant, Beat: cfg.Watchdog > 0}
	if cfg.Record || cfg.Follow != nil {
		kc.Decisions = kernel.NewDecisions(cfg.Follow)
	}
	if cfg.Tracing != nil {
		kc.Trace = cfg.Tracing.cfg
	}
	kc.Trace.WithoutBytes = cfg.Unhashed
	if !cfg.InOrder {
		kc.Order = kernel.Stream(cfg.Seed, "order of tasks")
	}
	w := &World{cfg: cfg, k: kernel.New(kc), byName: map[string]*Host{}, ledger: ledger.New(cfg.Keep)}
	switch {
	case cfg.Read == nil:
	case w.ledger.Traced():
		w.ledger.ReadAll(cfg.Read)
	default:
		w.ledger.Read(cfg.Read)
	}
	w.net = network.New(w.k, cfg.Seed, cfg.Network)
	w.net.Tell = func(e ledger.Event) { w.enter("", 0, e) }
	w.luck = newLuck(w.k, cfg.Seed, !cfg.Lucky)
	return w
}

// Seed is the seed of the world.
func (w *World) Seed() uint64 { return w.cfg.Seed }

// Now is the virtual time since the world began. It counts as a call to the
// host, for a task may wait for a time in a loop that never lets it pass.
func (w *World) Now() time.Duration {
	w.k.Count()
	return w.k.Now()
}

// Rand is a named stream of luck, the same for the same seed and label and
// independent of all others.
func (w *World) Rand(label string) *rand.Rand { return rand.New(w.Source(label)) }

// Source is where the stream of that label comes from. It gives names to what is drawn.
func (w *World) Source(label string) *kernel.Source {
	s := w.k.Source(w.cfg.Seed, label)
	return &s
}

// Recorded is what luck decided in a run, by name.
type Recorded = kernel.Recorded

// ReadRecorded reads what Recorded.Write has written.
func ReadRecorded(r io.Reader) (*Recorded, error) { return kernel.ReadRecorded(r) }

// Decisions are those of the run so far; nil: they are not kept.
func (w *World) Decisions() *kernel.Decisions { return w.k.Decisions() }

// Network is the network between the hosts.
func (w *World) Network() *network.Network { return w.net }

// Host returns the host of that name; it is made when first asked for.
func (w *World) Host(name string) *Host {
	if h := w.byName[name]; h != nil {
		return h
	}
	h := newHost(w, name)
	w.hosts = append(w.hosts, h)
	w.byName[name] = h
	return h
}

// Hosts lists all hosts in the order in which they were made.
func (w *World) Hosts() []*Host { return w.hosts }

// At has f called at a virtual time, outside of any task: f must not block.
func (w *World) At(at time.Duration, name string, f func()) {
	w.k.At(at, func() {
		w.k.Trace().Text(kernel.KindMark, 0, name)
		f()
	})
}

// After has f called when d has passed.
func (w *World) After(d time.Duration, name string, f func()) { w.At(w.Now()+d, name, f) }

// OnEvent has f called after each event, when every task has parked again:
// the moment to check laws. It must not block.
func (w *World) OnEvent(f func()) { w.k.OnEvent(f) }

// OnPowerOff has f called when a host is about to lose power, while its process
// still runs. It must not block.
func (w *World) OnPowerOff(f func(*Host)) { w.beforeDark = append(w.beforeDark, f) }

// Run lets time pass until the given virtual time, until Stop, or until a
// failure of the world: *PanicError, *DeadlockError, *LivelockError or what
// Fail was given. It may be called again to go on.
func (w *World) Run(until time.Duration) error {
	defer w.startWatchdog()()
	return w.k.Run(until)
}

// RunDue handles what is due by a virtual time and does not mind when tasks
// wait for ever, because something outside may still wake them.
func (w *World) RunDue(until time.Duration) error {
	defer w.startWatchdog()()
	return w.k.RunDue(until)
}

// NextAt is the virtual time of the next event, if there is one.
func (w *World) NextAt() (time.Duration, bool) { return w.k.NextAt() }

// Stop ends Run after the present event.
func (w *World) Stop() { w.k.Stop() }

// OnStop has f called when the world is asked to stop, or fails.
func (w *World) OnStop(f func()) { w.k.OnStop(f) }

// Fail ends Run with err.
func (w *World) Fail(err error) { w.k.Fail(err) }

// Failure is what Run returned or will return, when it is an error.
func (w *World) Failure() error { return w.k.Failure() }

// Waiters lists every task and what it waits for.
func (w *World) Waiters() []kernel.Waiter { return w.k.Waiters() }

// Hash covers everything that happened so far. Equal hashes: the same run.
func (w *World) Hash() uint64 { return w.k.Trace().Hash() }

// Events counts what happened so far.
func (w *World) Events() uint64 { return w.k.Events() }

// Ledger holds what happened so far, and calls its readers.
func (w *World) Ledger() *ledger.Ledger { return w.ledger }

// Tell says that something happened to the world as a whole: a fault strikes, a
// phase begins.
func (w *World) Tell(e ledger.Event) {
	if e.Kind().Weight == ledger.Notable {
		w.k.Trace().Text(kernel.KindLog, 0, e.Sentence())
	}
	w.enter("", 0, e)
}

// TellOf says that something happened on a host that its process did not tell
// itself: it was seen from outside. It is no part of the hash of a run.
func (w *World) TellOf(host string, e ledger.Event) {
	h := w.byName[host]
	if h == nil {
		w.enter(host, 0, e)
		return
	}
	w.enter(host, h.incarnation, e)
}

// Say adds a line in the world's own words, for people to read.
func (w *World) Say(format string, args ...any) {
	w.Tell(ledger.Say(format, args...))
}

// Probes says how often each probe was reached, by name, of those that were.
func (w *World) Probes() map[string]int64 {
	out := map[string]int64{}
	for p, n := range w.ledger.Reached() {
		out[p.Name] = n
	}
	return out
}

// enter adds an event to the ledger.
func (w *World) enter(host string, life int, e ledger.Event) {
	w.ledger.Add(ledger.Entry{At: w.k.Now(), Host: host, Life: life, Cause: w.cause(), Event: e})
}

// cause is the step that is under way.
func (w *World) cause() ledger.Cause {
	return ledger.Cause{Step: w.k.Events(), By: origins[w.k.StepKind()]}
}

// origins says what a step is that begins with such an event of the kernel.
var origins = [1 << 8]ledger.Origin{
	kernel.KindCall: ledger.ByWorld, kernel.KindTask: ledger.ByWait, kernel.KindTimer: ledger.ByTimer,
	kernel.KindPacket: ledger.ByMessage, kernel.KindDisk: ledger.ByDisk,
}

// Calm switches Unlucky and Yield sites off, for the phase in which the stack
// must make progress.
func (w *World) Calm() { w.luck.on = false }

// Close ends all processes. Every coroutine is gone when it returns. The story,
// the hash and the disks can still be read.
func (w *World) Close() {
	if !w.closed {
		w.closed = true
		w.dog.end()
		w.k.Close()
	}
}

var errExited = errors.New("no reason given")
