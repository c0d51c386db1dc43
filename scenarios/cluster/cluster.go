// Package cluster puts Kafka clusters together: controllers and brokers on the
// hosts of a world, simulated or live. Trials, served clusters and the tests of
// package broker all use it.
//
// It starts and stops servers, knows the leader of each partition, does what an
// operator does, and knows how much of a cluster may be destroyed before
// something acknowledged can be lost (Budget). It implements faults.Cluster.
package cluster

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/ktrial/ktrial/broker"
	"github.com/ktrial/ktrial/broker/group"
	"github.com/ktrial/ktrial/broker/kafka"
	"github.com/ktrial/ktrial/broker/metadata"
	"github.com/ktrial/ktrial/broker/planted"
	"github.com/ktrial/ktrial/broker/raft"
	"github.com/ktrial/ktrial/broker/txn"
	"github.com/ktrial/ktrial/sim"
	"github.com/ktrial/ktrial/sim/env"
)

// Shape says which servers there are.
type Shape struct {
	Controllers int
	Brokers     int
	// Combined nodes are broker and controller in one process. They come
	// instead of the others.
	Combined int
	// Racks are given to brokers in turn.
	Racks []string
	// Config is the configuration of brokers and controllers, by Kafka's names.
	Config map[string]string
}

// Topic is a topic that is created before the work begins.
type Topic struct {
	Name       string
	Partitions int32
	Replicas   int16
	MinInsync  int // 0: the broker's default
	Config     map[string]string
}

// Parts are all partitions of topics, in order.
func Parts(topics []Topic) (out []kafka.TopicPartition) {
	for _, t := range topics {
		for p := range t.Partitions {
			out = append(out, kafka.TopicPartition{Topic: t.Name, Partition: p})
		}
	}
	return out
}

// Config is what a cluster is made from.
type Config struct {
	Shape    Shape
	Settings broker.Settings
	// Bugs are planted in every server; nil: none.
	Bugs *planted.Set
	// ClusterID is the id in meta.properties; empty: the same in every world.
	ClusterID string
	// Dir is the directory of a server's files on its disk.
	Dir string
}

// Where servers listen, and the node id of the first controller: brokers count
// from 1.
const (
	BrokerPort      = 9092
	ControllerPort  = 9093
	FirstController = 3001
)

const defaultID = "ktrialAAAAAAAAAAAAAAAA"

// Cluster is the servers of a world.
type Cluster struct {
	world *sim.World
	// Servers are controllers, then brokers or combined nodes.
	Servers []*Server
	// Committed, if set, is where the metadata log ends that is known to be
	// committed: an image that ends before it is old.
	Committed func() kafka.Offset

	byHost      map[string]*Server
	byID        map[kafka.NodeID]*Server
	brokers     []string
	controllers []string
	clients     []string
	stops       map[string]func(done func()) // of clients that can stop in order
	groups      map[string][]string          // hosts of the members of consumer groups
	txnIDs      []string                     // of clients
	settings    broker.Settings
	topics      map[string]Topic
	// What an operator waits for: topics with the number of partitions that they are to have,
	// and topics that are made again, with the id of the one that goes.
	growing  map[string]int32
	remaking map[string]kafka.UUID
}

// Server is one node of the cluster, over all lives of its process.
type Server struct {
	Host   *sim.Host
	Config broker.Config

	node *broker.Node // of the process that started last, if it has come up
	life int          // the incarnation that node belongs to
	loss loss         // see Budget
}

// ID is the server's node id.
func (s *Server) ID() kafka.NodeID { return s.Config.NodeID }

// Name is the name of the server's host.
func (s *Server) Name() string { return s.Host.Name() }

// Node is the running node; nil if no process runs or it has not come up yet.
func (s *Server) Node() *broker.Node {
	if s.node == nil || !s.Host.IsRunning() || s.Host.Incarnation() != s.life {
		return nil
	}
	return s.node
}

// New puts the hosts of a cluster into a world. StartAll starts their processes.
func New(w *sim.World, cfg Config) *Cluster {
	if cfg.ClusterID == "" {
		cfg.ClusterID = defaultID
	}
	if cfg.Bugs == nil {
		cfg.Bugs = planted.Plant()
	}
	c := &Cluster{world: w, settings: cfg.Settings, byHost: map[string]*Server{}, byID: map[kafka.NodeID]*Server{}, topics: map[string]Topic{}, stops: map[string]func(func()){}, groups: map[string][]string{},
		growing: map[string]int32{}, remaking: map[string]kafka.UUID{}}
	base := broker.Config{
		ClusterID: cfg.ClusterID, Port: BrokerPort, ControllerPort: ControllerPort, DataDir: cfg.Dir,
		Settings: cfg.Settings, Decoder: new(raft.Decoder), Bugs: cfg.Bugs,
	}
	shape := cfg.Shape
	for i := range shape.Controllers {
		c.add(fmt.Sprintf("controller-%d", i+1), kafka.NodeID(FirstController+i), broker.ControllerRole, "", base)
	}
	for i := range shape.Brokers {
		c.add(fmt.Sprintf("broker-%d", i+1), kafka.NodeID(i+1), broker.BrokerRole, shape.rack(i), base)
	}
	for i := range shape.Combined {
		c.add(fmt.Sprintf("node-%d", i+1), kafka.NodeID(i+1), broker.BrokerRole|broker.ControllerRole, shape.rack(i), base)
	}
	voters := c.voters()
	for _, s := range c.Servers {
		s.Config.Voters = voters
	}
	return c
}

