package raft

import (
	"time"

	"github.com/ktrial/ktrial/broker/kafka"
)

// NextFetch is the node to ask for records now, and the request. A follower
// asks its leader. A member that knows no leader asks any voter, which then
// names it; so does an observer whose leader does not answer. State must be
// durable, and what was appended flushed by a voter, before it is sent: a fetch
// from an offset says that all below is safe here.
func (c *Core) NextFetch() (to kafka.NodeID, req FetchRequest, ok bool) {
	switch {
	case c.role == Follower && !(c.me < 0 && c.leaderSilent):
		to = c.state.Leader
	case c.role == Follower, c.role == Unattached:
		if to = c.anyVoter(); to == kafka.NoNode {
			return kafka.NoNode, FetchRequest{}, false
		}
		c.leaderSilent = false
	default:
		return kafka.NoNode, FetchRequest{}, false
	}
	return to, FetchRequest{
		Replica: c.self, Epoch: c.state.Epoch,
		Offset: c.log.End, LastEpoch: c.log.LastEpoch(), HW: c.hw,
	}, true
}

// anyVoter is a voter other than this member and the leader that is silent.
func (c *Core) anyVoter() kafka.NodeID {
	var others []kafka.NodeID
	for _, id := range c.voters {
		if id != c.self && !(id == c.state.Leader && len(c.voters) > 1) {
			others = append(others, id)
		}
	}
	if len(others) == 0 {
		return kafka.NoNode
	}
	return others[c.luck.Int64N(int64(len(others)))]
}

// Fetching is the snapshot to fetch before anything else, or none.
func (c *Core) Fetching() SnapshotID { return c.fetching }

// FetchFailed records that a fetch got no answer.
func (c *Core) FetchFailed(to kafka.NodeID) {
	if c.role == Follower && to == c.state.Leader {
		c.leaderSilent = true
	}
}

// FetchReplied takes the answer to a fetch, with the batches that came and the
// spans they make. What it does to the log is in TakeEffect. It reports
// whether the fetch did its work; if not, wait a little before the next.
func (c *Core) FetchReplied(now time.Duration, from kafka.NodeID, req FetchRequest, reply FetchReply, batches []byte, spans []Span) bool {
	leader := c.state.Leader
	if !c.heard(now, reply.Err, reply.Epoch, reply.Leader) || reply.Err != nil {
		return c.role == Follower && c.state.Leader != leader // to the new one without delay
	}
	if c.role != Follower || from != c.state.Leader || req.Epoch != c.state.Epoch || req.Offset != c.log.End {
		return true
	}
	c.fetchedFromLeader(now)
	switch reply.Validity {
	case Diverging:
		c.truncate(reply.Diverging)
	case Snapshotted:
		c.fetching = reply.Snapshot
	default:
		if !c.appendAsFollower(batches, spans) {
			return false
		}
		c.hw = max(c.hw, min(c.log.End, reply.HW))
		c.hwKnown = c.hwKnown || reply.HW != kafka.NoOffset && reply.HW <= c.log.End
	}
	return true
}

// InTouch is the leader that this Follower has fetched from within its fetch
// timeout, and that has not resigned since; NoNode if there is none.
func (c *Core) InTouch(now time.Duration) kafka.NodeID {
	if c.role != Follower || !c.inTouch || now >= c.deadline {
		return kafka.NoNode
	}
	return c.state.Leader
}

func (c *Core) fetchedFromLeader(now time.Duration) {
	c.inTouch, c.leaderSilent = true, false
	if c.me >= 0 {
		c.deadline = now + c.settings.FetchTimeout
	}
}

// appendAsFollower takes batches that must continue the log.
func (c *Core) appendAsFollower(batches []byte, spans []Span) bool {
	end, epoch := c.log.End, c.log.LastEpoch()
	for _, sp := range spans {
		if sp.Base != end || sp.Next <= end || sp.Epoch < epoch || sp.Epoch > c.state.Epoch {
			c.fail("the leader sent [%d, %d) of epoch %d, the log ends at %d with epoch %d", sp.Base, sp.Next, sp.Epoch, end, epoch)
			return false
		}
		end, epoch = sp.Next, sp.Epoch
	}
	for _, sp := range spans {
		c.log.Append(sp)
	}
	if len(spans) > 0 {
		c.effect.Append = batches
	}
	return true
}

// truncate cuts the log back to what it has in common with the leader's: the
// end of the largest epoch that both have, where the shorter one ends (KIP-279).
func (c *Core) truncate(leader Span) {
	epoch, end := c.log.EndOffsetFor(leader.Epoch)
	if epoch == leader.Epoch {
		end = min(end, leader.Next)
	}
	if end < c.hw {
		c.fail("truncate to %d, as the leader of epoch %d wants: all below %d is committed", end, c.state.Epoch, c.hw)
		return
	}
	c.log.Truncate(end)
	c.effect.Truncate = end
}

// SnapshotReplied takes the answer to a FetchSnapshot request for id. It
// reports whether the bytes that came with it are good to be kept.
func (c *Core) SnapshotReplied(now time.Duration, from kafka.NodeID, id SnapshotID, reply EpochReply) bool {
	mine := c.role == Follower && from == c.state.Leader && id == c.fetching
	if !c.heard(now, reply.Err, reply.Epoch, reply.Leader) || !mine {
		return false
	}
	c.fetchedFromLeader(now)
	if reply.Err != nil {
		c.fetching = SnapshotID{} // it is gone: ask what there is now
		return false
	}
	return true
}

// SnapshotInstalled records that a snapshot of the leader is stored, durably. It
// reports whether it replaces the log.
func (c *Core) SnapshotInstalled(id SnapshotID) (replaced bool) {
	replaced = !c.log.Contains(id)
	c.log.AddSnapshot(id)
	c.hw = max(c.hw, id.End)
	if c.fetching == id {
		c.fetching = SnapshotID{}
	}
	return replaced
}
