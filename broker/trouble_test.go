package broker_test

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ktrial/ktrial/broker/kafka"
)

var long = flag.Bool("long", false, "run many seeds")

// What was acknowledged with acks=all and min.insync.replicas=2 outlives any
// one failure at a time, of brokers and of controllers, and the cluster is whole
// again when they are over.
func TestAcknowledgedRecordsSurviveTrouble(t *testing.T) {
	seeds := []uint64{
		0, 1, 2, 3,
		418, // a leader that never appended kept its epoch as a follower, and diverged for ever
	}
	if *long {
		for seed := range uint64(1000) {
			seeds = append(seeds, seed)
		}
	}
	for _, seed := range seeds {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) { survive(t, seed) })
	}
}

// The same seed gives the same run, trouble and all.
func TestTroubleIsTheSameAgain(t *testing.T) {
	a, b := survive(t, 7), survive(t, 7)
	assert.Equal(t, a.w.Hash(), b.w.Hash())
	assert.Equal(t, a.w.Events(), b.w.Events())
}

func survive(t *testing.T, seed uint64) *cluster {
	c := separate(t, seed, 3, 3)
	c.client(func(u *user) {
		u.running(1, 2, 3)
		u.createTopic(1, "orders", 1, 3, "min.insync.replicas", "2")
		over := false
		u.h.Go("trouble", func() {
			luck := c.w.Rand("trouble")
			for range 6 {
				u.h.Sleep(time.Duration(luck.Int64N(int64(5 * time.Second))))
				c.strike(u, luck)
			}
			over = true
		})
		var acked []string
		for i := 0; !over; i++ {
			v := fmt.Sprint("v", i)
			u.publish(kafka.NodeID(1+i%3), "orders", 0, v)
			acked = append(acked, v)
			u.h.Sleep(50 * time.Millisecond)
		}
		u.running(1, 2, 3)
		u.eventually(2*time.Minute, "the cluster is whole again", func() bool {
			reg := c.node(1).Image().Partition(kafka.TopicPartition{Topic: "orders"})
			return len(reg.ISR) == 3 && alike(c, "orders")
		})
		got := u.read(1, "orders", 0)
		at := 0
		for _, v := range acked {
			i := slices.Index(got[at:], v)
			require.GreaterOrEqual(t, i, 0, "%s was acknowledged, and is not there after %d records", v, at)
			at += i
		}
		assert.Greater(t, len(acked), 50)
	})
	return c
}

// strike hurts one host and heals it.
func (c *cluster) strike(u *user, luck *rand.Rand) {
	ids := []kafka.NodeID{1, 2, 3, 3001, 3002, 3003}
	id := ids[luck.IntN(len(ids))]
	h := c.ByID(id).Host
	long := time.Duration(luck.Int64N(int64(15 * time.Second)))
	switch luck.IntN(4) {
	case 0:
		c.w.Say("kill %s for %v", h.Name(), long)
		h.Kill()
	case 1:
		c.w.Say("power off %s for %v", h.Name(), long)
		h.PowerOff()
	case 2:
		c.w.Say("pause %s for %v", h.Name(), long)
		h.Pause()
		u.h.Sleep(long)
		h.Resume()
		c.settle(u)
		return
	case 3:
		c.w.Say("isolate %s for %v", h.Name(), long)
		for _, other := range c.w.Hosts() {
			if other != h {
				c.w.Network().Link(h.Name(), other.Name()).Cut()
				c.w.Network().Link(other.Name(), h.Name()).Cut()
			}
		}
		u.h.Sleep(long)
		c.w.Network().Mend()
		c.settle(u)
		return
	}
	u.h.Sleep(long)
	c.restart(id)
	c.settle(u)
}

// settle waits until the partition could lose a replica again: acknowledged
// records survive one failure at a time, no more.
func (c *cluster) settle(u *user) {
	u.running(1, 2, 3)
	u.eventually(2*time.Minute, "all replicas in the ISR", func() bool {
		for id := kafka.NodeID(1); id <= 3; id++ {
			reg := c.node(id).Image().Partition(kafka.TopicPartition{Topic: "orders"})
			if reg == nil || len(reg.ISR) < 3 {
				return false
			}
		}
		return true
	})
}

// skipIfShort skips what takes seconds of a core.
func skipIfShort(t *testing.T) {
	t.Helper()
	if testing.Short() {
		t.Skip("short: seconds of a core")
	}
}
