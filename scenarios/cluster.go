package scenarios

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/ktrial/ktrial/broker"
	"github.com/ktrial/ktrial/broker/kafka"
	"github.com/ktrial/ktrial/broker/metadata"
	"github.com/ktrial/ktrial/broker/planted"
	"github.com/ktrial/ktrial/broker/raft"
	"github.com/ktrial/ktrial/broker/witness"
	"github.com/ktrial/ktrial/sim"
	"github.com/ktrial/ktrial/sim/env"
)

const (
	brokerPort     = 9092
	controllerPort = 9093
	// firstController is the node id of controller-1: brokers count from 1.
	firstController = 3001
)

// clusterID is the same in every world.
const clusterID = "ktrialAAAAAAAAAAAAAAAA"

// member is one node of the cluster, over all lives of its process.
type member struct {
	host *sim.Host
	cfg  broker.Config
	node *broker.Node // of the life that runs; see alive
	life int
	// crashed: it went down uncleanly, when it had this broker epoch; lossy: and
	// lost what it had not synced.
	crashed, lossy bool
	epoch          kafka.BrokerEpoch
	// doubtful: its disk has reported as synced what it may not have.
	doubtful bool
}

// alive is the node if its process runs and has come up.
func (s *member) alive() *broker.Node {
	if s.node == nil || !s.host.IsRunning() || s.host.Incarnation() != s.life {
		return nil
	}
	return s.node
}

// cluster is the servers of a world. It implements faults.Cluster.
type cluster struct {
	w           *sim.World
	servers     []*member
	byHost      map[string]*member
	byID        map[kafka.NodeID]*member
	brokers     []string
	controllers []string
	clients     []string
	minISR      map[string]int   // of each topic
	partitions  map[string]int32 // of each topic: how many
	stopped     bool             // no more starts
	// committed is where the metadata ends that is known to be committed.
	committed func() kafka.Offset
	// onStart, if set, is told when a new process of a server begins.
	onStart func(*member)
	seen    *metadata.Image // in still: the newest there is
}

// newCluster puts the hosts into the world; start starts them.
func newCluster(w *sim.World, c Cluster, settings broker.Settings, bugs *planted.Set, watch func(kafka.NodeID) witness.Witness) *cluster {
	out := &cluster{w: w, byHost: map[string]*member{}, byID: map[kafka.NodeID]*member{}, minISR: map[string]int{}, partitions: map[string]int32{}}
	var voters []raft.Voter
	decoder := new(raft.Decoder)
	add := func(name string, id kafka.NodeID, roles broker.Roles, rack string) {
		s := &member{host: w.Host(name), cfg: broker.Config{
			NodeID: id, Roles: roles, ClusterID: clusterID, Port: brokerPort, ControllerPort: controllerPort,
			Rack: rack, DataDir: "data", Settings: settings, Decoder: decoder, Bugs: bugs, Witness: watch(id),
		}}
		out.servers = append(out.servers, s)
		out.byHost[name], out.byID[id] = s, s
		if roles.Has(broker.BrokerRole) {
			out.brokers = append(out.brokers, name)
		}
		if roles.Has(broker.ControllerRole) {
			out.controllers = append(out.controllers, name)
			voters = append(voters, raft.Voter{ID: id, Addr: fmt.Sprintf("%s:%d", name, controllerPort)})
		}
	}
	rack := func(i int) string {
		if len(c.Racks) == 0 {
			return ""
		}
		return c.Racks[i%len(c.Racks)]
	}
	for i := range c.Controllers {
		add(fmt.Sprintf("controller-%d", i+1), kafka.NodeID(firstController+i), broker.ControllerRole, "")
	}
	for i := range c.Brokers {
		add(fmt.Sprintf("broker-%d", i+1), kafka.NodeID(i+1), broker.BrokerRole, rack(i))
	}
	for i := range c.Combined {
		add(fmt.Sprintf("node-%d", i+1), kafka.NodeID(i+1), broker.BrokerRole|broker.ControllerRole, rack(i))
	}
	for _, s := range out.servers {
		s.cfg.Voters = voters
	}
	return out
}

// bootstrap is where clients begin.
func (c *cluster) bootstrap() []string {
	var out []string
	for _, name := range c.brokers {
		out = append(out, fmt.Sprintf("%s:%d", name, brokerPort))
	}
	return out
}

