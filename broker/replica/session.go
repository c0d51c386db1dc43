package replica

import (
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/ktrial/ktrial/broker/kafka"
	"github.com/ktrial/ktrial/internal/list"
	"github.com/ktrial/ktrial/sim/env"
)

// fetchSessions is the leader's side of incremental fetch sessions (KIP-227):
// it remembers of each session what was asked for and what was last answered, so
// that requests and answers need only carry what has changed.
type fetchSessions struct {
	host  env.Host
	slots int
	// oldest first: a session that is used moves to the end.
	list []listed
}

// listed is a session with its id at hand: the sessions that are looked past are
// in no cache.
type listed struct {
	id int32
	x  *fetchSession
}

// fetchSession is one session. Its partitions are asked for in their order;
// one that had records goes to the end, so that all get their turn.
type fetchSession struct {
	id, epoch int32 // epoch of the next request
	dropped   bool  // it is no session any more; a request that is still being answered for it must know
	follower  bool  // privileged: no consumer replaces it
	usesIDs   bool  // v13 and later: topics go by their ids
	created   time.Duration
	used      time.Duration
	// unknown counts the partitions that were added although their topic did
	// not exist; they are not counted out again.
	unknown int
	byKey   map[sessionKey]*cached
	parts   list.List[cached]
}

// sessionKey names a partition as the request does: by the id of its topic, or
// by the name.
type sessionKey struct {
	topic kafka.UUID
	name  string
	id    int32
}

// cached is what a session knows of a partition.
type cached struct {
	key   sessionKey
	asked asked
	item  list.Item[cached] // among the session's partitions
	// What was last answered. A high watermark of -1 has the partition answered again.
	hw, start int64
	p         *Partition // that key meant last; nil at first
	name      string     // of the topic, if it was ever known
}

// maxUnknown is how many partitions of topics that do not exist one session
// remembers. Kafka has no bound: there a single request of a hundred megabytes
// stays in memory as long as its session.
const maxUnknown = 100

// asked is what a fetch asks of one partition.
type asked struct {
	from, start kafka.Offset
	epoch, last kafka.LeaderEpoch // of the fetcher's leader; of its last record
	maxBytes    int32
}

// The epochs of a session that mean something else.
const (
	initialSessionEpoch = 0  // a full fetch, which may begin a session
	finalSessionEpoch   = -1 // a full fetch without one
)

func (s *fetchSessions) find(id int32) *fetchSession {
	for _, l := range s.list {
		if l.id == id {
			return l.x
		}
	}
	return nil
}

// open finds out what req is about. A full fetch closes the session it names;
// an incremental one changes its session. Errors are of the whole request.
func (s *fetchSessions) open(q *fetch, req *kmsg.FetchRequest) error {
	if req.SessionEpoch == initialSessionEpoch || req.SessionEpoch == finalSessionEpoch {
		if req.SessionID != 0 {
			s.drop(s.find(req.SessionID))
		}
		q.keep = req.SessionEpoch == initialSessionEpoch
		q.askAll(req)
		return nil
	}
	x := s.find(req.SessionID)
	switch {
	case x == nil:
		return kerr.FetchSessionIDNotFound
	case x.epoch != req.SessionEpoch:
		return kerr.InvalidFetchSessionEpoch
	case x.usesIDs != usesIDs(req):
		return kerr.FetchSessionTopicIDError
	}
	x.update(req, q.m)
	if x.parts.Empty() {
		// Without partitions there is no session. What the request asks for is
		// answered all the same, even what it forgets in the same breath.
		s.drop(x)
		q.askAll(req)
		return nil
	}
	s.touch(x)
	x.epoch = nextSessionEpoch(x.epoch)
	q.session, q.expected = x, x.epoch
	for c := x.parts.First(); c != nil; c = c.item.Next() {
		q.add(c.key, c.asked, c)
	}
	return nil
}

// askAll makes q a full fetch of all that req names.
func (q *fetch) askAll(req *kmsg.FetchRequest) {
	q.full = true
	eachAsked(req, func(key sessionKey, a asked) { q.add(key, a, nil) })
	q.dropRepeated()
}

func usesIDs(req *kmsg.FetchRequest) bool { return req.Version >= 13 }

// eachAsked visits the partitions of req.
func eachAsked(req *kmsg.FetchRequest, visit func(sessionKey, asked)) {
	for i := range req.Topics {
		t := &req.Topics[i]
		for j := range t.Partitions {
			p := &t.Partitions[j]
			key := sessionKey{topic: t.TopicID, id: p.Partition}
			if !usesIDs(req) {
				key = sessionKey{name: t.Topic, id: p.Partition}
			}
			visit(key, asked{
				from: kafka.Offset(p.FetchOffset), start: kafka.Offset(p.LogStartOffset),
				// Of a fetch any epoch below 0 is none, unlike of other requests.
				epoch: max(kafka.NoEpoch, kafka.LeaderEpoch(p.CurrentLeaderEpoch)), last: max(kafka.NoEpoch, kafka.LeaderEpoch(p.LastFetchedEpoch)),
				maxBytes: max(0, p.PartitionMaxBytes),
			})
		}
	}
}

