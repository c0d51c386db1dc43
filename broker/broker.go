// Package broker puts a Kafka node together: a broker, a controller, or both
// in one process. The parts are below: log, replica, raft, metadata,
// controller, server, wire; here they are only made, in the order in which
// Kafka makes them, and joined. client, the other end of the wire, is no part
// of a node.
package broker

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/ktrial/ktrial/broker/controller"
	"github.com/ktrial/ktrial/broker/kafka"
	"github.com/ktrial/ktrial/broker/log"
	"github.com/ktrial/ktrial/broker/metadata"
	"github.com/ktrial/ktrial/broker/planted"
	"github.com/ktrial/ktrial/broker/raft"
	"github.com/ktrial/ktrial/broker/replica"
	"github.com/ktrial/ktrial/broker/server"
	"github.com/ktrial/ktrial/broker/wire"
	"github.com/ktrial/ktrial/sim/env"
)

// Roles are process.roles.
type Roles uint8

// The roles of a node; it may have both.
const (
	BrokerRole Roles = 1 << iota
	ControllerRole
)

// Has reports whether all of want are among r.
func (r Roles) Has(want Roles) bool { return r&want == want }

// Config is what makes one node different from another. Settings are usually
// the same for all nodes of a cluster.
type Config struct {
	NodeID    kafka.NodeID
	Roles     Roles
	ClusterID string
	// Voters are the controllers of the quorum, this node among them if it is
	// one.
	Voters []raft.Voter
	// Port is that of the broker listener, ControllerPort that of the
	// controller listener.
	Port, ControllerPort int
	// Advertised is where clients and other brokers reach the broker listener:
	// "host:port". Empty: the host's name and Port.
	Advertised string
	Rack       string // empty: none
	DataDir    string

	// Decoder decodes the metadata log. The nodes of one process may share one,
	// which saves most of what a large cluster's metadata costs; nil: none.
	Decoder *raft.Decoder

	Settings Settings
	Bugs     *planted.Set
}

// Node is one running node: its parts, for inspection. Those of a role that it
// does not have are nil.
type Node struct {
	Raft       *raft.Node
	Controller *controller.Controller
	Replicas   *replica.Manager
	Groups     *server.Groups
	// Transactions coordinates transactions.
	Transactions *server.Transactions
	Lifecycle    *server.Lifecycle
	Dir          *log.Dir

	host      env.Host
	cfg       Config
	publisher *server.Publisher
	channels  []*server.Channel
	listeners []*wire.Server

	stopping, stopped bool
	stopErr           error
	over              env.Signal // stopped
}

// Start brings a node up, in the order of Kafka: the log directory and its
// recovery, the quorum, the controller's listener; then the broker registers, is
// unfenced when it has caught up with the metadata, and listens from then on. It
// returns once the broker registers; Lifecycle says how far it has come. It
// blocks.
func Start(host env.Host, cfg Config) (*Node, error) {
	n := &Node{host: host, cfg: cfg, over: host.NewSignal("node stopped")}
	if err := n.start(); err != nil {
		return nil, fmt.Errorf("broker: start node %d: %w", cfg.NodeID, err)
	}
	return n, nil
}

func (n *Node) start() error {
	if err := n.openDir(); err != nil {
		return err
	}
	if n.cfg.Roles.Has(BrokerRole) {
		n.makeReplicas()
	}
	if err := n.joinQuorum(); err != nil {
		return err
	}
	if n.cfg.Roles.Has(ControllerRole) {
		if err := n.startController(); err != nil {
			return err
		}
	}
	if n.cfg.Roles.Has(BrokerRole) {
		return n.startBroker()
	}
	return nil
}

// openDir checks whose directory it is, and recovers the logs in it.
func (n *Node) openDir() (err error) {
	if err := raft.Check(n.host, n.cfg.DataDir); err != nil {
		return err
	}
	n.Dir, err = log.OpenDir(n.host, n.cfg.DataDir, log.DirOptions{
		ClusterID:      n.cfg.ClusterID,
		NodeID:         n.cfg.NodeID,
		Config:         n.cfg.Settings.Topic,
		ProducerExpiry: n.cfg.Settings.Server.ProducerExpiry,
		Bugs:           n.cfg.Bugs,

		VerifyTransactions: n.cfg.Settings.Transactions.Verify,
	})
	return err
}

