package server

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/ktrial/ktrial/broker/config"
	"github.com/ktrial/ktrial/broker/kafka"
	"github.com/ktrial/ktrial/broker/wire"
	"github.com/ktrial/ktrial/sim"
	"github.com/ktrial/ktrial/sim/env"
)

// quorum is two controllers that answer by script: hosts "c1" and "c2", of
// which active is the one that is in charge.
type quorum struct {
	active string
	answer func(host string, req kmsg.Request) kmsg.Response
	asked  []string
}

func (q *quorum) start(t *testing.T, w *sim.World) {
	for _, name := range []string{"c1", "c2"} {
		w.Host(name).Start(func(h env.Host) {
			l, err := h.Listen(9093)
			require.NoError(t, err)
			wire.Serve(h, l, func(ctx *wire.Context, req kmsg.Request) kmsg.Response {
				q.asked = append(q.asked, fmt.Sprintf("%s %s", name, kmsg.NameForKey(ctx.Key)))
				return q.answer(name, req)
			})
		})
	}
}

// find is what raft says of the leader.
func (q *quorum) find() string {
	if q.active == "" {
		return ""
	}
	return q.active + ":9093"
}

// withQuorum runs main on a broker's host beside a quorum.
func withQuorum(t *testing.T, q *quorum, main func(h env.Host, w *sim.World)) {
	w := sim.NewWorld(sim.Config{Seed: 1})
	t.Cleanup(w.Close)
	q.start(t, w)
	require.NoError(t, w.RunMain("b1", func(h env.Host) { main(h, w) }))
}

func defaults() (s Settings) {
	config.Default(&s)
	return s
}

// script is a controller that lets broker 1 in: caught up with the second
// heartbeat, unfenced once it wants to be, and relieved of its leaderships with
// the third time that it asks to shut down.
type script struct {
	beats, shutdowns int
	fenced           bool
	refuse           int
	seen             *kmsg.BrokerHeartbeatRequest
	registered       *kmsg.BrokerRegistrationRequest
}

func (s *script) answer(_ string, req kmsg.Request) kmsg.Response {
	switch req := req.(type) {
	case *kmsg.BrokerRegistrationRequest:
		s.registered = req
		resp := kmsg.NewPtrBrokerRegistrationResponse()
		resp.BrokerEpoch = 17
		if s.refuse > 0 {
			s.refuse--
			resp.ErrorCode = kerr.DuplicateBrokerRegistration.Code
		}
		return resp
	case *kmsg.BrokerHeartbeatRequest:
		s.beats++
		s.seen = req
		s.fenced = s.fenced && req.WantFence
		if req.WantShutdown {
			s.shutdowns++
		}
		resp := kmsg.NewPtrBrokerHeartbeatResponse()
		resp.IsCaughtUp, resp.IsFenced, resp.ShouldShutdown = s.beats > 1, s.fenced, s.shutdowns >= 3
		return resp
	}
	return nil
}

func lifecycle(h env.Host, q *quorum, s Settings) (*Lifecycle, *kafka.BrokerEpoch) {
	epoch := kafka.BrokerEpoch(kafka.NoEpoch)
	self := Identity{NodeID: 1, ClusterID: "C", Incarnation: kafka.UUID{9}, PreviousEpoch: 5}
	ch := NewChannel(h, "heartbeat-1", q.find)
	return NewLifecycle(h, self, s, ch, func() kafka.Offset { return 33 }, func(e kafka.BrokerEpoch) { epoch = e }), &epoch
}

func TestLifecycle_FromStartToShutdown(t *testing.T) {
	s := &script{fenced: true, refuse: 3}
	q := &quorum{active: "c1", answer: s.answer}
	withQuorum(t, q, func(h env.Host, _ *sim.World) {
		lc, epoch := lifecycle(h, q, defaults())
		lc.Start()
		require.True(t, lc.WaitState(Recovery, time.Minute))
		assert.EqualValues(t, 17, *epoch)
		assert.EqualValues(t, 5, s.registered.PreviousBrokerEpoch)
		assert.EqualValues(t, 33, s.seen.CurrentMetadataOffset)
		assert.EqualValues(t, 17, s.seen.BrokerEpoch)
		assert.False(t, lc.WaitState(Running, 10*time.Second), "not before it is ready")
		lc.ReadyToUnfence()
		require.True(t, lc.WaitState(Running, time.Second))

		beats := s.beats
		h.Sleep(20 * time.Second)
		assert.InDelta(t, 10, s.beats-beats, 1, "a heartbeat every two seconds")

		start := h.Uptime()
		lc.ControlledShutdown()
		assert.Equal(t, ShuttingDown, lc.State())
		assert.Equal(t, 3, s.shutdowns)
		assert.Less(t, h.Uptime()-start, 3*time.Second)
		beats = s.beats
		h.Sleep(10 * time.Second)
		assert.Equal(t, beats, s.beats, "no heartbeat of a broker that is gone")
	})
}

