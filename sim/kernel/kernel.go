// Package kernel is the core of the simulator: virtual time, one event queue,
// tasks that take turns, and the trace hash. It knows no host, network
// or disk; those schedule their events here.
//
// Everything in one Kernel runs on the goroutine that calls Run. An event is a
// plain callback that must not block; a task is a coroutine that may. After
// each event all tasks that became ready run, in an order drawn from the seed,
// until none is left; then comes the next event. Time passes only between
// events.
package kernel

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"sync/atomic"
	"time"
)

// Never is a deadline that does not come.
const Never time.Duration = math.MaxInt64

// Config of a kernel.
type Config struct {
	// Order picks which ready task runs next; nil: first come, first served.
	Order *rand.Rand
	// Decisions keeps what luck decides; nil: it is not kept.
	Decisions *Decisions
	// MaxEvents is after how many events a run is stopped; 0: no limit.
	MaxEvents uint64
	// MaxPerInstant is how many steps may happen without time passing; 0:
	// 2,000,000.
	MaxPerInstant uint64
	// MaxPerTurn is how often a task may call its host in one turn (see Count);
	// 0: 1,000,000.
	MaxPerTurn uint64
	// Beat keeps the count that Standing needs.
	Beat bool
	// Trace says what to keep of the run beside its hash.
	Trace TraceConfig
}

// Kernel drives one world.
type Kernel struct {
	cfg   Config
	now   time.Duration
	queue queue
	trace Trace

	current *Task
	ready   readyQueue
	toKill  []*Process // by themselves; they end when their task has parked
	procs   []*Process // alive, oldest first
	idle    []*coro
	calls   []*call // free

	tasks   uint64 // ever started
	events  uint64
	began   Kind    // what the step under way began with
	instant uint64  // steps since time last moved
	asked   uint64  // calls of the running task to its host, in this turn
	lately  []*Task // that had turns among the last before a limit; see busy
	beat    atomic.Uint64
	dumping bool
	stopped bool
	failure error
	after   []func()
	onStop  []func()
}

// New makes a kernel at virtual time zero.
func New(cfg Config) *Kernel {
	if cfg.MaxEvents == 0 {
		cfg.MaxEvents = math.MaxUint64
	}
	if cfg.MaxPerInstant == 0 {
		cfg.MaxPerInstant = 2_000_000
	}
	if cfg.MaxPerTurn == 0 {
		cfg.MaxPerTurn = 1_000_000
	}
	k := &Kernel{cfg: cfg}
	if cfg.Decisions != nil {
		cfg.Decisions.now = k.Now
	}
	k.trace.init(cfg.Trace, k)
	return k
}

// Now is the virtual time since the world began.
func (k *Kernel) Now() time.Duration { return k.now }

// Events counts the events that happened.
func (k *Kernel) Events() uint64 { return k.events }

// StepKind says what the step under way began with: KindPacket, KindTimer, ...
func (k *Kernel) StepKind() Kind { return k.began }

// Trace is the record that makes two runs comparable.
func (k *Kernel) Trace() *Trace { return &k.trace }

// Current is the running task, or nil inside an event.
func (k *Kernel) Current() *Task { return k.current }

// Stop ends Run when the tasks that are ready have had their turn.
func (k *Kernel) Stop() {
	k.stopped = true
	for _, f := range k.onStop {
		f()
	}
}

// OnStop has f called at each Stop.
func (k *Kernel) OnStop(f func()) { k.onStop = append(k.onStop, f) }

// Fail ends Run with err. The first failure wins.
func (k *Kernel) Fail(err error) {
	if k.failure == nil {
		k.failure = err
	}
	k.Stop()
}

// Failure is what ended the run, if it was an error.
func (k *Kernel) Failure() error { return k.failure }

// OnEvent has f called after each event, when all tasks have parked again.
func (k *Kernel) OnEvent(f func()) { k.after = append(k.after, f) }

