package client

import (
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/ktrial/ktrial/broker/kafka"
)

// run is the fetcher task. Timers and the tasks that read answers do the same
// work, see schedule.
func (c *Consumer) run() {
	for !c.closed {
		c.schedule.run()
		c.schedule.sleep()
	}
}

// source is a broker that partitions are read from: which they are, and what is
// to be asked of it. A source is attended to when something has happened there
// or its time has come, and else left alone, so that an answer costs no more in
// a cluster of a hundred brokers than in one of three.
type source struct {
	node    kafka.NodeID // NoNode: of the partitions that no broker is known for
	members []*assigned  // in the order of the assignment
	duty    duty         // to attend to it
	session              // with the broker

	// What is to be asked, while it is attended to.
	attended bool
	link     *link
	first    int // the index of the first member that is not resting
	resets   []*assigned
	verify   []*assigned
	fetches  []partitionFetch
	buffered bool // something it sent waits for Poll
}

// source finds or makes the source for a node.
func (c *Consumer) source(node kafka.NodeID) *source {
	for _, s := range c.sources {
		if s.node == node {
			return s
		}
	}
	s := &source{node: node, duty: c.schedule.add()}
	s.done = func(resp kmsg.Response, err error) { c.fetchDone(s, resp) }
	c.sources = append(c.sources, s)
	return s
}

// join makes a a member of s.
func (s *source) join(a *assigned) {
	at, _ := slices.BinarySearchFunc(s.members, a.tp, func(b *assigned, tp kafka.TopicPartition) int { return b.tp.Compare(tp) })
	s.members = slices.Insert(s.members, at, a)
	a.source = s
}

func (s *source) leave(a *assigned) {
	s.members = slices.DeleteFunc(s.members, func(b *assigned) bool { return b == a })
	a.source = nil
}

// work finds positions, validates them, and keeps one fetch in flight for each
// source whose last one has been polled.
func (c *Consumer) work(now time.Duration) {
	for _, s := range c.sources {
		if c.schedule.take(s.duty, now) {
			c.attend(s)
		}
	}
	for i := 0; i < len(c.attended); i++ { // it grows where partitions move to
		c.move(c.attended[i], now)
	}
	for _, s := range c.attended {
		c.sort(s, now)
	}
	if len(c.attended) > 1 {
		slices.SortStableFunc(c.attended, func(x, y *source) int { return x.first - y.first })
	}
	for _, s := range c.attended {
		s.attended = false
		if s.link != nil {
			c.ask(s, now)
		}
	}
	c.attended = c.attended[:0]
}

// attend makes s one of those that the work is about to be done for.
func (c *Consumer) attend(s *source) {
	if s.attended {
		return
	}
	s.attended = true
	c.schedule.clear(s.duty)
	s.link, s.first, s.buffered = nil, len(c.assigned), false
	s.resets, s.verify, s.fetches = s.resets[:0], s.verify[:0], s.fetches[:0]
	c.attended = append(c.attended, s)
}

// soonFor has the source of a attended to in the next run.
func (c *Consumer) soonFor(a *assigned) {
	if a.source != nil {
		c.schedule.soon(a.source.duty)
	}
}

// attendToAll has the fetcher task attend to all sources.
func (c *Consumer) attendToAll() {
	for _, s := range c.sources {
		c.schedule.soon(s.duty)
	}
	c.schedule.wake()
}

// move sends the members of s that belong elsewhere by now to their sources.
func (c *Consumer) move(s *source, now time.Duration) {
	moved := false
	here, last := c.net.link(s.node) != nil, ""
	var t *topic
	for i, a := range s.members {
		if a.tp.Topic != last {
			last = a.tp.Topic
			t = c.net.metadata.topic(last)
		}
		a.follow(t)
		if a.resting(now) {
			continue
		}
		node := kafka.NoNode
		if t != nil && int(a.tp.Partition) < len(t.parts) {
			node = t.parts[a.tp.Partition].leader
		}
		if a.state == valid {
			node = a.readFrom(node, now)
		}
		if (node != s.node || !here) && c.net.link(node) == nil {
			node = kafka.NoNode
			c.net.metadata.want(a.tp.Topic)
			c.net.metadata.requestUpdate()
		}
		if node != s.node {
			to := c.source(node)
			to.join(a)
			c.attend(to)
			s.members[i], moved = nil, true
		}
	}
	if moved {
		s.members = slices.DeleteFunc(s.members, func(a *assigned) bool { return a == nil })
	}
}

