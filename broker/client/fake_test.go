package client

import (
	"bytes"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/ktrial/ktrial/broker/kafka"
	"github.com/ktrial/ktrial/broker/record"
	"github.com/ktrial/ktrial/broker/wire"
	"github.com/ktrial/ktrial/sim"
	"github.com/ktrial/ktrial/sim/env"
)

// fake is a cluster without replication: brokers that share one log per
// partition, obey Kafka's rules for producers, and do what a script says.
type fake struct {
	t       testing.TB
	w       *sim.World
	brokers int32
	parts   map[kafka.TopicPartition]*fakePartition
	topics  []string
	ids     map[string]kafka.UUID

	nextID    kafka.ProducerID
	nextEpoch kafka.ProducerEpoch

	// onProduce decides what happens to a batch; nil: it is appended.
	onProduce func(tp kafka.TopicPartition, b record.Batch) act
	// onRequest, if it returns an answer, gives it instead of the broker's own.
	onRequest func(node int32, req kmsg.Request) kmsg.Response
	// onAnswer is told of each request with its answer; nil: there is none.
	onAnswer func(node int32, req kmsg.Request, resp kmsg.Response)
	hidden   map[string]bool // topics that Metadata does not tell of

	groups   fakeGroups
	txns     fakeTransactions
	requests []string // what was asked, in order: "broker-0 Produce"
	sessions map[int32]*fakeSession
}

type fakeSession struct {
	epoch int32
	parts map[kafka.TopicPartition]kmsg.FetchRequestTopicPartition // by topic id
}

// act is what a broker does with a batch.
type act struct {
	delay  time.Duration
	err    *kerr.Error // is answered
	append bool        // although there is an error
	drop   bool        // the connection is closed instead of an answer
}

type fakePartition struct {
	leader, epoch int32
	start         kafka.Offset
	log           []record.Batch
	producers     map[kafka.ProducerID]*fakeProducer
	aborted       []kmsg.FetchResponseTopicPartitionAbortedTransaction
	opened        map[kafka.ProducerID]kafka.Offset // where open transactions begin
	epochEnds     map[int32]int64                   // what OffsetForLeaderEpoch answers; absent: the end
}

type fakeProducer struct {
	epoch   kafka.ProducerEpoch
	last    kafka.Sequence
	batches []record.Batch // the last five
}

func newFake(t testing.TB, seed uint64, brokers int32, topics map[string]int32) *fake {
	return newFakeIn(t, sim.Config{Seed: seed}, brokers, topics)
}

func newFakeIn(t testing.TB, world sim.Config, brokers int32, topics map[string]int32) *fake {
	f := &fake{
		t: t, w: sim.NewWorld(world), brokers: brokers, nextID: 1000,
		parts: map[kafka.TopicPartition]*fakePartition{}, ids: map[string]kafka.UUID{},
		hidden: map[string]bool{}, sessions: map[int32]*fakeSession{},
	}
	t.Cleanup(f.w.Close)
	for name := range topics {
		f.topics = append(f.topics, name)
	}
	slices.Sort(f.topics)
	for _, name := range f.topics {
		f.ids[name] = kafka.NewUUID(f.w.Rand("topic ids " + name))
		for p := range topics[name] {
			f.parts[kafka.TopicPartition{Topic: name, Partition: p}] = &fakePartition{
				leader: p % brokers, epoch: 1, producers: map[kafka.ProducerID]*fakeProducer{}, opened: map[kafka.ProducerID]kafka.Offset{},
			}
		}
	}
	for node := range brokers {
		f.w.Host(f.host(node)).Start(func(h env.Host) {
			l, err := h.Listen(9092)
			require.NoError(t, err)
			require.NoError(t, wire.Serve(h, l, func(ctx *wire.Context, req kmsg.Request) kmsg.Response {
				return f.handle(ctx, node, req)
			}))
		})
	}
	return f
}

func (f *fake) host(node int32) string { return fmt.Sprintf("broker-%d", node) }

