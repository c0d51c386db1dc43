package laws

import "time"

// The laws that are asked here.
var (
	UndisturbedMembers = declare(78, OfHealth, "while nothing disturbs the cluster no replica leaves the ISR, no session of a broker expires and the quorum keeps its leader",
		"each proposal to shrink an ISR, expired session and election, before the first fault and once all have been healed for a while", "replica.lag.time.max.ms, broker.session.timeout.ms, controller.quorum.fetch.timeout.ms")
	UndisturbedCommits = declare(79, OfHealth, "while nothing disturbs the cluster, what a leader appends is committed within two seconds",
		"each append and high watermark of a leader, before the first fault and once all have been healed for a while", "replica.fetch.wait.max.ms: a fetch that waits is answered as soon as there is a record")
	WholeSession = declare(98, OfQuorum, "the session of a broker expires only when its controller has not heard of it for broker.session.timeout.ms",
		"each session that expires", "KIP-631; BrokerHeartbeatTracker.hasValidSession")
)

// Calm says since when nothing disturbs the cluster. All ghosts share it.
type Calm struct {
	// Now is the time of the event that is told.
	Now time.Duration

	on    bool
	since time.Duration
}

// Undisturbed: from a time on, which may be to come, nothing disturbs the cluster.
func (c *Calm) Undisturbed(since time.Duration) { c.on, c.since = true, since }

// Disturbed: something disturbs the cluster, until Undisturbed is called.
func (c *Calm) Disturbed() { c.on = false }

// Lasts reports whether nothing disturbs the cluster now.
func (c *Calm) Lasts() bool { return c.on && c.Now >= c.since }

// from reports whether nothing has disturbed the cluster from a time until now.
func (c *Calm) from(at time.Duration) bool { return c != nil && c.on && at >= c.since }

// commitBound is within what time an append is committed that nothing disturbs: it
// is fetched and fetched again, each a round trip, on links and disks of which
// the slowest take some milliseconds.
const commitBound = 2 * time.Second

// waiting is an append of a leader that is not committed yet.
type waiting struct {
	end int64
	at  time.Duration
}

// waits records an append of a leader while all is calm.
func (r *Replication) waits(p *replica, end int64) {
	c := r.cfg.Calm
	if c == nil || !c.on {
		p.waiting = p.waiting[:0]
		return
	}
	p.waiting = append(p.waiting, waiting{end, c.Now})
	r.overdue(p)
}

// overdue looks at the oldest append that is not committed, with each append and each
// fetch of a follower: those go on when all is stuck. Law 79.
func (r *Replication) overdue(p *replica) {
	c := r.cfg.Calm
	if w := p.waiting[0]; c.from(w.at) && c.Now-w.at > commitBound && len(p.maximal) >= r.cfg.MinISR {
		r.fail(UndisturbedCommits, p.node, "leader %v appended up to %d at %v; its high watermark is %d at %v", p.node, w.end, w.at, p.hw, c.Now)
		p.waiting = p.waiting[:0]
	}
}

// committed forgets the appends below a leader's high watermark.
func (p *replica) committed(hw int64) {
	n := 0
	for n < len(p.waiting) && p.waiting[n].end <= hw {
		n++
	}
	p.waiting = append(p.waiting[:0], p.waiting[n:]...)
}

// ShrinkProposed: the leader asks the controller to take late out of the ISR. Laws 78
// and 97.
func (r *Replication) ShrinkProposed(leader Node, late []Node) {
	r.events++
	r.askedToLeave(r.of(leader), late)
	if c := r.cfg.Calm; c != nil && c.from(c.Now) {
		r.fail(UndisturbedMembers, leader, "leader %v asks to take %v out of the ISR, though nothing has disturbed the cluster since %v", leader, late, c.since)
	}
}

// SessionExpired: no heartbeat of the broker came for the time silent, as the clock of its controller has it;
// a session is as long as timeout. Laws 78 and 98.
func (q *Quorum) SessionExpired(broker Node, silent, timeout time.Duration) {
	q.events++
	if silent < timeout {
		q.fail(WholeSession, broker, "the session of %v expired %v after its last heartbeat; broker.session.timeout.ms is %v", broker, silent, timeout)
	}
	if q.calm != nil && q.calm.from(q.calm.Now) {
		q.fail(UndisturbedMembers, broker, "the session of %v expired, though nothing has disturbed the cluster since %v", broker, q.calm.since)
	}
}