func TestLifecycle_EndsTheProcessThatCannotRegister(t *testing.T) {
	q := &quorum{answer: func(string, kmsg.Request) kmsg.Response { return nil }}
	w := sim.NewWorld(sim.Config{Seed: 1})
	defer w.Close()
	w.Host("b1").Start(func(h env.Host) {
		lc, _ := lifecycle(h, q, defaults())
		lc.Start()
	})
	require.NoError(t, w.Run(59*time.Second))
	assert.True(t, w.Host("b1").IsRunning())
	require.NoError(t, w.Run(61*time.Second))
	assert.False(t, w.Host("b1").IsRunning())
	assert.ErrorContains(t, w.Host("b1").ExitError(), "REQUEST_TIMED_OUT")
}

func TestLifecycle_FindsTheNextController(t *testing.T) {
	s := &script{}
	q := &quorum{active: "c1", answer: s.answer}
	withQuorum(t, q, func(h env.Host, w *sim.World) {
		lc, _ := lifecycle(h, q, defaults())
		lc.Start()
		lc.ReadyToUnfence()
		require.True(t, lc.WaitState(Running, time.Minute))
		w.Host("c1").Kill()
		q.active = "c2"
		beats := s.beats
		h.Sleep(5 * time.Second)
		assert.Greater(t, s.beats, beats)
		assert.Equal(t, "c2 BrokerHeartbeat", q.asked[len(q.asked)-1])
	})
}

func TestChannel_LooksForTheControllerThatIsActive(t *testing.T) {
	q := &quorum{active: "c1"}
	q.answer = func(host string, _ kmsg.Request) kmsg.Response {
		resp := kmsg.NewPtrAllocateProducerIDsResponse()
		if host == "c1" {
			resp.ErrorCode = kerr.NotController.Code
		} else {
			resp.ProducerIDStart, resp.ProducerIDLen = 1000, 3
		}
		return resp
	}
	withQuorum(t, q, func(h env.Host, w *sim.World) {
		ch := NewChannel(h, "x", q.find)
		w.After(time.Second, "election", func() { q.active = "" })
		w.After(2*time.Second, "election over", func() { q.active = "c2" })
		start := h.Uptime()
		resp, err := ch.Call(kmsg.NewPtrAllocateProducerIDsRequest(), time.Minute)
		require.NoError(t, err)
		assert.EqualValues(t, 1000, resp.(*kmsg.AllocateProducerIDsResponse).ProducerIDStart)
		assert.InDelta(t, 2, (h.Uptime() - start).Seconds(), 0.5)
	})
}

func TestChannel_GivesUpAtItsTimeout(t *testing.T) {
	q := &quorum{}
	withQuorum(t, q, func(h env.Host, w *sim.World) {
		ch := NewChannel(h, "x", q.find)
		for _, active := range []string{"", "c1", "nowhere"} {
			q.active = active
			q.answer = func(string, kmsg.Request) kmsg.Response {
				h.Sleep(time.Hour)
				return nil
			}
			start := h.Uptime()
			_, err := ch.Call(kmsg.NewPtrAllocateProducerIDsRequest(), 5*time.Second)
			assert.ErrorIs(t, err, kerr.RequestTimedOut)
			assert.InDelta(t, 5, (h.Uptime() - start).Seconds(), 0.2)
		}
	})
}

