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

// A program that reads its clock over and over, and waits for nothing meanwhile, spins until
// time has passed: each reading costs it more then, or the world would hardly go on.
const (
	spinning       = 1000 // readings
	readingOnAndOn = 10 * time.Microsecond
)

// mostAhead is how far the program's clock may run ahead of its host's.
const mostAhead = 50 * time.Microsecond

// pace makes time pass for a program that computes. Its clock goes on a little
// with each call, and when it is far enough ahead the task sleeps until the host has
// caught up. Without that `for time.Since(begun) < d {}` would never end.
type pace struct {
	h    env.Host
	last time.Duration // of the monotonic clock, as the program has seen it
	read int           // readings of the clock since the program waited last
}

// reading is what a reading of the clock costs.
func (p *pace) reading() time.Duration {
	p.read++
	if p.read > spinning {
		return readingOnAndOn
	}
	return readingTheClock
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
