package trial

import (
	"time"

	"github.com/twmb/franz-go/pkg/kerr"

	"github.com/ktrial/ktrial/broker/kafka"
	"github.com/ktrial/ktrial/broker/witness"
	"github.com/ktrial/ktrial/checkers/history"
	"github.com/ktrial/ktrial/ledger"
	"github.com/ktrial/ktrial/reports"
	"github.com/ktrial/ktrial/sim"
)

// counter counts what a run's numbers are, while events are told: most of these are
// not kept.
type counter struct {
	numbers reports.Numbers
	minISR  func(topic string) (least int, ours bool)

	partitions map[string]*partitionAccount
	replicas   map[*witness.Replica]*replicaAccount
	last       *witness.Replica // that was asked for, and what is known of it
	lastOf     *replicaAccount
	committed  kafka.Offset // offset of the metadata log up to which changes are known
	groups     map[string]*lag
	traffic    bool
}

// partitionAccount is one partition.
type partitionAccount struct {
	known      bool
	epoch      kafka.LeaderEpoch
	isr        int
	least      int
	leading    int // replicas that lead, as they believe
	led        bool
	leaderless stretch
	below      stretch
	hw         kafka.Offset
	groups     []*lag // that have committed offsets of it
}

// replicaAccount is one copy of a partition, in one life of its broker.
type replicaAccount struct {
	of    *partitionAccount // nil: it is not counted
	host  string
	leads bool
}

// lag is that of one group.
type lag struct {
	reports.Lag
	committed map[*partitionAccount]kafka.Offset
	now       int64
}

// stretch adds up the time in which something was so.
type stretch struct {
	on    bool
	since time.Duration
	sum   time.Duration
}

func (s *stretch) set(on bool, now time.Duration) {
	switch {
	case on && !s.on:
		s.since = now
	case !on && s.on:
		s.sum += now - s.since
	}
	s.on = on
}

func newCounter(minISR func(topic string) (int, bool), traffic bool) *counter {
	return &counter{
		minISR: minISR, partitions: map[string]*partitionAccount{}, replicas: map[*witness.Replica]*replicaAccount{}, groups: map[string]*lag{}, traffic: traffic,
	}
}

// countNumbers has the run's events counted. Requests and answers are told only while
// the whole ledger is kept or a requirement needs them.
func (r *run) countNumbers(minISR func(topic string) (int, bool)) {
	l := r.w.Ledger()
	traffic := l.Traced()
	for _, q := range r.o.Require {
		traffic = traffic || q.Traffic()
	}
	r.counter = newCounter(minISR, traffic)
	if traffic {
		l.ReadAll(r.counter.read)
	} else {
		l.Read(r.counter.read)
	}
}

func (c *counter) read(e *ledger.Entry) {
	switch x := e.Event.(type) {
	case *witness.Appended:
		c.numbers.Disk += int64(x.Bytes)
	case *witness.HighWatermarkMoved:
		if r := c.replica(x.Replica, e.Host); r.leads && x.To > r.of.hw {
			c.behind(r.of, x.To, e.At)
		}
	case *witness.BecameLeader:
		c.lead(c.replica(x.Replica, e.Host), true, e.At)
	case *witness.BecameFollower:
		c.lead(c.replica(x.Replica, e.Host), false, e.At)
	case *witness.Stopped:
		c.lead(c.replica(x.Replica, e.Host), false, e.At)
	case *witness.Deleted:
		c.lead(c.replica(x.Replica, e.Host), false, e.At)
	case *sim.Killed, *sim.PoweredOff, *sim.Exited:
		c.ended(e.Host, e.At)
	case *witness.PartitionCommitted:
		c.changed(x, e.At)
	case *witness.OffsetCommitted:
		c.committedOffset(x, e.At)
	case *witness.RequestSent:
		c.numbers.Wire += int64(x.Bytes)
		c.request(x.API, 0)
	case *witness.AnswerSent:
		c.numbers.Wire += int64(x.Bytes)
		if x.Code != 0 {
			c.request(x.API, x.Code)
		}
	}
}

// replica is what is known of the one that tells.
func (c *counter) replica(of *witness.Replica, host string) *replicaAccount {
	if of == c.last && of != nil {
		return c.lastOf
	}
	r := c.replicas[of]
	if r == nil {
		r = &replicaAccount{host: host}
		if of != nil {
			r.of = c.partition(of.Partition)
		}
		c.replicas[of] = r
	}
	c.last, c.lastOf = of, r
	return r
}

// partition is one of the scenario's; nil: it is another.
func (c *counter) partition(tp kafka.TopicPartition) *partitionAccount {
	name := tp.String()
	p, known := c.partitions[name]
	if !known {
		if least, ours := c.minISR(tp.Topic); ours {
			p = &partitionAccount{least: least}
		}
		c.partitions[name] = p
	}
	return p
}

func (c *counter) lead(r *replicaAccount, leads bool, now time.Duration) {
	if r.of == nil || r.leads == leads {
		return
	}
	if r.leads = leads; leads {
		r.of.leading++
	} else {
		r.of.leading--
	}
	r.of.led = r.of.led || leads
	r.of.leaderless.set(r.of.led && r.of.leading == 0, now)
}

