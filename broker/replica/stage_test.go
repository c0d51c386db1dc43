package replica

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/ktrial/ktrial/broker/config"
	"github.com/ktrial/ktrial/broker/kafka"
	"github.com/ktrial/ktrial/broker/log"
	"github.com/ktrial/ktrial/broker/metadata"
	"github.com/ktrial/ktrial/broker/planted"
	"github.com/ktrial/ktrial/broker/record"
	"github.com/ktrial/ktrial/broker/wire"
	"github.com/ktrial/ktrial/broker/witness"
	"github.com/ktrial/ktrial/checkers/laws"
	"github.com/ktrial/ktrial/ledger"
	"github.com/ktrial/ktrial/scenarios/inspector"
	"github.com/ktrial/ktrial/sim"
	"github.com/ktrial/ktrial/sim/env"
)

// stage is a cluster of Managers on simulated hosts. The controller is the
// story's own: it elects the broker that the story names, when the story says
// so, and answers AlterPartition. The story is a task of its own host,
// "client", in blocking style.
type stage struct {
	t    testing.TB
	w    *sim.World
	h    env.Host // the client's
	bugs *planted.Set

	laws   *inspector.Inspector
	broken []laws.Failure
	// watch is the story's own look at events, and entry at what the ledger has of
	// them; may be nil.
	watch func(ledger.Event)
	entry func(*ledger.Entry)

	image   *metadata.Image
	records []metadata.Record // all that were committed
	nodes   map[kafka.NodeID]*node
	ids     []kafka.NodeID
	cfg     Config
	// minInsync is min.insync.replicas of the topic.
	minInsync int
	conns     map[kafka.NodeID]*wire.Conn

	// The controller's mood.
	nextEpoch kafka.BrokerEpoch
	refuse    error                 // answers AlterPartition with this
	mute      map[kafka.NodeID]bool // tells this node nothing, and its calls time out after they took effect
	altered   []*kmsg.AlterPartitionRequest
	// deaf: nothing is inspected.
	deaf bool
	// delay is how long a record takes to a broker; nil: a millisecond.
	delay func() time.Duration
}

type node struct {
	s     *stage
	id    kafka.NodeID
	host  *sim.Host
	m     *Manager
	epoch kafka.BrokerEpoch
	next  int // of the records, to be applied
	told  int // up to where it may go
	news  env.Signal
}

const port = 9092

var (
	topicID = kafka.UUID{15: 1}
	orders0 = kafka.TopicPartition{Topic: "orders"}
)

func name(id kafka.NodeID) string { return fmt.Sprintf("broker-%d", id) }

// play runs a story on so many brokers, and fails the test if a law broke,
// unless a bug is planted: what broke is in broken then.
func play(t *testing.T, brokers int, bugs *planted.Set, story func(s *stage)) *stage {
	t.Helper()
	return playSeed(t, 1, brokers, bugs, story)
}

func playSeed(t testing.TB, seed uint64, brokers int, bugs *planted.Set, story func(s *stage), settings ...func(*Config)) *stage {
	t.Helper()
	s := playIn(t, sim.Config{Seed: seed}, brokers, bugs, story, settings...)
	if bugs == nil {
		require.Empty(t, s.broken)
	}
	return s
}

// playIn runs a story in such a world, and keeps the laws that broke.
func playIn(t testing.TB, world sim.Config, brokers int, bugs *planted.Set, story func(s *stage), settings ...func(*Config)) *stage {
	t.Helper()
	s := &stage{
		t: t, bugs: bugs, image: metadata.NewImage(), nodes: map[kafka.NodeID]*node{},
		conns: map[kafka.NodeID]*wire.Conn{}, mute: map[kafka.NodeID]bool{}, nextEpoch: 100,
	}
	config.Default(&s.cfg)
	for _, set := range settings {
		set(&s.cfg)
	}
	s.laws = inspector.New(inspector.Config{
		MinISR: func(string) (int, bool) { return s.minInsync, true },
		Broken: func(_ *inspector.Partition, f laws.Failure) bool {
			t.Logf("    broken: %v", f)
			s.broken = append(s.broken, f)
			return false
		},
	})
	world.Read = s.read
	s.w = sim.NewWorld(world)
	defer s.w.Close()
	for i := 1; i <= brokers; i++ {
		id := kafka.NodeID(i)
		n := &node{s: s, id: id, host: s.w.Host(name(id))}
		s.nodes[id], s.ids = n, append(s.ids, id)
	}
	err := s.w.RunMain("client", func(h env.Host) {
		s.h = h
		for _, id := range s.ids {
			s.start(id)
		}
		story(s)
	})
	require.NoError(t, err)
	return s
}