// run runs main on the host "client" until it returns. Of a run before, a connection may
// still be about to hear that it was closed, which keeps its process alive: it is killed.
func (f *fake) run(main func(h env.Host, c *Client)) {
	f.t.Helper()
	f.w.Host("client").Kill()
	require.NoError(f.t, f.w.RunMain("client", func(h env.Host) {
		var bootstrap []string
		for node := range f.brokers {
			bootstrap = append(bootstrap, f.host(node)+":9092")
		}
		main(h, New(h, bootstrap, "tester"))
	}))
}

// move gives tp another leader.
func (f *fake) move(tp kafka.TopicPartition, leader int32) {
	p := f.parts[tp]
	p.leader = leader
	p.epoch++
}

func (f *fake) handle(ctx *wire.Context, node int32, req kmsg.Request) kmsg.Response {
	resp := f.answer(ctx, node, req)
	if f.onAnswer != nil {
		f.onAnswer(node, req, resp)
	}
	return resp
}

func (f *fake) answer(ctx *wire.Context, node int32, req kmsg.Request) kmsg.Response {
	f.requests = append(f.requests, f.host(node)+" "+kmsg.NameForKey(req.Key()))
	if f.onRequest != nil {
		if resp := f.onRequest(node, req); resp != nil {
			resp.SetVersion(req.GetVersion())
			return resp
		}
	}
	resp := req.ResponseKind()
	switch r := req.(type) {
	case *kmsg.ApiVersionsRequest:
		resp.(*kmsg.ApiVersionsResponse).ApiKeys = wire.Broker.ApiKeys()
		f.features(resp.(*kmsg.ApiVersionsResponse))
	case *kmsg.MetadataRequest:
		f.metadata(r, resp.(*kmsg.MetadataResponse))
	case *kmsg.InitProducerIDRequest:
		if f.txnAnswer(ctx, node, req, resp) {
			return resp
		}
		answer := resp.(*kmsg.InitProducerIDResponse)
		f.nextID++
		answer.ProducerID, answer.ProducerEpoch = int64(f.nextID), int16(f.nextEpoch)
	case *kmsg.ProduceRequest:
		if !f.produce(ctx, node, r, resp.(*kmsg.ProduceResponse)) {
			ctx.Conn.Close()
			return nil
		}
		if r.Acks == 0 {
			return nil
		}
	case *kmsg.FetchRequest:
		f.fetch(ctx, node, r, resp.(*kmsg.FetchResponse))
	case *kmsg.ListOffsetsRequest:
		f.listOffsets(node, r, resp.(*kmsg.ListOffsetsResponse))
	case *kmsg.OffsetForLeaderEpochRequest:
		f.offsetForLeaderEpoch(node, r, resp.(*kmsg.OffsetForLeaderEpochResponse))
	default:
		if f.groupAnswer(ctx, node, req, resp) || f.txnAnswer(ctx, node, req, resp) {
			return resp
		}
		f.t.Errorf("the fake broker knows no %s", kmsg.NameForKey(req.Key()))
		return nil
	}
	return resp
}

func (f *fake) metadata(req *kmsg.MetadataRequest, resp *kmsg.MetadataResponse) {
	for node := range f.brokers {
		b := kmsg.NewMetadataResponseBroker()
		b.NodeID, b.Host, b.Port = node, f.host(node), 9092
		resp.Brokers = append(resp.Brokers, b)
	}
	asked := req.Topics
	if asked == nil {
		for _, name := range f.topics {
			rt := kmsg.NewMetadataRequestTopic()
			rt.Topic = &name
			asked = append(asked, rt)
		}
	}
	for _, rt := range asked {
		t := kmsg.NewMetadataResponseTopic()
		t.Topic, t.TopicID = rt.Topic, f.ids[*rt.Topic]
		if f.hidden[*rt.Topic] || !slices.Contains(f.topics, *rt.Topic) {
			t.TopicID = kafka.UUID{}
			t.ErrorCode = kerr.UnknownTopicOrPartition.Code
		} else {
			for p := int32(0); ; p++ {
				part := f.parts[kafka.TopicPartition{Topic: *rt.Topic, Partition: p}]
				if part == nil {
					break
				}
				rp := kmsg.NewMetadataResponseTopicPartition()
				rp.Partition, rp.Leader, rp.LeaderEpoch = p, part.leader, part.epoch
				t.Partitions = append(t.Partitions, rp)
			}
		}
		resp.Topics = append(resp.Topics, t)
	}
}

