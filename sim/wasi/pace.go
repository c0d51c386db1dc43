package wasi

import (
	"time"

	"github.com/ktrial/ktrial/sim/env"
)

// What a call costs the program's own clock. The figures are of the order that
// such calls take; only that none is free matters.
const (
	readingTheClock = 100 * time.Nanosecond
	polling         = 500 * time.Nanosecond
	readOrWrite     = time.Microsecond
	yielding        = 10 * time.Microsecond
)

// mostAhead is how far the program's clock may run ahead of its host's.
const mostAhead = 50 * time.Microsecond

// pace makes time pass for a program that computes. Its clock goes on a little
// with each call, and when it is far enough ahead the task sleeps until the host has
// caught up. Without that `for time.Since(begun) < d {}` would never end.
type pace struct {
	h    env.Host
	last time.Duration // of the monotonic clock, as the program has seen it
}

// monotonic is the program's clock. It never goes back.
func (p *pace) monotonic() time.Duration {
	p.last = max(p.last, p.h.Uptime())
	return p.last
}

// wall is the wall clock, as much ahead as the monotonic one.
func (p *pace) wall() env.Time {
	return p.h.Now() + env.Time(p.monotonic()-p.h.Uptime())
}

// spend blocks if the program's clock gets too far ahead.
func (p *pace) spend(d time.Duration) {
	p.last = p.monotonic() + d
	if ahead := p.last - p.h.Uptime(); ahead >= mostAhead {
		p.h.Sleep(ahead)
	}
}
