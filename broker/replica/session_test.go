package replica

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/ktrial/ktrial/broker/kafka"
	"github.com/ktrial/ktrial/sim"
	"github.com/ktrial/ktrial/sim/env"
)

// sessionTest asks a leader's sessions without a leader: what each partition
// would answer is in state.
type sessionTest struct {
	t     *testing.T
	m     *Manager
	h     env.Host
	state map[int32]kmsg.FetchResponseTopicPartition
}

func withSessions(t *testing.T, slots int, f func(x *sessionTest)) {
	sim.RunHost(t, 1, func(h env.Host) {
		x := &sessionTest{t: t, h: h, state: map[int32]kmsg.FetchResponseTopicPartition{}}
		x.m = &Manager{host: h, sessions: fetchSessions{host: h, slots: slots}}
		for i := range int32(5) {
			x.set(i, func(*kmsg.FetchResponseTopicPartition) {})
		}
		f(x)
	})
}

func (x *sessionTest) set(partition int32, change func(p *kmsg.FetchResponseTopicPartition)) {
	p, known := x.state[partition]
	if !known {
		p = kmsg.NewFetchResponseTopicPartition()
		p.Partition = partition
	}
	change(&p)
	x.state[partition] = p
}

type sessionRequest struct {
	id, epoch   int32
	ask, forget []int32
	version     int16
	replica     int32
}

// fetch returns the session, the partitions that were answered, and the error.
func (x *sessionTest) fetch(r sessionRequest) (id int32, told []int32, err error) {
	req := kmsg.NewPtrFetchRequest()
	req.Version, req.SessionID, req.SessionEpoch = 17, r.id, r.epoch
	if r.version != 0 {
		req.Version = r.version
	}
	req.ReplicaState.ID = r.replica
	t := kmsg.NewFetchRequestTopic()
	t.TopicID = topicID
	for _, i := range r.ask {
		p := kmsg.NewFetchRequestTopicPartition()
		p.Partition = i
		t.Partitions = append(t.Partitions, p)
	}
	req.Topics = append(req.Topics, t)
	f := kmsg.NewFetchRequestForgottenTopic()
	f.TopicID, f.Partitions = topicID, r.forget
	req.ForgottenTopics = append(req.ForgottenTopics, f)

	q := x.m.newFetch(req)
	defer x.m.doneFetch(q)
	if err := x.m.sessions.open(q, req); err != nil {
		return 0, nil, err
	}
	for i := range q.parts {
		q.parts[i].out = x.state[q.parts[i].key.id]
	}
	resp := kmsg.NewPtrFetchResponse()
	q.answer(resp)
	for _, t := range resp.Topics {
		for _, p := range t.Partitions {
			told = append(told, p.Partition)
		}
	}
	return resp.SessionID, told, kerr.ErrorForCode(resp.ErrorCode)
}

func TestSession_TellsWhatHasChanged(t *testing.T) {
	withSessions(t, 10, func(x *sessionTest) {
		id, told, err := x.fetch(sessionRequest{ask: []int32{0, 1, 2}, replica: 2})
		assert.NoError(t, err)
		assert.NotZero(t, id)
		assert.Equal(t, []int32{0, 1, 2}, told, "a full fetch is answered in full")

		epoch := int32(0)
		next := func(why string, want ...int32) {
			t.Helper()
			epoch++
			_, told, err := x.fetch(sessionRequest{id: id, epoch: epoch, replica: 2})
			assert.NoError(t, err, why)
			assert.Equal(t, want, told, why)
		}
		next("nothing is new")
		x.set(1, func(p *kmsg.FetchResponseTopicPartition) { p.HighWatermark = 7 })
		next("the high watermark moved", 1)
		next("that was told")
		x.set(0, func(p *kmsg.FetchResponseTopicPartition) { p.LogStartOffset = 3 })
		next("the log start moved", 0)
		x.set(2, func(p *kmsg.FetchResponseTopicPartition) { p.ErrorCode = kerr.NotLeaderForPartition.Code })
		next("an error is told", 2)
		next("again and again", 2)
		x.set(2, func(p *kmsg.FetchResponseTopicPartition) { p.ErrorCode = 0 })
		next("and that it is over", 2)
		next("once")
		x.set(1, func(p *kmsg.FetchResponseTopicPartition) { p.DivergingEpoch.Epoch, p.DivergingEpoch.EndOffset = 1, 5 })
		next("a diverging epoch without records is told, or the follower never truncates (ak#9567)", 1)
		x.set(1, func(p *kmsg.FetchResponseTopicPartition) {
			*p = kmsg.NewFetchResponseTopicPartition()
			p.Partition, p.HighWatermark = 1, 7
		})
		next("the marks that came with it were ignored, so they are told again", 1)
		next("once")

		x.set(0, func(p *kmsg.FetchResponseTopicPartition) { p.RecordBatches = []byte("records") })
		x.set(2, func(p *kmsg.FetchResponseTopicPartition) { p.RecordBatches = []byte("records") })
		next("records are told", 0, 2)
		next("a partition that had records goes to the end: 1, 0, 2", 0, 2)
		x.set(1, func(p *kmsg.FetchResponseTopicPartition) { p.RecordBatches = []byte("records") })
		next("a partition that had none comes first", 1, 0, 2)
	})
}

