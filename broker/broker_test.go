package broker_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ktrial/ktrial/broker"
	"github.com/ktrial/ktrial/broker/config"
	"github.com/ktrial/ktrial/broker/kafka"
	"github.com/ktrial/ktrial/broker/replica"
	"github.com/ktrial/ktrial/broker/witness"
	"github.com/ktrial/ktrial/ledger"
)

func TestOneCombinedNode(t *testing.T) {
	c := combined(t, 1, 1)
	c.client(func(u *user) {
		u.running(1)
		u.createTopic(1, "orders", 1, 1)
		var want []string
		for i := range 10 {
			v := fmt.Sprint("v", i)
			assert.EqualValues(t, i, u.publish(1, "orders", 0, v))
			want = append(want, v)
		}
		assert.Equal(t, want, u.read(1, "orders", 0))
	})
}

// The whole of it: three controllers and three brokers come up, a topic is
// replicated three times, what was acknowledged is read back, and neither the
// loss of the leader nor its return takes any of it away.
func TestClusterStandsUp(t *testing.T) {
	for seed := range uint64(5) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			standUp(t, seed)
		})
	}
}

func standUp(t *testing.T, seed uint64) *cluster {
	c := separate(t, seed, 3, 3)
	c.client(func(u *user) {
		u.running(1, 2, 3)
		u.createTopic(2, "orders", 3, 3, "min.insync.replicas", "2")
		var want []string
		for i := range 20 {
			v := fmt.Sprint("before ", i)
			u.publish(2, "orders", 0, v)
			want = append(want, v)
		}
		assert.Equal(t, want, u.read(2, "orders", 0))

		leader, _ := u.leader(2, "orders", 0)
		c.ByID(leader).Host.Kill()
		other := leader%3 + 1
		for i := range 5 {
			v := fmt.Sprint("after ", i)
			u.publish(other, "orders", 0, v)
			want = append(want, v)
		}
		next, _ := u.leader(other, "orders", 0)
		assert.NotEqual(t, leader, next)
		assert.Equal(t, want, u.read(other, "orders", 0))

		c.restart(leader)
		u.running(leader)
		u.eventually(time.Minute, "the old leader is in the ISR again", func() bool {
			reg := c.node(other).Image().Partition(kafka.TopicPartition{Topic: "orders"})
			return slices.Contains(reg.ISR, leader)
		})
		assert.Equal(t, want, u.read(other, "orders", 0))
		u.eventually(time.Minute, "all replicas hold the same", func() bool { return alike(c, "orders") })
	})
	for _, e := range []ledger.Event{
		&witness.Opened{}, &witness.Appended{}, &witness.BecameLeader{}, &witness.BecameFollower{}, &witness.ProduceAcked{},
		&witness.ControllerActive{}, &witness.PartitionCommitted{}, &witness.TopicCreated{}, &witness.Applied{},
	} {
		assert.Positive(t, c.told[e.Kind().Name], e.Kind().Name)
	}
	return c
}

// alike reports whether all brokers have the same log of partition 0, and know
// that it is committed.
func alike(c *cluster, topic string) bool {
	var first replica.View
	for id := kafka.NodeID(1); id <= 3; id++ {
		p := c.node(id).Replicas.Partition(kafka.TopicPartition{Topic: topic})
		if p == nil {
			return false
		}
		v := p.View()
		if first.LEO == 0 {
			first = v
		}
		if v.LEO != first.LEO || v.HW != v.LEO || v.Epoch != first.Epoch {
			return false
		}
	}
	return true
}

// The same seed gives the same run.
func TestClusterStandsUp_Again(t *testing.T) {
	a, b := standUp(t, 7), standUp(t, 7)
	assert.Equal(t, a.w.Hash(), b.w.Hash())
	assert.Equal(t, a.w.Events(), b.w.Events())
}

// A broker that is shut down in order hands its leaderships over first, is
// believed what it holds when it comes back, and loses nothing.
func TestControlledShutdown(t *testing.T) {
	c := separate(t, 3, 1, 2)
	c.client(func(u *user) {
		u.running(1, 2)
		u.createTopic(1, "orders", 1, 2)
		u.publish(1, "orders", 0, "one")
		leader, _ := u.leader(1, "orders", 0)
		other := 3 - leader
		stopped := false
		node := c.node(leader)
		c.ByID(leader).Host.Process().Go("shutdown", func() {
			require.NoError(t, node.Shutdown())
			stopped = true
		})
		u.eventually(20*time.Second, "shut down", func() bool { return stopped })
		next, _ := u.leader(other, "orders", 0)
		assert.Equal(t, other, next)
		u.publish(other, "orders", 0, "two")

		c.ByID(leader).Host.Kill()
		c.restart(leader)
		u.running(leader)
		epoch, clean := c.node(leader).Dir.CleanShutdown()
		assert.True(t, clean)
		assert.Positive(t, epoch)
		assert.Equal(t, []string{"one", "two"}, u.read(other, "orders", 0))
	})
}

