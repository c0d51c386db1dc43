package client

import (
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/ktrial/ktrial/broker/kafka"
	"github.com/ktrial/ktrial/sim/env"
)

// run is the fetcher task: it finds positions, validates them, and keeps one
// fetch in flight for each broker whose last one has been polled.
func (c *Consumer) run() {
	for !c.closed {
		c.nudged = false
		wait := c.step(c.net.host.Uptime())
		if !c.nudged {
			c.wake.Wait(wait)
		}
	}
}

// errand is what is to be asked of one broker.
type errand struct {
	link     *link
	resets   []*assigned
	verify   []*assigned
	wishes   []wish
	buffered bool // something it sent waits for Poll
}

// step sends what can be sent and returns how long there is nothing to do.
func (c *Consumer) step(now time.Duration) time.Duration {
	wait := env.Forever
	var errands []*errand
	for _, a := range c.assigned {
		a.follow(c.net.metadata.topic(a.tp.Topic))
		leader, _ := c.net.metadata.leader(a.tp)
		if a.retryAt > now {
			wait = shorter(wait, a.retryAt-now)
			continue
		}
		if a.asking || a.stuck || a.state == lost && a.target == noTarget {
			continue
		}
		if a.state == valid {
			leader = a.source(leader, now)
		}
		l := c.net.link(leader)
		if l == nil {
			c.net.metadata.want(a.tp.Topic)
			c.net.metadata.requestUpdate()
			continue
		}
		e := errandTo(&errands, l)
		switch {
		case a.state == lost:
			e.resets = append(e.resets, a)
		case a.state == unverified:
			e.verify = append(e.verify, a)
		case c.holds(a):
			e.buffered = e.buffered || !a.paused
		case a.fetchable(now):
			e.wishes = append(e.wishes, c.wish(a))
		}
	}
	for _, e := range errands {
		wait = shorter(wait, c.carryOut(e))
	}
	return wait
}

func errandTo(errands *[]*errand, l *link) *errand {
	for _, e := range *errands {
		if e.link == l {
			return e
		}
	}
	e := &errand{link: l}
	*errands = append(*errands, e)
	return e
}

// holds reports whether something of a waits for Poll.
func (c *Consumer) holds(a *assigned) bool {
	for _, f := range c.fetched {
		if f.a == a && !f.exhausted() {
			return true
		}
	}
	return false
}

func (c *Consumer) wish(a *assigned) wish {
	return wish{a: a, moves: a.moves, topic: a.topic, offset: a.position.Offset, epoch: a.leaderEpoch}
}

// carryOut sends what can be sent of one errand.
func (c *Consumer) carryOut(e *errand) time.Duration {
	s := c.session(e.link.node)
	now, wait := c.net.host.Uptime(), env.Forever
	fetch := len(e.wishes) > 0 && !s.busy && !e.buffered
	if fetch && now < s.retryAt {
		fetch, wait = false, s.retryAt-now
	}
	if len(e.resets) == 0 && len(e.verify) == 0 && !fetch {
		return wait
	}
	if !e.link.open() {
		e.link.want()
		if wait := e.link.delay(); wait > 0 {
			return wait
		}
		return env.Forever
	}
	if len(e.resets) > 0 {
		c.listOffsets(e.link, e.resets)
	}
	if len(e.verify) > 0 {
		c.offsetForLeaderEpoch(e.link, e.verify)
	}
	if fetch {
		c.fetch(e.link, s, e.wishes)
	}
	return wait
}

func (c *Consumer) session(node kafka.NodeID) *session {
	for _, s := range c.sessions {
		if s.node == node {
			return s
		}
	}
	s := &session{node: node}
	c.sessions = append(c.sessions, s)
	return s
}