// ended: the process of a host has ended.
func (c *counter) ended(host string, now time.Duration) {
	for of, r := range c.replicas { //det:allow each is looked at by itself
		if r.host == host {
			c.lead(r, false, now)
			delete(c.replicas, of)
		}
	}
	c.last, c.lastOf = nil, nil
}

// changed: the controllers have committed a change of a partition.
func (c *counter) changed(x *witness.PartitionCommitted, now time.Duration) {
	if x.At < c.committed {
		return // another controller has told of it
	}
	c.committed = x.At + 1
	p := c.partition(x.Partition)
	if p == nil {
		return
	}
	if p.known {
		if x.LeaderEpoch != p.epoch {
			c.numbers.Elections++
		}
		switch {
		case len(x.ISR) < p.isr:
			c.numbers.Shrinks++
		case len(x.ISR) > p.isr:
			c.numbers.Grows++
		}
	}
	p.known, p.epoch, p.isr = true, x.LeaderEpoch, len(x.ISR)
	p.below.set(p.isr < p.least, now)
}

// behind: more is committed of a partition, and so the groups lag behind more.
func (c *counter) behind(p *partitionAccount, hw kafka.Offset, now time.Duration) {
	by := int64(hw - p.hw)
	p.hw = hw
	for _, g := range p.groups {
		g.moves(by, now)
	}
}

func (g *lag) moves(by int64, now time.Duration) {
	if g.now += by; g.now > g.Max {
		g.Max, g.MaxAt = g.now, reports.Seconds(now)
	}
}

func (c *counter) committedOffset(x *witness.OffsetCommitted, now time.Duration) {
	p := c.partition(x.Partition)
	if p == nil {
		return
	}
	g := c.groups[x.Group]
	if g == nil {
		g = &lag{committed: map[*partitionAccount]kafka.Offset{}}
		c.groups[x.Group] = g
	}
	was, known := g.committed[p]
	if !known {
		p.groups = append(p.groups, g)
		was = p.hw // before, there was no lag of it
	}
	g.committed[p] = x.Offset
	g.moves(int64(was-x.Offset), now)
}

func (c *counter) request(api string, code int16) {
	if c.numbers.Requests == nil {
		c.numbers.Requests = map[string]reports.RequestNumbers{}
	}
	r := c.numbers.Requests[api]
	if code == 0 {
		r.Count++
	} else {
		if r.Errors == nil {
			r.Errors = map[string]int64{}
		}
		r.Errors[kafka.NameOf(kerr.TypedErrorForCode(code))]++
	}
	c.numbers.Requests[api] = r
}

// conclude ends the account, and adds what clients saw.
func (c *counter) conclude(h *history.History, workBegan, now time.Duration) *reports.Numbers {
	n := &c.numbers
	n.Partitions, n.Lag = map[string]reports.PartitionNumbers{}, map[string]reports.Lag{}
	for name, p := range c.partitions { //det:allow into a map
		if p == nil {
			continue
		}
		p.leaderless.set(false, now)
		p.below.set(false, now)
		if p.leaderless.sum > 0 || p.below.sum > 0 {
			n.Partitions[name] = reports.PartitionNumbers{Leaderless: reports.Seconds(p.leaderless.sum), BelowMinISR: reports.Seconds(p.below.sum)}
		}
	}
	for name, g := range c.groups { //det:allow into a map
		g.End = max(0, g.now)
		n.Lag[name] = g.Lag
	}
	countRecords(n, h, workBegan)
	return n
}

// countRecords counts records and how long they took.
func countRecords(n *reports.Numbers, h *history.History, workBegan time.Duration) {
	sent := make([]time.Duration, h.Records()) // when, plus one; 0: not
	given := make([]time.Duration, h.Records())
	var acks, ends []time.Duration
	last, records := workBegan, 0
	h.Each(func(op *history.Op) bool {
		last = max(last, op.Start, op.End)
		for _, s := range op.Sends {
			records++
			sent[s.Rec] = op.Start + 1
			if op.Type == history.OK {
				acks, ends = append(acks, op.End-op.Start), append(ends, op.End)
			}
		}
		for _, p := range op.Polled {
			if given[p.Rec] == 0 || op.End < given[p.Rec] {
				given[p.Rec] = op.End
			}
		}
		return true
	})
	var arrivals []time.Duration
	delivered := 0
	for rec, at := range given {
		if at == 0 {
			continue
		}
		delivered++
		if sent[rec] > 0 {
			arrivals = append(arrivals, max(0, at-(sent[rec]-1)))
		}
	}
	n.Ack, n.EndToEnd = reports.DurationsOf(acks), reports.DurationsOf(arrivals)
	n.LongestPause, n.PauseAt = reports.LongestGap(ends)
	if work := (last - workBegan).Seconds(); work > 0 {
		n.Work = reports.Seconds(last - workBegan)
		n.Sent, n.Acknowledged, n.Delivered = float64(records)/work, float64(len(acks))/work, float64(delivered)/work
	}
}
