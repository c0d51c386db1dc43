package fromwire

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
	"pgregory.net/rapid"

	"github.com/ktrial/ktrial/broker/kafka"
	"github.com/ktrial/ktrial/broker/record"
	"github.com/ktrial/ktrial/broker/wire"
	"github.com/ktrial/ktrial/checkers/history"
)

// observed is an observer whose connections are written by hand.
type observed struct {
	*Observer
	next  int32    // correlation id
	story []string // what was recorded, an event a line
}

func observe() *observed {
	x := &observed{}
	var processes int64
	r := history.NewRecorder()
	r.Told = func(e *history.Event, _ int64) { x.story = append(x.story, line(e)) }
	x.Observer = New(r, func() time.Duration { return 0 }, func() int64 { processes++; return processes - 1 })
	return x
}

// frame is a request with its size, as a client sends it.
func (x *observed) frame(req kmsg.Request) []byte {
	x.next++
	return kmsg.NewRequestFormatter(kmsg.FormatterClientID("c")).AppendRequest(nil, req, x.next)
}

// answered is the answer to the request that was made so many before the last.
func (x *observed) answered(before int32, resp kmsg.Response) []byte {
	body := wire.AppendResponse(nil, resp, x.next-before)
	return append([]byte{byte(len(body) >> 24), byte(len(body) >> 16), byte(len(body) >> 8), byte(len(body))}, body...)
}

// batch holds records with these values.
func batch(producer record.Options, at int64, values ...string) []byte {
	b := record.NewBuilder(producer)
	for _, v := range values {
		b.Append(1000, nil, []byte(v))
	}
	out := b.Build()
	out.SetBaseOffset(kafka.Offset(at))
	return out
}

func producer(id kafka.ProducerID, seq kafka.Sequence) record.Options {
	return record.Options{Idempotent: true, ProducerID: id, ProducerEpoch: 0, BaseSequence: seq}
}

func produce(acks int16, batches []byte) *kmsg.ProduceRequest {
	req := kmsg.NewPtrProduceRequest()
	req.Version, req.Acks = 9, acks
	req.Topics = []kmsg.ProduceRequestTopic{{Topic: "orders", Partitions: []kmsg.ProduceRequestTopicPartition{{Partition: 0, Records: batches}}}}
	return req
}

func produced(code int16, at int64) *kmsg.ProduceResponse {
	resp := kmsg.NewPtrProduceResponse()
	resp.Version = 9
	p := kmsg.NewProduceResponseTopicPartition()
	p.ErrorCode, p.BaseOffset = code, at
	resp.Topics = []kmsg.ProduceResponseTopic{{Topic: "orders", Partitions: []kmsg.ProduceResponseTopicPartition{p}}}
	return resp
}

func fetch(at int64) *kmsg.FetchRequest {
	req := kmsg.NewPtrFetchRequest()
	req.Version = 12
	p := kmsg.NewFetchRequestTopicPartition()
	p.FetchOffset = at
	req.Topics = []kmsg.FetchRequestTopic{{Topic: "orders", Partitions: []kmsg.FetchRequestTopicPartition{p}}}
	return req
}

func fetchedBatches(end int64, batches []byte) *kmsg.FetchResponse {
	resp := kmsg.NewPtrFetchResponse()
	resp.Version = 12
	p := kmsg.NewFetchResponseTopicPartition()
	p.HighWatermark, p.LastStableOffset, p.RecordBatches = end, end, batches
	resp.Topics = []kmsg.FetchResponseTopic{{Topic: "orders", Partitions: []kmsg.FetchResponseTopicPartition{p}}}
	return resp
}

// line is an event in words.
func line(e *history.Event) string {
	text := fmt.Sprintf("%d %v %v", e.Process, e.F, e.Type)
	for _, m := range e.Mops {
		switch m.Kind {
		case history.MopSend:
			text += fmt.Sprintf(" %v", m.Value)
			if at, told := m.Offset.Told(); told {
				text += fmt.Sprintf(" at %d", at)
			}
		case history.MopPoll:
			for _, r := range m.Records {
				text += fmt.Sprintf(" %v@%d", r.Value, r.Offset.Or(-1))
			}
		case history.MopCommit:
			text += fmt.Sprintf(" %v=%d by %s in %d", m.Key, m.Offset.Or(-1), e.Group, e.Generation)
		}
	}
	return text
}

