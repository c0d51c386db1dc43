package replica

import (
	"bytes"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/ktrial/ktrial/broker/kafka"
	"github.com/ktrial/ktrial/broker/log"
	"github.com/ktrial/ktrial/broker/planted"
	"github.com/ktrial/ktrial/broker/record"
	"github.com/ktrial/ktrial/broker/witness"
)

// fetch is one Fetch request on its way.
type fetch struct {
	m           *Manager
	follower    bool
	replica     kafka.NodeID
	brokerEpoch kafka.BrokerEpoch
	committed   bool // isolation level read_committed
	onlyLeader  bool // a follower, or a consumer from before KIP-392
	usesIDs     bool
	minBytes    int64
	maxBytes    int32
	parts       []fetchPart

	// full fetches answer every partition, and may begin a session (keep).
	// Others belong to one, which expects the epoch after theirs.
	full, keep bool
	session    *fetchSession
	expected   int32
}

// fetchPart is what is asked of one partition, and the answer.
type fetchPart struct {
	key sessionKey
	asked
	cached *cached
	p      *Partition // nil: not here
	// unknown: there is no such partition in the cluster.
	unknown bool
	// seen is where what may be read ended when it was read.
	seen   kafka.Offset
	out    kmsg.FetchResponseTopicPartition
	memory log.Memory // of the records in out
}

// Fetch serves consumers and followers. It blocks for min.bytes, at most for
// max.wait.
func (m *Manager) Fetch(req *kmsg.FetchRequest) *kmsg.FetchResponse {
	resp := kmsg.NewPtrFetchResponse()
	m.FetchInto(resp, req)
	for i := range resp.Topics {
		for j := range resp.Topics[i].Partitions {
			p := &resp.Topics[i].Partitions[j]
			p.RecordBatches = bytes.Clone(p.RecordBatches)
		}
	}
	return resp
}

// FetchInto is Fetch with an empty answer to fill in. The records in it are
// valid until the task blocks: the answer is to be encoded before.
func (m *Manager) FetchInto(resp *kmsg.FetchResponse, req *kmsg.FetchRequest) {
	resp.Version = req.Version
	q := m.newFetch(req)
	defer m.doneFetch(q)
	if err := m.sessions.open(q, req); err != nil {
		m.host.Reached(ProbeSessionLost)
		resp.ErrorCode = kafka.Code(err)
		return
	}
	deadline := m.host.Uptime() + time.Duration(req.MaxWaitMillis)*time.Millisecond
	enough := q.read(true)
	for !enough {
		left := deadline - m.host.Uptime()
		if left <= 0 {
			break
		}
		inTime := q.await(left)
		enough = q.read(false) || !inTime
	}
	q.answer(resp)
}

func (m *Manager) newFetch(req *kmsg.FetchRequest) *fetch {
	var q *fetch
	if n := len(m.fetches) - 1; n >= 0 {
		q, m.fetches = m.fetches[n], m.fetches[:n]
	} else {
		q = &fetch{}
	}
	id, epoch := req.ReplicaID, int64(kafka.NoEpoch)
	if req.Version >= 15 {
		id, epoch = req.ReplicaState.ID, req.ReplicaState.Epoch
	}
	maxBytes := min(req.MaxBytes, m.cfg.ConsumerMaxBytes)
	*q = fetch{
		m: m, follower: id >= 0, replica: kafka.NodeID(id), brokerEpoch: kafka.BrokerEpoch(epoch),
		committed: req.IsolationLevel == 1 && id < 0, onlyLeader: id >= 0 || req.Version < 11, usesIDs: usesIDs(req),
		minBytes: int64(min(req.MinBytes, maxBytes)), maxBytes: maxBytes, parts: q.parts[:0],
	}
	return q
}

// doneFetch keeps the memory of q for another fetch. The records that q has
// read are in it: its answer must be encoded before the task blocks again.
func (m *Manager) doneFetch(q *fetch) {
	for i := range q.parts {
		q.parts[i] = fetchPart{memory: q.parts[i].memory}
	}
	q.session = nil
	m.fetches = append(m.fetches, q)
}