// Schedule has ev happen at the given time, or now if that has passed. An
// event that is pending already is moved.
func (k *Kernel) Schedule(at time.Duration, ev *Event) {
	if at < k.now {
		at = k.now
	}
	if ev.seq != 0 {
		k.queue.cancel(ev)
	}
	k.queue.push(at, ev)
}

// Cancel takes ev back; it reports whether it was still to come.
func (k *Kernel) Cancel(ev *Event) bool {
	if ev.seq == 0 {
		return false
	}
	k.queue.cancel(ev)
	return true
}

// At has f called at the given time, outside of any task.
func (k *Kernel) At(at time.Duration, f func()) {
	c := k.newCall()
	c.f = f
	k.Schedule(at, &c.Event)
}

// call is an event that calls a function.
type call struct {
	Event
	k *Kernel
	f func()
}

func (k *Kernel) newCall() *call {
	if n := len(k.calls); n > 0 {
		c := k.calls[n-1]
		k.calls = k.calls[:n-1]
		return c
	}
	c := &call{k: k}
	c.Init(c, Tag(KindCall, 0, 0))
	return c
}

// Fire calls the function.
func (c *call) Fire() {
	f := c.f
	c.f = nil
	c.k.calls = append(c.k.calls, c)
	f()
}

// Run lets time pass until the given time, until Stop, or until nothing can
// happen any more. It returns the failure of the world, or a *DeadlockError if
// tasks wait for what can never come.
func (k *Kernel) Run(until time.Duration) error {
	if k.current != nil {
		panic("kernel: Run was called by task " + k.current.String())
	}
	k.stopped = k.failure != nil
	for {
		k.runReady()
		if k.stopped {
			return k.failure
		}
		at, ok := k.queue.next()
		if !ok {
			if w := k.Waiters(); len(w) > 0 {
				k.Fail(&DeadlockError{At: k.now, Waiters: w})
				return k.failure
			}
			k.now = max(k.now, until)
			return nil
		}
		if at > until {
			k.now = max(k.now, until)
			return nil
		}
		k.step()
	}
}

// RunDue handles what is due by the given time and then returns, also when
// tasks wait for ever: something outside the world may still wake them.
func (k *Kernel) RunDue(until time.Duration) error {
	k.stopped = k.failure != nil
	for {
		k.runReady()
		at, ok := k.queue.next()
		if k.stopped || !ok || at > until {
			k.now = max(k.now, until)
			return k.failure
		}
		k.step()
	}
}

// NextAt is the time of the next event.
func (k *Kernel) NextAt() (time.Duration, bool) { return k.queue.next() }

// step lets the next event happen, and then all tasks that it made ready.
func (k *Kernel) step() {
	at, ev := k.queue.pop()
	if at != k.now {
		k.now = at
		k.instant = 0
	}
	k.events++
	k.began = Kind(ev.tag >> 56)
	k.trace.Mix(ev.tag)
	if k.cfg.Beat {
		k.beat.Add(1)
	}
	ev.on.Fire()
	k.runReady()
	for _, f := range k.after {
		f()
	}
	k.guard()
}

func (k *Kernel) runReady() {
	for {
		k.reap()
		t := k.ready.take(k.cfg.Order, k.cfg.Decisions)
		if t == nil || k.failure != nil {
			return
		}
		k.resume(t)
		k.guard()
	}
}

// Close ends every process and frees all coroutines. The kernel is of no use
// afterwards, except to be asked what happened.
func (k *Kernel) Close() {
	k.stopped = true
	k.current = nil
	for len(k.procs) > 0 {
		k.procs[len(k.procs)-1].Kill()
	}
	for _, c := range k.idle {
		c.stop()
	}
	k.idle = nil
	k.queue = queue{}
}

// mustBeTask returns the running task, for calls that block.
func (k *Kernel) mustBeTask(call, object string) *Task {
	if k.current == nil {
		panic(fmt.Sprintf("kernel: %q blocks, but was called outside of a task", strings.TrimSpace(call+" "+object)))
	}
	return k.current
}