func TestSession_ChangesWithEachRequest(t *testing.T) {
	withSessions(t, 10, func(x *sessionTest) {
		id, _, _ := x.fetch(sessionRequest{ask: []int32{0, 1}})
		_, told, err := x.fetch(sessionRequest{id: id, epoch: 1, ask: []int32{3}, forget: []int32{0}})
		assert.NoError(t, err)
		assert.Equal(t, []int32{3}, told, "a new partition is told in full")
		x.set(0, func(p *kmsg.FetchResponseTopicPartition) { p.HighWatermark = 7 })
		_, told, _ = x.fetch(sessionRequest{id: id, epoch: 2})
		assert.Empty(t, told, "0 was forgotten")
		_, _, err = x.fetch(sessionRequest{id: id, epoch: 3, forget: []int32{1, 3}})
		assert.NoError(t, err)
		assert.Empty(t, x.m.sessions.list, "a session of no partitions ends")
	})
}

func TestSession_Errors(t *testing.T) {
	withSessions(t, 10, func(x *sessionTest) {
		id, _, _ := x.fetch(sessionRequest{ask: []int32{0}})
		for _, c := range []struct {
			name string
			r    sessionRequest
			want error
		}{
			{"unknown", sessionRequest{id: id + 1, epoch: 1}, kerr.FetchSessionIDNotFound},
			{"from the future", sessionRequest{id: id, epoch: 2}, kerr.InvalidFetchSessionEpoch},
			{"by names, though it goes by ids", sessionRequest{id: id, epoch: 1, version: 12}, kerr.FetchSessionTopicIDError},
			{"as expected", sessionRequest{id: id, epoch: 1}, nil},
			{"sent twice", sessionRequest{id: id, epoch: 1}, kerr.InvalidFetchSessionEpoch},
			{"the last one closes it", sessionRequest{id: id, epoch: finalSessionEpoch, ask: []int32{0}}, nil},
			{"and then it is gone", sessionRequest{id: id, epoch: 2}, kerr.FetchSessionIDNotFound},
		} {
			_, _, err := x.fetch(c.r)
			if c.want == nil {
				assert.NoError(t, err, c.name)
			} else {
				assert.Equal(t, c.want, err, c.name)
			}
		}
		id, _, _ = x.fetch(sessionRequest{ask: []int32{0}})
		again, _, _ := x.fetch(sessionRequest{id: id, ask: []int32{0}})
		assert.NotEqual(t, id, again, "a full fetch closes the session that it names and begins another")
		assert.Len(t, x.m.sessions.list, 1)
	})
}

func TestSession_RoomIsFoundForAFetcherThatIsWorthMore(t *testing.T) {
	const consumer = -1
	withSessions(t, 2, func(x *sessionTest) {
		begin := func(replica int32, partitions ...int32) int32 {
			id, _, _ := x.fetch(sessionRequest{ask: partitions, replica: replica})
			return id
		}
		a := begin(consumer, 0)
		b := begin(consumer, 0, 1)
		assert.Zero(t, begin(consumer, 0, 1, 2), "young sessions are safe from their kind")
		assert.NotZero(t, begin(2, 0), "a follower takes the place of the smaller consumer")
		assert.Nil(t, x.m.sessions.find(a))
		assert.NotNil(t, x.m.sessions.find(b))
		x.h.Sleep(sessionEviction + time.Second)
		assert.NotZero(t, begin(consumer, 0), "an idle session makes room")
		assert.Nil(t, x.m.sessions.find(b))
	})
}

func TestSession_EpochsGoRound(t *testing.T) {
	assert.EqualValues(t, 1, nextSessionEpoch(0))
	assert.EqualValues(t, 2, nextSessionEpoch(1))
	assert.EqualValues(t, 1, nextSessionEpoch(1<<31-1), "0 means a new session")
}

// The two ends of a session agree on what was said: a fetcher that repeats
// nothing is asked for the same as one that repeats everything.
func TestSession_BothEndsAgree(t *testing.T) {
	play(t, 2, nil, func(s *stage) {
		s.topic(1, 1, 2)
		s.mustProduce(1, "a")
		s.wait(2 * time.Second)
		f := s.replica(2).fetching
		x := s.nodes[1].m.sessions.find(f.fetcher.session.id)
		c := x.byKey[sessionKey{topic: topicID}]
		assert.Equal(s.t, f.sent.from, c.asked.from)
		assert.Equal(s.t, kafka.Offset(1), c.asked.from)
		before := s.w.Network().Stats()
		s.wait(10 * time.Second)
		after := s.w.Network().Stats()
		perSecond := float64(after.Packets-before.Packets) / 10
		assert.Less(s.t, perSecond, 12.0, "packets a second of an idle follower: two fetches and their answers")
	})
}