func (f *fake) name(topic string, id [16]byte) string {
	for _, name := range f.topics {
		if f.ids[name] == id {
			return name
		}
	}
	return topic
}

// produce reports whether there is an answer.
func (f *fake) produce(ctx *wire.Context, node int32, req *kmsg.ProduceRequest, resp *kmsg.ProduceResponse) bool {
	answered := true
	for _, rt := range req.Topics {
		topic := kmsg.NewProduceResponseTopic()
		topic.Topic, topic.TopicID = rt.Topic, rt.TopicID
		for _, rp := range rt.Partitions {
			tp := kafka.TopicPartition{Topic: f.name(rt.Topic, rt.TopicID), Partition: rp.Partition}
			b, rest, err := record.Next(rp.Records)
			require.NoError(f.t, err)
			require.Empty(f.t, rest)
			require.NoError(f.t, b.Check())
			part := kmsg.NewProduceResponseTopicPartition()
			part.Partition, part.BaseOffset, part.LogAppendTime, part.LogStartOffset = rp.Partition, -1, -1, 0
			p := f.parts[tp]
			a := act{}
			if f.onProduce != nil {
				a = f.onProduce(tp, b)
			}
			if a.delay > 0 {
				ctx.Host.Sleep(a.delay)
			}
			switch {
			case p == nil:
				part.ErrorCode = kerr.UnknownTopicOrPartition.Code
			case p.leader != node:
				part.ErrorCode = kerr.NotLeaderForPartition.Code
				part.CurrentLeader.LeaderID, part.CurrentLeader.LeaderEpoch = p.leader, p.epoch
			case a.err == nil && !a.drop || a.append:
				base := kafka.NoOffset
				err := f.verify(req, tp, b)
				if err == nil {
					base, err = p.append(b)
				}
				if _, open := p.opened[b.ProducerID()]; err == nil && b.IsTransactional() && !open {
					p.opened[b.ProducerID()] = base
				}
				part.ErrorCode, part.BaseOffset = kafka.Code(err), int64(base)
			}
			if a.err != nil {
				part.ErrorCode, part.BaseOffset = a.err.Code, -1
			}
			if a.drop {
				answered = false
			}
			topic.Partitions = append(topic.Partitions, part)
		}
		resp.Topics = append(resp.Topics, topic)
	}
	return answered
}

func (p *fakePartition) end() kafka.Offset {
	if len(p.log) == 0 {
		return p.start
	}
	return p.log[len(p.log)-1].NextOffset()
}

// append obeys Kafka's rules (ProducerAppendInfo): duplicates of the last five
// batches get their old offset; a producer that the log does not know may begin
// with any sequence.
func (p *fakePartition) append(b record.Batch) (kafka.Offset, error) {
	if b.HasProducer() {
		s := p.producers[b.ProducerID()]
		switch {
		case s == nil:
			s = &fakeProducer{epoch: b.ProducerEpoch()}
			p.producers[b.ProducerID()] = s
		case b.ProducerEpoch() < s.epoch:
			return -1, kerr.InvalidProducerEpoch
		case b.ProducerEpoch() > s.epoch:
			if b.BaseSequence() != 0 {
				return -1, kerr.OutOfOrderSequenceNumber
			}
			s.batches = nil
		default:
			for _, old := range s.batches {
				if old.BaseSequence() == b.BaseSequence() && old.LastSequence() == b.LastSequence() {
					return old.BaseOffset(), nil
				}
			}
			if s.last.Add(1) != b.BaseSequence() {
				return -1, kerr.OutOfOrderSequenceNumber
			}
		}
		s.epoch, s.last = b.ProducerEpoch(), b.LastSequence()
		defer func() { s.batches = append(s.batches, p.log[len(p.log)-1])[max(0, len(s.batches)-4):] }()
	}
	return p.put(b), nil
}

