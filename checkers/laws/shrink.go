package laws

import "time"

// The laws that are asked here.
var (
	BehindForLong = declare(99, OfPartition, "a leader keeps no replica in the ISR that lacks what it has had for more than four times replica.lag.time.max.ms: clocks may run slow",
		"each time a leader has looked for replicas that lag", "KIP-16; Partition.maybeShrinkIsr, isFollowerOutOfSync")
	LateBeforeOut = declare(97, OfPartition, "a leader asks no replica out of the ISR that had all of its log a short time ago: within a quarter of replica.lag.time.max.ms, for clocks may run fast",
		"each proposal to shrink an ISR", "KIP-16; Partition.maybeShrinkIsr, isFollowerOutOfSync")
)

// caughtUp is when a replica was last known to have all of its leader's log.
type caughtUp struct {
	node Node
	at   time.Duration
}

// clockFactor is how much faster or slower than true time a leader's clock may run, with
// drifts that add up.
const clockFactor = 4

// grown is where a leader's log ended at a time.
type grown struct {
	end int64
	at  time.Duration
}

// How often it is kept where a leader's log ends, and for how long: what is older makes a
// lag look smaller than it is.
const (
	grownEach = 100 * time.Millisecond
	mostGrown = 1024
)

// grows: the leader's log ends at end now.
func (r *Replication) grows(p *replica, end int64) {
	c := r.cfg.Calm
	if c == nil || r.cfg.LagTimeMax == 0 {
		return
	}
	if n := len(p.grown); n > 0 && c.Now < p.grown[n-1].at+grownEach {
		return
	}
	if len(p.grown) == mostGrown {
		p.grown = append(p.grown[:0], p.grown[mostGrown/2:]...)
	}
	p.grown = append(p.grown, grown{end, c.Now})
}

// LagsChecked: a leader has looked for replicas that lag, and keeps some in the ISR that lack
// some of its log. Law 99. A leader may look before it tells that its epoch began, which it
// does when it has written so: what is known of it then is of an epoch before.
func (r *Replication) LagsChecked(leader Node, epoch Epoch, kept []Node) {
	r.events++
	p, c := r.of(leader), r.cfg.Calm
	if c == nil || r.cfg.LagTimeMax == 0 || !p.leads || p.epoch != epoch {
		return
	}
	for _, n := range kept {
		since, known := p.lacksSince(n)
		if lag := c.Now - since; known && lag > clockFactor*r.cfg.LagTimeMax {
			r.fail(BehindForLong, leader, "leader %v keeps %v in the ISR, which lacks what it has had for %v; replica.lag.time.max.ms is %v",
				leader, n, lag, r.cfg.LagTimeMax)
		}
	}
}

// lacksSince is since when a leader has something that a follower lacks, or a little later.
func (p *replica) lacksSince(follower Node) (since time.Duration, known bool) {
	for _, had := range p.caughtUp {
		if had.node == follower {
			since, known = had.at, true // at least
		}
	}
	end, fetched := p.fetchedEnd(follower)
	if !fetched {
		return since, known
	}
	for _, g := range p.grown {
		if g.end > end {
			return max(since, g.at), true
		}
	}
	return 0, false
}

// hasAll: the replica has all of its leader's log, or is given the benefit of the doubt
// because the leader's epoch begins. That the leader knows of its epoch is told only when
// it has written so, which may take long; it has known since the epoch was committed, or later.
func (p *replica) hasAll(n Node, at time.Duration) {
	for i := range p.caughtUp {
		if p.caughtUp[i].node == n {
			p.caughtUp[i].at = at
			return
		}
	}
	p.caughtUp = append(p.caughtUp, caughtUp{n, at})
}

// askedToLeave: law 97.
func (r *Replication) askedToLeave(p *replica, late []Node) {
	c := r.cfg.Calm
	if c == nil {
		return
	}
	for _, had := range p.caughtUp {
		if since := c.Now - had.at; holds(late, had.node) && since < r.cfg.LagTimeMax/clockFactor {
			r.fail(LateBeforeOut, p.node, "leader %v asks %v out of the ISR, which had all of its log %v ago; replica.lag.time.max.ms is %v", p.node, had.node, since, r.cfg.LagTimeMax)
		}
	}
}
