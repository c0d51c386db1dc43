package laws

import "time"

// The laws that are asked here.
var (
	LateBeforeOut = declare(97, OfPartition, "a leader asks no replica out of the ISR that had all of its log a short time ago: within a quarter of replica.lag.time.max.ms, for clocks may run fast",
		"each proposal to shrink an ISR", "KIP-16; Partition.maybeShrinkIsr, isFollowerOutOfSync")
)

// caughtUp is when a replica was last known to have all of its leader's log.
type caughtUp struct {
	node Node
	at   time.Duration
}

// clockFactor is how much faster than true time a leader's clock may run, with drifts that
// add up.
const clockFactor = 4

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