// One request at a time: the second waits for the first.
func TestChannel_TakesTurns(t *testing.T) {
	busy, most := 0, 0
	q := &quorum{active: "c1"}
	withQuorum(t, q, func(h env.Host, w *sim.World) {
		q.answer = func(host string, _ kmsg.Request) kmsg.Response {
			busy++
			most = max(most, busy)
			w.Host(host).Process().Sleep(100 * time.Millisecond)
			busy--
			return kmsg.NewPtrAllocateProducerIDsResponse()
		}
		ch := NewChannel(h, "x", q.find)
		answered := 0
		for range 5 {
			h.Go("caller", func() {
				if _, err := ch.Call(kmsg.NewPtrAllocateProducerIDsRequest(), 300*time.Millisecond); err == nil {
					answered++
				}
			})
		}
		h.Sleep(time.Second)
		assert.Equal(t, 1, most)
		assert.Equal(t, 2, answered, "the others ran out of time while they waited")
	})
}

func TestInitProducerID(t *testing.T) {
	q := &quorum{active: "c1"}
	next := int64(0)
	q.answer = func(string, kmsg.Request) kmsg.Response {
		resp := kmsg.NewPtrAllocateProducerIDsResponse()
		resp.ProducerIDStart, resp.ProducerIDLen = next, 10
		next += 10
		return resp
	}
	withQuorum(t, q, func(h env.Host, _ *sim.World) {
		b := &Broker{Producers: NewProducerIDs(h, 1, func() kafka.BrokerEpoch { return 7 }, NewChannel(h, "x", q.find), time.Second)}
		ask := func(edit func(*kmsg.InitProducerIDRequest)) *kmsg.InitProducerIDResponse {
			req := wire.Latest(kmsg.NewPtrInitProducerIDRequest())
			edit(req)
			return b.initProducerID(nil, req).(*kmsg.InitProducerIDResponse)
		}
		seen := map[int64]bool{}
		left := 25
		done := h.NewSignal("done")
		for range left {
			h.Go("producer", func() {
				resp := ask(func(*kmsg.InitProducerIDRequest) {})
				assert.Zero(t, resp.ErrorCode)
				assert.Zero(t, resp.ProducerEpoch)
				assert.False(t, seen[resp.ProducerID], "given twice")
				seen[resp.ProducerID] = true
				left--
				done.Notify()
			})
		}
		for left > 0 {
			require.True(t, done.Wait(time.Minute))
		}
		assert.Len(t, q.asked, 3, "a block of ten at a time")

		half := ask(func(req *kmsg.InitProducerIDRequest) { req.ProducerID = 4 })
		assert.Equal(t, kerr.InvalidRequest.Code, half.ErrorCode)
		nameless := ask(func(req *kmsg.InitProducerIDRequest) { req.TransactionalID = ptr("") })
		assert.Equal(t, kerr.InvalidRequest.Code, nameless.ErrorCode)
		q.active = ""
		for range 5 {
			ask(func(*kmsg.InitProducerIDRequest) {})
		}
		none := ask(func(*kmsg.InitProducerIDRequest) {})
		assert.Equal(t, kerr.CoordinatorLoadInProgress.Code, none.ErrorCode)
		assert.EqualValues(t, -1, none.ProducerID)
	})
}

func TestMetadata_CreatesATopicThatAClientAsksFor(t *testing.T) {
	q := &quorum{active: "c1"}
	var names []string
	q.answer = func(_ string, req kmsg.Request) kmsg.Response {
		create := req.(*kmsg.CreateTopicsRequest)
		for _, topic := range create.Topics {
			names = append(names, topic.Topic)
			assert.EqualValues(t, -1, topic.NumPartitions)
			assert.EqualValues(t, -1, topic.ReplicationFactor)
		}
		return kmsg.NewPtrCreateTopicsResponse()
	}
	withQuorum(t, q, func(h env.Host, _ *sim.World) {
		b := &Broker{Host: h, NodeID: 1, Metadata: NewPublisher(h, 1, nil), Settings: defaults()}
		b.Metadata.image = cluster(t)
		b.creator = topicCreator{host: h, channel: NewChannel(h, "x", q.find), timeout: time.Second}
		req := askMetadata(12, "bonds", "stocks", "bad name")
		b.metadata(nil, req)
		h.Sleep(time.Second)
		assert.Empty(t, names, "not without the client's consent")
		req.AllowAutoTopicCreation = true
		for range 3 {
			resp := b.metadata(nil, req).(*kmsg.MetadataResponse)
			assert.Equal(t, kerr.UnknownTopicOrPartition.Code, resp.Topics[0].ErrorCode)
		}
		h.Sleep(time.Second)
		assert.Equal(t, []string{"bonds"}, names, "once at a time")
		b.Settings.AutoCreateTopics = false
		b.metadata(nil, req)
		h.Sleep(time.Second)
		assert.Len(t, names, 1)
	})
}

