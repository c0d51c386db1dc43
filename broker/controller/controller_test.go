package controller

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
	"github.com/ktrial/ktrial/broker/metadata"
	"github.com/ktrial/ktrial/broker/raft"
	"github.com/ktrial/ktrial/ledger"
	"github.com/ktrial/ktrial/sim"
	"github.com/ktrial/ktrial/sim/env"
)

// quorum is a quorum of one that commits after a while, or not at all.
type quorum struct {
	host      env.Host
	c         *Controller
	epoch     kafka.LeaderEpoch // -1: does not lead
	log       []raft.Batch
	committed int // batches
	latency   time.Duration
	stuck     bool
	changed   env.Signal
}

const self, other = kafka.NodeID(100), kafka.NodeID(101)

// withController runs a test of a controller with a quorum that it does not
// lead yet.
func withController(t *testing.T, test func(t require.TestingT, host env.Host, c *Controller, q *quorum), change ...func(*Config)) *sim.World {
	return sim.RunHost(t, 1, func(host env.Host) {
		cfg := Config{ID: self, ClusterID: "trial"}
		config.Default(&cfg.Settings)
		for _, f := range change {
			f(&cfg)
		}
		c := New(host, cfg)
		q := &quorum{host: host, c: c, epoch: -1, latency: 5 * time.Millisecond, changed: host.NewSignal("quorum")}
		c.Start(q)
		test(t, host, c, q)
	})
}

func (q *quorum) end() kafka.Offset {
	if len(q.log) == 0 {
		return 0
	}
	return q.log[len(q.log)-1].LastOffset + 1
}

func (q *quorum) HighWatermark() kafka.Offset {
	if q.committed == 0 {
		return 0
	}
	return q.log[q.committed-1].LastOffset + 1
}

func (q *quorum) Append(epoch kafka.LeaderEpoch, recs []metadata.Record) (kafka.Offset, error) {
	if q.epoch != epoch {
		return -1, kerr.NotController
	}
	b := raft.Batch{BaseOffset: q.end(), LastOffset: q.end() + kafka.Offset(len(recs)) - 1, Epoch: epoch, Records: recs}
	q.log = append(q.log, b)
	q.host.After(q.latency, "commit", q.commit)
	return b.LastOffset, nil
}

func (q *quorum) commit() {
	if q.stuck || q.committed == len(q.log) {
		return
	}
	q.committed++
	q.c.Committed(q.log[q.committed-1])
	q.changed.Broadcast()
}

func (q *quorum) WaitCommitted(offset kafka.Offset, epoch kafka.LeaderEpoch, timeout time.Duration) error {
	until := q.host.Uptime() + timeout
	for q.epoch == epoch && q.HighWatermark() <= offset {
		if !q.changed.Wait(until - q.host.Uptime()) {
			return kerr.RequestTimedOut
		}
	}
	if q.epoch != epoch {
		return kerr.NotController
	}
	return nil
}

func (q *quorum) MaybeSnapshot(*metadata.Image) {}

// elect makes the node leader of a new epoch, which begins with a control batch.
func (q *quorum) elect(epoch kafka.LeaderEpoch) {
	q.log = append(q.log[:q.committed:q.committed], raft.Batch{})
	q.log[q.committed] = raft.Batch{BaseOffset: q.HighWatermark(), LastOffset: q.HighWatermark(), Epoch: epoch}
	q.stuck = false
	q.commit()
	q.epoch = epoch
	q.c.LeaderChanged(self, epoch)
	q.host.Sleep(time.Millisecond)
}

// depose takes the leadership and all that is not committed away.
func (q *quorum) depose(epoch kafka.LeaderEpoch) {
	q.epoch = -1
	q.log = q.log[:q.committed]
	q.c.LeaderChanged(other, epoch)
	q.changed.Broadcast()
}

