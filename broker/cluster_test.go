package broker_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/ktrial/ktrial/broker"
	"github.com/ktrial/ktrial/broker/kafka"
	"github.com/ktrial/ktrial/broker/planted"
	"github.com/ktrial/ktrial/broker/raft"
	"github.com/ktrial/ktrial/broker/record"
	"github.com/ktrial/ktrial/broker/server"
	"github.com/ktrial/ktrial/broker/wire"
	"github.com/ktrial/ktrial/ledger"
	"github.com/ktrial/ktrial/sim"
	"github.com/ktrial/ktrial/sim/env"
)

const (
	clientPort     = 9092
	controllerPort = 9093
)

const (
	brokerRole     = broker.BrokerRole
	controllerRole = broker.ControllerRole
)

func ptr[T any](v T) *T { return &v }

// cluster is nodes in a world: controllers with ids from 101 on hosts c101...,
// brokers with ids from 1 on hosts b1..., or nodes that are both on n1...
type cluster struct {
	t      testing.TB
	w      *sim.World
	voters []raft.Voter
	nodes  map[kafka.NodeID]*broker.Node
	hosts  map[kafka.NodeID]string
	told   map[string]int // by the name of the kind
	set    map[string]string

	decoder raft.Decoder // for all nodes
}

func newCluster(t testing.TB, seed uint64) *cluster {
	c := &cluster{
		t: t, w: sim.NewWorld(sim.Config{Seed: seed, MaxEvents: 30_000_000}),
		nodes: map[kafka.NodeID]*broker.Node{}, hosts: map[kafka.NodeID]string{}, told: map[string]int{},
	}
	c.w.Ledger().Read(func(e *ledger.Entry) { c.told[e.Event.Kind().Name]++ })
	t.Cleanup(c.w.Close)
	t.Cleanup(func() {
		if t.Failed() {
			t.Log(c.w.Ledger().Story(ledger.Filter{}))
		}
	})
	return c
}

// separate starts controllers and brokers on hosts of their own.
func separate(t testing.TB, seed uint64, controllers, brokers int) *cluster {
	c := newCluster(t, seed)
	for i := range controllers {
		id := kafka.NodeID(101 + i)
		c.hosts[id] = fmt.Sprintf("c%d", id)
		c.voters = append(c.voters, raft.Voter{ID: id, Addr: fmt.Sprintf("c%d:%d", id, controllerPort)})
	}
	for i := range controllers {
		c.start(kafka.NodeID(101+i), controllerRole)
	}
	for i := range brokers {
		id := kafka.NodeID(1 + i)
		c.hosts[id] = fmt.Sprintf("b%d", id)
		c.start(id, brokerRole)
	}
	return c
}

// combined starts nodes that are controller and broker at once.
func combined(t testing.TB, seed uint64, nodes int) *cluster {
	c := newCluster(t, seed)
	c.combine(nodes)
	return c
}

func (c *cluster) combine(nodes int) {
	for i := range nodes {
		id := kafka.NodeID(1 + i)
		c.hosts[id] = fmt.Sprintf("n%d", id)
		c.voters = append(c.voters, raft.Voter{ID: id, Addr: fmt.Sprintf("n%d:%d", id, controllerPort)})
	}
	for i := range nodes {
		c.start(kafka.NodeID(1+i), brokerRole|controllerRole)
	}
}

func (c *cluster) start(id kafka.NodeID, roles broker.Roles) {
	settings := broker.DefaultSettings()
	require.NoError(c.t, settings.SetAll(c.set))
	c.w.Host(c.hosts[id]).Start(func(h env.Host) {
		n, err := broker.Start(h, broker.Config{
			NodeID: id, Roles: roles, ClusterID: "trial", Voters: c.voters,
			Port: clientPort, ControllerPort: controllerPort, DataDir: "kafka",
			Settings: settings, Decoder: &c.decoder, Bugs: planted.Plant(),
		})
		require.NoError(c.t, err)
		c.nodes[id] = n
	})
}

// brokers are the nodes that serve clients.
func (c *cluster) brokers() (ids []kafka.NodeID) {
	for id := range c.hosts {
		if id < 100 {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
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
			n := u.c.nodes[id]
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
	addr := fmt.Sprintf("%s:%d", u.c.hosts[id], clientPort)
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

// leader asks a broker who leads a partition; NoNode: nobody, or unknown.
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