func (s Shape) rack(i int) string {
	if len(s.Racks) == 0 {
		return ""
	}
	return s.Racks[i%len(s.Racks)]
}

func (c *Cluster) add(name string, id kafka.NodeID, roles broker.Roles, rack string, cfg broker.Config) {
	cfg.NodeID, cfg.Roles, cfg.Rack = id, roles, rack
	s := &Server{Host: c.world.Host(name), Config: cfg}
	c.Servers = append(c.Servers, s)
	c.byHost[name], c.byID[id] = s, s
	if roles.Has(broker.BrokerRole) {
		c.brokers = append(c.brokers, name)
	}
	if roles.Has(broker.ControllerRole) {
		c.controllers = append(c.controllers, name)
	}
}

func (c *Cluster) voters() (out []raft.Voter) {
	for _, name := range c.controllers {
		out = append(out, raft.Voter{ID: c.byHost[name].ID(), Addr: fmt.Sprintf("%s:%d", name, ControllerPort)})
	}
	return out
}

// Bootstrap is bootstrap.servers: the addresses of all brokers.
func (c *Cluster) Bootstrap() (out []string) {
	for _, name := range c.brokers {
		out = append(out, fmt.Sprintf("%s:%d", name, BrokerPort))
	}
	return out
}

// AddTopics says which topics there will be. It does not create them.
func (c *Cluster) AddTopics(topics ...Topic) {
	for _, t := range topics {
		c.topics[t.Name] = t
	}
}

// AddClients says on which hosts there are clients.
func (c *Cluster) AddClients(hosts ...string) { c.clients = append(c.clients, hosts...) }

// AddMember says that the client on a host is a member of a consumer group.
func (c *Cluster) AddMember(group, host string) { c.groups[group] = append(c.groups[group], host) }

// AddTransactionalID says that a client's producer has it.
func (c *Cluster) AddTransactionalID(id string) { c.txnIDs = append(c.txnIDs, id) }

// StopsBy says how the client on a host is asked to stop in order. stop calls done
// when the client has left; its process is ended then.
func (c *Cluster) StopsBy(host string, stop func(done func())) { c.stops[host] = stop }

// Server is the one on a host, or nil.
func (c *Cluster) Server(host string) *Server { return c.byHost[host] }

// ByID is the server with a node id, or nil.
func (c *Cluster) ByID(id kafka.NodeID) *Server { return c.byID[id] }

// HostOf names the host of a node, or is empty.
func (c *Cluster) HostOf(id kafka.NodeID) string {
	if s := c.byID[id]; s != nil {
		return s.Name()
	}
	return ""
}

// World, Brokers, Controllers, Clients, Topics, Partitions and Rack are for
// faults.Cluster.
func (c *Cluster) World() *sim.World { return c.world }

// Brokers names the hosts of brokers.
func (c *Cluster) Brokers() []string { return c.brokers }

// Controllers names the hosts of controllers.
func (c *Cluster) Controllers() []string { return c.controllers }

// Clients names the hosts of clients.
func (c *Cluster) Clients() []string { return c.clients }

// Groups names the consumer groups of the clients.
func (c *Cluster) Groups() []string { return slices.Sorted(maps.Keys(c.groups)) }

// Members names the hosts of the members of a group.
func (c *Cluster) Members(group string) []string { return c.groups[group] }

// OffsetsPartition is the partition of __consumer_offsets in which a group is kept,
// or will be.
func (c *Cluster) OffsetsPartition(name string) (topic string, partition int32) {
	return kafka.OffsetsTopic, group.PartitionFor(name, c.Partitions(kafka.OffsetsTopic))
}

// TransactionalIDs names those of the clients.
func (c *Cluster) TransactionalIDs() []string { return c.txnIDs }

// TransactionsPartition is the partition of __transaction_state in which a
// transactional id is kept, or will be.
func (c *Cluster) TransactionsPartition(id string) (topic string, partition int32) {
	return kafka.TransactionsTopic, txn.PartitionFor(id, c.Partitions(kafka.TransactionsTopic))
}