func (q *fetch) add(key sessionKey, a asked, c *cached) {
	part := fetchPart{key: key, asked: a, cached: c}
	if n := len(q.parts); n < cap(q.parts) {
		part.memory = q.parts[:n+1][n].memory
	}
	q.parts = append(q.parts, part)
}

// dropRepeated leaves one of the parts that ask for the same partition: the last,
// instead of the first, as Kafka's map of them does.
func (q *fetch) dropRepeated() {
	if len(q.parts) < 2 {
		return
	}
	at := make(map[sessionKey]int, len(q.parts))
	kept := q.parts[:0]
	for _, part := range q.parts {
		if i, repeated := at[part.key]; repeated {
			kept[i] = part
			continue
		}
		at[part.key] = len(kept)
		kept = append(kept, part)
	}
	clear(q.parts[len(kept):])
	q.parts = kept
}

// read reads all partitions and reports whether that is enough of an answer. It
// blocks for as long as that takes. count is of the first time: then a follower's fetch says how far it is.
func (q *fetch) read(count bool) (enough bool) {
	var total int64
	left, minOne := q.maxBytes, true
	for i := range q.parts {
		part := &q.parts[i]
		if err := q.readPart(part, left, minOne, count); err != nil {
			part.fail(err)
			enough = true
		}
		n := int32(len(part.out.RecordBatches))
		if n > 0 {
			minOne = false
		}
		left = max(0, left-n)
		total += int64(n)
		if part.out.DivergingEpoch.Epoch >= 0 {
			enough = true
		}
	}
	q.m.spendOnFetch(len(q.parts), total)
	return enough || total >= q.minBytes || len(q.parts) == 0
}

func (part *fetchPart) fail(err error) {
	part.out = kmsg.NewFetchResponseTopicPartition()
	part.out.Partition = part.key.id
	part.out.ErrorCode = kafka.Code(err)
	part.out.HighWatermark, part.out.LogStartOffset = -1, -1
	if err == kerr.UnknownTopicOrPartition || err == kerr.UnknownTopicID {
		// Kafka finds these out before it comes to the replicas: the answer is made
		// at another index, and stands behind theirs.
		part.unknown = true
		part.out.AbortedTransactions = []kmsg.FetchResponseTopicPartitionAbortedTransaction{}
	}
}

// readPart answers for one partition. It blocks while the disk is slow.
func (q *fetch) readPart(part *fetchPart, left int32, minOne, count bool) error {
	p, err := part.find(q.m)
	if err != nil {
		return err
	}
	p.gate.enter()
	defer p.gate.leave()
	if err := p.checkReadable(part.epoch, q.onlyLeader); err != nil {
		return err
	}
	// Marks are taken before the fetch is counted: what it lets the high
	// watermark do, the follower learns with its next fetch.
	out := &part.out
	*out = kmsg.NewFetchResponseTopicPartition()
	out.Partition = part.key.id
	stable := p.lastStable()
	if q.committed && p.m.bugs.On(planted.DoubleReadLSO) {
		stable = p.stableOfTwoReads()
	}
	out.HighWatermark, out.LastStableOffset, out.LogStartOffset = int64(p.hw), int64(stable), int64(p.log.StartOffset())
	committed := q.committed && !q.forgetsIsolation(part, p, count)
	if q.follower {
		part.seen = p.end
		diverging, err := p.serveFollower(q, part, count)
		if err != nil || diverging {
			return err
		}
	} else {
		part.seen = p.hw
		if committed {
			part.seen = kafka.Offset(out.LastStableOffset)
		}
		if err := p.checkDivergence(part); err != nil || out.DivergingEpoch.Epoch >= 0 {
			return err
		}
	}
	out.RecordBatches, err = p.log.ReadInto(&part.memory, part.from, part.seen, min(part.maxBytes, left), minOne)
	if err == nil && committed {
		part.fillAborted(p)
		q.forgetsAborted(part, p, count)
	}
	return err
}

