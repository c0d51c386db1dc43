package raft

import (
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"

	"github.com/ktrial/ktrial/broker/kafka"
)

// vote is what a voter answered.
type vote uint8

const (
	unanswered vote = iota
	granted
	rejected
)

// VoteRequest asks for a vote, or with Pre whether there would be one.
type VoteRequest struct {
	Pre        bool
	Epoch      kafka.LeaderEpoch
	Candidate  kafka.NodeID
	Voter      kafka.NodeID // the voter that is asked; NoNode: not said
	LastEpoch  kafka.LeaderEpoch
	LastOffset kafka.Offset // where the candidate's log ends
}

// VoteReply answers a VoteRequest. All replies name the epoch and the leader
// that their sender knows.
type VoteReply struct {
	Err     *kerr.Error
	Epoch   kafka.LeaderEpoch
	Leader  kafka.NodeID
	Granted bool
}

// Vote handles a VoteRequest. State must be durable before the reply leaves.
func (c *Core) Vote(now time.Duration, req VoteRequest) VoteReply {
	if err := c.checkVote(req); err != nil {
		return c.voteReply(err, false)
	}
	c.sees(now, req.Epoch, kafka.NoNode)
	if req.Voter != kafka.NoNode && req.Voter != c.self {
		return c.voteReply(kerr.InvalidVoterKey, false)
	}
	grant := c.grants(req)
	if grant && !req.Pre && c.state.Voted == kafka.NoNode {
		// A fresh timer: the candidate deserves its time, having a log that is
		// at least as good as ours.
		c.becomeUnattached(req.Epoch, now+c.electionTimeout())
		c.state.Voted = req.Candidate
	}
	return c.voteReply(nil, grant)
}

func (c *Core) checkVote(req VoteRequest) *kerr.Error {
	// A pre-vote is asked for in the epoch that the log may already have.
	highest := req.Epoch - 1
	if req.Pre {
		highest = req.Epoch
	}
	switch {
	case req.LastOffset < 0 || req.LastEpoch < 0 || req.LastEpoch > highest:
		return kerr.InvalidRequest
	case req.Candidate < 0 || req.Epoch > highestEpoch:
		return kerr.InvalidRequest
	case req.Epoch < c.state.Epoch:
		return kerr.FencedLeaderEpoch
	case c.me < 0 || c.voter(req.Candidate) < 0:
		return kerr.InconsistentVoterSet
	}
	return nil
}

// grants is the rule of voting: one vote per epoch, none against a leader that
// is known, and only for a log that holds all that this one holds.
func (c *Core) grants(req VoteRequest) bool {
	upToDate := compareEnds(req.LastEpoch, req.LastOffset, c.log.LastEpoch(), c.log.End) >= 0
	switch c.role {
	case Leader:
		return false
	case Follower:
		return req.Pre && upToDate && !c.inTouch
	case Candidate, Resigned:
		return req.Pre && upToDate
	}
	switch {
	case req.Pre:
		return upToDate
	case c.state.Voted != kafka.NoNode:
		return c.state.Voted == req.Candidate
	case c.state.Leader != kafka.NoNode:
		return false
	}
	return upToDate
}

func (c *Core) voteReply(err *kerr.Error, grant bool) VoteReply {
	return VoteReply{Err: err, Epoch: c.state.Epoch, Leader: c.state.Leader, Granted: grant}
}

// wantsVote reports whether the answer of the voter at index i may still decide.
func (c *Core) wantsVote(i int) bool {
	return (c.role == Prospective || c.role == Candidate) &&
		c.votes[i] == unanswered && count(c.votes, rejected) < c.majority()
}

// VoteReplied takes the answer of a voter to req.
func (c *Core) VoteReplied(now time.Duration, from kafka.NodeID, req VoteRequest, reply VoteReply) {
	asked := c.role == Candidate && !req.Pre || c.role == Prospective && req.Pre
	if !c.heard(now, reply.Err, reply.Epoch, reply.Leader) || reply.Err != nil {
		return
	}
	i := c.voter(from)
	if !asked || c.votes == nil || i < 0 || req.Epoch != c.state.Epoch || c.votes[i] != unanswered {
		return
	}
	if reply.Granted {
		c.record(now, i, granted)
	} else {
		c.record(now, i, rejected)
	}
}

// record counts a vote and draws the conclusion, if there is one.
func (c *Core) record(now time.Duration, i int, v vote) {
	c.votes[i] = v
	switch {
	case count(c.votes, granted) >= c.majority() && c.role == Prospective:
		c.becomeCandidate(now)
	case count(c.votes, granted) >= c.majority():
		c.becomeLeader(now)
	case count(c.votes, rejected) >= c.majority() && c.role == Prospective:
		c.electionLost(now)
	}
	// A Candidate that has lost waits for its timer: the winner needs time.
}

// electionLost ends a Prospective: back to the leader it had doubted, if any.
func (c *Core) electionLost(now time.Duration) {
	if leader := c.state.Leader; leader != kafka.NoNode && leader != c.self {
		c.becomeFollower(now, c.state.Epoch, leader)
	} else {
		c.becomeUnattached(c.state.Epoch, now+c.electionTimeout())
	}
}

// heard draws from a reply what every reply says. It reports whether the rest
// is about the epoch that this member is in.
func (c *Core) heard(now time.Duration, err *kerr.Error, epoch kafka.LeaderEpoch, leader kafka.NodeID) bool {
	if epoch < c.state.Epoch || epoch > highestEpoch || err == kerr.UnknownLeaderEpoch {
		return false
	}
	moved := epoch > c.state.Epoch
	c.sees(now, epoch, leader)
	return !moved && c.fault == nil
}

func (c *Core) majority() int { return len(c.voters)/2 + 1 }

func count(votes []vote, v vote) int {
	n := 0
	for _, w := range votes {
		if w == v {
			n++
		}
	}
	return n
}

// majorityOffset is the highest offset that a majority of ends has reached. It
// sorts them in place.
func majorityOffset(ends []kafka.Offset) kafka.Offset {
	slices.Sort(ends)
	return ends[len(ends)-(len(ends)/2+1)]
}