func TestProduce_ARetryJoinsItsSend(t *testing.T) {
	x := observe()
	first, second := x.Connect("c", "c-1"), x.Connect("c", "c-1")
	first.Sent(x.frame(produce(-1, batch(producer(7, 0), 0, "a", "b"))))
	first.Closed() // without an answer
	second.Sent(x.frame(produce(-1, batch(producer(7, 0), 0, "a", "b"))))
	second.Received(x.answered(0, produced(0, 40)))
	assert.Equal(t, []string{
		`0 send invoke a#7.0.0`, `1 send invoke b#7.0.1`,
		`0 send ok a#7.0.0 at 40`, `1 send ok b#7.0.1 at 41`,
	}, x.story)
	assert.Equal(t, Counts{Requests: 2, Unanswered: 1, Records: 2, Again: 2}, x.Counts)
	assert.Equal(t, Claims{Produced: true, LeastAcks: -1}, x.Claims)
}

func TestProduce_WhatIsCertain(t *testing.T) {
	for _, x := range []struct {
		about string
		code  int16
		at    int64
		want  string // the completion; empty: the send stays open
	}{
		{"acknowledged", 0, 5, `0 send ok a#7.0.0 at 5`},
		{"acknowledged before: the offset is not known", kerr.DuplicateSequenceNumber.Code, -1, `0 send ok a#7.0.0`},
		{"in doubt", kerr.NotEnoughReplicasAfterAppend.Code, -1, ""},
		{"refused, and sent again by most clients", kerr.NotLeaderForPartition.Code, -1, ""},
	} {
		o := observe()
		c := o.Connect("c", "c-1")
		c.Sent(o.frame(produce(-1, batch(producer(7, 0), 0, "a"))))
		c.Received(o.answered(0, produced(x.code, x.at)))
		want := []string{`0 send invoke a#7.0.0`}
		if x.want != "" {
			want = append(want, x.want)
		}
		assert.Equal(t, want, o.story, x.about)
	}
}

// A connection that breaks within a request hides it: what is seen first was not sent first.
func TestProduce_OrderIsThatOfSequences(t *testing.T) {
	x := observe()
	var sessions []string
	x.recorder.Told = func(e *history.Event, _ int64) { sessions = append(sessions, e.Session) }
	first, second := x.Connect("c", "c-1"), x.Connect("c", "c-1")
	hidden := x.frame(produce(-1, batch(producer(7, 0), 0, "a")))
	first.Sent(hidden[:len(hidden)/2])
	first.Closed()
	second.Sent(x.frame(produce(-1, batch(producer(7, 1), 0, "b"))))
	second.Sent(x.frame(produce(-1, batch(producer(7, 0), 0, "a"))))
	second.Sent(x.frame(produce(-1, batch(producer(7, 2), 0, "c"))))
	assert.Equal(t, []string{"7-0", "", "7-0"}, sessions)
}

// Without a producer id equal records are counted: after an acknowledgement an equal one is
// another, and two of one batch are two.
func TestProduce_EqualRecordsAreNotTakenForRetries(t *testing.T) {
	x := observe()
	c := x.Connect("c", "c-1")
	c.Sent(x.frame(produce(1, batch(record.Options{}, 0, "a", "a"))))
	c.Received(x.answered(0, produced(0, 0)))
	c.Sent(x.frame(produce(1, batch(record.Options{}, 0, "a", "a"))))
	c.Received(x.answered(0, produced(0, 2)))
	assert.Equal(t, []string{
		`0 send invoke a`, `1 send invoke a`, `0 send ok a at 0`, `1 send ok a at 1`,
		`1 send invoke a`, `0 send invoke a`, `1 send ok a at 2`, `0 send ok a at 3`,
	}, x.story)
	assert.Equal(t, Claims{Produced: true, LeastAcks: 1, NotIdempotent: true}, x.Claims)
	assert.EqualValues(t, 2, x.Counts.Alike)
}

