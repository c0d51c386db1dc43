package kernel

import (
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/ktrial/ktrial/internal/list"
)

// Task is a coroutine of a process. Its embedded event is the deadline of what
// it waits for.
type Task struct {
	Event
	id   uint64
	name string
	proc *Process
	item list.Item[Task] // among the tasks of the process
	f    func()
	co   *coro // nil until it first runs
	done bool

	// What it waits for; meaningful while parked.
	call, object string
	waits        list.Item[Task] // in a WaitList
	since        time.Duration
	deadline     time.Duration // Never, unless it waits with a limit
	alarm        time.Duration // when Event is scheduled; may be too early
	woken        bool

	holds Holder // what it gives back when it waits in a list; nil: nothing

	named uint64 // see identity
	turns uint64 // among the last before a limit of the kernel
	dump  []byte // where it stands, while the kernel lists its tasks
}

// String is "host/task".
func (t *Task) String() string { return t.proc.name + "/" + t.name }

// Process is the process that the task belongs to.
func (t *Task) Process() *Process { return t.proc }

// run is the bottom frame of a task. It takes the stack of a panic while the
// frames that panicked are still there.
func (t *Task) run() {
	defer t.finish()
	t.f()
}

func (t *Task) finish() {
	t.done = true
	if !t.proc.dead {
		t.Release()
	}
	if v := recover(); v != nil && !t.proc.dead {
		t.proc.panicked(t.name, v)
	}
}

// resume gives t its turn.
func (k *Kernel) resume(t *Task) {
	k.trace.Mix(t.tag)
	if t.co == nil {
		t.co = k.takeCoro()
		t.co.task = t
	}
	k.current, k.asked = t, 0
	t.proc.turns++
	if k.isNearLimit() {
		k.countTurn(t)
	}
	if k.cfg.Beat {
		k.beat.Add(1) // after what Standing reads
	}
	t.co.resume()
	k.current = nil
	if t.done {
		k.retire(t)
	}
}

func (k *Kernel) takeCoro() *coro {
	if n := len(k.idle); n > 0 {
		c := k.idle[n-1]
		k.idle = k.idle[:n-1]
		return c
	}
	return newCoro()
}

// retire forgets a task that has ended.
func (k *Kernel) retire(t *Task) {
	k.idle = append(k.idle, t.co)
	t.co = nil
	k.Cancel(&t.Event)
	t.item.Remove()
	t.proc.endIfIdle()
}

// Block parks the running task in a list (nil: in none) until it is woken or the
// deadline has come. It reports whether it was woken. call and object say in
// reports what it waits for.
func (k *Kernel) Block(call, object string, in *WaitList, deadline time.Duration) bool {
	t := k.mustBeTask(call, object)
	if t.proc.dead {
		exit()
	}
	t.call, t.object, t.since = call, object, k.now
	t.woken = false
	if in != nil {
		if t.holds != nil {
			t.Release()
		}
		in.tasks.Push(&t.waits)
	}
	k.setDeadline(t, deadline)
	k.park(t)
	return t.woken
}

// Holder is something that a task holds while it works, such as a thread of a pool.
type Holder interface {
	// Release is called when the task gives it back. It must not block.
	Release()
}

// Hold has the task hold h, until it waits in a list, ends, or is told to Release.
func (t *Task) Hold(h Holder) { t.holds = h }

// Held is what the task holds, or nil.
func (t *Task) Held() Holder { return t.holds }

// Release gives back what the task holds, if anything.
func (t *Task) Release() {
	if h := t.holds; h != nil {
		t.holds = nil
		h.Release()
	}
}

// park switches to the kernel. A task that is asked where it stands says so
// and stays parked.
func (k *Kernel) park(t *Task) {
	t.co.park()
	for k.dumping {
		t.dump = stack()
		t.co.park()
	}
}

// setDeadline keeps an alarm that is scheduled too early rather than moving
// it: most waits end long before their limit, and the same task soon waits
// again, so one early alarm serves thousands of waits.
func (k *Kernel) setDeadline(t *Task, deadline time.Duration) {
	t.deadline = deadline
	if deadline == Never || t.Pending() && t.alarm <= deadline {
		return
	}
	t.alarm = max(deadline, k.now)
	k.Schedule(t.alarm, &t.Event)
}