// forgetsIsolation is what a planted bug does: a fetch that has waited is read as if
// read_uncommitted.
func (q *fetch) forgetsIsolation(part *fetchPart, p *Partition, first bool) bool {
	if first || !p.m.bugs.On(planted.FetchDelayedUncommitted) {
		return false
	}
	p.m.bugs.Infected(planted.FetchDelayedUncommitted, p.lastStable() < p.hw && part.from < p.hw)
	return true
}

// forgetsAborted is what a planted bug does: a fetch that has waited is answered without
// the aborted transactions.
func (q *fetch) forgetsAborted(part *fetchPart, p *Partition, first bool) {
	if first || !p.m.bugs.On(planted.FetchDelayedNoAbortedList) {
		return
	}
	p.m.bugs.Infected(planted.FetchDelayedNoAbortedList, len(part.out.AbortedTransactions) > 0)
	part.out.AbortedTransactions = part.out.AbortedTransactions[:0]
}

// find finds the partition. A session remembers it from the last time, and of a
// topic that has gone at least the name: as in Kafka it is missed by name then.
func (part *fetchPart) find(m *Manager) (p *Partition, err error) {
	c := part.cached
	if c != nil && c.p != nil && !c.p.stopped {
		part.p = c.p
		return c.p, nil
	}
	p, err = m.lookup(part.key)
	part.p = p
	if c == nil {
		return p, err
	}
	c.p = p
	switch {
	case err != kerr.UnknownTopicID:
		c.name = m.topicName(part.key)
	case c.name != "" && m.im.Topic(c.name) != nil:
		return nil, kerr.InconsistentTopicID // another topic of that name
	case c.name != "":
		return nil, kerr.UnknownTopicOrPartition
	}
	return p, err
}

// serveFollower checks and counts a follower's fetch.
func (p *Partition) serveFollower(q *fetch, part *fetchPart, count bool) (diverging bool, err error) {
	// Perhaps a replica that the metadata log has not named yet, or one that does
	// not say which leader it means: neither may count.
	f := find(p.followers, q.replica)
	switch {
	case part.epoch == kafka.NoEpoch:
		return false, kerr.NotLeaderForPartition
	case f == nil:
		return false, kerr.UnknownLeaderEpoch
	}
	if err := p.checkDivergence(part); err != nil {
		return false, err
	}
	diverging = part.out.DivergingEpoch.Epoch >= 0
	if diverging {
		p.m.host.Reached(ProbeFetchDiverged)
		// What a diverged follower has below its fetch offset is not what the
		// leader has there, so it says nothing about replication (KAFKA-13141).
		if !count || !p.m.bugs.On(planted.CountDivergedFetch) {
			return true, nil
		}
		p.m.bugs.Infected(planted.CountDivergedFetch, true)
	} else if part.from < p.log.StartOffset() || part.from > p.end {
		return false, kerr.OffsetOutOfRange
	}
	if count {
		err = p.count(f, min(part.from, p.end), part.start, p.end, part.epoch, q.brokerEpoch)
	}
	return diverging, err
}

// checkDivergence compares the epoch of the last record that the fetcher has
// with what the leader's log says of it (KIP-595). The answer goes into out.
func (p *Partition) checkDivergence(part *fetchPart) error {
	if part.last == kafka.NoEpoch {
		return nil
	}
	epoch, end := p.log.EndOffsetFor(part.last)
	if epoch == kafka.NoEpoch || part.from < p.log.StartOffset() {
		return kerr.OffsetOutOfRange
	}
	if !diverges(part.from, part.last, epoch, end) {
		return nil
	}
	if p.m.bugs.On(planted.NoDivergenceCheck) {
		p.m.bugs.Infected(planted.NoDivergenceCheck, true)
		return nil
	}
	part.out.DivergingEpoch.Epoch, part.out.DivergingEpoch.EndOffset = int32(epoch), int64(end)
	return nil
}