// What a client asks of the controller goes there in the client's own version.
func TestForward(t *testing.T) {
	q := &quorum{active: "c1"}
	q.answer = func(_ string, req kmsg.Request) kmsg.Response {
		resp := kmsg.NewPtrElectLeadersResponse()
		resp.ErrorCode = kerr.ElectionNotNeeded.Code
		assert.EqualValues(t, 1, req.GetVersion())
		return resp
	}
	withQuorum(t, q, func(h env.Host, _ *sim.World) {
		b := &Broker{Settings: defaults(), Forward: NewChannel(h, "x", q.find)}
		req := kmsg.NewPtrElectLeadersRequest()
		req.Version = 1
		resp := forward[*kmsg.ElectLeadersRequest](b)(nil, req).(*kmsg.ElectLeadersResponse)
		assert.Equal(t, kerr.ElectionNotNeeded.Code, resp.ErrorCode)
		q.active = ""
		start := h.Uptime()
		resp = forward[*kmsg.ElectLeadersRequest](b)(nil, req).(*kmsg.ElectLeadersResponse)
		assert.Equal(t, kerr.RequestTimedOut.Code, resp.ErrorCode)
		assert.InDelta(t, 30, (h.Uptime() - start).Seconds(), 0.2)
	})
}

// Every request that is forwarded can be refused, and every refusal is seen.
func TestRefuse_IsSeenByTheChannel(t *testing.T) {
	create := kmsg.NewPtrCreateTopicsRequest()
	create.Topics = make([]kmsg.CreateTopicsRequestTopic, 1)
	drop := kmsg.NewPtrDeleteTopicsRequest()
	drop.Topics = make([]kmsg.DeleteTopicsRequestTopic, 1)
	oldDrop := kmsg.NewPtrDeleteTopicsRequest()
	oldDrop.TopicNames = []string{"x"}
	grow := kmsg.NewPtrCreatePartitionsRequest()
	grow.Topics = make([]kmsg.CreatePartitionsRequestTopic, 1)
	alter := kmsg.NewPtrIncrementalAlterConfigsRequest()
	alter.Resources = make([]kmsg.IncrementalAlterConfigsRequestResource, 1)
	oldAlter := kmsg.NewPtrAlterConfigsRequest()
	oldAlter.Resources = []kmsg.AlterConfigsRequestResource{{ResourceType: kmsg.ConfigResourceTypeBroker, ResourceName: "7"}}
	oldElect := kmsg.NewPtrElectLeadersRequest()
	oldElect.Topics = []kmsg.ElectLeadersRequestTopic{{Topic: "x", Partitions: []int32{0}}}
	newElect := *oldElect
	newElect.Version = 2
	for _, req := range []kmsg.Request{
		create, drop, oldDrop, grow, alter, oldAlter, oldElect, &newElect,
		kmsg.NewPtrAlterPartitionAssignmentsRequest(), kmsg.NewPtrListPartitionReassignmentsRequest(),
		kmsg.NewPtrUpdateFeaturesRequest(), kmsg.NewPtrUnregisterBrokerRequest(), kmsg.NewPtrDescribeQuorumRequest(),
	} {
		resp := refuse(req, kerr.NotController)
		resp.SetVersion(req.GetVersion())
		assert.True(t, notController(resp), kmsg.NameForKey(req.Key()))
		resp = refuse(req, fmt.Errorf("elsewhere: %w", kerr.RequestTimedOut))
		resp.SetVersion(req.GetVersion())
		assert.False(t, notController(resp), kmsg.NameForKey(req.Key()))
	}
	answer := refuse(oldAlter, kerr.RequestTimedOut).(*kmsg.AlterConfigsResponse).Resources[0]
	assert.Equal(t, kmsg.ConfigResourceTypeBroker, answer.ResourceType)
	assert.Equal(t, "7", answer.ResourceName)
	assert.Equal(t, kerr.RequestTimedOut.Code, answer.ErrorCode)
	dropped := refuse(oldDrop, kerr.RequestTimedOut).(*kmsg.DeleteTopicsResponse).Topics[0]
	assert.Equal(t, "x", *dropped.Topic)
}