// Topics names the topics that there are or will be.
func (c *Cluster) Topics() []string {
	names := slices.Collect(maps.Keys(c.topics))
	if len(c.groups) > 0 {
		names = append(names, kafka.OffsetsTopic)
	}
	if len(c.txnIDs) > 0 {
		names = append(names, kafka.TransactionsTopic)
	}
	return slices.Sorted(slices.Values(names))
}

// Partitions is how many partitions a topic has.
func (c *Cluster) Partitions(topic string) int32 {
	switch topic {
	case kafka.OffsetsTopic:
		return c.settings.Groups.Partitions
	case kafka.TransactionsTopic:
		return c.settings.Transactions.Partitions
	}
	return c.topics[topic].Partitions
}

// Rack of a host, or empty.
func (c *Cluster) Rack(host string) string { return c.byHost[host].Config.Rack }

// StartAll starts every server that is down.
func (c *Cluster) StartAll() {
	for _, s := range c.Servers {
		c.Start(s.Name())
	}
}

// Start starts the process of a host that is down: a server, or a client that
// had been started before.
func (c *Cluster) Start(host string) {
	h := c.world.Host(host)
	if h.IsRunning() {
		return
	}
	s := c.byHost[host]
	if s == nil {
		h.Restart()
		return
	}
	s.node = nil
	h.Start(func(e env.Host) {
		s.life = h.Incarnation()
		node, err := broker.Start(e, s.Config)
		if err != nil {
			e.Exit(err)
		}
		s.node = node
	})
}

// superviseEvery is how often Supervise looks.
const superviseEvery = 2 * time.Second

// Supervise starts servers again that ended by themselves, as a service manager
// does: a broker that could not register for a minute, or whose disk is bad.
func (c *Cluster) Supervise() {
	for _, s := range c.Servers {
		if !s.Host.IsRunning() && !s.Host.Held() && s.Host.ExitError() != nil && s.Host.Incarnation() == s.life {
			c.Start(s.Name())
		}
	}
	c.world.After(superviseEvery, "supervise", c.Supervise)
}

// Stop shuts a process down in order and calls done when it has ended. A client
// that cannot stop in order is killed, and so is a server that has not come up
// yet. A server that has not registered yet is not stopped if the budget does not
// allow its crash.
func (c *Cluster) Stop(host string, done func()) {
	h := c.world.Host(host)
	s := c.byHost[host]
	if stop := c.stops[host]; stop != nil && h.IsRunning() {
		c.stopClient(h, stop, done)
		return
	}
	if s != nil && h.IsRunning() && !s.registered() && !c.mayCrash(s) {
		done()
		return
	}
	if s == nil || s.Node() == nil {
		h.Kill()
		done()
		return
	}
	node, life := s.Node(), s.life
	h.Process().Go("shutdown", func() {
		if err := node.Shutdown(); err != nil {
			h.Process().Tell(&ShutdownFailed{err.Error()})
		}
		c.world.After(0, "stopped", func() {
			if h.Incarnation() == life {
				h.Kill()
			}
			done()
		})
	})
}

// stopClient has a client leave in order, and ends its process when it has.
func (c *Cluster) stopClient(h *sim.Host, stop func(done func()), done func()) {
	life := h.Incarnation()
	stop(func() {
		c.world.After(0, "stopped", func() {
			if h.Incarnation() == life {
				h.Kill()
			}
			done()
		})
	})
}

// registered reports whether a server runs as one that the controllers know of.
func (s *Server) registered() bool {
	n := s.Node()
	return n != nil && (n.Lifecycle == nil || n.Lifecycle.Epoch() != kafka.NoEpoch)
}

// mayCrash reports whether a server that has not registered yet may end, and records
// it as crashed if so. Its request to register may be on its way: the next process then
// names an epoch before that, and is taken for unclean, as by Kafka's controllers.
func (c *Cluster) mayCrash(s *Server) bool {
	im := c.Image()
	if !c.Survives([]string{s.Name()}, false) {
		c.world.Tell(&StopRefused{s.Name()})
		return false
	}
	if im.Broker(s.ID()) != nil {
		c.crashed(s, im, s.hasLost(im))
	}
	return true
}

// MinInsync is the min.insync.replicas of a topic: its own, or that of the brokers. What
// an administrator has set on a topic of its own the metadata say.
func (c *Cluster) MinInsync(topic string) int {
	own, known := c.topics[topic]
	if own.MinInsync > 0 {
		return own.MinInsync
	}
	if im := c.Image(); !known && im != nil {
		text, _ := im.ConfigValue(metadata.Resource{Type: metadata.TopicResource, Name: topic}, "min.insync.replicas")
		if n, err := strconv.Atoi(text); err == nil {
			return n
		}
	}
	return int(c.settings.Topic.MinInsyncReplicas)
}