func TestProduce_AcksZeroHasNoAnswer(t *testing.T) {
	x := observe()
	c := x.Connect("c", "c-1")
	c.Sent(x.frame(produce(0, batch(record.Options{}, 0, "a"))))
	c.Sent(x.frame(produce(1, batch(record.Options{}, 0, "b"))))
	c.Received(x.answered(0, produced(0, 9)))
	assert.Equal(t, []string{`0 send invoke a`, `1 send invoke b`, `1 send ok b at 9`}, x.story)
	assert.EqualValues(t, 0, x.Claims.LeastAcks)
}

func TestFetch_PollsContinueOrBeginAnew(t *testing.T) {
	x := observe()
	c := x.Connect("c", "c-1")
	ask := func(at, end int64, b []byte) {
		c.Sent(x.frame(fetch(at)))
		c.Received(x.answered(0, fetchedBatches(end, b)))
	}
	ask(1, 3, batch(producer(7, 0), 0, "a", "b")) // from the middle of a batch
	ask(2, 3, batch(producer(7, 2), 2, "c"))
	ask(3, 3, nil) // nothing more
	ask(3, 3, nil)
	ask(0, 3, batch(producer(7, 0), 0, "a", "b")) // sought
	assert.Equal(t, []string{
		"0 assign invoke", "0 assign ok", "0 poll invoke", `0 poll ok b#7.0.1@1`,
		"0 poll invoke", `0 poll ok c#7.0.2@2`,
		"0 poll invoke", "0 poll ok",
		"1 assign invoke", "1 assign ok", "1 poll invoke", `1 poll ok a#7.0.0@0 b#7.0.1@1`,
	}, x.story)
}

// A read_committed consumer skips what was aborted (KIP-98).
func TestFetch_AbortedRecordsAreNotSeen(t *testing.T) {
	transactional := func(id kafka.ProducerID, seq kafka.Sequence) record.Options {
		o := producer(id, seq)
		o.Transactional = true
		return o
	}
	marker := func(at int64, kind record.ControlType, id kafka.ProducerID) []byte {
		b := record.NewEndTxnMarker(kind, 0, id, 0, 0)
		b.SetBaseOffset(kafka.Offset(at))
		return b
	}
	var log []byte
	for _, b := range [][]byte{
		batch(transactional(7, 0), 0, "aborted"), batch(transactional(8, 0), 1, "committed"), marker(2, record.Abort, 7), marker(3, record.Commit, 8),
		batch(transactional(7, 1), 4, "later"), marker(5, record.Commit, 7),
	} {
		log = append(log, b...)
	}
	for level, want := range []string{`0 poll ok aborted#7.0.0@0 committed#8.0.0@1 later#7.0.1@4`, `0 poll ok committed#8.0.0@1 later#7.0.1@4`} {
		x := observe()
		c := x.Connect("c", "c-1")
		req := fetch(0)
		req.IsolationLevel = int8(level)
		c.Sent(x.frame(req))
		resp := fetchedBatches(6, log)
		if level == 1 {
			aborted := kmsg.NewFetchResponseTopicPartitionAbortedTransaction()
			aborted.ProducerID, aborted.FirstOffset = 7, 0
			resp.Topics[0].Partitions[0].AbortedTransactions = append(resp.Topics[0].Partitions[0].AbortedTransactions, aborted)
		}
		c.Received(x.answered(0, resp))
		assert.Equal(t, want, x.story[len(x.story)-1])
	}
}

func TestCommit_IsRecordedWithItsGeneration(t *testing.T) {
	for code, want := range map[int16]string{0: "ok", kerr.IllegalGeneration.Code: "fail", kerr.RequestTimedOut.Code: "info"} {
		x := observe()
		c := x.Connect("c", "c-1")
		req := kmsg.NewPtrOffsetCommitRequest()
		req.Version, req.Group, req.Generation = 8, "g", 3
		req.Topics = []kmsg.OffsetCommitRequestTopic{{Topic: "orders", Partitions: []kmsg.OffsetCommitRequestTopicPartition{{Partition: 1, Offset: 17}}}}
		c.Sent(x.frame(req))
		resp := kmsg.NewPtrOffsetCommitResponse()
		resp.Version = 8
		resp.Topics = []kmsg.OffsetCommitResponseTopic{{Topic: "orders", Partitions: []kmsg.OffsetCommitResponseTopicPartition{{Partition: 1, ErrorCode: code}}}}
		c.Received(x.answered(0, resp))
		assert.Equal(t, []string{"0 commit invoke orders/1=17 by g in 3", "0 commit " + want + " orders/1=17 by g in 3"}, x.story)
	}
}