func registration(id kafka.NodeID) *kmsg.BrokerRegistrationRequest {
	req := kmsg.NewPtrBrokerRegistrationRequest()
	req.Version, req.BrokerID, req.ClusterID, req.IncarnationID = 4, int32(id), "trial", incarnation(int(id))
	req.LogDirs = [][16]byte{dir(id)}
	for _, f := range SupportedFeatures() {
		req.Features = append(req.Features, kmsg.BrokerRegistrationRequestFeature{Name: f.Name, MinSupportedVersion: f.Min, MaxSupportedVersion: f.Max})
	}
	return req
}

func heartbeat(id kafka.NodeID, epoch int64, at int64) *kmsg.BrokerHeartbeatRequest {
	req := kmsg.NewPtrBrokerHeartbeatRequest()
	req.BrokerID, req.BrokerEpoch, req.CurrentMetadataOffset = int32(id), epoch, at
	return req
}

func newTopic(name string, replicas ...int32) *kmsg.CreateTopicsRequest {
	req := kmsg.NewPtrCreateTopicsRequest()
	req.Version, req.TimeoutMillis = 7, 10_000
	t := kmsg.NewCreateTopicsRequestTopic()
	t.Topic, t.NumPartitions, t.ReplicationFactor = name, -1, -1
	t.ReplicaAssignment = []kmsg.CreateTopicsRequestTopicReplicaAssignment{{Replicas: replicas}}
	req.Topics = append(req.Topics, t)
	return req
}

// join registers brokers and unfences them. It returns their epochs.
func join(t require.TestingT, c *Controller, ids ...kafka.NodeID) map[kafka.NodeID]int64 {
	epochs := map[kafka.NodeID]int64{}
	for _, id := range ids {
		r := c.BrokerRegistration(registration(id))
		require.Zero(t, r.ErrorCode)
		require.Equal(t, r.BrokerEpoch, int64(c.Image().Broker(id).Epoch))
		h := c.BrokerHeartbeat(heartbeat(id, r.BrokerEpoch, r.BrokerEpoch))
		require.Zero(t, h.ErrorCode)
		require.False(t, h.IsFenced)
		epochs[id] = r.BrokerEpoch
	}
	return epochs
}

func TestController_ActsOnlyWhileItLeadsAndHasCaughtUp(t *testing.T) {
	withController(t, func(t require.TestingT, host env.Host, c *Controller, q *quorum) {
		assert.Equal(t, kerr.NotController.Code, c.BrokerRegistration(registration(1)).ErrorCode)
		q.elect(1)
		assert.True(t, c.Active())
		join(t, c, 1)
		q.depose(2)
		assert.False(t, c.Active())
		assert.Equal(t, kerr.NotController.Code, c.BrokerHeartbeat(heartbeat(1, 6, 6)).ErrorCode)
		assert.Equal(t, kerr.NotController.Code, c.CreateTopics(newTopic("orders", 1)).Topics[0].ErrorCode)
		assert.Equal(t, kerr.NotController.Code, c.AlterPartition(kmsg.NewPtrAlterPartitionRequest()).ErrorCode)
	})
}

func TestController_AnswersOnceTheDecisionIsCommitted(t *testing.T) {
	withController(t, func(t require.TestingT, host env.Host, c *Controller, q *quorum) {
		q.elect(1)
		join(t, c, 1)
		q.latency = time.Second
		began := host.Uptime()
		require.Zero(t, c.CreateTopics(newTopic("orders", 1)).Topics[0].ErrorCode)
		assert.GreaterOrEqual(t, host.Uptime()-began, time.Second)
		assert.NotNil(t, c.Image().Topic("orders"))
	})
}

func TestController_ADecisionSeesTheOneBeforeThatIsNotCommitted(t *testing.T) {
	withController(t, func(t require.TestingT, host env.Host, c *Controller, q *quorum) {
		q.elect(1)
		join(t, c, 1)
		q.latency = time.Second
		done := host.NewSignal("done")
		host.Go("first", func() {
			assert.Zero(t, c.CreateTopics(newTopic("orders", 1)).Topics[0].ErrorCode)
			done.Broadcast()
		})
		host.Sleep(10 * time.Millisecond)
		assert.Positive(t, c.View().Uncommitted)
		assert.Nil(t, c.Image().Topic("orders"))
		resp := c.CreateTopics(newTopic("orders", 1))
		assert.Equal(t, kerr.TopicAlreadyExists.Code, resp.Topics[0].ErrorCode)
		// What was read may not be committed ever: so a mere answer waits too.
		assert.NotNil(t, c.Image().Topic("orders"), "answered from what was not committed yet")
		done.Wait(time.Minute)
	})
}