// update takes over what req adds, changes and forgets.
func (x *fetchSession) update(req *kmsg.FetchRequest, m *Manager) {
	eachAsked(req, func(key sessionKey, a asked) {
		if c := x.find(key); c != nil {
			if x.follower && c.asked.epoch != a.epoch {
				// A follower throws away what it was answered in another epoch. Kafka
				// does not answer it again, so that a high watermark may come late.
				c.hw = -1
			}
			c.asked = a
		} else if name := m.topicName(key); x.admits(m, name) {
			x.add(&cached{key: key, asked: a, hw: -1, start: -1, name: name})
		}
	})
	for i := range req.ForgottenTopics {
		t := &req.ForgottenTopics[i]
		for _, id := range t.Partitions {
			key := sessionKey{topic: t.TopicID, id: id}
			if !x.usesIDs {
				key = sessionKey{name: t.Topic, id: id}
			}
			if c := x.find(key); c != nil {
				c.item.Remove()
				delete(x.byKey, key)
			}
		}
	}
}

// find is what x knows of a partition, or nil. In a large cluster most
// sessions are of a single one.
func (x *fetchSession) find(key sessionKey) *cached {
	if c := x.parts.First(); c != nil && c.key == key {
		return c
	}
	return x.byKey[key]
}

// admits reports whether a partition of that topic may be added. One that may
// not is left out of the answers, and the fetcher asks again.
func (x *fetchSession) admits(m *Manager, topic string) bool {
	if m.knows(topic) {
		return true
	}
	x.unknown++
	return x.unknown <= maxUnknown
}

func (x *fetchSession) add(c *cached) {
	x.byKey[c.key] = c
	c.item.Init(c)
	x.parts.Push(&c.item)
}

// mustAnswer reports whether an incremental answer must carry out, and
// records what it says.
func (c *cached) mustAnswer(out *kmsg.FetchResponseTopicPartition) bool {
	tell := len(out.RecordBatches) > 0 || c.hw != out.HighWatermark || c.start != out.LogStartOffset ||
		out.ErrorCode != 0 || out.PreferredReadReplica >= 0 ||
		out.DivergingEpoch.Epoch >= 0 // with no records either: else the follower would never truncate
	c.took(out)
	return tell
}

// took records what the fetcher knows from out. From an error it learns no
// marks, and with a diverging epoch it ignores them, since they are not true of
// its log: they are answered again next time, even if nothing has changed. (Kafka
// forgets the second case, so that a follower of an idle leader may keep an old
// high watermark after it has truncated.)
func (c *cached) took(out *kmsg.FetchResponseTopicPartition) {
	c.hw, c.start = out.HighWatermark, out.LogStartOffset
	if out.ErrorCode != 0 || out.DivergingEpoch.Epoch >= 0 {
		c.hw = -1
	}
}

// begin makes a session of a full fetch, if there is room for it. It returns
// its id, or 0.
func (s *fetchSessions) begin(q *fetch) int32 {
	if !s.fits(q) || len(s.list) >= s.slots && !s.evict(q.follower, len(q.parts)) {
		return 0
	}
	x := &fetchSession{
		id: s.newID(), epoch: 1, follower: q.follower, usesIDs: q.usesIDs, created: s.host.Uptime(),
		byKey: make(map[sessionKey]*cached, len(q.parts)),
	}
	for i := range q.parts {
		part := &q.parts[i]
		if x.byKey[part.key] != nil {
			continue
		}
		c := &cached{key: part.key, asked: part.asked, name: q.m.topicName(part.key)}
		c.took(&part.out)
		x.add(c)
		if !q.m.knows(c.name) {
			x.unknown++
		}
	}
	s.push(x)
	return x.id
}

// fits reports whether the partitions of a full fetch may be remembered.
func (s *fetchSessions) fits(q *fetch) bool {
	unknown := 0
	for i := range q.parts {
		if !q.m.knows(q.m.topicName(q.parts[i].key)) {
			unknown++
		}
	}
	return unknown <= maxUnknown
}

func (s *fetchSessions) newID() int32 {
	for {
		if id := 1 + s.host.Rand().Int32N(1<<31-2); s.find(id) == nil {
			return id
		}
	}
}

func (s *fetchSessions) drop(x *fetchSession) {
	if x != nil {
		s.list = slices.DeleteFunc(s.list, func(l listed) bool { return l.x == x })
		x.dropped = true
	}
}

func (s *fetchSessions) touch(x *fetchSession) {
	s.drop(x)
	s.push(x)
}

func (s *fetchSessions) push(x *fetchSession) {
	x.used, x.dropped = s.host.Uptime(), false
	s.list = append(s.list, listed{x.id, x})
}

// evict makes room for a session of that many partitions: it drops one
// long unused, else of the least valuable one, if it is worth less. Followers
// are worth more than consumers, then many partitions more than few; a young
// session is safe from its own kind.
func (s *fetchSessions) evict(follower bool, size int) bool {
	now := s.host.Uptime()
	if len(s.list) == 0 {
		return false
	}
	if oldest := s.list[0].x; now-oldest.used > sessionEviction {
		s.drop(oldest)
		return true
	}
	var worst *fetchSession
	for _, l := range s.list {
		x := l.x
		old := now-x.created > sessionEviction
		if evictable := old || follower && !x.follower; evictable && (worst == nil || x.worthLess(worst)) {
			worst = x
		}
	}
	if worst == nil || worst.follower && !follower || worst.follower == follower && size < len(worst.byKey) {
		return false
	}
	s.drop(worst)
	return true
}

func (x *fetchSession) worthLess(y *fetchSession) bool {
	if x.follower != y.follower {
		return y.follower
	}
	return len(x.byKey) < len(y.byKey)
}