// makeReplicas makes the replica manager and the coordinators of groups and transactions, which are
// idle until metadata comes, and the publisher that will bring it.
func (n *Node) makeReplicas() {
	cfg := n.cfg.Settings.Replica
	cfg.NodeID, cfg.TopicDefaults = n.cfg.NodeID, &n.cfg.Settings.Topic
	n.Replicas = replica.NewManager(n.host, cfg, n.Dir, n.channel("alter-partition"), n.cfg.Bugs)
	n.publisher = server.NewPublisher(n.host, n.cfg.NodeID, n.Replicas)
	n.Groups = server.NewGroups(n.host, n.cfg.NodeID, n.cfg.Settings.Groups, n.Replicas, n.Image, n.cfg.Bugs)
	n.publisher.OnPublished(n.Groups.ImageChanged)
	n.Transactions = server.NewTransactions(n.host, n.cfg.NodeID, n.cfg.Settings.Transactions, n.Replicas, n.Image, n.cfg.Bugs)
	n.publisher.OnPublished(n.Transactions.ImageChanged)
}

// joinQuorum starts raft: as a voter on a controller, else as an observer.
func (n *Node) joinQuorum() (err error) {
	var l listeners
	if n.cfg.Roles.Has(ControllerRole) {
		n.Controller = controller.New(n.host, controller.Config{
			ID: n.cfg.NodeID, ClusterID: n.cfg.ClusterID,
			Bugs: n.cfg.Bugs, Settings: n.cfg.Settings.Controller,
			Given: n.cfg.Settings.Given(),
		})
		l = append(l, n.Controller)
	}
	if n.publisher != nil {
		l = append(l, n.publisher)
	}
	n.Raft, err = raft.Start(n.host, raft.Config{
		ID: n.cfg.NodeID, ClusterID: n.cfg.ClusterID, Voters: n.cfg.Voters, Dir: n.cfg.DataDir,
		Settings: n.cfg.Settings.Raft, Decoder: n.cfg.Decoder, Bugs: n.cfg.Bugs,
	}, l)
	return err
}

func (n *Node) startController() error {
	n.Controller.Start(n.Raft)
	c := &server.Controller{
		Host: n.host, Settings: n.cfg.Settings.Server,
		Raft: n.Raft, Controller: n.Controller, Image: n.Image,
	}
	srv, err := c.Listen(n.cfg.ControllerPort)
	if err == nil {
		n.listeners = append(n.listeners, srv)
	}
	return err
}

// startBroker registers and has the metadata published. The broker is fenced
// while it catches up, and listens only when it is not any more, as in Kafka
// (BrokerServer.startup): before that it would answer clients with a cluster without
// brokers, and of topics that they do not exist.
func (n *Node) startBroker() error {
	self, err := n.identity()
	if err != nil {
		return err
	}
	settings := n.cfg.Settings.Server
	n.Lifecycle = server.NewLifecycle(n.host, self, settings, n.channel("heartbeat"), n.publisher.Offset, func(e kafka.BrokerEpoch) {
		n.Replicas.SetBrokerEpoch(e)
		n.publisher.Recheck()
	})
	// As in Kafka, a broker that cannot register still closes its logs before
	// it exits.
	n.Lifecycle.GiveUp = func(error) { n.Shutdown() }
	allocate := n.channel("broker")
	producers := server.NewProducerIDs(n.host, n.cfg.NodeID, n.Lifecycle.Epoch, allocate, settings.RequestTimeout)
	n.Transactions.NewProducerID = producers.Take
	b := &server.Broker{
		Host: n.host, NodeID: n.cfg.NodeID, ClusterID: n.cfg.ClusterID, Settings: settings,
		Metadata: n.publisher, Replicas: n.Replicas, Lifecycle: n.Lifecycle, Groups: n.Groups,
		Transactions: n.Transactions, Producers: producers,
		Forward: n.channel("forwarding"), Allocate: allocate,
		Dir: n.Dir, DataDir: n.cfg.DataDir, Given: n.given(), Bugs: n.cfg.Bugs,
	}
	n.publisher.Start(n.caughtUp, n.Raft.MaybeSnapshot)
	n.Lifecycle.Start()
	n.host.Go("unfence", func() {
		n.publisher.WaitPublished()
		n.Lifecycle.ReadyToUnfence()
		n.Lifecycle.WaitState(server.Running, env.Forever)
		n.listen(b)
	})
	return nil
}

// listen opens the broker listener, unless the broker shuts down already.
func (n *Node) listen(b *server.Broker) {
	if n.stopping {
		return
	}
	srv, err := b.Listen(n.cfg.Port)
	if err != nil {
		n.host.Exit(fmt.Errorf("broker: node %d: %w", n.cfg.NodeID, err))
		return
	}
	n.listeners = append(n.listeners, srv)
}

