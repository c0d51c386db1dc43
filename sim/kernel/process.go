package kernel

import (
	"time"

	"github.com/ktrial/ktrial/internal/list"
)

// Process is a group of tasks and timers that die together.
type Process struct {
	k           *Kernel
	id          uint32
	name        string
	incarnation int
	onEnd       func()

	dead       bool
	paused     bool
	tasks      list.List[Task]  // oldest first
	timers     list.List[Timer] // pending, oldest first
	held       []*Task          // became ready while paused
	heldTimers []*Timer         // fell due while paused
	turns      uint64           // of its tasks, and timers that fired
}

// NewProcess starts a process, as yet without a task. onEnd is called once, when
// it has ended in whatever way.
func (k *Kernel) NewProcess(name string, incarnation int, onEnd func()) *Process {
	p := &Process{k: k, id: k.trace.nameProcess(name), name: name, incarnation: incarnation, onEnd: onEnd}
	k.procs = append(k.procs, p)
	return p
}

// Kernel is the kernel that runs p.
func (p *Process) Kernel() *Kernel { return p.k }

// ID numbers processes in the order of their start.
func (p *Process) ID() uint32 { return p.id }

// Dead reports whether p has ended.
func (p *Process) Dead() bool { return p.dead }

// Turns counts how often a task of p was given its turn, or a timer of p fired.
func (p *Process) Turns() uint64 { return p.turns }

// Paused reports whether p is paused.
func (p *Process) Paused() bool { return p.paused }

// Go starts a task.
func (p *Process) Go(name string, f func()) {
	if p.dead {
		return
	}
	k := p.k
	k.tasks++
	t := &Task{id: k.tasks, name: name, proc: p, f: f, deadline: Never, since: k.now}
	t.Init(t, Tag(KindTask, p.id, k.tasks))
	t.item.Init(t)
	t.waits.Init(t)
	k.trace.nameTask(t)
	p.tasks.Push(&t.item)
	k.makeReady(t)
}

// endIfIdle ends a process that has nothing left to run.
func (p *Process) endIfIdle() {
	if !p.dead && p.tasks.Empty() && p.timers.Empty() && len(p.heldTimers) == 0 {
		p.end()
	}
}

// end marks p dead and calls its host.
func (p *Process) end() {
	p.dead = true
	k := p.k
	for i, q := range k.procs {
		if q == p {
			k.procs = append(k.procs[:i], k.procs[i+1:]...)
			break
		}
	}
	if p.onEnd != nil {
		p.onEnd()
	}
}

// Kill ends p. Its tasks end where they are parked, newest first; their
// deferred calls run, but p is dead already and nothing it holds works. If the
// running task belongs to p, Kill does not return.
func (p *Process) Kill() {
	if p.dead {
		return
	}
	if t := p.k.current; t != nil && t.proc == p {
		p.k.toKill = append(p.k.toKill, p)
		p.k.Hang("killed itself")
	}
	p.end()
	p.paused, p.held, p.heldTimers = false, nil, nil
	for t := p.timers.Last(); t != nil; t = p.timers.Last() {
		t.Stop()
	}
	for t := p.tasks.Last(); t != nil; t = p.tasks.Last() {
		p.drop(t)
	}
}

func (p *Process) drop(t *Task) {
	k := p.k
	t.waits.Remove()
	k.Cancel(&t.Event)
	t.item.Remove()
	if t.co != nil && !t.done {
		saved := k.current
		k.current = t
		t.co.unwind()
		k.current = saved
	}
	t.done = true
}

// reap kills the processes that killed themselves.
func (k *Kernel) reap() {
	for len(k.toKill) > 0 {
		p := k.toKill[0]
		k.toKill = k.toKill[1:]
		p.Kill()
	}
}

// Pause stops p from running; what it holds lives on.
func (p *Process) Pause() { p.paused = true }

// Resume lets p run again, beginning with what fell due meanwhile.
func (p *Process) Resume() {
	if !p.paused {
		return
	}
	p.paused = false
	for _, t := range p.held {
		if !t.done {
			p.k.makeReady(t)
		}
	}
	timers := p.heldTimers
	p.held, p.heldTimers = nil, nil
	for _, t := range timers {
		if t.f != nil {
			p.timers.Push(&t.item)
			p.k.Schedule(p.k.now, &t.Event)
		}
	}
}

// Timer calls a function of its process, unless it is stopped before.
type Timer struct {
	Event
	proc *Process
	name string
	f    func()
	item list.Item[Timer] // among the timers of the process
}

// After has f called at the given time, outside of any task.
func (p *Process) After(at time.Duration, name string, f func()) *Timer {
	t := &Timer{proc: p, name: name, f: f}
	if p.dead {
		return t
	}
	t.Init(t, Tag(KindTimer, p.id, hashString(name)))
	t.item.Init(t)
	p.timers.Push(&t.item)
	p.k.Schedule(at, &t.Event)
	return t
}

// Stop prevents the call; it reports whether it was still to come.
func (t *Timer) Stop() bool {
	if t.f == nil {
		return false
	}
	t.f = nil
	if t.proc.k.Cancel(&t.Event) {
		t.item.Remove()
	}
	return true
}

// Fire calls the function, or keeps it until the process is resumed.
func (t *Timer) Fire() {
	p := t.proc
	t.item.Remove()
	if p.paused {
		p.heldTimers = append(p.heldTimers, t)
		return
	}
	if t.f != nil {
		p.turns++
		t.call()
	}
	p.endIfIdle()
}

// call calls the function. A panic in it is reported as one in a task is.
func (t *Timer) call() {
	f := t.f
	t.f = nil
	defer func() {
		if v := recover(); v != nil && v != exited {
			t.proc.panicked("timer "+t.name, v)
		}
	}()
	f()
}

// exited is the panic that leaves the function of a timer which ended its own
// process: there is no task that could be parked for ever.
var exited = new(int)

// Exit ends p from within. It does not return.
func (p *Process) Exit() {
	p.Kill()
	if p.k.current == nil {
		panic(exited)
	}
	exit()
}

// panicked ends the run because of a panic in p.
func (p *Process) panicked(task string, v any) {
	p.k.Fail(&PanicError{Process: p.name, Incarnation: p.incarnation, Task: task, At: p.k.now, Value: v, Stack: string(stack())})
}
