package sim

import (
	"fmt"
	"time"

	"github.com/ktrial/ktrial/sim/env"
)

// clock is a host's idea of time. Both of its readings run at the same rate;
// only the wall clock can be set.
type clock struct {
	base   int64 // what it runs fast by of its own, in millionths
	drifts int64 // what it was made to run faster by, in all
	ppm    int64
	since  time.Duration // virtual time at which the rate was last changed
	up     time.Duration // monotonic reading at since
	birth  env.Time      // wall clock reading when the monotonic one was zero
}

// init sets the clock a little wrong, as clocks are. Machines were switched on
// at different times, so that a monotonic reading of one means nothing to another.
func (c *clock) init(w *World, name string) {
	c.up = time.Hour
	if !w.cfg.Steady {
		r := w.k.Stream(w.cfg.Seed, "clock "+name)
		c.up = time.Minute + time.Duration(r.Int64N(int64(24*time.Hour)))
		c.base = r.Int64N(41) - 20
		c.ppm = c.base
		c.birth = env.Time(r.Int64N(int64(10*time.Millisecond)) - int64(5*time.Millisecond))
	}
	c.birth += w.cfg.Birth - env.Time(c.up)
	c.since = w.Now()
	c.birth += env.Time(w.Now())
}

// uptime reads the monotonic clock.
func (c *clock) uptime(now time.Duration) time.Duration {
	d := now - c.since
	return c.up + d + scale(d, c.ppm)
}

// wall reads the wall clock.
func (c *clock) wall(now time.Duration) env.Time { return c.birth + env.Time(c.uptime(now)) }

// scale is d*ppm/1e6, without overflow.
func scale(d time.Duration, ppm int64) time.Duration {
	const million = 1_000_000
	return d/million*time.Duration(ppm) + d%million*time.Duration(ppm)/million
}

// virtual is when the monotonic clock will have reached the given reading.
func (c *clock) virtual(uptime time.Duration) time.Duration {
	d := uptime - c.up
	if c.ppm == 0 || d <= 0 {
		return c.since + d
	}
	const million = 1_000_000
	rate := million + c.ppm
	v := c.since + d/time.Duration(rate)*million + d%time.Duration(rate)*million/time.Duration(rate)
	for c.uptime(v) < uptime { // by rounding, once or twice
		v++
	}
	return v
}

func (c *clock) step(by time.Duration) { c.birth += env.Time(by) }

func (c *clock) drift(now time.Duration, ppm int64) {
	if ppm <= -1_000_000 {
		panic(fmt.Sprintf("sim: a clock cannot drift by %d ppm: it would not go forward", ppm))
	}
	c.base = ppm
	c.addDrift(now, 0)
}

// slowest and fastest are how far drifts that add up may bring a clock.
const slowest, fastest = -900_000, 9_000_000

func (c *clock) addDrift(now time.Duration, ppm int64) {
	c.drifts += ppm
	c.up, c.since = c.uptime(now), now
	c.ppm = c.base
	if c.drifts != 0 {
		c.ppm = min(max(c.base+c.drifts, slowest), fastest)
	}
}

// reboot starts the monotonic clock anew.
func (c *clock) reboot(now time.Duration) {
	const boot = 10 * time.Second
	c.birth += env.Time(c.uptime(now) - boot)
	c.up, c.since = boot, now
}