// However a stream is cut, the same is seen.
func TestConnection_FramesMayBeCutAnywhere(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		x := observe()
		c := x.Connect("c", "c-1")
		sent := x.frame(produce(-1, batch(producer(7, 0), 0, "a")))
		sent = append(sent, x.frame(produce(-1, batch(producer(7, 1), 0, "b")))...)
		got := append(x.answered(1, produced(0, 0)), x.answered(0, produced(0, 1))...)
		pieces(t, sent, c.Sent)
		pieces(t, got, c.Received)
		assert.Equal(t, []string{`0 send invoke a#7.0.0`, `1 send invoke b#7.0.1`, `0 send ok a#7.0.0 at 0`, `1 send ok b#7.0.1 at 1`}, x.story)
	})
}

func pieces(t *rapid.T, b []byte, take func([]byte)) {
	for len(b) > 0 {
		n := rapid.IntRange(1, len(b)).Draw(t, "n")
		take(b[:n])
		b = b[n:]
	}
}

// Whatever bytes come, the observer goes on, and accuses no client.
func TestConnection_TakesAnyBytes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		x := observe()
		c := x.Connect("c", "c-1")
		good := x.frame(produce(-1, batch(producer(7, 0), 0, "a")))
		for range rapid.IntRange(0, 3).Draw(t, "damages") {
			good[rapid.IntRange(4, len(good)-1).Draw(t, "at")] ^= byte(rapid.IntRange(1, 255).Draw(t, "by"))
		}
		c.Sent(good)
		c.Sent(rapid.SliceOf(rapid.Byte()).Draw(t, "garbage"))
		c.Received(rapid.SliceOf(rapid.Byte()).Draw(t, "answers"))
		c.Closed()
		require.LessOrEqual(t, len(x.story), 1)
	})
}

// A transaction is one operation: it begins with its first record and ends with the answer
// to EndTxn.
func TestTransaction_EndsWithItsAnswer(t *testing.T) {
	for _, x := range []struct {
		about  string
		commit bool
		code   int16
		want   string
	}{
		{"committed", true, 0, "ok"},
		{"aborted", false, 0, "fail"},
		{"fenced: what became of it is not known", true, kerr.ProducerFenced.Code, "info"},
		{"asked again: it is open until all is over", true, kerr.ConcurrentTransactions.Code, "info"},
	} {
		o := observe()
		c := o.Connect("c", "c-1")
		first, second := producer(7, 0), producer(7, 1)
		first.Transactional, second.Transactional = true, true
		c.Sent(o.frame(produce(-1, batch(first, 0, "a"))))
		c.Received(o.answered(0, produced(0, 4)))
		c.Sent(o.frame(produce(-1, batch(second, 0, "b"))))
		c.Received(o.answered(0, produced(0, 5)))
		end := kmsg.NewPtrEndTxnRequest()
		end.Version, end.TransactionalID, end.ProducerID, end.Commit = 4, "t", 7, x.commit
		c.Sent(o.frame(end))
		answer := kmsg.NewPtrEndTxnResponse()
		answer.Version, answer.ErrorCode = 4, x.code
		c.Received(o.answered(0, answer))
		o.Finish()
		assert.Equal(t, []string{"0 txn invoke a#7.0.0", "0 txn " + x.want + " a#7.0.0 at 4 b#7.0.1 at 5"}, o.story, x.about)
	}
}

// conversation is a group as its members see it: requests and their answers, in order.
type conversation struct {
	*observed
	c map[string]*Connection
}