func TestController_LeadershipLostTakesTheUncommittedAway(t *testing.T) {
	withController(t, func(t require.TestingT, host env.Host, c *Controller, q *quorum) {
		q.elect(1)
		join(t, c, 1)
		q.stuck = true
		done := host.NewSignal("done")
		host.Go("lost", func() {
			assert.Equal(t, kerr.NotController.Code, c.CreateTopics(newTopic("orders", 1)).Topics[0].ErrorCode)
			done.Broadcast()
		})
		host.Sleep(10 * time.Millisecond)
		host.Go("depose", func() { q.depose(2) })
		require.True(t, done.Wait(time.Second))
		assert.Nil(t, c.View().Committed.Topic("orders"))
		q.elect(3)
		assert.Equal(t, c.committed.Hash(), c.image.Hash())
		assert.Zero(t, c.CreateTopics(newTopic("orders", 1)).Topics[0].ErrorCode)
	})
}

func TestController_FencesTheSilentAndGivesFreshSessions(t *testing.T) {
	withController(t, func(t require.TestingT, host env.Host, c *Controller, q *quorum) {
		q.elect(1)
		epochs := join(t, c, 1, 2, 3)
		require.Zero(t, c.CreateTopics(newTopic("orders", 1, 2, 3)).Topics[0].ErrorCode)
		began := host.Uptime()
		for host.Uptime()-began < 8*time.Second {
			host.Sleep(2 * time.Second)
			c.BrokerHeartbeat(heartbeat(3, epochs[3], epochs[3]))
		}
		assert.False(t, c.Image().Broker(1).Fenced)
		host.Sleep(1100 * time.Millisecond)
		assert.True(t, c.Image().Broker(1).Fenced)
		assert.True(t, c.Image().Broker(2).Fenced)
		assert.False(t, c.Image().Broker(3).Fenced)
		p := c.Image().Topic("orders").Partitions[0]
		assert.Equal(t, kafka.NodeID(3), p.Leader)
		assert.Equal(t, []kafka.NodeID{3}, p.ISR)

		q.depose(2)
		host.Sleep(time.Minute)
		assert.False(t, c.Image().Broker(3).Fenced, "a controller that is not active fences no broker")
		q.elect(3)
		host.Sleep(8900 * time.Millisecond)
		assert.False(t, c.Image().Broker(3).Fenced, "the new controller has not been deaf for long")
		host.Sleep(200 * time.Millisecond)
		assert.True(t, c.Image().Broker(3).Fenced)
	})
}

func TestController_HeartbeatsThatChangeNothingWriteNothing(t *testing.T) {
	withController(t, func(t require.TestingT, host env.Host, c *Controller, q *quorum) {
		q.elect(1)
		epochs := join(t, c, 1)
		batches, began := len(q.log), host.Uptime()
		for range 100 {
			require.Zero(t, c.BrokerHeartbeat(heartbeat(1, epochs[1], epochs[1])).ErrorCode)
		}
		assert.Equal(t, batches, len(q.log))
		assert.Equal(t, began, host.Uptime(), "and waits for no other")
	}, func(cfg *Config) { cfg.Settings.MaxIdleInterval = 0 })
}

func TestController_WritesNoOpRecordsSoThatTheHighWatermarkMoves(t *testing.T) {
	withController(t, func(t require.TestingT, host env.Host, c *Controller, q *quorum) {
		q.elect(1)
		batches := len(q.log)
		host.Sleep(5 * time.Second)
		assert.InDelta(t, 10, len(q.log)-batches, 1)
		assert.Equal(t, records{&metadata.NoOpRecord{}}, q.log[len(q.log)-1].Records)
	})
}