// Fire is the task's alarm.
func (t *Task) Fire() {
	k := t.proc.k
	switch {
	case t.done || t.deadline == Never:
	case t.deadline > k.now:
		k.setDeadline(t, t.deadline)
	default:
		k.wake(t, false)
	}
}

// wake ends t's wait.
func (k *Kernel) wake(t *Task, woken bool) {
	t.waits.Remove()
	t.deadline = Never
	t.woken = woken
	k.makeReady(t)
}

func (k *Kernel) makeReady(t *Task) {
	if t.proc.paused {
		t.proc.held = append(t.proc.held, t)
		return
	}
	k.ready.push(t)
}

// Sleep parks the running task until the given time.
func (k *Kernel) Sleep(until time.Duration) {
	k.Block("sleep", "", nil, max(until, k.now))
}

// Pass lets all other ready tasks have their turn first.
func (k *Kernel) Pass(object string) {
	t := k.mustBeTask("yield", object)
	if t.proc.dead {
		exit()
	}
	t.call, t.object, t.since = "yield", object, k.now
	k.makeReady(t)
	k.park(t)
}

// Hang parks the running task for ever; it waits to be killed.
func (k *Kernel) Hang(call string) {
	for {
		k.Block(call, "", nil, Never)
	}
}

// WaitList holds tasks that wait for the same thing, longest waiting first.
type WaitList struct {
	tasks list.List[Task]
}

// Empty reports whether no task waits.
func (l *WaitList) Empty() bool { return l.tasks.Empty() }

// WakeOne wakes the task that has waited longest.
func (l *WaitList) WakeOne() {
	if t := l.tasks.First(); t != nil {
		t.proc.k.wake(t, true)
	}
}

// WakeAll wakes all tasks that wait.
func (l *WaitList) WakeAll() {
	for !l.Empty() {
		l.WakeOne()
	}
}

// Reschedule changes the deadline of all tasks that wait.
func (l *WaitList) Reschedule(deadline time.Duration) {
	for t := l.tasks.First(); t != nil; t = t.waits.Next() {
		t.proc.k.setDeadline(t, deadline)
	}
}

// readyQueue is a ring of the tasks that may run now.
type readyQueue struct {
	ring []*Task
	head int
	n    int
}

func (q *readyQueue) at(i int) *Task     { return q.ring[(q.head+i)&(len(q.ring)-1)] }
func (q *readyQueue) set(i int, t *Task) { q.ring[(q.head+i)&(len(q.ring)-1)] = t }

func (q *readyQueue) push(t *Task) {
	if q.n == len(q.ring) {
		bigger := make([]*Task, max(16, 2*q.n))
		for i := range q.n {
			bigger[i] = q.at(i)
		}
		q.ring, q.head = bigger, 0
	}
	q.n++
	q.set(q.n-1, t)
}

// take removes the next task: a random one, so that no code comes to rely on
// the order in which tasks were woken.
func (q *readyQueue) take(order *rand.Rand, decisions *Decisions) *Task {
	for q.n > 0 {
		if q.n > 1 && order != nil {
			i := order.IntN(q.n)
			if decisions != nil {
				i = decisions.order(q, i)
			}
			first := q.at(0)
			q.set(0, q.at(i))
			q.set(i, first)
		}
		t := q.at(0)
		q.set(0, nil)
		q.head = (q.head + 1) & (len(q.ring) - 1)
		q.n--
		if !t.done {
			return t
		}
	}
	return nil
}

// Waiter is a task that waits, for reports.
type Waiter struct {
	Process, Task string
	Call, Object  string
	Since         time.Duration
	Stack         string
}

func (w Waiter) String() string {
	s := fmt.Sprintf("%s/%s: %s", w.Process, w.Task, w.Call)
	if w.Object != "" {
		s += " " + w.Object
	}
	return fmt.Sprintf("%s since %v", s, w.Since)
}

// Waiters lists the tasks of the world and where each of them stands, without
// moving any of them.
func (k *Kernel) Waiters() []Waiter {
	var all []Waiter
	for _, p := range k.procs {
		for t := p.tasks.First(); t != nil; t = t.item.Next() {
			if t == k.current || t.done {
				continue
			}
			w := Waiter{Process: p.name, Task: t.name, Call: "start", Since: t.since}
			if t.co != nil {
				w.Call, w.Object, w.Stack = t.call, t.object, k.whereIs(t)
			}
			all = append(all, w)
		}
	}
	return all
}
