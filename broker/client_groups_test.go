package broker_test

import (
	"fmt"
	"maps"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kerr"

	"github.com/ktrial/ktrial/broker/client"
	"github.com/ktrial/ktrial/broker/config"
	"github.com/ktrial/ktrial/broker/kafka"
)

// groupOfConsumers are members of group billing that read orders and commit after
// each poll.
type groupOfConsumers struct {
	u        *user
	settings map[string]string
	seen     map[string]int // how often each value was polled
	members  map[string]*client.Consumer
	stops    map[string]bool
	owners   map[kafka.TopicPartition]string // by listeners; two owners of a generation fail the test
	faults   int                             // errors of polls and commits
}

func (g *groupOfConsumers) start(name string) {
	cfg := client.ConsumerDefaults()
	require.NoError(g.u.t, config.SetAll(&cfg, g.settings))
	c, err := client.New(g.u.h, []string{"broker-1:9092", "broker-2:9092", "broker-3:9092"}, name).NewConsumer(cfg)
	require.NoError(g.u.t, err)
	g.members[name] = c
	g.stops[name] = false
	gone := func(tps []kafka.TopicPartition) error {
		for _, tp := range tps {
			if g.owners[tp] == name {
				delete(g.owners, tp)
			}
		}
		return nil
	}
	require.NoError(g.u.t, c.Subscribe([]string{"orders"}, client.RebalanceListener{
		Revoked: func(tps []kafka.TopicPartition) error {
			if err := c.CommitSync(); err != nil {
				g.faults++
			}
			return gone(tps)
		},
		Lost: gone,
		Assigned: func(tps []kafka.TopicPartition) error {
			for _, tp := range tps {
				g.owners[tp] = name
			}
			return nil
		},
	}))
	g.u.h.Go("member "+name, func() {
		for !g.stops[name] {
			records, err := c.Poll(100 * time.Millisecond)
			for _, r := range records {
				g.seen[string(r.Value)]++
			}
			if err == nil && len(records) > 0 {
				err = c.CommitSync()
			}
			if err != nil {
				g.faults++
				g.u.h.Sleep(10 * time.Millisecond)
			}
		}
		require.NoError(g.u.t, c.CloseWithin(30*time.Second))
		delete(g.members, name)
	})
}

func (g *groupOfConsumers) stop(name string) {
	g.stops[name] = true
	g.u.eventually(time.Minute, name+" is closed", func() bool { return g.members[name] == nil })
}

// settled reports whether each of the partitions has an owner that lives.
func (g *groupOfConsumers) settled(partitions int) bool {
	owned := map[kafka.TopicPartition]int{}
	for _, c := range g.members {
		for _, tp := range c.Assignment() {
			owned[tp]++
		}
	}
	for _, n := range owned {
		if n != 1 {
			return false
		}
	}
	return len(owned) == partitions
}

func TestConsumers_OfAGroupShareATopic(t *testing.T) {
	protocols := map[string]map[string]string{
		"range":              {"partition.assignment.strategy": "range"},
		"sticky":             {"partition.assignment.strategy": "sticky"},
		"cooperative-sticky": {"partition.assignment.strategy": "cooperative-sticky"},
		"consumer protocol":  {"group.protocol": "consumer"},
	}
	seeds := uint64(3)
	if *long {
		seeds = 100
	}
	for _, name := range []string{"range", "sticky", "cooperative-sticky", "consumer protocol"} {
		for seed := range seeds {
			t.Run(fmt.Sprintf("%s, seed %d", name, seed), func(t *testing.T) { shareATopic(t, seed, protocols[name]) })
		}
	}
}

func shareATopic(t *testing.T, seed uint64, settings map[string]string) {
	const partitions = 5
	c := separate(t, seed, 3, 3)
	c.client(func(u *user) {
		u.running(1, 2, 3)
		u.createTopic(1, "orders", partitions, 3, "min.insync.replicas", "2")
		g := &groupOfConsumers{
			u: u, seen: map[string]int{}, members: map[string]*client.Consumer{}, stops: map[string]bool{}, owners: map[kafka.TopicPartition]string{},
			settings: map[string]string{
				"group.id": "billing", "enable.auto.commit": "false", "auto.offset.reset": "earliest",
				"max.poll.interval.ms": "20000", "metadata.max.age.ms": "5000",
			},
		}
		require.NoError(t, config.SetAll(&client.ConsumerConfig{}, settings))
		maps.Copy(g.settings, settings)
		if settings["group.protocol"] == "" {
			maps.Copy(g.settings, map[string]string{"session.timeout.ms": "6000", "heartbeat.interval.ms": "1000"})
		}
		over, sent := false, 0
		u.h.Go("producer", func() {
			producer, err := client.New(u.h, []string{"broker-1:9092", "broker-2:9092", "broker-3:9092"}, "producer").NewProducer(client.ProducerDefaults())
			require.NoError(t, err)
			for !over {
				require.NoError(t, producer.Send(client.ProducerRecord{Topic: "orders", Value: []byte(fmt.Sprint(sent))}, func(d client.Delivery) {
					require.NoError(t, d.Err)
				}))
				sent++
				u.h.Sleep(20 * time.Millisecond)
			}
			producer.Close(time.Minute)
		})
		g.start("a")
		g.start("b")
		u.h.Sleep(10 * time.Second)
		g.start("c")
		luck := c.w.Rand("trouble")
		for range 3 {
			u.h.Sleep(time.Duration(luck.Int64N(int64(5 * time.Second))))
			c.strike(u, luck)
		}
		g.stop("a")
		u.h.Sleep(5 * time.Second)
		g.start("d")
		u.h.Sleep(5 * time.Second)
		over = true
		u.eventually(3*time.Minute, "all partitions have an owner, and all is read", func() bool {
			return g.settled(partitions) && len(g.seen) == sent
		})
		assert.Greater(t, sent, 1000)
		for _, name := range []string{"b", "c", "d"} {
			g.stop(name)
		}
	})
}

