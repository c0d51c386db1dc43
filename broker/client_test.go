package broker_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kerr"

	"github.com/ktrial/ktrial/broker/client"
	"github.com/ktrial/ktrial/broker/kafka"
	"github.com/ktrial/ktrial/sim/env"
)

// Both ends of the wire, every request that an admin has.
func TestAdmin(t *testing.T) {
	c := separate(t, 1, 3, 3)
	c.client(func(u *user) {
		u.running(1, 2, 3)
		admin := client.New(u.h, []string{"broker-1:9092", "broker-2:9092"}, "admin").NewAdmin(client.AdminDefaults())
		defer admin.Close()

		cluster, err := admin.DescribeCluster()
		require.NoError(t, err)
		assert.Len(t, cluster.Nodes, 3)

		orders := client.NewTopic{Name: "orders", Assignment: [][]kafka.NodeID{{1, 2, 3}, {2, 3, 1}}, Configs: map[string]string{"min.insync.replicas": "2"}}
		require.NoError(t, admin.CreateTopics(orders))
		assert.ErrorIs(t, admin.CreateTopics(orders), kerr.TopicAlreadyExists)
		assert.ErrorIs(t, admin.CreateTopics(client.NewTopic{Name: "bad name"}), kerr.InvalidTopicException)
		assert.ErrorIs(t, admin.CreateTopics(client.NewTopic{Name: "big", Partitions: 1, Replicas: 4}), kerr.InvalidReplicationFactor)
		require.NoError(t, admin.CreatePartitions("orders", 3))
		u.eventually(time.Second, "three partitions", func() bool {
			topics, err := admin.DescribeTopics("orders")
			return err == nil && len(topics[0].Partitions) == 3
		})

		require.NoError(t, admin.IncrementalAlterConfigs(client.TopicResource("orders"), client.ConfigChange{Name: "retention.ms", Value: ptr("5000")}))
		u.eventually(time.Second, "the configuration", func() bool {
			entries, err := admin.DescribeConfigs(client.TopicResource("orders"))
			for _, e := range entries {
				if e.Name == "retention.ms" {
					return err == nil && e.Value == "5000" && !e.Default
				}
			}
			return false
		})
		bad := client.ConfigChange{Name: "retention.ms", Value: ptr("soon")}
		assert.ErrorIs(t, admin.IncrementalAlterConfigs(client.TopicResource("orders"), bad), kerr.InvalidConfig)

		for i := range 10 {
			u.publish(1, "orders", 0, fmt.Sprint(i))
		}
		tp := kafka.TopicPartition{Topic: "orders"}
		low, err := admin.DeleteRecords(map[kafka.TopicPartition]kafka.Offset{tp: 4})
		require.NoError(t, err)
		assert.EqualValues(t, 4, low[tp])
		for spec, want := range map[client.OffsetSpec]kafka.Offset{client.StartOfLog: 4, client.EndOfLog: 10} {
			got, err := admin.ListOffsets(client.ReadUncommitted, map[kafka.TopicPartition]client.OffsetSpec{tp: spec})
			require.NoError(t, err)
			assert.Equal(t, want, got[tp].Offset)
		}

		quorum, err := admin.DescribeQuorum()
		require.NoError(t, err)
		assert.Len(t, quorum.Voters, 3)
		assert.Len(t, quorum.Observers, 3)

		c.w.Host("broker-1").Kill()
		u.eventually(30*time.Second, "another leader", func() bool { to, _ := u.leader(2, "orders", 0); return to > 1 })
		c.restart(1)
		u.running(1)
		u.eventually(30*time.Second, "the preferred leader again", func() bool {
			if err := admin.ElectLeaders(client.Preferred, tp); err != nil {
				return false
			}
			to, _ := u.leader(2, "orders", 0)
			return to == 1
		})

		require.NoError(t, admin.DeleteTopics("orders"))
		assert.ErrorIs(t, admin.DeleteTopics("orders"), kerr.UnknownTopicOrPartition)
		u.eventually(time.Second, "no replica left", func() bool {
			for id := kafka.NodeID(1); id <= 3; id++ {
				if len(c.node(id).Replicas.Partitions()) > 0 {
					return false
				}
			}
			return true
		})
	})
}

// An idempotent producer and a consumer, with hosts in trouble: each record
// that was sent is read once, and in the order of the sends.
func TestProducerAndConsumer(t *testing.T) {
	seeds := uint64(5)
	if *long {
		seeds = 300
	}
	for seed := range seeds {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) { produceAndConsume(t, seed) })
	}
}

func produceAndConsume(t *testing.T, seed uint64) {
	c := separate(t, seed, 3, 3)
	c.client(func(u *user) {
		u.running(1, 2, 3)
		u.createTopic(1, "orders", 1, 3, "min.insync.replicas", "2")
		over := false
		u.h.Go("trouble", func() {
			luck := c.w.Rand("trouble")
			for range 4 {
				u.h.Sleep(time.Duration(luck.Int64N(int64(3 * time.Second))))
				c.strike(u, luck)
			}
			over = true
		})
		tp := kafka.TopicPartition{Topic: "orders"}
		sent, failed := 0, 0
		allSent := false
		u.h.Go("producer", func() {
			producer, err := client.New(u.h, []string{"broker-1:9092", "broker-2:9092", "broker-3:9092"}, "producer").NewProducer(client.ProducerDefaults())
			require.NoError(t, err)
			for !over {
				v := []byte(fmt.Sprint(sent))
				sent++
				require.NoError(t, producer.Send(client.ProducerRecord{Topic: "orders", Value: v}, func(d client.Delivery) {
					if d.Outcome != client.Acknowledged {
						failed++
					}
				}))
				u.h.Sleep(10 * time.Millisecond)
			}
			producer.Close(env.Forever)
			allSent = true
		})
		cfg := client.ConsumerDefaults()
		cfg.AutoOffsetReset = client.Earliest
		consumer, err := client.New(u.h, []string{"broker-3:9092"}, "consumer").NewConsumer(cfg)
		require.NoError(t, err)
		defer consumer.Close()
		consumer.Assign([]kafka.TopicPartition{tp})
		next := 0
		u.eventually(10*time.Minute, "all is read", func() bool {
			records, err := consumer.Poll(100 * time.Millisecond)
			require.NoError(t, err)
			for _, r := range records {
				require.Equal(t, fmt.Sprint(next), string(r.Value), "at offset %d", r.Offset)
				next++
			}
			return allSent && next == sent
		})
		assert.Zero(t, failed)
		assert.Greater(t, sent, 100)
	})
}
