package client

import (
	"slices"
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
		c.look()
		if !c.nudged {
			c.wake.Wait(c.left())
		}
	}
}

// look does what can be done now. It does not block, so whoever brings news may
// do it in the fetcher's place, which saves waking it; what comes of a look while
// it looks is left to the fetcher.
func (c *Consumer) look() {
	if c.closed {
		return
	}
	if c.stepping {
		c.wakeFetcher()
		return
	}
	c.stepping = true
	now := c.net.host.Uptime()
	wait := c.step(now)
	c.stepping = false
	before := c.left()
	c.due = env.Forever
	if wait != env.Forever {
		c.due = now + wait
	}
	if shorter(before, wait) != before {
		c.wake.Notify()
	}
}

// left is how long the fetcher sleeps if nothing happens.
func (c *Consumer) left() time.Duration {
	if c.due == env.Forever {
		return env.Forever
	}
	return max(0, c.due-c.net.host.Uptime())
}

// desk is what has to do with one broker: the partitions that are read from it,
// and what is to be asked of it. A desk is looked at when something has
// happened there or its time has come, and else left alone, so that an answer
// costs no more in a cluster of a hundred brokers than in one of three.
type desk struct {
	node    kafka.NodeID // NoNode: of the partitions that no broker is known for
	members []*assigned  // in the order of the assignment
	dirty   bool
	place   int // among the consumer's desks, and in dues
	session     // with the broker

	// What is to be asked, while it is looked at.
	looking  bool
	link     *link
	first    int // the place of the first member that is not resting
	resets   []*assigned
	verify   []*assigned
	wishes   []wish
	buffered bool // something it sent waits for Poll
}

// desk finds or makes the desk of a node.
func (c *Consumer) desk(node kafka.NodeID) *desk {
	for _, d := range c.desks {
		if d.node == node {
			return d
		}
	}
	d := &desk{node: node, place: len(c.desks)}
	d.done = func(resp kmsg.Response, err error) { c.fetchDone(d, resp) }
	c.desks = append(c.desks, d)
	c.dues = append(c.dues, env.Forever)
	return d
}

// join makes a a member of d.
func (d *desk) join(a *assigned) {
	at, _ := slices.BinarySearchFunc(d.members, a.tp, func(b *assigned, tp kafka.TopicPartition) int { return b.tp.Compare(tp) })
	d.members = slices.Insert(d.members, at, a)
	a.desk = d
}

func (d *desk) leave(a *assigned) {
	d.members = slices.DeleteFunc(d.members, func(b *assigned) bool { return b == a })
	a.desk = nil
}

// step sends what can be sent and returns how long there is nothing to do.
func (c *Consumer) step(now time.Duration) time.Duration {
	for i, due := range c.dues {
		if c.everything || due >= 0 && due <= now {
			c.lookAt(c.desks[i])
		}
	}
	for _, d := range c.dirty {
		if d.dirty {
			c.lookAt(d)
		}
	}
	c.everything, c.dirty = false, c.dirty[:0]
	for i := 0; i < len(c.looking); i++ { // it grows where partitions move to
		c.place(c.looking[i], now)
	}
	for _, d := range c.looking {
		c.sort(d, now)
	}
	if len(c.looking) > 1 {
		slices.SortStableFunc(c.looking, func(x, y *desk) int { return x.first - y.first })
	}
	for _, d := range c.looking {
		d.looking = false
		if d.link != nil {
			c.lookIn(d, now, c.carryOut(d))
		}
	}
	c.looking = c.looking[:0]
	wait := env.Forever
	for _, due := range c.dues {
		if due >= 0 {
			wait = shorter(wait, max(0, due-now))
		}
	}
	return wait
}

func (c *Consumer) lookAt(d *desk) {
	if d.looking {
		return
	}
	d.looking, d.dirty = true, false
	c.dues[d.place] = env.Forever
	d.link, d.first, d.buffered = nil, len(c.assigned), false
	d.resets, d.verify, d.wishes = d.resets[:0], d.verify[:0], d.wishes[:0]
	c.looking = append(c.looking, d)
}

// lookIn has d looked at again when so much time has passed, if not earlier.
func (c *Consumer) lookIn(d *desk, now, wait time.Duration) {
	if wait >= 0 {
		c.dues[d.place] = shorter(c.dues[d.place], now+wait)
	}
}

