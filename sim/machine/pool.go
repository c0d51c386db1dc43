package machine

import (
	"time"

	"github.com/ktrial/ktrial/sim/env"
	"github.com/ktrial/ktrial/sim/kernel"
)

// Pool is a pool of threads of one process: an env.Threads.
type Pool struct {
	m       *Machine
	Name    string
	threads int
	queue   int // how many may wait; 0: any number

	taken    int
	admitted int             // tasks that have room in the queue, or a thread
	waiting  kernel.WaitList // for a thread
	outside  kernel.WaitList // for room

	busy  time.Duration // that threads were taken, until since
	since time.Duration
	free  []*thread
}

var _ env.Threads = (*Pool)(nil)

// Threads makes a pool.
func (v *Process) Threads(name string, threads, queue int) env.Threads {
	p := &Pool{m: v.m, Name: name, threads: max(1, threads), queue: queue}
	v.m.pools = append(v.m.pools, p)
	return p
}

// Pools are those of all processes that ran here, in the order of their making.
func (m *Machine) Pools() []*Pool { return m.pools }

// Threads is how many there are.
func (p *Pool) Threads() int { return p.threads }

// Busy is for how long threads were taken, in all.
func (p *Pool) Busy() time.Duration {
	p.account()
	return p.busy
}

func (p *Pool) account() {
	now := p.m.k.Now()
	p.busy += time.Duration(p.taken) * (now - p.since)
	p.since = now
}

// thread is what a task holds that has entered.
type thread struct {
	pool *Pool
	task *kernel.Task
	from time.Duration // it begins to work then
}

// Queue waits for room. The task keeps what it holds: Kafka's network thread stands
// still when the request queue is full.
func (p *Pool) Queue() {
	t := p.m.k.Current()
	for p.queue > 0 && p.admitted >= p.queue+p.threads {
		held := t.Held()
		t.Hold(nil)
		p.m.k.Block("wait for room in the queue of", p.Name, &p.outside, kernel.Never)
		t.Hold(held)
	}
	p.admitted++
}

// Enter takes a thread. Tasks are served in the order in which they come.
func (p *Pool) Enter() {
	k := p.m.k
	if p.taken < p.threads {
		p.take()
	} else {
		k.Block("wait for a thread of", p.Name, &p.waiting, kernel.Never) // the one that leaves hands its thread over
	}
	k.Current().Hold(p.thread())
}

func (p *Pool) take() {
	p.account()
	p.taken++
}

func (p *Pool) thread() *thread {
	from := p.m.k.Now() + p.m.cfg.Handoff
	if n := len(p.free) - 1; n >= 0 {
		t := p.free[n]
		p.free = p.free[:n]
		t.from = from
		return t
	}
	return &thread{pool: p, from: from}
}

// Leave gives back the thread of this pool that the task holds, if it does.
func (p *Pool) Leave() {
	t := p.m.k.Current()
	if h, ok := t.Held().(*thread); ok && h.pool == p {
		t.Release()
	}
}

// Release hands the thread to the task that has waited longest, if there is one.
func (t *thread) Release() {
	p := t.pool
	p.free = append(p.free, t)
	if p.queue > 0 {
		p.admitted--
		p.outside.WakeOne()
	}
	if p.waiting.Empty() {
		p.account()
		p.taken--
		return
	}
	p.waiting.WakeOne()
}