// identity is what this broker says of itself. Each process is a new
// incarnation.
func (n *Node) identity() (server.Identity, error) {
	at, err := n.endpoint()
	if err != nil {
		return server.Identity{}, err
	}
	id := server.Identity{
		NodeID: n.cfg.NodeID, ClusterID: n.cfg.ClusterID,
		Incarnation:   kafka.NewUUID(n.host.Rand()),
		Endpoint:      at,
		Features:      controller.SupportedFeatures(),
		LogDirs:       []kafka.UUID{n.Dir.ID()},
		PreviousEpoch: kafka.NoEpoch,
	}
	if n.cfg.Rack != "" {
		id.Rack = &n.cfg.Rack
	}
	if epoch, clean := n.Dir.CleanShutdown(); clean {
		id.PreviousEpoch = epoch
	}
	return id, nil
}

// endpoint is what the broker advertises.
func (n *Node) endpoint() (metadata.Endpoint, error) {
	at := metadata.Endpoint{Name: server.ListenerName, Host: n.host.Name(), Port: uint16(n.cfg.Port)}
	if n.cfg.Advertised == "" {
		return at, nil
	}
	colon := strings.LastIndexByte(n.cfg.Advertised, ':')
	port, err := strconv.ParseUint(n.cfg.Advertised[colon+1:], 10, 16)
	if colon <= 0 || err != nil {
		return at, fmt.Errorf("advertised.listeners %q: expected host:port", n.cfg.Advertised)
	}
	// An IPv6 address has brackets where a port follows, and none in metadata.
	at.Host, at.Port = strings.Trim(n.cfg.Advertised[:colon], "[]"), uint16(port)
	return at, nil
}

// channel is a way to the active controller of its own.
func (n *Node) channel(name string) *server.Channel {
	c := server.NewChannel(n.host, fmt.Sprintf("%s-%d", name, n.cfg.NodeID), func() string {
		if n.Raft == nil {
			return ""
		}
		return n.Raft.LeaderAddr()
	})
	n.channels = append(n.channels, c)
	return c
}

// caughtUp reports whether the broker's image may be published. It holds all
// that was committed when the process started: replicas of topics that it does
// not know of would be deleted as strays. And it knows of this process: an
// image from before its registration may still name the broker the leader of an
// epoch in which it had records that it has lost since.
func (n *Node) caughtUp() bool {
	if !n.Raft.HighWatermarkKnown() || n.publisher.Image().Offset+1 < n.Raft.HighWatermark() {
		return false
	}
	self, epoch := n.publisher.Image().Broker(n.cfg.NodeID), n.Lifecycle.Epoch()
	return epoch != kafka.NoEpoch && self != nil && self.Epoch >= epoch
}

// Image is the committed metadata as this node has applied it. It is not to be
// changed, nor kept over a call that blocks.
func (n *Node) Image() *metadata.Image {
	if n.publisher != nil {
		return n.publisher.Image()
	}
	return n.Controller.Image()
}

// Shutdown stops the node in order: its leaderships move away, its logs are
// closed with the mark of a clean shutdown, and the quorum is left. It blocks.
// A second call waits for the first one to finish and returns its error.
func (n *Node) Shutdown() error {
	if n.stopping {
		n.host.Reached(ProbeShutdownTwice)
	} else {
		n.stopping = true
		n.stopErr = n.shutdown()
		n.stopped = true
		n.over.Broadcast()
	}
	for !n.stopped {
		n.over.Wait(env.Forever)
	}
	return n.stopErr
}

func (n *Node) shutdown() error {
	var err error
	if n.cfg.Roles.Has(BrokerRole) {
		n.Lifecycle.ControlledShutdown()
		n.closeListeners()
		n.Groups.Close()
		n.Transactions.Close()
		err = n.Replicas.Shutdown()
	}
	n.Raft.Shutdown(quorumShutdown)
	n.closeListeners()
	for _, c := range n.channels {
		c.Close()
	}
	return err
}

// quorumShutdown is how long a quorum leader announces to the others that it goes.
const quorumShutdown = 5 * time.Second

func (n *Node) closeListeners() {
	for _, l := range n.listeners {
		l.Close()
	}
}

// listeners passes what raft says on to several. They share the records, which
// are never changed, but not the image.
type listeners []raft.Listener

func (ls listeners) Committed(b raft.Batch) {
	for _, l := range ls {
		l.Committed(b)
	}
}

func (ls listeners) LoadSnapshot(im *metadata.Image) {
	for i, l := range ls {
		if i < len(ls)-1 {
			l.LoadSnapshot(im.Clone())
		} else {
			l.LoadSnapshot(im)
		}
	}
}

func (ls listeners) LeaderChanged(leader kafka.NodeID, epoch kafka.LeaderEpoch) {
	for _, l := range ls {
		l.LeaderChanged(leader, epoch)
	}
}
