package kernel

import "time"

// Signal is where tasks of one process wait for a condition to change.
type Signal struct {
	p    *Process
	name string
	list WaitList
}

// NewSignal makes a signal.
func (p *Process) NewSignal(name string) *Signal {
	s := &Signal{}
	s.Init(p, name)
	return s
}

// Init makes a signal of memory that the caller has.
func (s *Signal) Init(p *Process, name string) { s.p, s.name = p, name }

// Wait blocks until it is signalled or the deadline has come; false: the latter.
func (s *Signal) Wait(deadline time.Duration) bool {
	return s.p.k.Block("wait for", s.name, &s.list, deadline)
}

// Notify wakes the task that has waited longest.
func (s *Signal) Notify() { s.list.WakeOne() }

// Broadcast wakes all that wait now.
func (s *Signal) Broadcast() { s.list.WakeAll() }
