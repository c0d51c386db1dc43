package raft

import (
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/ktrial/ktrial/broker/kafka"
	"github.com/ktrial/ktrial/broker/planted"
)

// Role is what a member of the quorum is at the moment. An observer is only
// ever Unattached or a Follower.
//
//	            fetch timeout                   election timeout
//	Follower ───────────────────► Prospective ◄───────────────── Unattached
//	   ▲  ▲                        │   ▲   │ lost, no leader          ▲
//	   │  └── lost, leader known ──┘   │   └──────────────────────────┤
//	   │                      majority │  ▲ election timeout          │ higher epoch,
//	   │ leader known      would vote  ▼  │                           │ from any role
//	   └──────────────────────── Candidate ────► Leader ────► Resigned┘
//	                                     majority      no majority fetches,
//	                                                   shutdown, restart
type Role uint8

const (
	// Unattached: knows no leader that it could follow. It may have voted.
	Unattached Role = iota
	// Prospective: asks whether an election could be won before it begins a
	// new epoch, so that a member that cannot win disturbs no other (KIP-996).
	Prospective
	// Candidate: has begun an epoch, voted for itself, and asks for votes.
	Candidate
	Follower
	Leader
	// Resigned: led this epoch and does not any more, after check-quorum, a
	// shutdown or a restart. It still may not vote for another in this epoch.
	Resigned
)

var roleNames = [...]string{"Unattached", "Prospective", "Candidate", "Follower", "Leader", "Resigned"}

func (r Role) String() string { return roleNames[r] }

// QuorumState is what a member must never forget: it is durable before any
// message that follows from it leaves.
type QuorumState struct {
	Epoch  kafka.LeaderEpoch // never falls
	Leader kafka.NodeID      // of Epoch; once known it never changes within Epoch
	Voted  kafka.NodeID      // in Epoch; once cast it never changes within Epoch
}

// NoQuorumState is that of a member that has never heard of an election.
var NoQuorumState = QuorumState{Epoch: 0, Leader: kafka.NoNode, Voted: kafka.NoNode}

// Luck draws numbers in [0, n).
type Luck interface{ Int64N(n int64) int64 }

// highestEpoch is the last in which there can be an election: another must fit
// after it. A message that claims a higher one is not believed.
const highestEpoch = kafka.LeaderEpoch(math.MaxInt32 - 1)

// never is a deadline that does not come.
const never = time.Duration(math.MaxInt64)

// Core is the protocol of one member, without a host: what it hears, and the
// time, come in as calls; what it wants to say is asked for with Next and
// NextFetch; what must be written stands in State and Log, and must be durable
// before anything else of it is used.
type Core struct {
	self     kafka.NodeID
	voters   []kafka.NodeID // sorted; never changes
	me       int            // index in voters; -1: an observer
	settings Settings
	luck     Luck
	bugs     *planted.Set

	role  Role
	state QuorumState
	log   Shape

	// hw is the high watermark. It never falls, and every offset below it is
	// held, flushed, by a majority.
	hw kafka.Offset
	// hwKnown: since this member started it has held everything that was
	// committed at some moment of its life, not only what a snapshot said.
	hwKnown bool

	// deadline is the election timer, or for a Follower the fetch timer.
	// Observers have none.
	deadline time.Duration

	// inTouch: this Follower has fetched from its leader, so it will not help
	// another to depose it (KIP-996). The leader may take it back (EndQuorumEpoch).
	inTouch bool
	// leaderSilent: the last fetch from the leader got no answer.
	leaderSilent bool
	// fetching is the snapshot that the leader has us fetch.
	fetching SnapshotID

	votes []vote // by voter; of this Prospective or Candidate

	lead *leadership // of a Leader
	// ended has which voters know that this Resigned is no leader any more.
	ended      []bool
	successors []kafka.NodeID

	// leaving: this member must not begin an epoch any more.
	leaving bool

	effect Effect
	fault  error
}

// Effect is what a fetch did to the log of this member. At most one is set.
type Effect struct {
	Truncate kafka.Offset // the log now ends here; NoOffset: nothing truncated
	Append   []byte       // batches to append
}

var noEffect = Effect{Truncate: kafka.NoOffset}

// Member is the identity of a Core: its node and its directory.
type Member struct {
	ID       kafka.NodeID
	Voters   []kafka.NodeID
	Settings Settings
	Luck     Luck
	Bugs     *planted.Set
}

// NewCore is a member as it starts: what it remembers of the quorum, its log,
// all of which is flushed, and the high watermark as far as a snapshot proves it.
func NewCore(now time.Duration, m Member, state QuorumState, log Shape) *Core {
	c := &Core{
		self: m.ID, voters: slices.Sorted(slices.Values(m.Voters)), settings: m.Settings,
		luck: m.Luck, bugs: m.Bugs, state: state, log: log,
		hw: log.LatestSnapshot().End, effect: noEffect,
	}
	c.me = c.voter(m.ID)
	if epoch := log.LastEpoch(); epoch > state.Epoch {
		// The quorum state was lost and the log was not. Its epoch is the least
		// that this member must have been in; Kafka goes on from it likewise.
		c.state = QuorumState{Epoch: epoch, Leader: kafka.NoNode, Voted: kafka.NoNode}
	}
	c.restart(now)
	return c
}

