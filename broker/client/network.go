package client

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/ktrial/ktrial/broker/kafka"
	"github.com/ktrial/ktrial/sim/env"
)

// network is what each producer, consumer and admin stands on: its links to
// the brokers, and its copy of the cluster's metadata.
type network struct {
	host      env.Host
	cfg       *Common
	clientID  string
	bootstrap []string

	metadata metadata
	features features
	links    []*link // in the order in which they were first wanted
	byNode   map[kafka.NodeID]*link

	// changed is called when a link opened or broke, and when the metadata was
	// updated. It must not block.
	changed func()
	// limit, if set, lowers the version of a request that is about to be sent.
	limit  func(kmsg.Request)
	closed bool
}

func (c *Client) network(cfg *Common, changed func()) *network {
	n := &network{host: c.host, cfg: cfg, clientID: c.id, bootstrap: c.bootstrap, changed: changed, byNode: map[kafka.NodeID]*link{}, features: features{epoch: -1}}
	n.metadata.init(n)
	return n
}

// bootstrapNode numbers the bootstrap servers from -2 down: they are brokers
// whose node id is not known, and -1 is no node.
func bootstrapNode(i int) kafka.NodeID { return kafka.NodeID(-2 - i) }

// link finds the link to a node, or makes one; nil if the cluster has no such
// node.
func (n *network) link(node kafka.NodeID) *link {
	addr, ok := n.metadata.addr(node)
	if !ok || n.closed {
		return nil
	}
	if l := n.byNode[node]; l != nil {
		if l.addr == addr {
			return l
		}
		l.drop()
		n.links = slices.DeleteFunc(n.links, func(other *link) bool { return other == l })
	}
	l := &link{net: n, node: node, addr: addr}
	n.links = append(n.links, l)
	n.byNode[node] = l
	return l
}

// coordinatorLink makes a link to a coordinator: beside the one that records are
// fetched over, as in Java, for an answer to JoinGroup may take minutes.
func (n *network) coordinatorLink(node kafka.NodeID, addr string) *link {
	l := &link{net: n, node: node, addr: addr, coordinator: true}
	n.links = append(n.links, l)
	return l
}

// remove drops a link that is of no more use.
func (n *network) remove(l *link) {
	l.drop()
	n.links = slices.DeleteFunc(n.links, func(other *link) bool { return other == l })
}

func (n *network) linkChanged(_ *link, err error) {
	if err != nil {
		// A broker that is gone may have been a leader (KAFKA-3068).
		n.metadata.requestUpdate()
	}
	if !n.closed {
		n.changed()
	}
}

// leastLoaded is the best link for a request that any broker can answer: open
// and idle, else open, else being opened, else one that may be opened now. It
// begins at a random broker. If there is none, it says how long to wait.
func (n *network) leastLoaded() (best *link, wait time.Duration) {
	const opening, closed = 1 << 20, 1 << 21
	nodes := n.metadata.nodes()
	if len(nodes) == 0 {
		return nil, n.cfg.ReconnectBackoff
	}
	start := n.host.Rand().IntN(len(nodes))
	bestLoad := closed + 1
	wait = n.cfg.ReconnectBackoffMax
	for i := range nodes {
		l := n.link(nodes[(start+i)%len(nodes)].id)
		if l == nil {
			continue
		}
		load := l.inFlight
		switch {
		case l.open():
		case l.opening:
			load = opening
		case l.delay() > 0:
			wait = min(wait, l.delay())
			continue
		default:
			load = closed
		}
		if load < bestLoad {
			best, bestLoad = l, load
		}
	}
	return best, wait
}

// ask puts req to any broker and blocks for the answer.
func (n *network) ask(req kmsg.Request, timeout time.Duration) (kmsg.Response, error) {
	l, _ := n.leastLoaded()
	if l == nil {
		return nil, fmt.Errorf("client: %s: no broker can be reached: %w", kmsg.NameForKey(req.Key()), kerr.NetworkException)
	}
	return l.call(req, timeout)
}

func (n *network) retryBackoff(failures int) time.Duration {
	return backoff{n.cfg.RetryBackoff, n.cfg.RetryBackoffMax}.after(failures, n.host.Rand())
}

// close ends all links and the metadata's task.
func (n *network) close() {
	if n.closed {
		return
	}
	n.closed = true
	for _, l := range n.links {
		l.drop()
	}
	n.metadata.close()
}

func joinAddr(host string, port int32) string {
	if strings.Contains(host, ":") {
		host = "[" + host + "]" // IPv6
	}
	return host + ":" + strconv.Itoa(int(port))
}