func converse() *conversation {
	x := &conversation{observe(), map[string]*Connection{}}
	metadata := kmsg.NewPtrMetadataResponse()
	topic := kmsg.NewMetadataResponseTopic()
	topic.Topic, topic.TopicID = kmsg.StringPtr("orders"), ordersID
	metadata.Topics = append(metadata.Topics, topic)
	x.learn(metadata)
	return x
}

var ordersID = [16]byte{1}

func (x *conversation) ask(client string, req kmsg.Request) {
	if x.c[client] == nil {
		x.c[client] = x.Connect(client, client+"-1")
	}
	x.c[client].Sent(x.frame(req))
}

func (x *conversation) answer(client string, resp kmsg.Response) {
	x.c[client].Received(x.answered(0, resp))
}

func (x *conversation) join(member string, owned ...int32) {
	req := kmsg.NewPtrJoinGroupRequest()
	req.Version, req.Group, req.MemberID, req.ProtocolType = 5, "g", member, "consumer"
	m := kmsg.NewConsumerMemberMetadata()
	m.Version, m.Topics = 1, []string{"orders"}
	if len(owned) > 0 {
		m.OwnedPartitions = []kmsg.ConsumerMemberMetadataOwnedPartition{{Topic: "orders", Partitions: owned}}
	}
	req.Protocols = []kmsg.JoinGroupRequestProtocol{{Name: "p", Metadata: m.AppendTo(nil)}}
	x.ask(member, req)
	resp := kmsg.NewPtrJoinGroupResponse()
	resp.Version, resp.MemberID = 5, member
	x.answer(member, resp)
}

func (x *conversation) sync(member string, generation int32, code int16, partitions ...int32) {
	req := kmsg.NewPtrSyncGroupRequest()
	req.Version, req.Group, req.MemberID, req.Generation = 3, "g", member, generation
	x.ask(member, req)
	resp := kmsg.NewPtrSyncGroupResponse()
	resp.Version, resp.ErrorCode = 3, code
	a := kmsg.NewConsumerMemberAssignment()
	a.Topics = []kmsg.ConsumerMemberAssignmentTopic{{Topic: "orders", Partitions: partitions}}
	resp.MemberAssignment = a.AppendTo(nil)
	x.answer(member, resp)
}

func (x *conversation) beat(member string, generation int32, code int16) {
	req := kmsg.NewPtrHeartbeatRequest()
	req.Version, req.Group, req.MemberID, req.Generation = 3, "g", member, generation
	x.ask(member, req)
	resp := kmsg.NewPtrHeartbeatResponse()
	resp.Version, resp.ErrorCode = 3, code
	x.answer(member, resp)
}

// modern is a heartbeat of KIP-848: what the member says that it owns (nil: nothing is said),
// and what it is answered (nil: no change).
func (x *conversation) modern(member string, epoch int32, owned []int32, code int16, next int32, assigned []int32) {
	req := kmsg.NewPtrConsumerGroupHeartbeatRequest()
	req.Version, req.Group, req.MemberID, req.MemberEpoch = 1, "g", member, epoch
	if owned != nil {
		req.Topics = []kmsg.ConsumerGroupHeartbeatRequestTopic{{TopicID: ordersID, Partitions: owned}}
	}
	x.ask(member, req)
	resp := kmsg.NewPtrConsumerGroupHeartbeatResponse()
	resp.Version, resp.ErrorCode, resp.MemberID, resp.MemberEpoch = 1, code, &member, next
	if assigned != nil {
		resp.Assignment = &kmsg.ConsumerGroupHeartbeatResponseAssignment{Topics: []kmsg.ConsumerGroupHeartbeatResponseAssignmentTopic{{TopicID: ordersID, Partitions: assigned}}}
	}
	x.answer(member, resp)
}