// fetch sends a fetch of all that is wanted from one broker. A broker with
// something that waits for Poll is left alone: without the partition that
// waits, the session would change to and fro (KAFKA-17182).
func (c *Consumer) fetch(l *link, s *session, wishes []wish) {
	req := kmsg.NewPtrFetchRequest()
	req.MaxWaitMillis = int32(c.cfg.FetchMaxWait.Milliseconds())
	req.MinBytes, req.MaxBytes = c.cfg.FetchMinBytes, c.cfg.FetchMaxBytes
	req.IsolationLevel, req.Rack = int8(c.cfg.IsolationLevel), c.cfg.ClientRack
	s.fill(req, wishes, c.cfg.MaxPartitionFetchBytes)
	s.busy = true
	l.send(req, func(resp kmsg.Response, err error) {
		s.busy = false
		fetch, _ := resp.(*kmsg.FetchResponse)
		ok, atOnce := s.answered(fetch)
		if ok {
			s.failures = 0
			c.take(fetch, wishes, s.node)
		}
		if !atOnce {
			s.failures++
			s.retryAt = c.net.host.Uptime() + c.net.retryBackoff(s.failures)
			c.net.metadata.requestUpdate()
		}
		c.nudge()
		c.arrived.Broadcast()
	})
}

// take puts aside what a fetch brought.
func (c *Consumer) take(resp *kmsg.FetchResponse, wishes []wish, node kafka.NodeID) {
	for i := range resp.Brokers {
		b := &resp.Brokers[i]
		c.net.metadata.meet(kafka.NodeID(b.NodeID), b.Host, b.Port, b.Rack)
	}
	for i := range resp.Topics {
		rt := &resp.Topics[i]
		for j := range rt.Partitions {
			rp := &rt.Partitions[j]
			for _, w := range wishes {
				named := rt.Topic == w.a.tp.Topic
				if resp.Version >= 13 {
					named = kafka.UUID(rt.TopicID) == w.topic
				}
				if named && rp.Partition == w.a.tp.Partition && w.moves == w.a.moves {
					c.takePartition(rp, w, node)
				}
			}
		}
	}
}

func (c *Consumer) takePartition(rp *kmsg.FetchResponseTopicPartition, w wish, node kafka.NodeID) {
	a := w.a
	if rp.ErrorCode != 0 {
		c.net.metadata.follow(a.tp, hint{kafka.NodeID(rp.CurrentLeader.LeaderID), kafka.LeaderEpoch(rp.CurrentLeader.LeaderEpoch)})
		a.fetchFailed(c, kerr.TypedErrorForCode(rp.ErrorCode), w.offset, node)
		return
	}
	a.failures = 0
	a.highWatermark = kafka.Offset(rp.HighWatermark)
	if rp.PreferredReadReplica >= 0 {
		// Only from the next fetch on: what came with this one counts (franz-go
		// 1.20.3 went back to the offset it had asked for).
		a.preferred = kafka.NodeID(rp.PreferredReadReplica)
		a.preferredUntil = c.net.host.Uptime() + c.cfg.MetadataMaxAge
	}
	if len(rp.RecordBatches) > 0 {
		c.fetched = append(c.fetched, newFetched(a, rp, c.cfg.IsolationLevel))
	}
}

// listOffsets asks a leader where to reset positions to.
func (c *Consumer) listOffsets(l *link, parts []*assigned) {
	req := kmsg.NewPtrListOffsetsRequest()
	req.ReplicaID, req.IsolationLevel = -1, int8(c.cfg.IsolationLevel)
	for _, a := range parts {
		_, epoch := c.net.metadata.leader(a.tp)
		part := kmsg.NewListOffsetsRequestTopicPartition()
		part.Partition, part.CurrentLeaderEpoch, part.Timestamp = a.tp.Partition, int32(epoch), int64(a.target)
		req.Topics = appendListOffsets(req.Topics, a.tp.Topic, part)
	}
	c.askFor(l, req, parts, func(resp kmsg.Response, a *assigned) error {
		rp := listedOffset(resp.(*kmsg.ListOffsetsResponse), a.tp)
		if rp == nil {
			return kerr.UnknownServerError
		}
		if err := kerr.ErrorForCode(rp.ErrorCode); err != nil {
			return err
		}
		_, epoch := c.net.metadata.leader(a.tp)
		a.seek(Position{kafka.Offset(rp.Offset), kafka.LeaderEpoch(rp.LeaderEpoch)})
		a.leaderEpoch = epoch
		return nil
	})
}