// read shows what is notable, and has all of it inspected.
func (s *stage) read(e *ledger.Entry) {
	if e.Event.Kind().Weight == ledger.Notable {
		s.t.Logf("%10.3fs %-9s %s", e.At.Seconds(), e.Host, e.Event.Sentence())
	}
	switch {
	case s.deaf:
	case isEnd(e.Event):
		for _, n := range s.nodes {
			if n.host.Name() == e.Host {
				s.laws.ProcessEnded(n.id)
			}
		}
	default:
		s.laws.Read(e)
	}
	if s.watch != nil {
		s.watch(e.Event)
	}
	if s.entry != nil {
		s.entry(e)
	}
}

func isEnd(e ledger.Event) bool {
	switch e.(type) {
	case *sim.Killed, *sim.PoweredOff, *sim.Exited:
		return true
	}
	return false
}

// start starts a broker and waits until it is there.
func (s *stage) start(id kafka.NodeID) {
	n := s.nodes[id]
	n.m = nil
	n.host.Start(n.main)
	s.until("broker starts", func() bool { return n.m != nil && n.m.im != nil })
}

func (n *node) main(h env.Host) {
	opts := log.DirOptions{ClusterID: "test", NodeID: n.id}
	config.Default(&opts.Config)
	dir, err := log.OpenDir(h, "data", opts)
	if err != nil {
		h.Exit(err)
	}
	n.news = h.NewSignal("metadata")
	n.s.register(n)
	cfg := n.s.cfg
	cfg.NodeID = n.id
	m := NewManager(h, cfg, dir, n, n.s.bugs)
	m.SetBrokerEpoch(n.epoch)
	l, err := h.Listen(port)
	if err != nil {
		h.Exit(err)
	}
	h.Go("listener", func() { wire.Serve(h, l, n.handle) })
	n.m = m
	im := n.s.image.Clone()
	n.next = len(n.s.records)
	n.told = n.next
	m.ApplyImage(im)
	for {
		for n.next >= n.told {
			n.news.Wait(env.Forever)
		}
		var ch metadata.Changes
		im.Track(&ch)
		for ; n.next < n.told; n.next++ {
			im.Apply(n.s.records[n.next])
		}
		m.Apply(im, &ch)
	}
}

func (n *node) handle(_ *wire.Context, req kmsg.Request) kmsg.Response {
	switch req := req.(type) {
	case *kmsg.ProduceRequest:
		return n.m.Produce(req)
	case *kmsg.FetchRequest:
		return n.m.Fetch(req)
	case *kmsg.ListOffsetsRequest:
		return n.m.ListOffsets(req)
	case *kmsg.OffsetForLeaderEpochRequest:
		return n.m.OffsetForLeaderEpoch(req)
	case *kmsg.DeleteRecordsRequest:
		return n.m.DeleteRecords(req)
	}
	panic(fmt.Sprintf("unexpected %T", req))
}

// register gives n a new broker epoch.
func (s *stage) register(n *node) {
	s.nextEpoch++
	n.epoch = s.nextEpoch
	s.publish(&metadata.RegisterBrokerRecord{
		BrokerID: n.id, BrokerEpoch: n.epoch,
		EndPoints: []metadata.Endpoint{{Name: "PLAINTEXT", Host: name(n.id), Port: port}},
	})
}