// put appends without looking.
func (p *fakePartition) put(b record.Batch) kafka.Offset {
	b = slices.Clone(b)
	b.SetBaseOffset(p.end())
	b.SetLeaderEpoch(kafka.LeaderEpoch(p.epoch))
	p.log = append(p.log, b)
	return b.BaseOffset()
}

// values is what the log holds.
func (p *fakePartition) values(t testing.TB) (all []string) {
	for _, b := range p.log {
		if b.IsControl() {
			continue
		}
		require.NoError(t, b.Records(func(r record.Record) error {
			all = append(all, string(r.Value))
			return nil
		}))
	}
	return all
}

func (f *fake) fetch(ctx *wire.Context, node int32, req *kmsg.FetchRequest, resp *kmsg.FetchResponse) {
	s := f.sessions[req.SessionID]
	if req.SessionEpoch == 0 {
		delete(f.sessions, req.SessionID)
		s = &fakeSession{parts: map[kafka.TopicPartition]kmsg.FetchRequestTopicPartition{}}
		resp.SessionID = int32(len(f.requests))
		f.sessions[resp.SessionID] = s
	} else if s == nil {
		resp.ErrorCode = kerr.FetchSessionIDNotFound.Code
		return
	} else if s.epoch != req.SessionEpoch {
		resp.ErrorCode = kerr.InvalidFetchSessionEpoch.Code
		return
	} else {
		resp.SessionID = req.SessionID
	}
	s.epoch = req.SessionEpoch + 1
	for _, rt := range req.Topics {
		for _, rp := range rt.Partitions {
			s.parts[kafka.TopicPartition{Topic: kafka.UUID(rt.TopicID).String(), Partition: rp.Partition}] = rp
		}
	}
	for _, rt := range req.ForgottenTopics {
		for _, p := range rt.Partitions {
			delete(s.parts, kafka.TopicPartition{Topic: kafka.UUID(rt.TopicID).String(), Partition: p})
		}
	}
	deadline := ctx.Host.Uptime() + time.Duration(req.MaxWaitMillis)*time.Millisecond
	for !f.read(node, s, req, resp) && ctx.Host.Uptime() < deadline {
		ctx.Host.Sleep(5 * time.Millisecond)
	}
}

// read fills resp and reports whether it is worth sending.
func (f *fake) read(node int32, s *fakeSession, req *kmsg.FetchRequest, resp *kmsg.FetchResponse) bool {
	resp.Topics = nil
	for _, held := range keys(s.parts) {
		id, err := kafka.ParseUUID(held.Topic)
		require.NoError(f.t, err)
		want, p := s.parts[held], f.parts[kafka.TopicPartition{Topic: f.name("", id), Partition: held.Partition}]
		rt := kmsg.NewFetchResponseTopic()
		rt.TopicID = id
		rp := kmsg.NewFetchResponseTopicPartition()
		rp.Partition = held.Partition
		from := kafka.Offset(want.FetchOffset)
		if p == nil {
			rp.ErrorCode = kerr.UnknownTopicID.Code
			rt.Partitions = append(rt.Partitions, rp)
			resp.Topics = append(resp.Topics, rt)
			continue
		}
		rp.HighWatermark, rp.LastStableOffset, rp.LogStartOffset = int64(p.end()), int64(p.stable()), int64(p.start)
		switch {
		case p.leader != node:
			rp.ErrorCode = kerr.NotLeaderForPartition.Code
			rp.CurrentLeader.LeaderID, rp.CurrentLeader.LeaderEpoch = p.leader, p.epoch
		case want.CurrentLeaderEpoch >= 0 && want.CurrentLeaderEpoch < p.epoch:
			rp.ErrorCode = kerr.FencedLeaderEpoch.Code
		case from < p.start || from > p.end():
			rp.ErrorCode = kerr.OffsetOutOfRange.Code
		default:
			for _, b := range p.log {
				if req.IsolationLevel == int8(ReadCommitted) && b.BaseOffset() >= p.stable() {
					break
				}
				if b.LastOffset() >= from && len(rp.RecordBatches) < int(want.PartitionMaxBytes) {
					rp.RecordBatches = append(rp.RecordBatches, b...)
				}
			}
			rp.AbortedTransactions = p.aborted
			if len(rp.RecordBatches) == 0 {
				continue
			}
		}
		rt.Partitions = append(rt.Partitions, rp)
		resp.Topics = append(resp.Topics, rt)
	}
	return len(resp.Topics) > 0
}