func TestGroup_OwnershipIsWhatMembersWereAnsweredUntilTheyGiveItUp(t *testing.T) {
	for _, s := range []struct {
		about string
		plays func(x *conversation)
		want  []string
	}{
		{"an eager member gives all up when it joins", func(x *conversation) {
			x.join("a")
			x.sync("a", 1, 0, 0, 1)
			x.join("a")
			x.sync("a", 2, 0, 1)
		}, []string{"a assigned [0 1] in 1", "a revoked [0 1] in 1", "a assigned [1] in 2"}},
		{"a cooperative one keeps what it names, and owns that in the next generation, too", func(x *conversation) {
			x.join("a")
			x.sync("a", 1, 0, 0, 1)
			x.join("a", 0, 1)
			x.sync("a", 2, 0, 0)
			x.join("a", 0)
			x.sync("a", 3, 0, 0)
		}, []string{"a assigned [0 1] in 1", "a revoked [1] in 1", "a assigned [] in 2", "a assigned [] in 3"}},
		{"what a refused SyncGroup says is nothing", func(x *conversation) {
			x.join("a")
			x.sync("a", 1, kerr.RebalanceInProgress.Code, 0)
		}, nil},
		{"a heartbeat tells that it is no member any more", func(x *conversation) {
			x.join("a")
			x.sync("a", 4, 0, 0)
			x.beat("a", 4, kerr.RebalanceInProgress.Code)
			x.beat("a", 3, kerr.IllegalGeneration.Code) // it came late
			x.beat("a", 4, kerr.UnknownMemberID.Code)
		}, []string{"a assigned [0] in 4", "a lost [0] in 4"}},
		{"one that leaves has given all up", func(x *conversation) {
			x.join("a")
			x.sync("a", 1, 0, 2)
			req := kmsg.NewPtrLeaveGroupRequest()
			req.Version, req.Group, req.Members = 3, "g", []kmsg.LeaveGroupRequestMember{{MemberID: "a"}}
			x.ask("a", req)
		}, []string{"a assigned [2] in 1", "a revoked [2] in 1"}},
		{"a life that is over owns nothing", func(x *conversation) {
			x.join("a")
			x.sync("a", 1, 0, 2)
			x.Ended("a-1")
			x.Ended("a-1")
		}, []string{"a assigned [2] in 1", "crash"}},
		{"KIP-848: a partition is owned until the member says that it is not", func(x *conversation) {
			x.modern("a", 0, []int32{}, 0, 3, []int32{0, 1})
			x.modern("a", 3, []int32{0, 1}, 0, 3, []int32{0}) // 1 is to be given up
			x.modern("a", 3, nil, 0, 3, nil)
			x.modern("a", 3, []int32{0}, 0, 4, nil)
			x.modern("a", 4, nil, 0, 4, []int32{0, 2})
		}, []string{"a assigned [0 1] in 3", "a revoked [1] in 3", "a assigned [] in 4", "a assigned [2] in 4"}},
		{"KIP-848: a member that is fenced has lost all, and one that leaves has given all up", func(x *conversation) {
			x.modern("a", 0, []int32{}, 0, 3, []int32{0})
			x.modern("a", 3, nil, kerr.FencedMemberEpoch.Code, 0, nil)
			x.modern("a", 0, []int32{}, 0, 5, []int32{1})
			x.modern("a", -1, nil, 0, -1, nil)
		}, []string{"a assigned [0] in 3", "a lost [0] in 3", "a assigned [1] in 5", "a revoked [1] in 5"}},
	} {
		x := converse()
		var got []string
		x.recorder.Told = func(e *history.Event, _ int64) {
			switch {
			case e.F.OfListener():
				partitions := []string{}
				for _, k := range e.Keys {
					partitions = append(partitions, strings.TrimPrefix(k.String(), "orders/"))
				}
				got = append(got, fmt.Sprintf("%s %v [%s] in %d", e.Member, e.F, strings.Join(partitions, " "), e.Generation))
			case e.F == history.Crash && e.Type == history.OK:
				got = append(got, "crash")
			}
		}
		s.plays(x)
		assert.Equal(t, s.want, got, s.about)
	}
}

