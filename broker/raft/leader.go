package raft

import (
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"

	"github.com/ktrial/ktrial/broker/kafka"
)

// leadership is what a Leader keeps in its epoch.
type leadership struct {
	// epochStart is where the epoch's first record is, a LeaderChange. Until it
	// is committed the high watermark stands still: a majority that holds a
	// record of an older epoch does not make it committed (Raft, 5.4.2).
	epochStart kafka.Offset
	granted    []kafka.NodeID // the voters that voted for it

	voters    []progress // by voter
	observers []progress // by id

	// By checkBy a majority must have fetched since it was last put off, or the
	// leader resigns: it may be cut off, and others then elect a new one that
	// it does not hear of (KAFKA-15489).
	checkBy time.Duration
	fetched []bool // by voter, since then
}

// progress is how far a replica has come, as its fetches say.
type progress struct {
	id         kafka.NodeID
	end        kafka.Offset // NoOffset: has not fetched in this epoch
	lastFetch  time.Duration
	caughtUp   time.Duration // when it last held all that the leader had
	endAtFetch kafka.Offset  // what the leader had at lastFetch
	begun      time.Duration // when BeginQuorumEpoch was last sent, or never
	fetches    bool          // has fetched or acknowledged the leader
}

// observerSession is how long an observer that does not fetch is remembered.
const observerSession = 5 * time.Minute

func (c *Core) newLeadership(now time.Duration, votes []vote) *leadership {
	l := &leadership{
		epochStart: c.log.End,
		voters:     make([]progress, len(c.voters)),
		fetched:    make([]bool, len(c.voters)),
		checkBy:    now + c.checkQuorumTimeout(),
	}
	for i, id := range c.voters {
		l.voters[i] = progress{id: id, end: kafka.NoOffset, begun: never}
		if votes == nil || votes[i] == granted {
			l.granted = append(l.granted, id)
		}
	}
	return l
}

// checkQuorumTimeout leaves followers some time beyond their own timeout.
func (c *Core) checkQuorumTimeout() time.Duration { return c.settings.FetchTimeout * 3 / 2 }

// beginInterval is how often a voter that does not fetch is reminded of its leader.
func (c *Core) beginInterval() time.Duration { return c.settings.FetchTimeout / 2 }

// EpochStart is where this Leader's epoch begins, and the voters that voted for
// it.
func (c *Core) EpochStart() (kafka.Offset, []kafka.NodeID) {
	return c.lead.epochStart, c.lead.granted
}

// Appended records that this Leader's log grew to end. It is not flushed yet.
func (c *Core) Appended(end kafka.Offset) {
	c.log.Append(Span{Epoch: c.state.Epoch, Base: c.log.End, Next: end})
}

// Flushed records that all of the log is durable. Only then does the leader
// count itself, and show to others what it appended (KAFKA-10533).
func (c *Core) Flushed() {
	c.log.Flushed = c.log.End
	if c.role == Leader {
		c.advance()
	}
}

// advance moves the high watermark to what a majority holds.
func (c *Core) advance() {
	ends := make([]kafka.Offset, 0, 8)
	for i := range c.voters {
		ends = append(ends, c.lead.voters[i].end)
	}
	ends[c.me] = c.log.Flushed
	if hw := majorityOffset(ends); hw > c.lead.epochStart {
		c.hw, c.hwKnown = max(c.hw, hw), true
	}
}

// answeredHW is the high watermark as this Leader may answer it: nothing before it
// has committed in its own epoch, for until then its predecessor may have
// committed more than it knows of (KIP-595).
func (c *Core) answeredHW() kafka.Offset {
	if c.hw > c.lead.epochStart {
		return c.hw
	}
	return kafka.NoOffset
}

// FetchRequest asks the leader for what follows Offset.
type FetchRequest struct {
	Replica   kafka.NodeID
	Epoch     kafka.LeaderEpoch // the quorum's, as the replica knows it
	Offset    kafka.Offset      // where its log ends
	LastEpoch kafka.LeaderEpoch // of its last record
	HW        kafka.Offset      // its high watermark (KIP-1166)
}

// FetchReply answers a FetchRequest. The records are not here: they are those
// of the log in [Offset, To).
type FetchReply struct {
	Err    *kerr.Error
	Epoch  kafka.LeaderEpoch
	Leader kafka.NodeID

	HW       kafka.Offset // NoOffset: not told
	LogStart kafka.Offset
	To       kafka.Offset

	Validity  Validity
	Diverging Span       // if Diverging: the epoch, and in Next where it ends
	Snapshot  SnapshotID // if Snapshotted

	// Wait: there is nothing to answer yet, so the request may wait until there is.
	Wait bool
}

