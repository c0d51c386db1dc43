package replica

import (
	"slices"
	"strconv"
	"time"
	"unicode/utf16"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/ktrial/ktrial/broker/kafka"
	"github.com/ktrial/ktrial/broker/wire"
	"github.com/ktrial/ktrial/broker/witness"
	"github.com/ktrial/ktrial/sim/env"
)

// fetcher is a task that follows one other broker: it fetches for its share of the
// partitions which that broker leads and this one has a replica of, one request
// at a time. It ends when there are none left. There are num.replica.fetchers for
// each broker.
type fetcher struct {
	m *Manager
	fetcherKey
	parts []*fetching
	byKey map[partKey]*fetching
	wake  env.Signal
	conn  *wire.Conn
	session
	ended bool
}

// fetcherKey names a fetcher: of the broker that it follows there may be several.
type fetcherKey struct {
	leader kafka.NodeID
	id     int32
}

// fetcherOf is the one of n fetchers that has a partition, as in Kafka's
// AbstractFetcherManager.getFetcherId.
func fetcherOf(tp kafka.TopicPartition, n int32) int32 {
	if n <= 1 {
		return 0
	}
	var hash int32 // Java's, of the topic's name
	for _, c := range utf16.Encode([]rune(tp.Topic)) {
		hash = 31*hash + int32(c)
	}
	hash = 31*hash + tp.Partition
	if hash < 0 {
		hash = max(0, -hash) // of the least number there is no opposite
	}
	return hash % n
}

// partKey names a partition within a fetch session.
type partKey struct {
	topic kafka.UUID
	id    int32
}

// fetching is a partition that a fetcher has, for one leader epoch. The
// partition points back to it, so a fetching that it does not point to is over.
type fetching struct {
	fetcher *fetcher
	p       *Partition
	key     partKey
	epoch   kafka.LeaderEpoch
	// until is when it may be fetched again after an error.
	until time.Duration
	// fenced: the leader has a newer epoch. There is nothing to do until the
	// metadata log names it.
	fenced bool
	// sent is what the session knows of the partition, if inSession.
	sent      position
	inSession bool
}

// position is what a fetch says of a partition.
type position struct {
	epoch, last kafka.LeaderEpoch
	from, start kafka.Offset
}

// fetchVersion is Fetch's: 17 names topics by their ids and the replica by its
// broker epoch.
const fetchVersion = 17

// follow has p fetch from its leader.
func (m *Manager) follow(p *Partition) {
	key := fetcherKey{p.leader, fetcherOf(p.tp, m.cfg.Fetchers)}
	f := m.fetchers[key]
	if f == nil {
		f = &fetcher{m: m, fetcherKey: key, byKey: map[partKey]*fetching{}, wake: m.host.NewSignal("fetcher")}
		m.fetchers[key] = f
		m.host.Go("fetcher from broker "+strconv.Itoa(int(p.leader)), f.run)
	}
	part := &fetching{fetcher: f, p: p, key: partKey{p.topic, p.tp.Partition}, epoch: p.epoch}
	p.fetching = part
	f.parts = append(f.parts, part)
	f.byKey[part.key] = part
	if at := slices.Index(f.forgotten, part.key); at >= 0 {
		// The leader has not been told to forget it, and has it as it was: if it is taken out
		// again before the next request, then it must be told (else it answers for it for ever).
		f.forgotten = slices.Delete(f.forgotten, at, at+1)
		part.inSession, part.sent = true, position{epoch: kafka.NoEpoch, from: kafka.NoOffset}
	}
	f.wake.Notify()
}

// remove takes part out. The last one ends the fetcher, even in the middle of
// a call.
func (f *fetcher) remove(part *fetching) {
	f.parts = slices.DeleteFunc(f.parts, func(x *fetching) bool { return x == part })
	delete(f.byKey, part.key)
	if part.inSession {
		f.forgotten = append(f.forgotten, part.key)
	}
	if len(f.parts) == 0 {
		f.end()
	}
}

func (f *fetcher) end() {
	f.ended = true
	delete(f.m.fetchers, f.fetcherKey)
	f.disconnect()
	f.wake.Notify()
}

func (f *fetcher) disconnect() {
	if f.conn != nil {
		f.conn.Close()
		f.conn = nil
	}
	f.session.restart(f.parts)
}

func (f *fetcher) run() {
	for !f.ended {
		if wait := f.idle(); wait != 0 {
			f.wake.Wait(wait)
			continue
		}
		f.once()
	}
}

// idle is how long there is nothing to fetch: zero is not at all.
func (f *fetcher) idle() time.Duration {
	now, wait := f.m.host.Uptime(), env.Forever
	for _, part := range f.parts {
		switch {
		case part.fenced:
		case part.until <= now:
			return 0
		case wait < 0 || part.until-now < wait:
			wait = part.until - now
		}
	}
	return wait
}

// ready reports whether part may be fetched now.
func (part *fetching) ready(now time.Duration) bool { return !part.fenced && part.until <= now }

// position is where part goes on.
func (part *fetching) position() position {
	l := part.p.log
	return position{epoch: part.epoch, last: l.LatestEpoch(), from: part.p.end, start: l.StartOffset()}
}

// once fetches once.
func (f *fetcher) once() {
	req := f.session.request(f)
	resp, err := f.call(req, f.m.cfg.SocketTimeout)
	if f.ended {
		return
	}
	if err != nil {
		f.disconnect()
		f.delay(f.parts...)
		return
	}
	f.m.host.Yield("replica fetch")
	f.m.spendOnFetched(resp.(*kmsg.FetchResponse))
	if !f.ended {
		f.handle(resp.(*kmsg.FetchResponse))
	}
	if f.conn != nil {
		f.conn.Recycle(resp)
	}
}