// restart takes up the role that the quorum state implies. The leader of an
// epoch must not lead it again: records of it may have been lost with the
// power, and others would then take their offsets in the same epoch
// (KAFKA-10527). Nor may it vote for another, so it does not begin as
// Unattached either.
func (c *Core) restart(now time.Duration) {
	switch {
	case c.me < 0 && c.state.Leader != kafka.NoNode:
		c.becomeFollower(now, c.state.Epoch, c.state.Leader)
	case c.me < 0:
		c.becomeUnattached(c.state.Epoch, never)
	case c.state.Leader == c.self && c.bugs.On(planted.RaftRestartAsLeader):
		c.bugs.Infected(planted.RaftRestartAsLeader, true)
		c.becomeLeader(now)
	case len(c.voters) == 1:
		c.becomeCandidate(now)
	case c.state.Leader == c.self:
		c.becomeResigned(now, c.state.Epoch)
	case c.state.Voted == c.self:
		c.campaign(now, Candidate)
	case c.state.Leader != kafka.NoNode:
		c.becomeFollower(now, c.state.Epoch, c.state.Leader)
	default:
		c.becomeUnattached(c.state.Epoch, now+c.electionTimeout())
	}
}

// Role is what this member is.
func (c *Core) Role() Role { return c.role }

// State is what must be durable.
func (c *Core) State() QuorumState { return c.state }

// Log is the shape that the log must have.
func (c *Core) Log() *Shape { return &c.log }

// HighWatermark is the offset below which all is known to be committed.
func (c *Core) HighWatermark() kafka.Offset { return c.hw }

// HighWatermarkKnown reports whether the high watermark is that of a leader
// which this member has caught up with since it started.
func (c *Core) HighWatermarkKnown() bool { return c.hwKnown }

// Leader is the leader that this member knows; NoNode once it has resigned.
func (c *Core) Leader() (kafka.NodeID, kafka.LeaderEpoch) {
	if c.role == Resigned {
		return kafka.NoNode, c.state.Epoch
	}
	return c.state.Leader, c.state.Epoch
}

// Fault is why this member cannot go on: it saw what no run of the protocol
// can bring about, such as two leaders of one epoch. Nil if all is well.
func (c *Core) Fault() error { return c.fault }

// TakeEffect is what the last fetch did to the log.
func (c *Core) TakeEffect() Effect {
	e := c.effect
	c.effect = noEffect
	return e
}

// IsVoter reports whether this member votes.
func (c *Core) IsVoter() bool { return c.me >= 0 }

// voter is the index of id among the voters, or -1.
func (c *Core) voter(id kafka.NodeID) int {
	if i, ok := slices.BinarySearch(c.voters, id); ok {
		return i
	}
	return -1
}

func (c *Core) fail(format string, args ...any) {
	if c.fault == nil {
		c.fault = fmt.Errorf("raft: node %d: "+format, append([]any{c.self}, args...)...)
	}
}

// Deadline is when Tick must be called next. See also BeginDue.
func (c *Core) Deadline() time.Duration {
	switch {
	case c.role != Leader:
		return c.deadline
	case len(c.voters) == 1:
		return never
	}
	return c.lead.checkBy
}

// Tick does what the time demands.
func (c *Core) Tick(now time.Duration) {
	if c.role == Leader {
		c.tickLeader(now)
		return
	}
	if now < c.deadline {
		return
	}
	if c.leaving && c.role != Prospective && c.role != Candidate {
		c.deadline = never
		return
	}
	switch c.role {
	case Unattached, Follower, Candidate:
		c.becomeProspective(now)
	case Prospective:
		c.electionLost(now)
	case Resigned:
		c.leaveEpoch(now)
	}
}

// leaveEpoch gives a Resigned its vote back, which it has in the next epoch.
func (c *Core) leaveEpoch(now time.Duration) {
	if c.state.Epoch == highestEpoch {
		c.deadline = now + c.electionTimeout() // there is none
		return
	}
	c.becomeUnattached(c.state.Epoch+1, now+c.electionTimeout())
}

// electionTimeout is drawn anew each time, so that two members that failed
// against each other do not do so again.
func (c *Core) electionTimeout() time.Duration {
	base := max(c.settings.ElectionTimeout, time.Millisecond) // Kafka takes 0, and votes as fast as it can
	return base + time.Duration(c.luck.Int64N(int64(base/time.Millisecond)+1))*time.Millisecond
}

