package controller

import (
	"time"

	"github.com/ktrial/ktrial/broker/kafka"
	"github.com/ktrial/ktrial/broker/metadata"
	"github.com/ktrial/ktrial/broker/witness"
)

// run is the task of one activity: it begins in epoch and does what no request
// asks for until it is over. No task waits for these records to be committed.
func (c *Controller) run(epoch kafka.LeaderEpoch) {
	if c.leader != c.cfg.ID || c.epoch != epoch || c.active {
		return
	}
	c.activate()
	c.decide(func(b *brain) records { return b.bootstrap() })

	s := &c.cfg.Settings
	now := c.host.Uptime()
	duties := []*duty{
		{every: s.MaxIdleInterval, on: s.MaxIdleInterval > 0, do: func(*brain) records { return records{&metadata.NoOpRecord{}} }},
		{every: s.RebalanceInterval, on: s.AutoRebalance, do: (*brain).balance},
		{every: s.UncleanInterval, on: true, do: (*brain).electUnclean},
	}
	for _, d := range duties {
		d.next = now + d.every
	}
	for c.active && c.epoch == epoch {
		c.expireSessions()
		now = c.host.Uptime()
		for _, d := range duties {
			if d.on && now >= d.next && c.active {
				d.next = now + d.every
				if n := c.decide(d.do); n >= maxElections {
					d.next = now // there may be more
				}
			}
		}
		if c.active {
			c.wake.Wait(c.untilNext(duties))
		}
	}
}

// duty is something done every so often.
type duty struct {
	every, next time.Duration
	on          bool
	do          func(*brain) records
}

// decide makes a decision that no request waits for, and says how many records
// it took. A quorum that does not take them has a new leader: that is on its
// way.
func (c *Controller) decide(do func(*brain) records) int {
	recs := do(c.brain())
	if err := c.append(recs); err != nil {
		return 0
	}
	return len(recs)
}

// expireSessions fences the silent, one by one: each decision sees the one
// before it.
func (c *Controller) expireSessions() {
	for fenced := 0; c.active; fenced++ {
		id, recs := c.brain().expire()
		if id == kafka.NoNode {
			return
		}
		if fenced == 1 {
			c.host.Reached(ProbeTwoSessions)
		}
		silent := c.host.Uptime() - c.sessions.get(id).contact
		c.host.Tell(&witness.SessionExpired{Broker: id, Timeout: c.cfg.Settings.SessionTimeout, Silent: silent})
		if c.append(recs) != nil {
			return
		}
	}
}

func (c *Controller) untilNext(duties []*duty) time.Duration {
	now := c.host.Uptime()
	wait := time.Hour
	for _, d := range duties {
		if d.on {
			wait = min(wait, d.next-now)
		}
	}
	if at, ok := c.sessions.nextExpiry(); ok {
		// A session is over when more than the timeout has passed.
		wait = min(wait, at+time.Millisecond-now)
	}
	return max(wait, 0)
}
