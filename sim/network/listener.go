package network

import (
	"fmt"
	"sort"

	"github.com/ktrial/ktrial/sim/env"
	"github.com/ktrial/ktrial/sim/kernel"
)

// Listener is an open port: an env.Listener.
type Listener struct {
	node    *Node
	proc    *kernel.Process
	port    int
	addr    string
	backlog []*Conn // connected and not yet accepted
	waiting kernel.WaitList
	closed  bool
}

// Listen opens a port for proc.
func (d *Node) Listen(proc *kernel.Process, port int) (*Listener, error) {
	addr := fmt.Sprintf("%s:%d", d.name, port)
	if d.listeners[port] != nil {
		return nil, fmt.Errorf("network: listen on %s: %w", addr, env.ErrPortUsed)
	}
	l := &Listener{node: d, proc: proc, port: port, addr: addr}
	d.listeners[port] = l
	return l, nil
}

// offer is a connection that is complete.
func (l *Listener) offer(c *Conn) {
	if c.closed || c.err != nil {
		return
	}
	if l.closed {
		c.close()
		return
	}
	c.proc = l.proc
	l.backlog = append(l.backlog, c)
	l.waiting.WakeOne()
}

// Accept blocks until a connection comes in.
func (l *Listener) Accept() (env.Conn, error) {
	for {
		if l.closed || l.proc.Dead() {
			return nil, fmt.Errorf("network: accept on %s: %w", l.addr, env.ErrClosed)
		}
		if len(l.backlog) > 0 {
			c := l.backlog[0]
			l.backlog = l.backlog[1:]
			return c, nil
		}
		l.node.n.k.Block("accept on", l.addr, &l.waiting, kernel.Never)
	}
}

// Close closes the port, and the connections that were not accepted.
func (l *Listener) Close() error {
	if l.closed {
		return nil
	}
	backlog := l.backlog
	l.closeSilently()
	for _, c := range backlog {
		c.close()
	}
	return nil
}

// closeSilently closes the port and forgets what was not accepted.
func (l *Listener) closeSilently() {
	l.closed = true
	l.backlog = nil
	delete(l.node.listeners, l.port)
	l.waiting.WakeAll()
}

func (d *Node) sortedListeners() []*Listener {
	all := make([]*Listener, 0, len(d.listeners))
	for _, l := range d.listeners {
		all = append(all, l)
	}
	sort.Slice(all, func(i, j int) bool { return all[i].port < all[j].port })
	return all
}
