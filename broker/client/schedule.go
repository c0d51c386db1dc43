package client

import (
	"fmt"
	"slices"
	"time"

	"github.com/ktrial/ktrial/sim/env"
)

// schedule knows when a task of a client has something to do, and has it done
// then. What there is to do is a duty, which is due at a time or not at all.
//
// work does what is due: it takes the duties that are, and sets those of which
// there will be more to do. It must not block. So it need not wait for the task's
// turn: timers run it, and so does each task that brings news. The schedule's own
// task runs it for calls of the application, which may go on first, and does what
// blocks.
type schedule struct {
	host env.Host
	name string
	work func(now time.Duration)
	// afterAlarm is called when an alarm has run the work; nil: nothing is.
	afterAlarm func()

	dueAt   []time.Duration // by duty: when it is due, by Uptime; env.Forever: it is not
	running bool            // work is, and takes up what becomes due meanwhile
	alarms  []*alarm        // that are set
	spare   []*alarm        // memory to be used again
	task    env.Signal      // the schedule's own task sleeps on it
	woken   bool            // since the task last slept
	closed  bool
}

// duty is one kind of thing to do.
type duty int

// alarm is a timer. One that is set too early is left alone: it will find
// nothing to do, and set another.
type alarm struct {
	schedule *schedule
	at       time.Duration // by Uptime
	timer    env.Timer
	ring     func() // its method rings
}

func newSchedule(host env.Host, name string, work func(now time.Duration)) *schedule {
	return &schedule{host: host, name: name, work: work, task: host.NewSignal(name)}
}

// add makes a duty. It is not due.
func (s *schedule) add() duty {
	s.dueAt = append(s.dueAt, env.Forever)
	return duty(len(s.dueAt) - 1)
}

// at has d done at a time, if it is not due earlier.
func (s *schedule) at(d duty, at time.Duration) {
	s.dueAt[d] = earlier(s.dueAt[d], at)
	if !s.running {
		s.setAlarm()
	}
}

// soon makes d due now. A call of run or of wake must follow.
func (s *schedule) soon(d duty) { s.dueAt[d] = earlier(s.dueAt[d], s.host.Uptime()) }

// clear makes d not due.
func (s *schedule) clear(d duty) { s.dueAt[d] = env.Forever }

// take reports whether d is due, and if so clears it.
func (s *schedule) take(d duty, now time.Duration) bool {
	at := s.dueAt[d]
	if at == env.Forever || at > now {
		return false
	}
	s.clear(d)
	return true
}

// next is when something is due next, or env.Forever.
func (s *schedule) next() time.Duration {
	next := env.Forever
	for _, at := range s.dueAt {
		next = earlier(next, at)
	}
	return next
}

// earlier is the earlier of two times, each of which may be env.Forever.
func earlier(a, b time.Duration) time.Duration {
	if a == env.Forever || b != env.Forever && b < a {
		return b
	}
	return a
}

// tooOften is how many times work may run without time passing. What is due
// again each time that it was done would never end.
const tooOften = 100_000

// run does what is due. If that is going on already, what is due now is left to it.
func (s *schedule) run() {
	if s.running {
		return
	}
	s.running = true
	for n := 0; !s.closed; n++ {
		now := s.host.Uptime()
		if next := s.next(); next == env.Forever || next > now {
			break
		}
		if n == tooOften {
			panic(fmt.Sprintf("client: %s: something is due again at %v after it was done %d times", s.name, now, n))
		}
		s.work(now)
	}
	s.running = false
	s.setAlarm()
}

// setAlarm sees to it that there is an alarm when something is due next.
func (s *schedule) setAlarm() {
	next := s.next()
	if next == env.Forever || s.closed {
		return
	}
	for _, a := range s.alarms {
		if a.at <= next {
			return
		}
	}
	var a *alarm
	if n := len(s.spare); n > 0 {
		a = s.spare[n-1]
		s.spare = s.spare[:n-1]
	} else {
		a = &alarm{schedule: s}
		a.ring = a.rings
	}
	a.at = next
	a.timer = s.host.After(max(0, next-s.host.Uptime()), s.name, a.ring)
	s.alarms = append(s.alarms, a)
}

func (a *alarm) rings() {
	s := a.schedule
	s.alarms = slices.DeleteFunc(s.alarms, func(other *alarm) bool { return other == a })
	s.spare = append(s.spare, a)
	s.run()
	if s.afterAlarm != nil {
		s.afterAlarm()
	}
}

// wake has the schedule's own task run what is due, and whatever else it does.
func (s *schedule) wake() {
	s.woken = true
	s.task.Notify()
}

// sleep blocks the schedule's own task until it is woken.
func (s *schedule) sleep() {
	if !s.woken && !s.closed {
		s.task.Wait(env.Forever)
	}
	s.woken = false
}

// close ends the schedule: nothing is run any more.
func (s *schedule) close() {
	s.closed = true
	for _, a := range s.alarms {
		a.timer.Stop()
	}
	s.alarms = nil
	s.wake()
}