// What a group has committed is told, but for answers that may be of before, and legally so.
func TestCommitted_AnswersThatMayBeOldAreLeftOut(t *testing.T) {
	ask := func(x *conversation, stable bool, code int16) {
		req := kmsg.NewPtrOffsetFetchRequest()
		req.Version, req.RequireStable = 8, stable
		req.Groups = []kmsg.OffsetFetchRequestGroup{{Group: "g"}}
		x.ask("a", req)
		resp := kmsg.NewPtrOffsetFetchResponse()
		resp.Version = 8
		p := kmsg.NewOffsetFetchResponseGroupTopicPartition()
		p.Offset, p.ErrorCode = 7, code
		resp.Groups = []kmsg.OffsetFetchResponseGroup{{Group: "g", Topics: []kmsg.OffsetFetchResponseGroupTopic{{Topic: "orders", Partitions: []kmsg.OffsetFetchResponseGroupTopicPartition{p}}}}}
		x.answer("a", resp)
	}
	transactional := func(x *conversation) {
		req := kmsg.NewPtrTxnOffsetCommitRequest()
		req.Version, req.Group = 3, "g"
		x.ask("b", req)
	}
	deleted := func(x *conversation) {
		req := kmsg.NewPtrOffsetDeleteRequest()
		req.Group = "g"
		x.ask("b", req)
	}
	told, failed := []string{"0 committed invoke", "0 committed ok"}, []string{"0 committed invoke", "0 committed fail"}
	for _, s := range []struct {
		about string
		plays func(x *conversation)
		want  []string
	}{
		{"plain", func(x *conversation) { ask(x, false, 0) }, told},
		{"of an error nothing is known", func(x *conversation) { ask(x, true, kerr.UnstableOffsetCommit.Code) }, failed},
		{"a transaction's offsets may be on their way", func(x *conversation) { transactional(x); ask(x, false, 0) }, nil},
		{"but not to one that waits for them", func(x *conversation) { transactional(x); ask(x, true, 0) }, told},
		{"offsets may be deleted", func(x *conversation) { deleted(x); ask(x, true, 0) }, nil},
	} {
		x := converse()
		s.plays(x)
		assert.Equal(t, s.want, x.story, s.about)
	}
}

// A client may be killed before it is told that its offsets are in the transaction, and its
// next life, with the next epoch, is not of that transaction.
func TestTransaction_OffsetsWithoutAnAnswerMayBeCommitted(t *testing.T) {
	offsets := func(x *conversation, epoch int16, offset int64) {
		req := kmsg.NewPtrTxnOffsetCommitRequest()
		req.Version, req.Group, req.ProducerID, req.ProducerEpoch, req.Generation = 6, "g", 7, epoch, 2
		p := kmsg.NewTxnOffsetCommitRequestTopicPartition()
		p.Offset = offset
		req.Topics = []kmsg.TxnOffsetCommitRequestTopic{{TopicID: ordersID, Partitions: []kmsg.TxnOffsetCommitRequestTopicPartition{p}}}
		x.ask("a", req)
	}
	answer := func(x *conversation, code int16) {
		resp := kmsg.NewPtrTxnOffsetCommitResponse()
		resp.Version = 6
		resp.Topics = []kmsg.TxnOffsetCommitResponseTopic{{TopicID: ordersID, Partitions: []kmsg.TxnOffsetCommitResponseTopicPartition{{ErrorCode: code}}}}
		x.answer("a", resp)
	}
	begin := func(x *conversation, epoch int16) {
		req := kmsg.NewPtrInitProducerIDRequest()
		req.Version, req.TransactionalID = 4, kmsg.StringPtr("t")
		x.ask("a", req)
		resp := kmsg.NewPtrInitProducerIDResponse()
		resp.Version, resp.ProducerID, resp.ProducerEpoch = 4, 7, epoch
		x.answer("a", resp)
	}
	x := converse()
	begin(x, 0)
	offsets(x, 0, 5)
	answer(x, kerr.CoordinatorLoadInProgress.Code)
	offsets(x, 0, 6) // and it is killed
	delete(x.c, "a")
	begin(x, 1)
	offsets(x, 1, 8)
	answer(x, 0)
	x.Finish()
	var txns []string
	for _, l := range x.story {
		if strings.Contains(l, "txn") {
			txns = append(txns, l)
		}
	}
	assert.Equal(t, []string{
		"1 txn invoke orders/0=5 by  in 0", "1 txn info orders/0=6 by g in 2",
		"3 txn invoke orders/0=8 by  in 0", "3 txn info orders/0=8 by g in 2",
	}, txns)
}