// The quorum loses its leader, and the cluster goes on.
func TestTheActiveControllerDies(t *testing.T) {
	c := separate(t, 4, 3, 3)
	c.client(func(u *user) {
		u.running(1, 2, 3)
		u.createTopic(1, "orders", 1, 3)
		u.publish(1, "orders", 0, "one")
		active := kafka.NoNode
		for id := kafka.NodeID(3001); id <= 3003; id++ {
			if c.node(id).Controller.Active() {
				active = id
			}
		}
		require.NotEqual(t, kafka.NoNode, active)
		c.ByID(active).Host.PowerOff()
		u.createTopic(2, "stocks", 1, 3)
		u.publish(3, "stocks", 0, "two")
		c.restart(active)
		u.eventually(time.Minute, "it has the same metadata", func() bool {
			n := c.node(active)
			return n != nil && n.Image().Topic("stocks") != nil
		})
	})
}

func TestSettings(t *testing.T) {
	s := broker.DefaultSettings()
	require.NoError(t, s.SetAll(map[string]string{
		"log.segment.bytes":       "1000",
		"log.retention.hours":     "2",
		"min.insync.replicas":     "2",
		"replica.lag.time.max.ms": "700",
	}))
	assert.EqualValues(t, 1000, s.Topic.SegmentBytes)
	assert.Equal(t, 2*time.Hour, s.Topic.RetentionTime)
	assert.EqualValues(t, 2, s.Topic.MinInsyncReplicas)
	assert.EqualValues(t, 2, s.Controller.MinInsyncReplicas, "the same name in two components")
	assert.Equal(t, 700*time.Millisecond, s.Replica.LagTimeMax)
	assert.ErrorContains(t, s.Set("replica.lag.time.max", "1"), "replica.lag.time.max.ms")
	assert.Error(t, s.Set("log.retention.hours", "soon"))
	assert.True(t, config.Has(&s, "controller.quorum.election.timeout.ms"))
}

// A node that stops does not wait for a quorum that cannot be: a leader that
// resigns stays until another leads, but not when the other voters are gone
// (Kafka waits five seconds for them).
func TestAClusterStopsAsAWhole(t *testing.T) {
	for _, x := range []struct {
		name    string
		cluster func() *cluster
		nodes   [][]kafka.NodeID // all of a row stop at once
		within  time.Duration
	}{
		{"combined, at once", func() *cluster { return combined(t, 1, 3) }, [][]kafka.NodeID{{1, 2, 3}}, time.Second},
		{"alone", func() *cluster { return combined(t, 1, 1) }, [][]kafka.NodeID{{1}}, time.Second},
		{"separate, brokers first", func() *cluster { return separate(t, 1, 3, 3) }, [][]kafka.NodeID{{1, 2, 3}, {3001, 3002, 3003}}, time.Second},
		{"separate, in turn", func() *cluster { return separate(t, 1, 3, 3) }, [][]kafka.NodeID{{1}, {2}, {3}, {3003}, {3002}, {3001}}, 5 * time.Second}, // a broker is let go when the others know, which their heartbeats tell
	} {
		t.Run(x.name, func(t *testing.T) {
			c := x.cluster()
			c.client(func(u *user) {
				u.running(c.brokers()...)
				u.createTopic(1, "orders", 3, int16(len(c.brokers())))
				u.publish(1, "orders", 0, "v")
				began := u.h.Uptime()
				for _, row := range x.nodes {
					left := len(row)
					for _, id := range row {
						host := c.ByID(id).Host
						host.Process().Go("stop", func() {
							require.NoError(t, c.node(id).Shutdown())
							left--
							host.Kill()
						})
					}
					u.eventually(30*time.Second, fmt.Sprint("all of ", row, " have stopped"), func() bool { return left == 0 })
				}
				assert.Less(t, u.h.Uptime()-began, x.within)
			})
		})
	}
}