// World, Brokers, Controllers, Clients, Topics and Rack implement faults.Cluster.
func (c *cluster) World() *sim.World       { return c.w }
func (c *cluster) Brokers() []string       { return c.brokers }
func (c *cluster) Controllers() []string   { return c.controllers }
func (c *cluster) Clients() []string       { return c.clients }
func (c *cluster) Topics() []string        { return slices.Sorted(maps.Keys(c.partitions)) }
func (c *cluster) Rack(host string) string { return c.byHost[host].cfg.Rack }

// Partitions is how many a topic has.
func (c *cluster) Partitions(topic string) int32 { return c.partitions[topic] }

// Start starts the process of a host that is down: a server, or a client that
// had been started before.
func (c *cluster) Start(host string) {
	h := c.w.Host(host)
	if c.stopped || h.IsRunning() {
		return
	}
	s := c.byHost[host]
	if s == nil {
		h.Restart()
		return
	}
	s.node = nil
	if c.onStart != nil {
		c.onStart(s)
	}
	h.Start(func(e env.Host) {
		s.life = h.Incarnation()
		node, err := broker.Start(e, s.cfg)
		if err != nil {
			e.Exit(err)
		}
		s.node = node
	})
}

// supervise starts servers again that ended by themselves, as a service manager
// does: a broker that could not register for a minute, or whose disk is bad.
func (c *cluster) supervise() {
	for _, s := range c.servers {
		if !s.host.IsRunning() && !s.host.Held() && s.host.ExitError() != nil && s.host.Incarnation() == s.life {
			c.Start(s.host.Name())
		}
	}
	c.w.After(superviseEvery, "supervise", c.supervise)
}

const superviseEvery = 2 * time.Second

// Stop shuts a process down in order.
func (c *cluster) Stop(host string, done func()) {
	h := c.w.Host(host)
	s := c.byHost[host]
	if s != nil && h.IsRunning() && !c.mayStop(s) {
		done()
		return
	}
	if s == nil || s.alive() == nil {
		h.Kill() // a client, or a server that is not up yet
		done()
		return
	}
	node, life := s.alive(), s.life
	h.Process().Go("shutdown", func() {
		if err := node.Shutdown(); err != nil {
			h.Process().Log("shutdown: %v", err)
		}
		c.w.After(0, "stopped", func() {
			if h.Incarnation() == life {
				h.Kill()
			}
			done()
		})
	})
}

// mayStop reports whether an orderly shutdown is within the budget. That of a
// server which has not come up yet is not orderly: it is killed.
func (c *cluster) mayStop(s *member) bool {
	if s.alive() != nil {
		return true
	}
	im := c.image()
	if !c.survives([]string{s.host.Name()}, false) {
		c.w.Say("%s is not stopped: it is not up yet, and would count as lost", s.host.Name())
		return false
	}
	if b := im.Broker(s.cfg.NodeID); b != nil {
		s.lossy = s.lossy && s.unclean(im)
		s.crashed, s.epoch = true, b.Epoch
	}
	return true
}

// still has f look at many things while nothing happens: who has the newest
// metadata is asked once.
func (c *cluster) still(f func()) {
	c.seen = c.image()
	f()
	c.seen = nil
}

// image is the newest committed metadata that anybody has.
func (c *cluster) image() *metadata.Image {
	if c.seen != nil {
		return c.seen
	}
	var newest *metadata.Image
	for _, s := range c.servers {
		n := s.alive()
		if n == nil {
			continue
		}
		if im := n.Image(); im != nil && (newest == nil || im.Offset > newest.Offset) {
			newest = im
		}
	}
	return newest
}

// partition is its state in the newest metadata, or nil.
func (c *cluster) partition(topic string, partition int32) *metadata.Partition {
	im := c.image()
	if im == nil {
		return nil
	}
	return im.Partition(kafka.TopicPartition{Topic: topic, Partition: partition})
}

// hostOf names the host of a node.
func (c *cluster) hostOf(id kafka.NodeID) string {
	if s := c.byID[id]; s != nil {
		return s.host.Name()
	}
	return ""
}

// Leader names the host of a partition's leader, or "".
func (c *cluster) Leader(topic string, partition int32) string {
	if p := c.partition(topic, partition); p != nil {
		return c.hostOf(p.Leader)
	}
	return ""
}