func TestController_GivesPartitionsBackToTheirPreferredLeaders(t *testing.T) {
	withController(t, func(t require.TestingT, host env.Host, c *Controller, q *quorum) {
		q.elect(1)
		epochs := join(t, c, 1, 2)
		require.Zero(t, c.CreateTopics(newTopic("orders", 1, 2)).Topics[0].ErrorCode)
		req := heartbeat(1, epochs[1], epochs[1])
		req.WantFence = true
		require.True(t, c.BrokerHeartbeat(req).IsFenced)
		require.False(t, c.BrokerHeartbeat(heartbeat(1, epochs[1], epochs[1])).IsFenced)
		p := c.Image().Topic("orders").Partitions[0]
		require.Equal(t, kafka.NodeID(2), p.Leader)
		alter := kmsg.NewPtrAlterPartitionRequest()
		alter.Version, alter.BrokerID, alter.BrokerEpoch = 3, 2, epochs[2]
		x := kmsg.NewAlterPartitionRequestTopicPartition()
		x.LeaderEpoch, x.PartitionEpoch = int32(p.LeaderEpoch), int32(p.PartitionEpoch)
		for id := range int32(2) {
			x.NewEpochISR = append(x.NewEpochISR, kmsg.AlterPartitionRequestTopicPartitionNewEpochISR{BrokerID: id + 1, BrokerEpoch: epochs[kafka.NodeID(id+1)]})
		}
		alter.Topics = []kmsg.AlterPartitionRequestTopic{{TopicID: p.TopicID, Partitions: []kmsg.AlterPartitionRequestTopicPartition{x}}}
		require.Zero(t, c.AlterPartition(alter).Topics[0].Partitions[0].ErrorCode)
		for range 301 {
			host.Sleep(time.Second)
			for id, epoch := range epochs {
				c.BrokerHeartbeat(heartbeat(id, epoch, epoch))
			}
		}
		assert.Equal(t, kafka.NodeID(1), c.Image().Topic("orders").Partitions[0].Leader)
	})
}

func TestController_TellsWhatItDoes(t *testing.T) {
	var told []string
	withController(t, func(t require.TestingT, host env.Host, c *Controller, q *quorum) {
		c.host = listening{host, &told}
		q.elect(7)
		host.Sleep(time.Second)
		q.depose(8)
	}, func(cfg *Config) { cfg.Settings.MaxIdleInterval = 0 })
	assert.Equal(t, []string{
		"has applied the metadata up to 0", "controller: active in epoch 7, at offset 0",
		"has applied the metadata up to 5", "controller: no longer active in epoch 7",
	}, told)
}

// listening is a host that notes what it is told.
type listening struct {
	env.Host
	told *[]string
}

func (l listening) Tell(e ledger.Event) {
	*l.told = append(*l.told, e.Sentence())
	l.Host.Tell(e)
}

// What is committed adds up to what the active controller decided (wREPLAY).
func TestController_TheLiveStateIsTheFoldOfTheLog(t *testing.T) {
	withController(t, func(t require.TestingT, host env.Host, c *Controller, q *quorum) {
		q.elect(1)
		epochs := join(t, c, 1, 2, 3)
		for i := range 5 {
			require.Zero(t, c.CreateTopics(newTopic(fmt.Sprintf("t%d", i), 1, 2, 3)).Topics[0].ErrorCode)
		}
		req := heartbeat(2, epochs[2], epochs[2])
		req.WantShutdown = true
		c.BrokerHeartbeat(req)
		host.Sleep(20 * time.Second)
		require.Zero(t, c.View().Uncommitted)
		assert.Equal(t, c.image.Hash(), c.committed.Hash())
		fold := metadata.NewImage()
		for _, b := range q.log {
			for _, r := range b.Records {
				require.NoError(t, fold.Apply(r))
			}
		}
		assert.Equal(t, c.committed.Hash(), fold.Hash())
	})
}