// The transitions. Each asserts what it may come from.

func (c *Core) enter(role Role, epoch kafka.LeaderEpoch) {
	if epoch < c.state.Epoch {
		panic(fmt.Sprintf("raft: node %d becomes %v: epoch %d found, at least %d expected", c.self, role, epoch, c.state.Epoch))
	}
	if c.me < 0 && role != Unattached && role != Follower {
		panic(fmt.Sprintf("raft: node %d becomes %v: it is an observer", c.self, role))
	}
	if epoch > c.state.Epoch {
		c.state = QuorumState{Epoch: epoch, Leader: kafka.NoNode, Voted: kafka.NoNode}
	}
	c.role = role
	c.inTouch, c.leaderSilent, c.fetching = false, false, SnapshotID{}
	c.votes, c.lead, c.ended, c.successors = nil, nil, nil, nil
}

func (c *Core) becomeUnattached(epoch kafka.LeaderEpoch, deadline time.Duration) {
	c.enter(Unattached, epoch)
	c.deadline = deadline
}

func (c *Core) becomeFollower(now time.Duration, epoch kafka.LeaderEpoch, leader kafka.NodeID) {
	c.enter(Follower, epoch)
	if was := c.state.Leader; was != kafka.NoNode && was != leader {
		panic(fmt.Sprintf("raft: node %d follows %d in epoch %d: it is led by %d", c.self, leader, epoch, was))
	}
	c.state.Leader = leader
	c.deadline = never
	if c.me >= 0 {
		c.deadline = now + c.settings.FetchTimeout
	}
}

func (c *Core) becomeProspective(now time.Duration) {
	c.campaign(now, Prospective)
}

func (c *Core) becomeCandidate(now time.Duration) {
	if c.state.Epoch == highestEpoch {
		c.electionLost(now)
		return
	}
	c.enter(Candidate, c.state.Epoch+1)
	c.state.Voted = c.self
	c.campaign(now, Candidate)
}

// campaign asks for votes, or whether there would be any, in this epoch.
func (c *Core) campaign(now time.Duration, role Role) {
	c.enter(role, c.state.Epoch)
	c.deadline = now + c.electionTimeout()
	c.votes = make([]vote, len(c.voters))
	c.record(now, c.me, granted)
}

func (c *Core) becomeLeader(now time.Duration) {
	votes := c.votes
	c.enter(Leader, c.state.Epoch)
	c.state.Leader = c.self
	c.lead = c.newLeadership(now, votes)
}

func (c *Core) becomeResigned(now time.Duration, epoch kafka.LeaderEpoch) {
	successors := c.byProgress()
	c.enter(Resigned, epoch)
	c.state.Leader, c.successors = c.self, successors
	c.ended = make([]bool, len(c.voters))
	c.ended[c.me] = true
	c.deadline = now + c.electionTimeout()
}

// Resign gives up leading.
func (c *Core) Resign(now time.Duration) {
	if c.role == Leader {
		c.becomeResigned(now, c.state.Epoch)
	}
}

// Leave gives up leading, and all ambition: this member is about to end. It
// still votes, and a campaign that is under way goes on.
func (c *Core) Leave(now time.Duration) {
	c.leaving = true
	c.Resign(now)
}

// sees takes in an epoch and its leader, which a message has named. What
// contradicts this member's own knowledge it does not believe: an epoch has one
// leader. (Kafka's process ends there, which any peer could bring about.)
func (c *Core) sees(now time.Duration, epoch kafka.LeaderEpoch, leader kafka.NodeID) {
	switch {
	case epoch < c.state.Epoch || epoch > highestEpoch || c.contradicts(epoch, leader):
	case leader == c.state.Leader && epoch == c.state.Epoch:
	case leader == c.self:
		// They follow us into an epoch that we know nothing of. If we led it we
		// have lost our disk; either way all that is right is to resign from it.
		c.becomeResigned(now, epoch)
	case leader != kafka.NoNode:
		c.becomeFollower(now, epoch, leader)
	case epoch > c.state.Epoch:
		c.becomeUnattached(epoch, c.electionDeadline(now))
	}
}

// contradicts reports whether leader cannot lead epoch, as far as this member
// knows.
func (c *Core) contradicts(epoch kafka.LeaderEpoch, leader kafka.NodeID) bool {
	known := c.state.Leader
	return epoch == c.state.Epoch && known != kafka.NoNode && leader != kafka.NoNode && leader != known ||
		leader == c.self && c.me < 0
}

// electionDeadline keeps the running timer when a higher epoch comes along:
// a new one each time would let a member that cannot win put off every election
// for good.
func (c *Core) electionDeadline(now time.Duration) time.Duration {
	switch {
	case c.me < 0:
		return never
	case c.role != Leader && c.deadline > now:
		return c.deadline
	default:
		return now + c.electionTimeout()
	}
}