// call asks the leader's broker.
func (f *fetcher) call(req kmsg.Request, timeout time.Duration) (kmsg.Response, error) {
	if f.conn == nil {
		addr, err := f.m.address(f.leader)
		if err != nil {
			return nil, err
		}
		conn, err := wire.Dial(f.m.host, addr, f.m.clientID, f.m.cfg.SocketTimeout)
		if err != nil {
			return nil, err
		}
		if f.ended {
			conn.Close()
			return nil, env.ErrClosed
		}
		conn.SetBuffers(0, f.m.cfg.ReceiveBuffer)
		conn.Borrow() // what was fetched is in the log before the next fetch
		f.conn = conn
	}
	return f.conn.Call(req, timeout)
}

// delay keeps parts back for a while.
func (f *fetcher) delay(parts ...*fetching) {
	until := f.m.host.Uptime() + f.m.cfg.FetchBackoff
	for _, part := range parts {
		part.until = max(part.until, until)
	}
}

func (f *fetcher) handle(resp *kmsg.FetchResponse) {
	if !f.session.answered(f, resp) {
		return // the next fetch begins a new session
	}
	var outOfRange []*fetching
	for i := range resp.Topics {
		t := &resp.Topics[i]
		for j := range t.Partitions {
			part := f.find(partKey{t.TopicID, t.Partitions[j].Partition})
			if part == nil || !part.inSession {
				continue // moved away, or moved away and come back, while we asked
			}
			if part.sent.epoch != part.epoch {
				f.m.host.Reached(ProbeAnswerOfBefore)
				continue // the session has it still, in the epoch of before
			}
			if f.handlePartition(part, &t.Partitions[j]) == kerr.OffsetOutOfRange {
				outOfRange = append(outOfRange, part)
			}
			if f.ended {
				return
			}
		}
	}
	for _, part := range outOfRange {
		f.backInRange(part)
	}
}

// find is the part of that name, or nil. In a large cluster most fetchers have
// a single one.
func (f *fetcher) find(key partKey) *fetching {
	if part := f.parts[0]; part.key == key {
		return part
	}
	return f.byKey[key]
}

// handlePartition takes in what came for part, and returns the leader's error.
func (f *fetcher) handlePartition(part *fetching, in *kmsg.FetchResponseTopicPartition) error {
	err := kerr.ErrorForCode(in.ErrorCode)
	switch err {
	case nil:
		if in.DivergingEpoch.Epoch >= 0 {
			// Nothing else in the answer is true of the log once it is cut.
			part.p.diverged(part, kafka.LeaderEpoch(in.DivergingEpoch.Epoch), kafka.Offset(in.DivergingEpoch.EndOffset))
			return nil
		}
		err := part.p.appendFetched(part, part.sent.from, in.RecordBatches, kafka.Offset(in.HighWatermark), kafka.Offset(in.LogStartOffset))
		if err != nil && err != errNotFollowing {
			f.m.host.Tell(&witness.NotAppended{Replica: part.p.self, At: part.sent.from, Leader: f.leader, Error: witness.ErrorOf(err)})
			f.delay(part)
		}
	case kerr.OffsetOutOfRange:
	case kerr.FencedLeaderEpoch:
		part.fenced = true
	default:
		f.delay(part)
	}
	return err
}

// backInRange finds out what of the leader's log there is to fetch, after it
// had nothing at our log end.
func (f *fetcher) backInRange(part *fetching) {
	end, err := f.listOffset(part, kafka.LatestOffset)
	if err != nil {
		f.delay(part)
		return
	}
	if part.p.dropsImpossibleEpoch(part) {
		return
	}
	own := part.p.end
	if end < own {
		// Only an unclean election leads here; records may differ even below.
		part.p.locked(part, func() { part.p.cut(end) })
		return
	}
	start, err := f.listOffset(part, kafka.EarliestOffset)
	if err != nil {
		f.delay(part)
		return
	}
	if start > own {
		part.p.locked(part, func() { part.p.restart(start) })
	}
}

// listOffset asks the leader where its log ends or starts; replicas are answered
// of the log end, not of the high watermark.
func (f *fetcher) listOffset(part *fetching, timestamp kafka.Offset) (kafka.Offset, error) {
	req := kmsg.NewPtrListOffsetsRequest()
	req.Version = 7
	req.ReplicaID = int32(f.m.cfg.NodeID)
	t := kmsg.NewListOffsetsRequestTopic()
	t.Topic = part.p.tp.Topic
	p := kmsg.NewListOffsetsRequestTopicPartition()
	p.Partition, p.CurrentLeaderEpoch, p.Timestamp = part.key.id, int32(part.epoch), int64(timestamp)
	t.Partitions = append(t.Partitions, p)
	req.Topics = append(req.Topics, t)
	resp, err := f.call(req, f.m.cfg.SocketTimeout)
	if err != nil {
		f.disconnect()
		return 0, err
	}
	for _, t := range resp.(*kmsg.ListOffsetsResponse).Topics {
		for _, p := range t.Partitions {
			return kafka.Offset(p.Offset), kerr.ErrorForCode(p.ErrorCode)
		}
	}
	return 0, kerr.UnknownServerError
}

// locked does f while p follows as part says, if it still does.
func (p *Partition) locked(part *fetching, f func()) {
	p.gate.enter()
	defer p.gate.leave()
	if p.fetching == part {
		f()
	}
}
