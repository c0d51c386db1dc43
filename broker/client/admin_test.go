package client

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/ktrial/ktrial/broker/kafka"
	"github.com/ktrial/ktrial/sim/env"
)

func TestAdmin_RetriesWhatPasses(t *testing.T) {
	f := newFake(t, 1, 3, nil)
	var codes []int16
	asked := 0
	f.onRequest = func(_ int32, req kmsg.Request) kmsg.Response {
		create, ok := req.(*kmsg.CreateTopicsRequest)
		if !ok {
			return nil
		}
		asked++
		rt := create.Topics[0]
		assert.Equal(t, "orders", rt.Topic)
		assert.Equal(t, []string{"a", "b"}, []string{rt.Configs[0].Name, rt.Configs[1].Name})
		resp := kmsg.NewPtrCreateTopicsResponse()
		answer := kmsg.NewCreateTopicsResponseTopic()
		answer.Topic = rt.Topic
		if len(codes) > 0 {
			answer.ErrorCode, codes = codes[0], codes[1:]
		}
		resp.Topics = append(resp.Topics, answer)
		return resp
	}
	f.run(func(h env.Host, c *Client) {
		cfg := AdminDefaults()
		cfg.DefaultAPITimeout = 5 * time.Second
		a := c.NewAdmin(cfg)
		topic := NewTopic{Name: "orders", Partitions: 3, Replicas: 3, Configs: map[string]string{"b": "2", "a": "1"}}
		codes = []int16{kerr.NotController.Code, kerr.RequestTimedOut.Code}
		require.NoError(t, a.CreateTopics(topic))
		assert.Equal(t, 3, asked)

		codes = []int16{kerr.TopicAlreadyExists.Code}
		err := a.CreateTopics(topic)
		assert.ErrorIs(t, err, kerr.TopicAlreadyExists)
		assert.ErrorContains(t, err, "client: create topics: topic orders:")
		assert.Equal(t, 4, asked)

		for range 1000 {
			codes = append(codes, kerr.NotController.Code)
		}
		began := h.Uptime()
		assert.ErrorIs(t, a.CreateTopics(topic), kerr.NotController)
		assert.InDelta(t, 5, (h.Uptime() - began).Seconds(), 1.1)
		a.Close()
	})
}

func TestAdmin_AsksTheLeaders(t *testing.T) {
	f := filled(t, 2, 3, 4, 5)
	f.run(func(h env.Host, c *Client) {
		a := c.NewAdmin(AdminDefaults())
		f.parts[orders(1)].start = 2
		specs := map[kafka.TopicPartition]OffsetSpec{}
		for p := range int32(4) {
			specs[orders(p)] = StartOfLog
		}
		specs[orders(3)] = EndOfLog
		check := func() {
			got, err := a.ListOffsets(ReadUncommitted, specs)
			require.NoError(t, err)
			for p, want := range []kafka.Offset{0, 2, 0, 5} {
				assert.Equal(t, want, got[orders(int32(p))].Offset)
				assert.NoError(t, got[orders(int32(p))].Err)
			}
		}
		check()
		for p := range int32(4) {
			f.move(orders(p), (p+1)%3)
		}
		check()
	})
}

// A broker that does not even answer a dial costs no more than
// default.api.timeout.ms, though socket.connection.setup.timeout.ms is longer.
func TestAdmin_DoesNotWaitForAConnectionLongerThanForAnAnswer(t *testing.T) {
	f := filled(t, 2, 3, 3, 5)
	f.move(orders(1), 1)
	f.run(func(h env.Host, c *Client) {
		f.w.Network().Link("client", "broker-1").Cut()
		cfg := AdminDefaults()
		cfg.DefaultAPITimeout = 5 * time.Second
		a := c.NewAdmin(cfg)
		began := h.Uptime()
		_, err := a.ListOffsets(ReadUncommitted, map[kafka.TopicPartition]OffsetSpec{
			orders(0): EndOfLog, orders(1): EndOfLog,
		})
		assert.ErrorIs(t, err, kerr.RequestTimedOut)
		assert.InDelta(t, 5, (h.Uptime() - began).Seconds(), 0.1)
	})
}

func TestAdmin_ElectionThatIsNotNeededIsNoError(t *testing.T) {
	f := filled(t, 3, 1, 2, 0)
	code := kerr.ElectionNotNeeded.Code
	f.onRequest = func(_ int32, req kmsg.Request) kmsg.Response {
		elect, ok := req.(*kmsg.ElectLeadersRequest)
		if !ok {
			return nil
		}
		assert.Equal(t, []int32{0, 1}, elect.Topics[0].Partitions)
		resp := kmsg.NewPtrElectLeadersResponse()
		rt := kmsg.NewElectLeadersResponseTopic()
		rp := kmsg.NewElectLeadersResponseTopicPartition()
		rt.Topic, rp.ErrorCode = "orders", code
		rt.Partitions = append(rt.Partitions, rp)
		resp.Topics = append(resp.Topics, rt)
		return resp
	}
	f.run(func(h env.Host, c *Client) {
		a := c.NewAdmin(AdminDefaults())
		assert.NoError(t, a.ElectLeaders(Preferred, orders(1), orders(0)))
		code = kerr.PreferredLeaderNotAvailable.Code
		assert.ErrorIs(t, a.ElectLeaders(Preferred, orders(1), orders(0)), kerr.PreferredLeaderNotAvailable)
	})
}

func TestAdmin_DescribesTheQuorum(t *testing.T) {
	f := newFake(t, 4, 1, nil)
	notYet := true
	f.onRequest = func(_ int32, req kmsg.Request) kmsg.Response {
		ask, ok := req.(*kmsg.DescribeQuorumRequest)
		if !ok {
			return nil
		}
		assert.Equal(t, kafka.MetadataTopic, ask.Topics[0].Topic)
		resp := kmsg.NewPtrDescribeQuorumResponse()
		rt := kmsg.NewDescribeQuorumResponseTopic()
		rp := kmsg.NewDescribeQuorumResponseTopicPartition()
		rp.LeaderID, rp.LeaderEpoch, rp.HighWatermark = 3, 7, 41
		voter := kmsg.NewDescribeQuorumResponseTopicPartitionReplicaState()
		voter.ReplicaID, voter.LogEndOffset = 3, 42
		rp.CurrentVoters = append(rp.CurrentVoters, voter)
		if notYet {
			rp.ErrorCode, notYet = kerr.NotLeaderForPartition.Code, false
		}
		rt.Partitions = append(rt.Partitions, rp)
		resp.Topics = append(resp.Topics, rt)
		return resp
	}
	f.run(func(h env.Host, c *Client) {
		d, err := c.NewAdmin(AdminDefaults()).DescribeQuorum()
		require.NoError(t, err)
		assert.Equal(t, QuorumDescription{Leader: 3, Epoch: 7, HighWatermark: 41, Voters: []QuorumReplica{{3, 42}}}, d)
	})
}