// fillAborted lists the aborted transactions among what was read, for the
// reader to leave out.
func (part *fetchPart) fillAborted(p *Partition) {
	part.out.AbortedTransactions = []kmsg.FetchResponseTopicPartitionAbortedTransaction{}
	if len(part.out.RecordBatches) == 0 {
		return
	}
	for _, t := range p.log.AbortedTxns(part.from, endOf(part.out.RecordBatches)) {
		a := kmsg.NewFetchResponseTopicPartitionAbortedTransaction()
		a.ProducerID, a.FirstOffset = int64(t.ProducerID), int64(t.First)
		part.out.AbortedTransactions = append(part.out.AbortedTransactions, a)
	}
}

// endOf is the offset after the last whole batch.
func endOf(batches []byte) (end kafka.Offset) {
	for {
		b, rest, err := record.Next(batches)
		if err != nil {
			return end
		}
		end, batches = b.NextOffset(), rest
	}
}

// await waits in purgatory until there may be more to read, with the isolation
// that the request asks for, or until a partition has to be answered anyway.
func (q *fetch) await(timeout time.Duration) bool {
	w := q.m.purgatory.begin(q, len(q.parts))
	for i := range q.parts {
		p := q.parts[i].p
		if q.follower {
			w.watch(&p.grown)
		} else {
			w.watch(&p.moved)
		}
	}
	return w.sleep(timeout)
}

// ready is the condition of a fetch in purgatory.
func (q *fetch) ready(i int) bool {
	part := &q.parts[i]
	p := part.p
	if p.checkReadable(part.epoch, q.onlyLeader) != nil {
		return true
	}
	switch {
	case q.follower:
		return p.end != part.seen
	case q.committed:
		return p.lastStable() != part.seen
	}
	return p.hw != part.seen
}

// answer puts the partitions into resp, and keeps the session up to date.
func (q *fetch) answer(resp *kmsg.FetchResponse) {
	if x := q.session; x != nil {
		if x.epoch != q.expected || x.dropped {
			resp.ErrorCode = kerr.InvalidFetchSessionEpoch.Code
			resp.SessionID = x.id
			return
		}
		resp.SessionID = x.id
	}
	if q.full && q.keep {
		resp.SessionID = q.m.sessions.begin(q)
	}
	unknown := 0
	for i := range q.parts {
		if part := &q.parts[i]; part.unknown {
			unknown++
		} else {
			q.answerPart(resp, part)
		}
	}
	for i := 0; i < len(q.parts) && unknown > 0; i++ {
		if part := &q.parts[i]; part.unknown {
			unknown--
			q.answerPart(resp, part)
		}
	}
}

// tellRead tells of each batch that a consumer is given, of read_committed ones or not.
func (p *Partition) tellRead(batches []byte, committed bool) {
	for {
		b, rest, err := record.Next(batches)
		if err != nil {
			return
		}
		p.m.host.Tell(p.m.told.readServed.Put(witness.ReadServed{Replica: p.self, Batch: witness.BatchOf(b), Committed: committed}))
		batches = rest
	}
}

// answerPart adds a partition to resp, unless the session's fetcher knows all
// that there is to answer.
func (q *fetch) answerPart(resp *kmsg.FetchResponse, part *fetchPart) {
	if part.cached != nil {
		if !part.cached.mustAnswer(&part.out) {
			return
		}
		if len(part.out.RecordBatches) > 0 {
			part.cached.item.Remove()
			q.session.parts.Push(&part.cached.item)
		}
	}
	n := len(resp.Topics)
	if n == 0 || resp.Topics[n-1].TopicID != part.key.topic || resp.Topics[n-1].Topic != part.key.name {
		t := kmsg.NewFetchResponseTopic()
		if n < cap(resp.Topics) {
			t.Partitions = resp.Topics[:n+1][n].Partitions[:0] // memory of an earlier answer
		}
		t.TopicID, t.Topic = part.key.topic, part.key.name
		resp.Topics = append(resp.Topics, t)
		n++
	}
	t := &resp.Topics[n-1]
	t.Partitions = append(t.Partitions, part.out)
	if !q.follower && part.p != nil {
		part.p.tellRead(part.out.RecordBatches, q.committed)
	}
}