// publish commits records and tells every broker that is not muted.
func (s *stage) publish(recs ...metadata.Record) {
	for i, rec := range recs {
		require.NoError(s.t, s.image.Apply(rec))
		s.tellCommitted(kafka.Offset(len(s.records)+i), rec)
	}
	s.records = append(s.records, recs...)
	for _, id := range s.ids {
		delay := time.Millisecond
		if s.delay != nil {
			delay = s.delay()
		}
		upTo := len(s.records)
		s.w.After(delay, "metadata", func() { s.tell(id, upTo) })
	}
}

// tellCommitted tells what a record has made of a partition, as controllers do.
func (s *stage) tellCommitted(at kafka.Offset, rec metadata.Record) {
	var p *metadata.Partition
	switch rec := rec.(type) {
	case *metadata.PartitionRecord:
		p = s.image.TopicByID(rec.TopicID).Partition(rec.PartitionID)
	case *metadata.PartitionChangeRecord:
		p = s.image.TopicByID(rec.TopicID).Partition(rec.PartitionID)
	default:
		return
	}
	s.w.Tell(&witness.PartitionCommitted{
		At: at, PartitionID: witness.PartitionID{Partition: p.TP(), Topic: p.TopicID},
		Leader: p.Leader, LeaderEpoch: p.LeaderEpoch, PartitionEpoch: p.PartitionEpoch, Replicas: p.Replicas, ISR: p.ISR,
	})
}

// tell lets a broker have the records up to there.
func (s *stage) tell(id kafka.NodeID, upTo int) {
	if n := s.nodes[id]; n.host.IsRunning() && !s.mute[id] && n.m != nil && upTo > n.told {
		n.told = upTo
		n.news.Notify()
	}
}

// unmute tells id everything that it has missed.
func (s *stage) unmute(id kafka.NodeID) {
	delete(s.mute, id)
	s.tell(id, len(s.records))
}

// topic makes orders/0 on those replicas; the first leads.
func (s *stage) topic(minInsync int, replicas ...kafka.NodeID) {
	s.topicWithISR(minInsync, replicas, replicas)
}

func (s *stage) topicWithISR(minInsync int, replicas, isr []kafka.NodeID) {
	s.minInsync = minInsync
	value := fmt.Sprint(minInsync)
	s.publish(
		&metadata.TopicRecord{Name: "orders", TopicID: topicID},
		&metadata.PartitionRecord{TopicID: topicID, Replicas: replicas, ISR: isr, Leader: replicas[0]},
		&metadata.ConfigRecord{ResourceType: metadata.TopicResource, ResourceName: "orders", Name: "min.insync.replicas", Value: &value},
	)
	s.until("the topic is there", func() bool {
		for _, id := range replicas {
			if p := s.nodes[id].m.Partition(orders0); p == nil || p.leader != replicas[0] {
				return false
			}
		}
		return true
	})
}

// manyTopics makes so many topics of one partition, led by turns.
func (s *stage) manyTopics(n int) {
	for i := range n {
		id := kafka.UUID{14: byte(i >> 8), 15: byte(i)}
		replicas := []kafka.NodeID{kafka.NodeID(1 + i%3), kafka.NodeID(1 + (i+1)%3), kafka.NodeID(1 + (i+2)%3)}
		s.publish(
			&metadata.TopicRecord{Name: fmt.Sprint("topic-", i), TopicID: id},
			&metadata.PartitionRecord{TopicID: id, Replicas: replicas, ISR: replicas, Leader: replicas[0]},
		)
	}
	s.wait(time.Second)
}

func (s *stage) partition() *metadata.Partition { return s.image.Partition(orders0) }

// elect makes leader the leader with that ISR, and waits until it knows.
func (s *stage) elect(leader kafka.NodeID, isr ...kafka.NodeID) {
	rec := metadata.NewPartitionChange(s.partition().TopicID, 0)
	rec.Leader, rec.ISR = leader, isr
	s.publish(rec)
	s.until("the leader knows", func() bool {
		p := s.nodes[leader].m.Partition(orders0)
		return p.role == Leader && p.epoch == s.partition().LeaderEpoch
	})
}

