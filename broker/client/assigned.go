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

	target   kafka.Offset // of the reset, while lost; NoTarget: there is no policy
	asking   bool         // ListOffsets or OffsetForLeaderEpoch is in flight
	failures int
	retryAt  time.Duration

	paused bool
	stuck  bool  // err stays until a seek
	err    error // for Poll to return

	highWatermark kafka.Offset

	preferred      kafka.NodeID // the replica to read from (KIP-392), or NoNode
	preferredUntil time.Duration
}

type positionState uint8

const (
	lost       positionState = iota // to be reset
	unverified                      // the leader has changed since it was known to be good (KIP-320)
	valid
)

// noTarget says that auto.offset.reset is none.
const noTarget kafka.Offset = -100

func (r OffsetReset) target() (to kafka.Offset, ok bool) {
	switch r {
	case Earliest:
		return kafka.EarliestOffset, true
	case Latest:
		return kafka.LatestOffset, true
	}
	return noTarget, false
}

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

// reset has the position looked up. Without a policy it is an error.
func (a *assigned) reset(to kafka.Offset, ok bool) {
	a.move()
	a.state, a.target = lost, to
	if !ok {
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
	return a.retryAt > now || a.asking || a.stuck || a.state == lost && a.target == noTarget
}

// backOff keeps a from being asked for until retryAt.
func (a *assigned) backOff(n *network) {
	a.failures++
	a.retryAt = n.host.Uptime() + n.retryBackoff(a.failures)
}

// follow records the leader epoch of now. A position with an epoch is validated before it
// is used with another leader.
func (a *assigned) follow(t *topic) {
	if t == nil || int(a.tp.Partition) >= len(t.parts) {
		return
	}
	if a.topic != t.id {
		a.topic, a.leaderEpoch = t.id, kafka.NoEpoch // another topic of that name: its epochs begin anew
	}
	epoch := t.parts[a.tp.Partition].epoch
	if a.state == lost || epoch == kafka.NoEpoch || epoch <= a.leaderEpoch {
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
	return a.state == valid && !a.paused && !a.stuck && now >= a.retryAt
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
	to, ok := policy.target()
	switch {
	case end.Offset < 0 || end.Epoch < 0:
		// The leader knows of no such epoch: nothing in common is known.
		if ok {
			a.reset(to, true)
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
		to, ok := c.cfg.AutoOffsetReset.target()
		if ok {
			c.net.host.Reached(ProbeOutOfRange)
			a.reset(to, true)
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
