package broker_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/ktrial/ktrial/broker"
	"github.com/ktrial/ktrial/broker/kafka"
	"github.com/ktrial/ktrial/broker/planted"
	"github.com/ktrial/ktrial/broker/record"
	"github.com/ktrial/ktrial/broker/server"
	"github.com/ktrial/ktrial/broker/wire"
	"github.com/ktrial/ktrial/ledger"
	clusters "github.com/ktrial/ktrial/scenarios/cluster"
	"github.com/ktrial/ktrial/sim"
	"github.com/ktrial/ktrial/sim/env"
)

const (
	clientPort     = clusters.BrokerPort
	controllerPort = clusters.ControllerPort
)

func ptr[T any](v T) *T { return &v }

// cluster is the servers of a world, as every trial has them.
type cluster struct {
	*clusters.Cluster
	t    testing.TB
	w    *sim.World
	told map[string]int // by the name of the kind
}

func newCluster(t testing.TB, seed uint64, shape clusters.Shape) *cluster {
	return newClusterWith(t, seed, nil, shape)
}

func newClusterWith(t testing.TB, seed uint64, bugs *planted.Set, shape clusters.Shape) *cluster {
	settings := broker.DefaultSettings()
	require.NoError(t, settings.SetAll(shape.Config))
	w := sim.NewWorld(sim.Config{Seed: seed, MaxEvents: 30_000_000})
	c := &cluster{clusters.New(w, clusters.Config{Shape: shape, Settings: settings, Bugs: bugs, Dir: "kafka"}), t, w, map[string]int{}}
	w.Ledger().Read(func(e *ledger.Entry) { c.told[e.Event.Kind().Name]++ })
	t.Cleanup(w.Close)
	t.Cleanup(func() {
		if t.Failed() {
			t.Log(w.Ledger().Story(ledger.Filter{}))
		}
	})
	c.StartAll()
	return c
}

// separate starts controllers and brokers on hosts of their own.
func separate(t testing.TB, seed uint64, controllers, brokers int) *cluster {
	return newCluster(t, seed, clusters.Shape{Controllers: controllers, Brokers: brokers})
}

// combined starts nodes that are controller and broker at once.
func combined(t testing.TB, seed uint64, nodes int) *cluster {
	return newCluster(t, seed, clusters.Shape{Combined: nodes})
}

// node is the running node; nil: it is down, or has not come up yet.
func (c *cluster) node(id kafka.NodeID) *broker.Node { return c.ByID(id).Node() }

// restart starts a server that is down.
func (c *cluster) restart(id kafka.NodeID) { c.Start(c.HostOf(id)) }

// brokers are the nodes that serve clients.
func (c *cluster) brokers() (ids []kafka.NodeID) {
	for _, name := range c.Brokers() {
		ids = append(ids, c.Server(name).ID())
	}
	return ids
}

// client runs main on a host of its own until it returns.
func (c *cluster) client(main func(*user)) {
	require.NoError(c.t, c.w.RunMain("client", func(h env.Host) {
		main(&user{c: c, t: c.t, h: h, conns: map[string]*wire.Conn{}})
	}))
	c.w.Host("client").Kill()
}

// running waits until all brokers of the cluster serve.
func (u *user) running(brokers ...kafka.NodeID) {
	u.eventually(30*time.Second, "all brokers running", func() bool {
		for _, id := range brokers {
			n := u.c.node(id)
			if n == nil || n.Lifecycle.State() != server.Running {
				return false
			}
		}
		return true
	})
}

// user is a client that speaks the wire protocol by hand.
type user struct {
	c     *cluster
	t     testing.TB
	h     env.Host
	conns map[string]*wire.Conn
}

func (u *user) eventually(within time.Duration, what string, is func() bool) {
	deadline := u.h.Uptime() + within
	for !is() {
		require.Less(u.t, u.h.Uptime(), deadline, "not within %v: %s", within, what)
		u.h.Sleep(20 * time.Millisecond)
	}
}

// ask sends req to a node's broker listener.
func (u *user) ask(id kafka.NodeID, req kmsg.Request) (kmsg.Response, error) {
	addr := fmt.Sprintf("%s:%d", u.c.HostOf(id), clientPort)
	conn := u.conns[addr]
	if conn == nil || conn.Err() != nil {
		var err error
		if conn, err = wire.Dial(u.h, addr, "user", time.Second); err != nil {
			return nil, err
		}
		u.conns[addr] = conn
	}
	return conn.Call(wire.Latest(req), 30*time.Second)
}

