package raft

import (
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"

	"github.com/ktrial/ktrial/broker/kafka"
)

// BeginQuorumEpoch announces to a voter which node leads.
type BeginQuorumEpoch struct {
	Epoch  kafka.LeaderEpoch
	Leader kafka.NodeID
	Voter  kafka.NodeID // the voter that it is for; NoNode: not said
}

// EndQuorumEpoch announces to a voter that the leader resigned, and which voters
// should succeed it, the best first.
type EndQuorumEpoch struct {
	Epoch      kafka.LeaderEpoch
	Leader     kafka.NodeID
	Successors []kafka.NodeID
}

// EpochReply answers both.
type EpochReply struct {
	Err    *kerr.Error
	Epoch  kafka.LeaderEpoch
	Leader kafka.NodeID
}

// BeginQuorumEpoch handles the request of that name.
func (c *Core) BeginQuorumEpoch(now time.Duration, req BeginQuorumEpoch) EpochReply {
	if err := c.checkEpochRequest(req.Epoch, req.Leader); err != nil {
		return c.epochReply(err)
	}
	c.sees(now, req.Epoch, req.Leader)
	if c.role == Prospective && c.state.Leader == req.Leader {
		c.becomeFollower(now, req.Epoch, req.Leader) // it lives after all
	}
	if req.Voter != kafka.NoNode && req.Voter != c.self {
		return c.epochReply(kerr.InvalidVoterKey)
	}
	return c.epochReply(nil)
}

// EndQuorumEpoch handles the request of that name: the further up among the
// successors, the sooner this member tries to be elected.
func (c *Core) EndQuorumEpoch(now time.Duration, req EndQuorumEpoch) EpochReply {
	if err := c.checkEpochRequest(req.Epoch, req.Leader); err != nil {
		return c.epochReply(err)
	}
	c.sees(now, req.Epoch, req.Leader)
	if c.role == Follower && c.state.Leader == req.Leader && c.me >= 0 {
		c.inTouch = false
		c.deadline = now + c.succession(req.Successors)
	}
	return c.epochReply(nil)
}

func (c *Core) checkEpochRequest(epoch kafka.LeaderEpoch, leader kafka.NodeID) *kerr.Error {
	switch {
	case epoch < c.state.Epoch:
		return kerr.FencedLeaderEpoch
	case leader < 0 || epoch > highestEpoch || c.contradicts(epoch, leader) ||
		leader == c.self && (epoch > c.state.Epoch || c.state.Leader != c.self):
		return kerr.InvalidRequest
	case c.me < 0 || c.voter(leader) < 0:
		return kerr.InconsistentVoterSet
	}
	return nil
}

func (c *Core) epochReply(err *kerr.Error) EpochReply {
	return EpochReply{Err: err, Epoch: c.state.Epoch, Leader: c.state.Leader}
}

// succession spreads the successors out: 0, then doubling up to the maximum.
func (c *Core) succession(successors []kafka.NodeID) time.Duration {
	i := slices.Index(successors, c.self)
	if i == 0 {
		return 0
	}
	longest := c.settings.ElectionBackoffMax
	if i < 0 {
		return longest
	}
	return min(longest, longest>>(len(successors)-1)<<(i-1))
}

// EpochReplied takes the answer of a voter to BeginQuorumEpoch or EndQuorumEpoch.
func (c *Core) EpochReplied(now time.Duration, from kafka.NodeID, epoch kafka.LeaderEpoch, reply EpochReply) {
	if !c.heard(now, reply.Err, reply.Epoch, reply.Leader) || reply.Err != nil || epoch != c.state.Epoch {
		return
	}
	if i := c.voter(from); i >= 0 && c.role == Resigned {
		c.ended[i] = true
	}
}

// Message is a request to a voter: exactly one field is set.
type Message struct {
	Vote  *VoteRequest
	Begin *BeginQuorumEpoch
	End   *EndQuorumEpoch
}

// Next is what to say to another voter now, if anything. State must be durable
// before it is sent. It is asked for again after each answer, or failure.
func (c *Core) Next(now time.Duration, to kafka.NodeID) (m Message, ok bool) {
	i := c.voter(to)
	switch {
	case c.wantsVote(i):
		m.Vote = &VoteRequest{
			Pre: c.role == Prospective, Epoch: c.state.Epoch, Candidate: c.self, Voter: to,
			LastEpoch: c.log.LastEpoch(), LastOffset: c.log.End,
		}
	case c.role == Leader && now >= c.beginDue(i):
		c.lead.voters[i].begun = now
		m.Begin = &BeginQuorumEpoch{Epoch: c.state.Epoch, Leader: c.self, Voter: to}
	case c.role == Resigned && !c.ended[i]:
		m.End = &EndQuorumEpoch{Epoch: c.state.Epoch, Leader: c.self, Successors: c.successors}
	default:
		return Message{}, false
	}
	return m, true
}

// HasNext reports whether Next has anything.
func (c *Core) HasNext(now time.Duration, to kafka.NodeID) bool {
	i := c.voter(to)
	return c.wantsVote(i) || c.role == Leader && now >= c.beginDue(i) || c.role == Resigned && !c.ended[i]
}