func (f *fake) listOffsets(node int32, req *kmsg.ListOffsetsRequest, resp *kmsg.ListOffsetsResponse) {
	for _, rt := range req.Topics {
		t := kmsg.NewListOffsetsResponseTopic()
		t.Topic = rt.Topic
		for _, rp := range rt.Partitions {
			p := f.parts[kafka.TopicPartition{Topic: rt.Topic, Partition: rp.Partition}]
			part := kmsg.NewListOffsetsResponseTopicPartition()
			part.Partition, part.Offset, part.Timestamp, part.LeaderEpoch = rp.Partition, int64(p.end()), -1, p.epoch
			if rp.Timestamp == int64(kafka.EarliestOffset) {
				part.Offset = int64(p.start)
			}
			if rp.Timestamp >= 0 {
				part.Offset, part.Timestamp = p.since(rp.Timestamp)
			}
			if p.leader != node {
				part.ErrorCode = kerr.NotLeaderForPartition.Code
			}
			t.Partitions = append(t.Partitions, part)
		}
		resp.Topics = append(resp.Topics, t)
	}
}

// since is the first record that is not older than a time; -1: there is none.
func (p *fakePartition) since(timestamp int64) (offset, at int64) {
	offset, at = -1, -1
	for _, b := range p.log {
		_ = b.Records(func(r record.Record) error {
			if offset < 0 && r.Timestamp >= timestamp {
				offset, at = int64(r.Offset), r.Timestamp
			}
			return nil
		})
	}
	return offset, at
}

func (f *fake) offsetForLeaderEpoch(node int32, req *kmsg.OffsetForLeaderEpochRequest, resp *kmsg.OffsetForLeaderEpochResponse) {
	for _, rt := range req.Topics {
		t := kmsg.NewOffsetForLeaderEpochResponseTopic()
		t.Topic = rt.Topic
		for _, rp := range rt.Partitions {
			p := f.parts[kafka.TopicPartition{Topic: rt.Topic, Partition: rp.Partition}]
			part := kmsg.NewOffsetForLeaderEpochResponseTopicPartition()
			part.Partition, part.LeaderEpoch, part.EndOffset = rp.Partition, rp.LeaderEpoch, int64(p.end())
			if end, ok := p.epochEnds[rp.LeaderEpoch]; ok {
				part.EndOffset = end
			}
			if p.leader != node {
				part.ErrorCode = kerr.NotLeaderForPartition.Code
			}
			t.Partitions = append(t.Partitions, part)
		}
		resp.Topics = append(resp.Topics, t)
	}
}

// plain is a batch of the values, as a producer without an identity sends it.
func plain(values ...string) record.Batch {
	b := record.NewBuilder(record.Options{})
	for _, v := range values {
		b.Append(1, nil, []byte(v))
	}
	return b.Build()
}

func valuesOf(records []ConsumerRecord) (all []string) {
	for _, r := range records {
		all = append(all, string(bytes.Clone(r.Value)))
	}
	return all
}

func orders(p int32) kafka.TopicPartition { return kafka.TopicPartition{Topic: "orders", Partition: p} }