func (u *user) createTopic(at kafka.NodeID, name string, partitions int32, replicas int16, configs ...string) {
	req := kmsg.NewPtrCreateTopicsRequest()
	req.TimeoutMillis = 10_000
	topic := kmsg.NewCreateTopicsRequestTopic()
	topic.Topic, topic.NumPartitions, topic.ReplicationFactor = name, partitions, replicas
	for i := 0; i < len(configs); i += 2 {
		cfg := kmsg.NewCreateTopicsRequestTopicConfig()
		cfg.Name, cfg.Value = configs[i], &configs[i+1]
		topic.Configs = append(topic.Configs, cfg)
	}
	req.Topics = append(req.Topics, topic)
	resp, err := u.ask(at, req)
	require.NoError(u.t, err)
	require.NoError(u.t, kerr.ErrorForCode(resp.(*kmsg.CreateTopicsResponse).Topics[0].ErrorCode))
}

// leader asks a broker for the leader of a partition; NoNode: none, or unknown.
func (u *user) leader(at kafka.NodeID, topic string, partition int32) (kafka.NodeID, kafka.UUID) {
	req := kmsg.NewPtrMetadataRequest()
	asked := kmsg.NewMetadataRequestTopic()
	asked.Topic = &topic
	req.Topics = append(req.Topics, asked)
	resp, err := u.ask(at, req)
	if err != nil {
		return kafka.NoNode, kafka.UUID{}
	}
	t := resp.(*kmsg.MetadataResponse).Topics[0]
	if t.ErrorCode != 0 || int(partition) >= len(t.Partitions) || t.Partitions[partition].ErrorCode != 0 {
		return kafka.NoNode, t.TopicID
	}
	return kafka.NodeID(t.Partitions[partition].Leader), t.TopicID
}

// produce sends one record with acks=all to a broker.
func (u *user) produce(to kafka.NodeID, topic kafka.UUID, partition int32, value string) (kafka.Offset, error) {
	b := record.NewBuilder(record.Options{})
	b.Append(u.h.Now().Millis(), nil, []byte(value))
	req := kmsg.NewPtrProduceRequest()
	req.Acks, req.TimeoutMillis = -1, 10_000
	t := kmsg.NewProduceRequestTopic()
	t.TopicID = topic
	p := kmsg.NewProduceRequestTopicPartition()
	p.Partition, p.Records = partition, b.Build()
	t.Partitions = append(t.Partitions, p)
	req.Topics = append(req.Topics, t)
	resp, err := u.ask(to, req)
	if err != nil {
		return kafka.NoOffset, err
	}
	out := resp.(*kmsg.ProduceResponse).Topics[0].Partitions[0]
	return kafka.Offset(out.BaseOffset), kerr.ErrorForCode(out.ErrorCode)
}

// publish produces until it is acknowledged, wherever the leader is.
func (u *user) publish(via kafka.NodeID, topic string, partition int32, value string) (o kafka.Offset) {
	u.eventually(60*time.Second, "produce "+value, func() bool {
		to, id := u.leader(via, topic, partition)
		if to == kafka.NoNode {
			return false
		}
		var err error
		o, err = u.produce(to, id, partition, value)
		return err == nil
	})
	return o
}

// read fetches everything that is committed, from the leader.
func (u *user) read(via kafka.NodeID, topic string, partition int32) (values []string) {
	to, id := u.leader(via, topic, partition)
	from := int64(0)
	for {
		req := kmsg.NewPtrFetchRequest()
		req.MaxWaitMillis, req.MinBytes, req.MaxBytes = 100, 1, 1<<20
		req.SessionEpoch = -1
		t := kmsg.NewFetchRequestTopic()
		t.TopicID = id
		p := kmsg.NewFetchRequestTopicPartition()
		p.Partition, p.FetchOffset, p.PartitionMaxBytes = partition, from, 1<<20
		t.Partitions = append(t.Partitions, p)
		req.Topics = append(req.Topics, t)
		resp, err := u.ask(to, req)
		require.NoError(u.t, err)
		answer := resp.(*kmsg.FetchResponse)
		require.NoError(u.t, kerr.ErrorForCode(answer.ErrorCode))
		out := answer.Topics[0].Partitions[0]
		require.NoError(u.t, kerr.ErrorForCode(out.ErrorCode))
		if len(out.RecordBatches) == 0 {
			return values
		}
		for rest := out.RecordBatches; len(rest) > 0; {
			var batch record.Batch
			batch, rest, err = record.Next(rest)
			require.NoError(u.t, err)
			require.NoError(u.t, batch.Check())
			require.NoError(u.t, batch.Records(func(r record.Record) error {
				values = append(values, string(r.Value))
				return nil
			}))
			from = int64(batch.NextOffset())
		}
	}
}