// Fetch handles a FetchRequest. What it says of the replica's log counts at
// once; call it again when a waiting request is looked at again.
func (c *Core) Fetch(now time.Duration, req FetchRequest) FetchReply {
	reply := FetchReply{Epoch: c.state.Epoch, Leader: c.state.Leader, HW: kafka.NoOffset, LogStart: c.log.Start}
	if req.Offset < 0 || req.LastEpoch < 0 || req.LastEpoch > req.Epoch {
		reply.Err = kerr.InvalidRequest
		return reply
	}
	if reply.Err = c.checkLeaderRequest(req.Epoch); reply.Err != nil {
		return reply
	}
	reply.HW = c.answeredHW()
	latest := c.log.LatestSnapshot()
	reply.Validity = c.log.Validate(req.Offset, req.LastEpoch)
	if req.Offset == 0 && !latest.IsZero() {
		reply.Validity = Snapshotted // quicker than the whole log
	}
	switch reply.Validity {
	case Snapshotted:
		reply.Snapshot = latest
		c.countFetch(now, req.Replica)
	case Diverging:
		e, end := c.log.EndOffsetFor(req.LastEpoch)
		reply.Diverging = Span{Epoch: e, Next: end}
		c.countFetch(now, req.Replica)
	default:
		c.progressed(now, req)
		reply.HW = c.answeredHW()
		reply.To = max(req.Offset, c.log.Flushed)
		reply.Wait = req.Offset >= c.log.Flushed && req.HW >= reply.HW
	}
	return reply
}

// checkLeaderRequest refuses what is for the leader of another epoch.
func (c *Core) checkLeaderRequest(epoch kafka.LeaderEpoch) *kerr.Error {
	switch {
	case epoch < c.state.Epoch:
		return kerr.FencedLeaderEpoch
	case epoch > c.state.Epoch:
		return kerr.UnknownLeaderEpoch
	case c.role != Leader:
		return kerr.NotLeaderForPartition
	}
	return nil
}

// progressed records that a replica holds, flushed if it is a voter, what this
// log holds below req.Offset.
func (c *Core) progressed(now time.Duration, req FetchRequest) {
	p := c.countFetch(now, req.Replica)
	if p == nil {
		return
	}
	switch {
	case req.Offset >= c.log.End:
		p.caughtUp = now
	case req.Offset >= p.endAtFetch && p.end != kafka.NoOffset:
		p.caughtUp = max(p.caughtUp, p.lastFetch)
	}
	p.lastFetch, p.endAtFetch, p.end = now, c.log.End, req.Offset
	if c.voter(req.Replica) >= 0 {
		c.advance()
	}
}

// countFetch records a sign of life. It returns nil for one that is no replica.
func (c *Core) countFetch(now time.Duration, id kafka.NodeID) *progress {
	if id < 0 || id == c.self {
		return nil
	}
	if i := c.voter(id); i >= 0 {
		p := &c.lead.voters[i]
		p.fetches, p.lastFetch = true, max(p.lastFetch, now)
		c.checkQuorum(now, i)
		return p
	}
	return c.lead.observer(now, id)
}

// SnapshotFetched handles the epoch of a FetchSnapshot request, which counts
// as a sign of life.
func (c *Core) SnapshotFetched(now time.Duration, replica kafka.NodeID, epoch kafka.LeaderEpoch) *kerr.Error {
	err := c.checkLeaderRequest(epoch)
	if err == nil {
		c.countFetch(now, replica)
	}
	return err
}

func (c *Core) checkQuorum(now time.Duration, i int) {
	l := c.lead
	l.fetched[i] = true
	n := 1 // the leader itself
	for _, yes := range l.fetched {
		if yes {
			n++
		}
	}
	if n >= c.majority() {
		clear(l.fetched)
		l.checkBy = now + c.checkQuorumTimeout()
	}
}

func (l *leadership) observer(now time.Duration, id kafka.NodeID) *progress {
	i, ok := slices.BinarySearchFunc(l.observers, id, func(p progress, id kafka.NodeID) int {
		return int(p.id) - int(id)
	})
	if !ok {
		l.observers = slices.DeleteFunc(l.observers, func(p progress) bool { return now-p.lastFetch > observerSession })
		i, _ = slices.BinarySearchFunc(l.observers, id, func(p progress, id kafka.NodeID) int {
			return int(p.id) - int(id)
		})
		l.observers = slices.Insert(l.observers, i, progress{id: id, end: kafka.NoOffset, begun: never})
	}
	p := &l.observers[i]
	p.fetches, p.lastFetch = true, max(p.lastFetch, now)
	return p
}

// byProgress lists the other voters, the one with the longest log first.
func (c *Core) byProgress() []kafka.NodeID {
	if c.lead == nil {
		return nil
	}
	others := slices.Clone(c.lead.voters)
	others = slices.Delete(others, c.me, c.me+1)
	slices.SortStableFunc(others, func(a, b progress) int {
		return compareEnds(0, b.end, 0, a.end)
	})
	ids := make([]kafka.NodeID, len(others))
	for i, p := range others {
		ids[i] = p.id
	}
	return ids
}

// BeginDue is when this node, if it leads, must announce it to a voter again.
func (c *Core) BeginDue(voter kafka.NodeID) time.Duration {
	if i := c.voter(voter); c.role == Leader && i >= 0 {
		return c.beginDue(i)
	}
	return never
}

// beginDue is when the leader must be announced to the voter again, unless it
// fetches.
func (c *Core) beginDue(i int) time.Duration {
	p := &c.lead.voters[i]
	switch {
	case p.begun == never:
		return 0
	case p.fetches:
		return max(p.begun, p.lastFetch) + c.beginInterval()
	default:
		return p.begun + c.beginInterval()
	}
}

func (c *Core) tickLeader(now time.Duration) {
	if now >= c.Deadline() {
		c.becomeResigned(now, c.state.Epoch)
	}
}
