package serve

import (
	"errors"
	"fmt"
	"time"

	"github.com/ktrial/ktrial/broker"
	"github.com/ktrial/ktrial/broker/log"
	"github.com/ktrial/ktrial/broker/server"
	"github.com/ktrial/ktrial/faults"
	"github.com/ktrial/ktrial/scenarios/cluster"
	"github.com/ktrial/ktrial/scenarios/nemesis"
	"github.com/ktrial/ktrial/sim/live"
)

// served is the cluster of a live world while it is served. Its methods are
// called in the world, outside of any task.
type served struct {
	*cluster.Cluster
	w                    *live.World
	dir                  *dir
	brokers, controllers []*cluster.Server
	ready                func(Cluster)
	plan                 faults.Plan
	nemesis              *nemesis.Nemesis // nil: nothing is to strike

	isReady  bool
	stopping bool
	stopped  map[*cluster.Server]bool // it has been shut down, and can go
	failed   error
}

func newServed(w *live.World, d *dir, settings broker.Settings, ready func(Cluster)) *served {
	c := &served{w: w, dir: d, ready: ready, stopped: map[*cluster.Server]bool{}}
	c.Cluster = cluster.New(w.World, cluster.Config{
		Shape:    cluster.Shape{Controllers: d.controllers, Brokers: d.brokers},
		Settings: settings, ClusterID: d.clusterID,
	})
	c.controllers, c.brokers = c.Servers[:d.controllers], c.Servers[d.controllers:]
	return c
}

func (c *served) names() (names []string) {
	for _, s := range c.Servers {
		names = append(names, s.Name())
	}
	return names
}

// ended says why a server's process is no more.
func (c *served) ended(s *cluster.Server) error {
	err := s.Host.ExitError()
	if errors.Is(err, log.ErrOtherCluster) {
		err = fmt.Errorf("%w, or what %s says of this one is damaged", err, c.dir.file())
	}
	return fmt.Errorf("%s has ended: %w", s.Name(), err)
}

func (c *served) start() {
	c.StartAll()
	c.checkNodes()
}

// checkNodes reports when all brokers serve, and ends it all when a node has ended by
// itself. A real cluster would live on without the node, but a user that tests
// against this one should hear of it.
func (c *served) checkNodes() {
	if c.stopping {
		return
	}
	for _, n := range c.Servers {
		if killed := c.nemesis != nil && n.Host.ExitError() == nil; !n.Host.IsRunning() && !killed {
			err := c.ended(n)
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
	c.w.After(again, "check nodes", c.checkNodes)
}

// fail keeps the first error: the others come of it.
func (c *served) fail(err error) {
	if c.failed == nil {
		c.failed = err
	}
}

func (c *served) maybeReady() {
	out := Cluster{ID: c.dir.clusterID}
	for _, n := range c.brokers {
		if n.Node() == nil || n.Node().Lifecycle.State() != server.Running {
			return
		}
		out.Brokers = append(out.Brokers, n.Config.Advertised)
	}
	c.isReady = true
	if err := c.dir.complete(); err != nil {
		c.fail(err)
		c.shutdown()
		return
	}
	if c.ready != nil {
		c.ready(out)
	}
	if len(c.plan) > 0 {
		c.play(c.plan)
	}
}

// shutdown stops the brokers while there are controllers to relieve them, then
// the controllers, then the world.
func (c *served) shutdown() {
	if c.stopping {
		return
	}
	c.stopping = true
	if c.nemesis != nil {
		c.nemesis.HealAll()
	}
	c.stop(c.brokers, (*broker.Node).Shutdown, func() {
		c.stop(c.controllers, leaveQuorum, c.w.Stop)
	})
}

// leaveQuorum stops a controller. It need not wait until another leads the
// quorum: no other member is left.
func leaveQuorum(n *broker.Node) error {
	n.Raft.Shutdown(0)
	return nil
}

// stop stops nodes, all at once, then calls done. A node that ends by itself
// meanwhile has stopped too.
func (c *served) stop(servers []*cluster.Server, how func(*broker.Node) error, done func()) {
	for _, n := range servers {
		if n.Node() == nil || !n.Host.IsRunning() {
			n.Host.Kill()
			continue
		}
		node := n.Node()
		n.Host.Process().Go("shutdown", func() {
			if err := how(node); err != nil {
				c.fail(fmt.Errorf("%s: shut down: %w", n.Name(), err))
			}
			c.stopped[n] = true
		})
	}
	c.await(servers, done)
}

// await calls done when no node runs any more.
func (c *served) await(servers []*cluster.Server, done func()) {
	for _, n := range servers {
		if c.stopped[n] {
			n.Host.Kill()
		}
		if n.Host.IsRunning() {
			c.w.After(5*time.Millisecond, "await", func() { c.await(servers, done) })
			return
		}
		if !c.stopped[n] && n.Host.ExitError() != nil {
			c.fail(c.ended(n))
		}
	}
	done()
}