// nudgeAt has d looked at when the fetcher next wakes.
func (c *Consumer) nudgeAt(d *desk) {
	if !d.dirty {
		d.dirty = true
		c.dirty = append(c.dirty, d)
	}
}

// place sends the members of d that belong elsewhere by now to their desks.
func (c *Consumer) place(d *desk, now time.Duration) {
	moved := false
	here, last := c.net.link(d.node) != nil, ""
	var t *topic
	for i, a := range d.members {
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
			node = a.source(node, now)
		}
		if (node != d.node || !here) && c.net.link(node) == nil {
			node = kafka.NoNode
			c.net.metadata.want(a.tp.Topic)
			c.net.metadata.requestUpdate()
		}
		if node != d.node {
			to := c.desk(node)
			to.join(a)
			c.lookAt(to)
			d.members[i], moved = nil, true
		}
	}
	if moved {
		d.members = slices.DeleteFunc(d.members, func(a *assigned) bool { return a == nil })
	}
}

// sort finds out what is to be asked for the members of d.
func (c *Consumer) sort(d *desk, now time.Duration) {
	if d.node != kafka.NoNode {
		d.link = c.net.link(d.node)
	}
	awake := false
	for _, a := range d.members {
		if a.retryAt > now {
			c.lookIn(d, now, a.retryAt-now)
		}
		if a.resting(now) || d.link == nil {
			continue
		}
		if !awake {
			d.first, awake = a.place, true
		}
		if a.preferred != kafka.NoNode {
			c.lookIn(d, now, max(0, a.preferredUntil-now))
		}
		switch {
		case a.state == lost:
			d.resets = append(d.resets, a)
		case a.state == unverified:
			d.verify = append(d.verify, a)
		case c.holds(a):
			d.buffered = d.buffered || !a.paused
		case a.fetchable(now):
			d.wishes = append(d.wishes, c.wish(a))
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

func (c *Consumer) wish(a *assigned) wish {
	return wish{a: a, moves: a.moves, topic: a.topic, offset: a.position.Offset, epoch: a.leaderEpoch}
}

// carryOut asks what can be asked.
func (c *Consumer) carryOut(d *desk) time.Duration {
	now, wait := c.net.host.Uptime(), env.Forever
	fetch := len(d.wishes) > 0 && !d.busy && !d.buffered
	if fetch && now < d.retryAt {
		fetch, wait = false, d.retryAt-now
	}
	if len(d.resets) == 0 && len(d.verify) == 0 && !fetch {
		return wait
	}
	if !d.link.open() {
		d.link.want()
		if wait := d.link.delay(); wait > 0 {
			return wait
		}
		return env.Forever
	}
	if len(d.resets) > 0 {
		c.listOffsets(d.link, slices.Clone(d.resets))
	}
	if len(d.verify) > 0 {
		c.offsetForLeaderEpoch(d.link, slices.Clone(d.verify))
	}
	if fetch {
		c.fetch(d)
	}
	return wait
}

// fetch sends a fetch of all that is wanted from one broker. A broker with
// something that waits for Poll is left alone: without the partition that
// waits, the session would change to and fro (KAFKA-17182).
func (c *Consumer) fetch(d *desk) {
	req := d.request()
	req.MaxWaitMillis = int32(c.cfg.FetchMaxWait.Milliseconds())
	req.MinBytes, req.MaxBytes = c.cfg.FetchMinBytes, c.cfg.FetchMaxBytes
	req.IsolationLevel, req.Rack = int8(c.cfg.IsolationLevel), c.cfg.ClientRack
	before := d.held
	d.fill(req, d.wishes, c.cfg.MaxPartitionFetchBytes)
	d.wishes = before[:0]
	d.busy = true
	d.link.send(req, d.done)
}

// fetchDone takes in how a fetch ended.
func (c *Consumer) fetchDone(d *desk, resp kmsg.Response) {
	d.busy = false
	fetch, _ := resp.(*kmsg.FetchResponse)
	ok, atOnce := d.answered(fetch)
	if ok {
		d.failures = 0
		c.take(fetch, d.held, d.node)
	}
	if !atOnce {
		d.failures++
		d.retryAt = c.net.host.Uptime() + c.net.retryBackoff(d.failures)
		c.net.metadata.requestUpdate()
	}
	c.nudgeAt(d)
	for _, w := range d.held {
		c.nudgeFor(w.a)
	}
	c.look()
	c.arrived.Broadcast()
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
					c.net.host.Reached(ProbePositionTruncated)
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
				a.tell(failed)
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