func TestAdmin_GroupsAndTheirOffsets(t *testing.T) {
	c := separate(t, 11, 3, 3)
	c.client(func(u *user) {
		u.running(1, 2, 3)
		u.createTopic(1, "orders", 2, 3)
		for i := range 10 {
			u.publish(1, "orders", int32(i%2), fmt.Sprint(i))
		}
		cfg := client.ConsumerDefaults()
		require.NoError(t, config.SetAll(&cfg, map[string]string{"group.id": "billing", "group.instance.id": "till-1", "auto.offset.reset": "earliest", "partition.assignment.strategy": "range"}))
		till, err := client.New(u.h, []string{"broker-1:9092"}, "till").NewConsumer(cfg)
		require.NoError(t, err)
		require.NoError(t, till.Subscribe([]string{"orders"}, client.RebalanceListener{}))
		read := 0
		u.eventually(time.Minute, "all is read", func() bool {
			records, err := till.Poll(100 * time.Millisecond)
			require.NoError(t, err)
			read += len(records)
			return read == 10
		})
		require.NoError(t, till.CommitSync())

		admin := client.New(u.h, []string{"broker-2:9092"}, "admin").NewAdmin(client.AdminDefaults())
		defer admin.Close()
		groups, err := admin.ListGroups(nil, nil)
		require.NoError(t, err)
		assert.Equal(t, []client.GroupListing{{Group: "billing", Protocol: "consumer", State: "Stable", Type: "classic"}}, groups)
		groups, err = admin.ListGroups([]string{"Empty"}, nil)
		require.NoError(t, err)
		assert.Empty(t, groups)

		described, err := admin.DescribeGroups("billing", "unheard-of")
		require.NoError(t, err)
		require.NoError(t, described[0].Err)
		assert.ErrorIs(t, described[1].Err, kerr.GroupIDNotFound)
		d := described[0]
		assert.Equal(t, []string{"Stable", "classic", "range"}, []string{d.State, d.Type, d.Assignor})
		require.Len(t, d.Members, 1)
		zero, one := kafka.TopicPartition{Topic: "orders"}, kafka.TopicPartition{Topic: "orders", Partition: 1}
		assert.Equal(t, "till-1", d.Members[0].Instance)
		assert.Equal(t, []kafka.TopicPartition{zero, one}, d.Members[0].Assigned)

		committed := func() map[kafka.TopicPartition]kafka.Offset {
			offsets, err := admin.ListGroupOffsets("billing", true)
			require.NoError(t, err)
			out := map[kafka.TopicPartition]kafka.Offset{}
			for tp, o := range offsets {
				out[tp] = o.Offset
			}
			return out
		}
		assert.Equal(t, map[kafka.TopicPartition]kafka.Offset{zero: 5, one: 5}, committed())

		assert.ErrorIs(t, admin.DeleteGroups("billing"), kerr.NonEmptyGroup)
		assert.ErrorIs(t, admin.AlterGroupOffsets("billing", client.Offsets{zero: {Offset: 1}}), kerr.UnknownMemberID)
		assert.ErrorIs(t, admin.DeleteGroupOffsets("billing", zero), kerr.GroupSubscribedToTopic)
		till.Close()
		require.NoError(t, admin.RemoveMembers("billing", "till-1"))
		assert.ErrorIs(t, admin.RemoveMembers("billing", "till-1"), kerr.UnknownMemberID)

		require.NoError(t, admin.AlterGroupOffsets("billing", client.Offsets{zero: {Offset: 3, LeaderEpoch: kafka.NoEpoch, Metadata: "by hand"}}))
		assert.Equal(t, map[kafka.TopicPartition]kafka.Offset{zero: 3, one: 5}, committed())
		for _, x := range []struct {
			to   client.GroupReset
			zero kafka.Offset
		}{
			{client.GroupReset{At: client.OffsetSpec(kafka.EarliestOffset)}, 0},
			{client.GroupReset{ShiftBy: 2}, 2},
			{client.GroupReset{ShiftBy: 100}, 5},
			{client.GroupReset{To: ptr(kafka.Offset(4))}, 4},
			{client.GroupReset{At: client.OffsetSpec(kafka.LatestOffset)}, 5},
			{client.GroupReset{At: 0}, 0},
			{client.GroupReset{At: 1 << 50}, 5}, // nothing is as young
		} {
			next, err := admin.ResetGroupOffsets("billing", x.to, zero)
			require.NoError(t, err)
			assert.Equal(t, x.zero, next[zero].Offset, "%+v", x.to)
			assert.Equal(t, x.zero, committed()[zero], "%+v", x.to)
		}
		require.NoError(t, admin.DeleteGroupOffsets("billing", zero))
		assert.Equal(t, map[kafka.TopicPartition]kafka.Offset{one: 5}, committed())
		require.NoError(t, admin.DeleteGroups("billing"))
		assert.Empty(t, committed())
		assert.ErrorIs(t, admin.DeleteGroups("billing"), kerr.GroupIDNotFound)
	})
}
