package serve

import (
	"fmt"
	"slices"
	"time"

	"github.com/ktrial/ktrial/broker"
	"github.com/ktrial/ktrial/broker/kafka"
	"github.com/ktrial/ktrial/broker/planted"
	"github.com/ktrial/ktrial/broker/raft"
	"github.com/ktrial/ktrial/broker/server"
	"github.com/ktrial/ktrial/sim"
	"github.com/ktrial/ktrial/sim/env"
	"github.com/ktrial/ktrial/sim/live"
)

const (
	brokerPort     = 9092
	controllerPort = 9093
	// firstController is the node id of controller-1: brokers count from 1.
	firstController = 3001
)

// cluster is the nodes of a live world. Its methods are called in the world,
// outside of any task.
type cluster struct {
	w                    *live.World
	dir                  *dir
	brokers, controllers []*node
	ready                func(Cluster)

	isReady  bool
	stopping bool
	failed   error
}

// node is one host with its process.
type node struct {
	host *sim.Host
	cfg  broker.Config
	up   *broker.Node // nil: not yet
	// stopped: it has been shut down, and can go.
	stopped bool
}

// ended says why the node's process is no more.
func (n *node) ended() error {
	return fmt.Errorf("%s has ended: %w", n.host.Name(), n.host.ExitError())
}

func newCluster(w *live.World, d *dir, settings broker.Settings, ready func(Cluster)) *cluster {
	c := &cluster{w: w, dir: d, ready: ready}
	decoder := new(raft.Decoder)
	add := func(to *[]*node, name string, id kafka.NodeID, role broker.Roles) {
		*to = append(*to, &node{host: w.Host(name), cfg: broker.Config{
			NodeID: id, Roles: role, ClusterID: d.clusterID,
			Port: brokerPort, ControllerPort: controllerPort,
			Settings: settings, Decoder: decoder, Bugs: planted.Plant(),
		}})
	}
	for i := range d.controllers {
		add(&c.controllers, fmt.Sprintf("controller-%d", i+1), kafka.NodeID(firstController+i), broker.ControllerRole)
	}
	for i := range d.brokers {
		add(&c.brokers, fmt.Sprintf("broker-%d", i+1), kafka.NodeID(1+i), broker.BrokerRole)
	}
	var voters []raft.Voter
	for _, n := range c.controllers {
		voters = append(voters, raft.Voter{ID: n.cfg.NodeID, Addr: fmt.Sprintf("%s:%d", n.host.Name(), controllerPort)})
	}
	for _, n := range c.nodes() {
		n.cfg.Voters = voters
	}
	return c
}

func (c *cluster) nodes() []*node { return slices.Concat(c.controllers, c.brokers) }

func (c *cluster) names() (names []string) {
	for _, n := range c.nodes() {
		names = append(names, n.host.Name())
	}
	return names
}

func (c *cluster) start() {
	for _, n := range c.nodes() {
		n.host.Start(func(h env.Host) {
			up, err := broker.Start(h, n.cfg)
			if err != nil {
				h.Exit(err)
			}
			n.up = up
		})
	}
	c.watch()
}

// watch tells when all brokers serve, and ends it all when a node has ended by
// itself. A real cluster would live on without the node, but whoever tests
// against this one should hear of it.
func (c *cluster) watch() {
	if c.stopping {
		return
	}
	for _, n := range c.nodes() {
		if !n.host.IsRunning() {
			err := n.ended()
			if !c.isReady {
				err = UsageError{err}
			}
			c.fail(err)
			c.shutdown()
			return
		}
	}
	again := 250 * time.Millisecond
	if !c.isReady {
		again = 10 * time.Millisecond
		c.maybeReady()
	}
	c.w.After(again, "watch", c.watch)
}

// fail keeps the first error: the others come of it.
func (c *cluster) fail(err error) {
	if c.failed == nil {
		c.failed = err
	}
}

func (c *cluster) maybeReady() {
	served := Cluster{ID: c.dir.clusterID}
	for _, n := range c.brokers {
		if n.up == nil || n.up.Lifecycle.State() != server.Running {
			return
		}
		served.Brokers = append(served.Brokers, n.cfg.Advertised)
	}
	c.isReady = true
	if err := c.dir.complete(); err != nil {
		c.fail(err)
		c.shutdown()
		return
	}
	if c.ready != nil {
		c.ready(served)
	}
}

// shutdown stops the brokers while there are controllers to relieve them, then
// the controllers, then the world.
func (c *cluster) shutdown() {
	if c.stopping {
		return
	}
	c.stopping = true
	c.stop(c.brokers, (*broker.Node).Shutdown, func() {
		c.stop(c.controllers, leaveQuorum, c.w.Stop)
	})
}

// leaveQuorum stops a controller. It need not wait until another leads the
// quorum: there is nobody left to be led.
func leaveQuorum(n *broker.Node) error {
	n.Raft.Shutdown(0)
	return nil
}

// stop stops nodes, all at once, then calls done. A node that ends by itself
// meanwhile has stopped too.
func (c *cluster) stop(nodes []*node, how func(*broker.Node) error, done func()) {
	for _, n := range nodes {
		if n.up == nil || !n.host.IsRunning() {
			n.host.Kill()
			continue
		}
		n.host.Process().Go("shutdown", func() {
			if err := how(n.up); err != nil {
				c.fail(fmt.Errorf("%s: shut down: %w", n.host.Name(), err))
			}
			n.stopped = true
		})
	}
	c.await(nodes, done)
}

// await calls done when no node runs any more.
func (c *cluster) await(nodes []*node, done func()) {
	for _, n := range nodes {
		if n.stopped {
			n.host.Kill()
		}
		if n.host.IsRunning() {
			c.w.After(5*time.Millisecond, "await", func() { c.await(nodes, done) })
			return
		}
		if !n.stopped && n.host.ExitError() != nil {
			c.fail(n.ended())
		}
	}
	done()
}