// Followers names the hosts of its other replicas.
func (c *cluster) Followers(topic string, partition int32) []string {
	p := c.partition(topic, partition)
	if p == nil {
		return nil
	}
	var out []string
	for _, id := range p.Replicas {
		if id != p.Leader {
			out = append(out, c.hostOf(id))
		}
	}
	slices.Sort(out)
	return out
}

// Segments are the files with the records of topics.
func (c *cluster) Segments(host string) []string {
	return slices.DeleteFunc(c.w.Host(host).Disk().Files(), func(p string) bool {
		return !strings.HasSuffix(p, ".log") || strings.Contains(p, kafka.MetadataTopic)
	})
}

// active is the server that acts as controller, of the newest epoch; or nil.
func (c *cluster) active() *member {
	var found *member
	var newest kafka.LeaderEpoch
	for _, s := range c.servers {
		n := s.alive()
		if n == nil || n.Controller == nil || !n.Controller.Active() {
			continue
		}
		if _, epoch := n.Raft.Leader(); found == nil || epoch > newest {
			found, newest = s, epoch
		}
	}
	return found
}

// ActiveController names its host, or "".
func (c *cluster) ActiveController() string {
	if s := c.active(); s != nil {
		return s.host.Name()
	}
	return ""
}

// operate runs what an operator asks of the active controller.
func (c *cluster) operate(name string, f func(*broker.Node)) {
	if s := c.active(); s != nil && !s.host.IsPaused() {
		node := s.alive()
		s.host.Process().Go(name, func() { f(node) })
	}
}

// MoveLeader does what an operator does who wants another leader: another
// in-sync replica is put first in the list of replicas, and the preferred
// leader is elected.
func (c *cluster) MoveLeader(topic string, partition int32) {
	p := c.partition(topic, partition)
	if p == nil {
		return
	}
	i := slices.IndexFunc(p.Replicas, func(id kafka.NodeID) bool { return id != p.Leader && slices.Contains(p.ISR, id) })
	if i < 0 {
		return
	}
	order := []int32{int32(p.Replicas[i])}
	for j, id := range p.Replicas {
		if j != i {
			order = append(order, int32(id))
		}
	}
	c.operate("move leader", func(n *broker.Node) {
		n.Controller.AlterPartitionReassignments(reassignment(topic, partition, order))
		n.Controller.ElectLeaders(preferredElection(topic, partition))
	})
}

func reassignment(topic string, partition int32, replicas []int32) *kmsg.AlterPartitionAssignmentsRequest {
	req := kmsg.NewPtrAlterPartitionAssignmentsRequest()
	t := kmsg.NewAlterPartitionAssignmentsRequestTopic()
	t.Topic = topic
	p := kmsg.NewAlterPartitionAssignmentsRequestTopicPartition()
	p.Partition, p.Replicas = partition, replicas
	t.Partitions = append(t.Partitions, p)
	req.Topics = append(req.Topics, t)
	req.TimeoutMillis = 10_000
	return req
}

func preferredElection(topic string, partitions ...int32) *kmsg.ElectLeadersRequest {
	req := kmsg.NewPtrElectLeadersRequest()
	req.Version = 2
	req.TimeoutMillis = 10_000
	if topic != "" {
		t := kmsg.NewElectLeadersRequestTopic()
		t.Topic, t.Partitions = topic, partitions
		req.Topics = append(req.Topics, t)
	}
	return req
}

// ElectPreferred makes the preferred replicas of all partitions leaders.
func (c *cluster) ElectPreferred() {
	c.operate("elect preferred", func(n *broker.Node) { n.Controller.ElectLeaders(preferredElection("")) })
}

// ResignController makes the active controller step down.
func (c *cluster) ResignController() {
	c.operate("resign", func(n *broker.Node) {
		_, epoch := n.Raft.Leader()
		n.Raft.Resign(epoch)
	})
}

// startAll starts every server.
func (c *cluster) startAll() {
	for _, s := range c.servers {
		c.Start(s.host.Name())
	}
}

// ready reports whether every broker but those left out is registered and
// unfenced, and what is missing otherwise.
func (c *cluster) ready(left []string) error {
	s := c.active()
	if s == nil {
		return fmt.Errorf("no controller is active")
	}
	im := s.alive().Controller.Image()
	for _, name := range c.brokers {
		if slices.Contains(left, name) {
			continue
		}
		b := im.Broker(c.byHost[name].cfg.NodeID)
		if b == nil || b.Fenced {
			return fmt.Errorf("%s is not unfenced", name)
		}
	}
	return nil
}
