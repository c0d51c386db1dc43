package kernel

import (
	"cmp"
	"fmt"
	"slices"
	"time"
)

// lastTurns is how many turns before a limit are counted by task: they show
// which tasks keep the world busy.
const lastTurns = 10_000

// guard stops a world that runs without getting anywhere.
func (k *Kernel) guard() {
	k.instant++
	if k.instant > k.cfg.MaxPerInstant {
		k.Fail(&LivelockError{At: k.now, Steps: k.instant, Why: fmt.Sprintf("time does not pass after %d steps", k.instant), Busy: k.busy()})
	}
	if k.events > k.cfg.MaxEvents {
		k.Fail(&LivelockError{At: k.now, Steps: k.events, Why: fmt.Sprintf("the run does not end after %d events", k.events), Busy: k.busy()})
	}
}

// isNearLimit reports whether the turn that begins is among the last before one
// of the limits.
func (k *Kernel) isNearLimit() bool {
	return k.instant+lastTurns > k.cfg.MaxPerInstant || k.events+lastTurns > k.cfg.MaxEvents
}

// countTurn counts a turn of t.
func (k *Kernel) countTurn(t *Task) {
	if t.turns++; t.turns == 1 {
		k.lately = append(k.lately, t)
	}
}

// busy are the tasks that had the most of the last turns, at most three.
func (k *Kernel) busy() []Busy {
	var total uint64
	for _, t := range k.lately {
		total += t.turns
	}
	slices.SortFunc(k.lately, func(a, b *Task) int { return cmp.Or(cmp.Compare(b.turns, a.turns), cmp.Compare(a.id, b.id)) })
	var out []Busy
	for _, t := range k.lately[:min(3, len(k.lately))] {
		out = append(out, Busy{Process: t.proc.name, Task: t.name, Turns: t.turns, Of: total, Stack: k.whereIs(t)})
	}
	return out
}

// whereIs is the stack of a parked task; empty: it has none.
func (k *Kernel) whereIs(t *Task) string {
	if t.done || t.co == nil {
		return ""
	}
	wasDumping, running := k.dumping, k.current
	k.dumping, k.current = true, t
	t.co.resume()
	k.dumping, k.current = wasDumping, running
	stack := frames(t.dump, simulator)
	t.dump = nil
	return stack
}

// Count counts a call of the running task to its host. A task that calls its
// host again and again and never waits stops the world here: no event follows
// at which the other limits could be looked at.
func (k *Kernel) Count() {
	if k.asked++; k.asked > k.cfg.MaxPerTurn {
		k.stopSpinning()
	}
}

func (k *Kernel) stopSpinning() {
	t := k.current
	if t == nil || t.proc.dead {
		return // a callback: it is not a task that could be parked
	}
	k.Fail(&LivelockError{
		At: k.now, Steps: k.asked, Why: fmt.Sprintf("a task never waits in %d calls to its host", k.asked),
		Busy: []Busy{{Process: t.proc.name, Task: t.name, Stack: frames(stack(), simulator)}},
	})
	k.Hang("spins")
}

// Beats counts events and turns of tasks, for a watchdog on another goroutine.
// Config.Beat must be set.
func (k *Kernel) Beats() uint64 { return k.beat.Load() }

// Standing is what runs now and when, for a watchdog on another goroutine. It
// may be called only when Beats has not changed for a long time: then nothing
// writes what it reads.
func (k *Kernel) Standing() (task string, at time.Duration) {
	if k.current == nil {
		return "", k.now
	}
	return k.current.String(), k.now
}
