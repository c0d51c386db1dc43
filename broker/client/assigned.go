package client

import (
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"

	"github.com/ktrial/ktrial/broker/kafka"
)

// assigned is one partition of a consumer.
type assigned struct {
	c      *Consumer
	tp     kafka.TopicPartition
	index  int        // in the assignment
	source *source    // of which it is a member
	topic  kafka.UUID // as the metadata had it last
	state  positionState

	// position is what Poll returns next. Fetching ahead does not move it, and
	// neither does its validation unless the log was truncated below it.
	position Position
	// leaderEpoch is the one in which position is known to be on the leader's
	// log, or is being found out.
	leaderEpoch kafka.LeaderEpoch
	// moves counts the jumps of the position: what was asked before the last one
	// is of no more use.
	moves int

	target   OffsetReset // of the reset, while lost
	asking   bool        // ListOffsets or OffsetForLeaderEpoch is in flight
	failures int
	retryAt  time.Duration

	paused bool
	// revoking: the member is about to give the partition up. What of it waits for
	// Poll stays there, so that no more is consumed than was committed (KAFKA-14196).
	revoking bool
	stuck    bool  // err stays until a seek
	err      error // for Poll to return

	highWatermark kafka.Offset

	preferred      kafka.NodeID // the replica to read from (KIP-392), or NoNode
	preferredUntil time.Duration
}

type positionState uint8

const (
	lost       positionState = iota // to be reset
	initial                         // to be looked up among the group's committed offsets
	unverified                      // the leader has changed since it was known to be good (KIP-320)
	valid
)

// move drops what is in flight or buffered for the position so far.
func (a *assigned) move() {
	a.moves++
	a.asking, a.failures, a.retryAt = false, 0, 0
	a.err, a.stuck = nil, false
}

func (a *assigned) seek(to Position) {
	a.move()
	a.state, a.position = valid, to
	a.leaderEpoch = kafka.NoEpoch
}

// initialise has the position looked up among the group's committed offsets.
func (a *assigned) initialise() {
	a.move()
	a.state = initial
}

// reset has the position looked up. Without a policy it is an error.
func (a *assigned) reset(to OffsetReset) {
	a.move()
	a.state, a.target = lost, to
	if to == NoReset {
		a.fail(fmt.Errorf("client: poll %v: no position, and auto.offset.reset is none", a.tp))
	}
}

// fail has Poll return err until a seek.
func (a *assigned) fail(err error) {
	a.failOnce(err)
	a.stuck = true
}

// failOnce has Poll return err, once.
func (a *assigned) failOnce(err error) {
	a.err = err
	a.c.failing = true
}

// resting reports whether there is nothing to do for a but to wait.
func (a *assigned) resting(now time.Duration) bool {
	return a.retryAt > now || a.asking || a.stuck || a.state == initial || a.state == lost && a.target == NoReset
}

// backOff keeps a from being asked for until retryAt.
func (a *assigned) backOff(n *network) {
	a.failures++
	a.retryAt = n.host.Uptime() + n.retryBackoff(a.failures)
}

// follow notes the leader epoch of now. A position with an epoch is validated before it
// is used with another leader.
func (a *assigned) follow(t *topic) {
	if t == nil || int(a.tp.Partition) >= len(t.parts) {
		return
	}
	if a.topic != t.id {
		a.topic, a.leaderEpoch = t.id, kafka.NoEpoch // another topic of that name: its epochs begin anew
	}
	epoch := t.parts[a.tp.Partition].epoch
	if a.state == lost || a.state == initial || epoch == kafka.NoEpoch || epoch <= a.leaderEpoch {
		return
	}
	a.leaderEpoch = epoch
	if a.position.Epoch == kafka.NoEpoch {
		return
	}
	err, stuck := a.err, a.stuck
	a.move()
	a.err, a.stuck = err, stuck
	a.state = unverified
}

// fetchable reports whether a may be fetched at now.
func (a *assigned) fetchable(now time.Duration) bool {
	return a.state == valid && !a.paused && !a.revoking && !a.stuck && now >= a.retryAt
}

// readFrom is the node to fetch from.
func (a *assigned) readFrom(leader kafka.NodeID, now time.Duration) kafka.NodeID {
	if a.preferred != kafka.NoNode && now < a.preferredUntil {
		return a.preferred
	}
	a.preferred = kafka.NoNode
	return leader
}

// validated takes in what the leader said of the epoch of the position: where
// it ends in the leader's log.
func (a *assigned) validated(end Position, policy OffsetReset) {
	ok := policy != NoReset
	switch {
	case end.Offset < 0 || end.Epoch < 0:
		// The leader knows of no such epoch: nothing in common is known.
		if ok {
			a.reset(policy)
			return
		}
		a.fail(&LogTruncationError{a.tp, a.position, Position{kafka.NoOffset, kafka.NoEpoch}})
	case end.Offset < a.position.Offset:
		if !ok {
			a.fail(&LogTruncationError{a.tp, a.position, end})
			return
		}
		epoch := a.leaderEpoch
		a.seek(end)
		a.leaderEpoch = epoch
	default:
		a.state = valid
	}
}

// fetchFailed deals with the error that a fetch from offset gave.
func (a *assigned) fetchFailed(c *Consumer, err *kerr.Error, offset kafka.Offset, node kafka.NodeID) {
	fromLeader := a.preferred != node
	switch err {
	case kerr.OffsetOutOfRange:
		a.preferred = kafka.NoNode
		if !fromLeader {
			return // a follower may be behind: ask the leader
		}
		if c.cfg.AutoOffsetReset != NoReset {
			c.net.host.Reached(ProbeOutOfRange)
			a.reset(c.cfg.AutoOffsetReset)
			return
		}
		a.fail(fmt.Errorf("client: poll %v: position %d: %w", a.tp, offset, err))
	case kerr.TopicAuthorizationFailed:
		a.failOnce(fmt.Errorf("client: poll %v: %w", a.tp, err))
		a.backOff(c.net)
	case kerr.CorruptMessage:
		a.failOnce(fmt.Errorf("client: poll %v: fetch from offset %d: %w", a.tp, offset, err))
		a.backOff(c.net)
	default:
		a.preferred = kafka.NoNode
		c.net.metadata.requestUpdate()
		a.backOff(c.net)
	}
}