// sort finds out what is to be asked for the members of s.
func (c *Consumer) sort(s *source, now time.Duration) {
	if s.node != kafka.NoNode {
		s.link = c.net.link(s.node)
	}
	awake := false
	for _, a := range s.members {
		if a.retryAt > now {
			c.schedule.at(s.duty, a.retryAt)
		}
		if a.resting(now) || s.link == nil {
			continue
		}
		if !awake {
			s.first, awake = a.index, true
		}
		if a.preferred != kafka.NoNode && a.preferredUntil > now {
			c.schedule.at(s.duty, a.preferredUntil)
		}
		switch {
		case a.state == lost:
			s.resets = append(s.resets, a)
		case a.state == unverified:
			s.verify = append(s.verify, a)
		case c.holds(a):
			s.buffered = s.buffered || !a.paused && !a.revoking
		case a.fetchable(now):
			s.fetches = append(s.fetches, c.partitionFetch(a))
		}
	}
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

func (c *Consumer) partitionFetch(a *assigned) partitionFetch {
	return partitionFetch{a: a, moves: a.moves, topic: a.topic, offset: a.position.Offset, epoch: a.leaderEpoch}
}

// ask asks what can be asked of s.
func (c *Consumer) ask(s *source, now time.Duration) {
	fetch := len(s.fetches) > 0 && !s.busy && !s.buffered
	if fetch && now < s.retryAt {
		c.schedule.at(s.duty, s.retryAt)
		fetch = false
	}
	if len(s.resets) == 0 && len(s.verify) == 0 && !fetch {
		return
	}
	if !s.link.open() {
		s.link.want()
		if wait := s.link.delay(); wait > 0 {
			c.schedule.at(s.duty, now+wait)
		}
		return
	}
	if len(s.resets) > 0 {
		c.listOffsets(s.link, slices.Clone(s.resets))
	}
	if len(s.verify) > 0 {
		c.offsetForLeaderEpoch(s.link, slices.Clone(s.verify))
	}
	if fetch {
		c.fetch(s)
	}
}

// fetch sends a fetch of all that is wanted from one broker. A broker with
// something that waits for Poll is left alone: without the partition that
// waits, the session would change to and fro (KAFKA-17182).
func (c *Consumer) fetch(s *source) {
	req := s.request()
	req.MaxWaitMillis = int32(c.cfg.FetchMaxWait.Milliseconds())
	req.MinBytes, req.MaxBytes = c.cfg.FetchMinBytes, c.cfg.FetchMaxBytes
	req.IsolationLevel, req.Rack = int8(c.cfg.IsolationLevel), c.cfg.ClientRack
	before := s.held
	s.fill(req, s.fetches, c.cfg.MaxPartitionFetchBytes)
	s.fetches = before[:0]
	s.busy = true
	s.link.send(req, s.done)
}

// fetchDone takes in how a fetch ended.
func (c *Consumer) fetchDone(s *source, resp kmsg.Response) {
	s.busy = false
	c.unpaid++
	fetch, _ := resp.(*kmsg.FetchResponse)
	ok, atOnce := s.answered(fetch)
	if ok {
		s.failures = 0
		c.take(fetch, s.held, s.node)
	}
	if !atOnce {
		s.failures++
		s.retryAt = c.net.host.Uptime() + c.net.retryBackoff(s.failures)
		c.net.metadata.requestUpdate()
	}
	c.schedule.soon(s.duty)
	for _, w := range s.held {
		c.soonFor(w.a)
	}
	c.schedule.run()
	c.arrived.Broadcast()
}

// take puts aside what a fetch brought.
func (c *Consumer) take(resp *kmsg.FetchResponse, fetches []partitionFetch, node kafka.NodeID) {
	for i := range resp.Brokers {
		b := &resp.Brokers[i]
		c.net.metadata.meet(kafka.NodeID(b.NodeID), b.Host, b.Port, b.Rack)
	}
	for i := range resp.Topics {
		rt := &resp.Topics[i]
		for j := range rt.Partitions {
			rp := &rt.Partitions[j]
			for _, w := range fetches {
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

func (c *Consumer) takePartition(rp *kmsg.FetchResponseTopicPartition, w partitionFetch, node kafka.NodeID) {
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
		c.fetched = append(c.fetched, c.newFetched(a, rp))
	}
}

// listOffsets asks a leader where to reset positions to.
func (c *Consumer) listOffsets(l *link, parts []*assigned) {
	req := kmsg.NewPtrListOffsetsRequest()
	req.ReplicaID, req.IsolationLevel = -1, int8(c.cfg.IsolationLevel)
	for _, a := range parts {
		_, epoch := c.net.metadata.leader(a.tp)
		part := kmsg.NewListOffsetsRequestTopicPartition()
		part.Partition, part.CurrentLeaderEpoch = a.tp.Partition, int32(epoch)
		part.Timestamp = a.target.timestamp(c.net.host.Now().Millis())
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
		if rp.Offset < 0 {
			// By duration, and no record is as young: there may be one later.
			a.retryAt = c.net.host.Uptime() + c.cfg.RequestTimeout
			return nil
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
					c.net.host.Reached(ProbePositionTruncated)
				}
				return nil
			}
		}
		return kerr.UnknownServerError
	})
}

// askFor sends req, which concerns parts, and has each of them take the answer
// unless its position has jumped meanwhile. What fails is asked again, of the
// leader at that time.
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
				a.failOnce(failed)
			}
			c.net.metadata.requestUpdate()
			a.backOff(c.net)
		}
		c.attendToAll()
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