// setISR changes the ISR as the controller may, when it fences a broker.
func (s *stage) setISR(isr ...kafka.NodeID) {
	rec := metadata.NewPartitionChange(s.partition().TopicID, 0)
	rec.ISR = isr
	s.publish(rec)
	s.wait(10 * time.Millisecond)
}

func (s *stage) fence(id kafka.NodeID, fenced bool) {
	change := int8(1)
	if !fenced {
		change = -1
	}
	s.publish(&metadata.BrokerRegistrationChangeRecord{BrokerID: id, BrokerEpoch: s.nodes[id].epoch, Fenced: change})
	s.wait(10 * time.Millisecond)
}

// Call is the way of a broker to the controller: it takes a millisecond there
// and back. The request of a muted broker is carried out and its answer lost.
func (n *node) Call(req kmsg.Request, timeout time.Duration) (kmsg.Response, error) {
	host := n.host.Process()
	host.Sleep(time.Millisecond)
	resp := n.s.alter(req.(*kmsg.AlterPartitionRequest))
	if n.s.mute[n.id] {
		host.Sleep(timeout)
		return nil, env.ErrTimeout
	}
	host.Sleep(time.Millisecond)
	return resp, nil
}

func (s *stage) alter(req *kmsg.AlterPartitionRequest) *kmsg.AlterPartitionResponse {
	kept := *req
	s.altered = append(s.altered, &kept)
	resp := kmsg.NewPtrAlterPartitionResponse()
	for _, t := range req.Topics {
		out := kmsg.NewAlterPartitionResponseTopic()
		out.TopidID = t.TopicID
		for _, in := range t.Partitions {
			answer := kmsg.NewAlterPartitionResponseTopicPartition()
			answer.Partition = in.Partition
			err := s.alterOne(in)
			answer.ErrorCode = kafka.Code(err)
			p := s.partition()
			answer.LeaderID, answer.LeaderEpoch, answer.PartitionEpoch = int32(p.Leader), int32(p.LeaderEpoch), int32(p.PartitionEpoch)
			for _, id := range p.ISR {
				answer.ISR = append(answer.ISR, int32(id))
			}
			out.Partitions = append(out.Partitions, answer)
		}
		resp.Topics = append(resp.Topics, out)
	}
	return resp
}

func (s *stage) alterOne(in kmsg.AlterPartitionRequestTopicPartition) error {
	p := s.partition()
	switch {
	case s.refuse != nil:
		return s.refuse
	case kafka.LeaderEpoch(in.LeaderEpoch) != p.LeaderEpoch:
		return kerr.FencedLeaderEpoch
	case kafka.PartitionEpoch(in.PartitionEpoch) != p.PartitionEpoch:
		return kerr.InvalidUpdateVersion
	}
	rec := metadata.NewPartitionChange(s.partition().TopicID, 0)
	rec.ISR = []kafka.NodeID{}
	for _, member := range in.NewEpochISR {
		b := s.image.Broker(kafka.NodeID(member.BrokerID))
		if b.Fenced || member.BrokerEpoch != -1 && kafka.BrokerEpoch(member.BrokerEpoch) != b.Epoch {
			return kerr.IneligibleReplica
		}
		rec.ISR = append(rec.ISR, b.ID)
	}
	s.publish(rec)
	return nil
}

// The story's verbs.

func (s *stage) wait(d time.Duration) { s.h.Sleep(d) }

// until waits for a condition, for a minute at most.
func (s *stage) until(what string, cond func() bool) {
	for range 60_000 {
		if cond() {
			return
		}
		s.wait(time.Millisecond)
	}
	assert.Fail(s.t, "it did not come to pass: "+what)
}

// cut stops what flows between two brokers, both ways, until mend.
func (s *stage) cut(a, b kafka.NodeID) {
	s.w.Network().Link(name(a), name(b)).Cut()
	s.w.Network().Link(name(b), name(a)).Cut()
}

func (s *stage) mend(a, b kafka.NodeID) {
	s.w.Network().Link(name(a), name(b)).Mend()
	s.w.Network().Link(name(b), name(a)).Mend()
}