// offsetForLeaderEpoch asks a leader where the epochs of positions end in its
// log (KIP-320).
func (c *Consumer) offsetForLeaderEpoch(l *link, parts []*assigned) {
	req := kmsg.NewPtrOffsetForLeaderEpochRequest()
	req.ReplicaID = -1
	for _, a := range parts {
		part := kmsg.NewOffsetForLeaderEpochRequestTopicPartition()
		part.Partition = a.tp.Partition
		part.CurrentLeaderEpoch, part.LeaderEpoch = int32(a.leaderEpoch), int32(a.position.Epoch)
		at := len(req.Topics) - 1
		if at < 0 || req.Topics[at].Topic != a.tp.Topic {
			t := kmsg.NewOffsetForLeaderEpochRequestTopic()
			t.Topic = a.tp.Topic
			req.Topics = append(req.Topics, t)
			at++
		}
		req.Topics[at].Partitions = append(req.Topics[at].Partitions, part)
	}
	c.askFor(l, req, parts, func(resp kmsg.Response, a *assigned) error {
		for _, rt := range resp.(*kmsg.OffsetForLeaderEpochResponse).Topics {
			for _, rp := range rt.Partitions {
				if rt.Topic != a.tp.Topic || rp.Partition != a.tp.Partition {
					continue
				}
				if err := kerr.ErrorForCode(rp.ErrorCode); err != nil {
					return err
				}
				before := a.position
				a.validated(Position{kafka.Offset(rp.EndOffset), kafka.LeaderEpoch(rp.LeaderEpoch)}, c.cfg.AutoOffsetReset)
				if a.state != valid || a.position != before {
					c.net.host.Reached("consumer found its position truncated")
				}
				return nil
			}
		}
		return kerr.UnknownServerError
	})
}

// askFor sends req, which concerns parts, and has each of them take the answer
// unless its position has jumped meanwhile. What fails is asked again, of
// whoever leads then.
func (c *Consumer) askFor(l *link, req kmsg.Request, parts []*assigned, take func(kmsg.Response, *assigned) error) {
	moves := make([]int, len(parts))
	for i, a := range parts {
		a.asking, moves[i] = true, a.moves
	}
	l.send(req, func(resp kmsg.Response, err error) {
		for i, a := range parts {
			if a.moves != moves[i] {
				continue
			}
			a.asking = false
			failed := err
			if failed == nil {
				failed = take(resp, a)
			}
			if failed == nil {
				continue
			}
			if failed == kerr.TopicAuthorizationFailed {
				a.err = failed
			}
			c.net.metadata.requestUpdate()
			a.backOff(c.net)
		}
		c.nudge()
		c.arrived.Broadcast()
	})
}

func appendListOffsets(topics []kmsg.ListOffsetsRequestTopic, topic string, part kmsg.ListOffsetsRequestTopicPartition) []kmsg.ListOffsetsRequestTopic {
	if n := len(topics); n == 0 || topics[n-1].Topic != topic {
		t := kmsg.NewListOffsetsRequestTopic()
		t.Topic = topic
		topics = append(topics, t)
	}
	last := &topics[len(topics)-1]
	last.Partitions = append(last.Partitions, part)
	return topics
}

func listedOffset(resp *kmsg.ListOffsetsResponse, tp kafka.TopicPartition) *kmsg.ListOffsetsResponseTopicPartition {
	for i := range resp.Topics {
		if resp.Topics[i].Topic != tp.Topic {
			continue
		}
		for j := range resp.Topics[i].Partitions {
			if p := &resp.Topics[i].Partitions[j]; p.Partition == tp.Partition {
				return p
			}
		}
	}
	return nil
}
