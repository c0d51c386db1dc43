package broker_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

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
		Revoked: gone, Lost: gone,
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
	}
	seeds := uint64(3)
	if *long {
		seeds = 100
	}
	for _, name := range []string{"range", "sticky", "cooperative-sticky"} {
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
				"group.id": "billing", "enable.auto.commit": "false", "auto.offset.reset": "earliest", "session.timeout.ms": "6000", "heartbeat.interval.ms": "1000",
				"max.poll.interval.ms": "20000", "metadata.max.age.ms": "5000",
			},
		}
		require.NoError(t, config.SetAll(&client.ConsumerConfig{}, settings))
		for k, v := range settings {
			g.settings[k] = v
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