func (s *stage) kill(id kafka.NodeID) { s.nodes[id].host.Kill() }

func (s *stage) replica(id kafka.NodeID) *Partition { return s.nodes[id].m.Partition(orders0) }

// call asks a broker, and fails the test if it does not answer.
func (s *stage) call(id kafka.NodeID, req kmsg.Request) kmsg.Response {
	s.t.Helper()
	resp, err := s.try(id, req)
	require.NoError(s.t, err)
	return resp
}

// try asks a broker over a connection of its own.
func (s *stage) try(id kafka.NodeID, req kmsg.Request) (kmsg.Response, error) {
	conn, err := wire.Dial(s.h, fmt.Sprintf("%s:%d", name(id), port), "client", time.Second)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	return conn.Call(req, time.Minute)
}

// batch is one batch with a record for each value.
func batch(values ...string) []byte {
	b := record.NewBuilder(record.Options{})
	for _, v := range values {
		b.Append(1000, nil, []byte(v))
	}
	return b.Build()
}

func produceRequest(acks int16, timeout time.Duration, records []byte) *kmsg.ProduceRequest {
	req := kmsg.NewPtrProduceRequest()
	req.Version, req.Acks, req.TimeoutMillis = 9, acks, int32(timeout.Milliseconds())
	t := kmsg.NewProduceRequestTopic()
	t.Topic = "orders"
	p := kmsg.NewProduceRequestTopicPartition()
	p.Records = records
	t.Partitions = append(t.Partitions, p)
	req.Topics = append(req.Topics, t)
	return req
}

// produce appends values as one batch and returns the offset, or the error.
func (s *stage) produce(id kafka.NodeID, acks int16, values ...string) (kafka.Offset, error) {
	return s.produceWithin(id, acks, 5*time.Second, values...)
}

func (s *stage) produceWithin(id kafka.NodeID, acks int16, timeout time.Duration, values ...string) (kafka.Offset, error) {
	resp, err := s.try(id, produceRequest(acks, timeout, batch(values...)))
	if err != nil {
		return kafka.NoOffset, err
	}
	p := resp.(*kmsg.ProduceResponse).Topics[0].Partitions[0]
	return kafka.Offset(p.BaseOffset), kerr.ErrorForCode(p.ErrorCode)
}

// mustProduce is acks=all that succeeds.
func (s *stage) mustProduce(id kafka.NodeID, values ...string) {
	s.t.Helper()
	_, err := s.produce(id, acksAll, values...)
	require.NoError(s.t, err)
}

// values is what a replica's log holds.
func (s *stage) values(id kafka.NodeID) []string {
	l := s.replica(id).log
	var out []string
	batches, err := l.Read(l.StartOffset(), l.EndOffset(), 1<<30, true)
	require.NoError(s.t, err)
	for len(batches) > 0 {
		b, rest, err := record.Next(batches)
		require.NoError(s.t, err)
		require.NoError(s.t, b.Records(func(r record.Record) error {
			out = append(out, string(r.Value))
			return nil
		}))
		batches = rest
	}
	return out
}

// inSync waits until the ISR is ids and all replicas hold the same.
func (s *stage) inSync(ids ...kafka.NodeID) {
	s.t.Helper()
	s.until(fmt.Sprintf("isr is %v", ids), func() bool {
		isr := slices.Clone(s.partition().ISR)
		slices.Sort(isr)
		if !slices.Equal(isr, ids) {
			return false
		}
		leader := s.replica(s.partition().Leader)
		for _, id := range ids {
			p := s.replica(id)
			if p.log.EndOffset() != leader.log.EndOffset() || p.hw != leader.log.EndOffset() {
				return false
			}
		}
		return true
	})
	for _, id := range ids {
		if s.t.Failed() {
			s.t.Logf("%d: %+v", id, s.replica(id).View())
		}
		assert.Equal(s.t, s.values(s.partition().Leader), s.values(id), "what %d holds", id)
	}
}
