// Package network carries bytes between hosts: ordered connections with
// back-pressure over links that have latency, bandwidth, loss and cuts.
//
// It behaves as TCP does towards an application. Nothing is lost inside a
// connection: a lost packet is late, and so is all that follows it on the same
// connection. What a link cannot carry waits until it can, or until the sender
// gives up. Bytes of a connection that was closed may therefore arrive after
// those of a newer one. Reordering happens only across connections.
package network

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/ktrial/ktrial/internal/list"
	"github.com/ktrial/ktrial/ledger"
	"github.com/ktrial/ktrial/sim/env"
	"github.com/ktrial/ktrial/sim/kernel"
)

// Config is the network of a world.
type Config struct {
	// Default is every link between two hosts that is not set otherwise.
	Default Profile
	// Loopback is the link of a host with itself; nothing cuts it.
	Loopback Profile
	// Window is how many bytes of one direction of a connection may be under
	// way or unread.
	Window int
	// Wakeup is what passes until a task that waits for bytes, and so sleeps, reads them.
	Wakeup time.Duration
	// RTO is how late a lost packet is; it doubles with each further loss.
	RTO time.Duration
	// RetransmitCap limits how long after a link has healed a connection may
	// take to notice.
	RetransmitCap time.Duration
	// GiveUp is how long a sender retransmits before the connection breaks.
	GiveUp time.Duration
}

// LAN is a network inside one data centre, with the long tail that such have.
func LAN() Config {
	return Config{
		Default: Profile{
			Latency: 100 * time.Microsecond, Jitter: 80 * time.Microsecond,
			TailIn: 500, Tail: 3 * time.Millisecond,
		},
		Loopback:      Profile{Latency: 15 * time.Microsecond, Jitter: 5 * time.Microsecond},
		Window:        256 << 10,
		RTO:           200 * time.Millisecond,
		RetransmitCap: 3 * time.Second,
		GiveUp:        2 * time.Minute,
	}
}

// Network is the network of one world.
type Network struct {
	k     *kernel.Kernel
	cfg   Config
	seed  uint64
	nodes []*Node
	names map[string]*Node
	alias map[string]*address
	conns uint64
	stats Stats
	// dialed counts the connections by their hosts and port, when decisions are kept.
	dialed map[string]int
	// Tell, if set, is called with each event of a link.
	Tell func(ledger.Event)

	packets []*packet // free
	buffers buffers
}

// Stats counts what the network has carried.
type Stats struct {
	Packets int64
	Bytes   int64
	Conns   int64
}

// New makes a network without hosts.
func New(k *kernel.Kernel, seed uint64, cfg Config) *Network {
	return &Network{k: k, cfg: cfg, seed: seed, names: map[string]*Node{}, alias: map[string]*address{}}
}

// Stats returns what was carried so far.
func (n *Network) Stats() Stats { return n.stats }

// Node is a host's network card and the part of its operating system that
// keeps connections.
type Node struct {
	n     *Network
	index int
	name  string
	down  bool
	// busy is until when the host's CPU is taken: nothing leaves earlier.
	busy time.Duration
	// card is the network card; nil: it is as fast as the links.
	card      *Card
	links     []*Link // to each node, by index; nil until used
	listeners map[int]*Listener
	ephemeral int
	conns     list.List[Conn] // open ends, oldest first
	// Virtual is when the host's monotonic clock will show an Uptime. Left
	// out, the clock is right.
	Virtual func(uptime time.Duration) time.Duration
}

// Attach connects a host.
func (n *Network) Attach(name string) *Node {
	if n.names[name] != nil {
		panic("network: host " + name + " is attached twice")
	}
	node := &Node{n: n, index: len(n.nodes), name: name, listeners: map[int]*Listener{}, ephemeral: 32768}
	node.Virtual = func(uptime time.Duration) time.Duration { return uptime }
	n.nodes = append(n.nodes, node)
	n.names[name] = node
	return node
}

func (n *Network) node(name string) *Node {
	node := n.names[name]
	if node == nil {
		panic(fmt.Sprintf("network: there is no host %q", name))
	}
	return node
}

// SetBusy says until when the host's CPU is taken.
func (d *Node) SetBusy(until time.Duration) { d.busy = until }

// Busy is until when the host's CPU is taken.
func (d *Node) Busy() time.Duration { return d.busy }

// Card is the network card of a machine, which several hosts may share. What they
// send each other does not pass through it.
type Card struct{ In, Out Lane }

// Lane is one direction of a card. It carries one packet after the other.
type Lane struct {
	// Rate is bytes per second; 0: no limit.
	Rate  int64
	free  time.Duration
	busy  time.Duration
	bytes int64
}

// Carried is for how long the lane was busy, in all, and how many bytes it carried.
func (l *Lane) Carried() (busy time.Duration, bytes int64) { return l.busy, l.bytes }

// take reserves the lane for so many bytes, from a time on: the times at which the
// first and the last are through.
func (l *Lane) take(from time.Duration, size int) (start, end time.Duration) {
	l.bytes += int64(size)
	if l.Rate <= 0 {
		return from, from
	}
	took := time.Duration(int64(size) * int64(time.Second) / l.Rate)
	start = max(from, l.free)
	l.free = start + took
	l.busy += took
	return start, l.free
}

// SetCard gives the host a network card.
func (d *Node) SetCard(c *Card) { d.card = c }

// EndProcess closes what a process leaves behind, as an operating system does
// that lives on: the peers hear of it.
func (d *Node) EndProcess(p *kernel.Process) {
	for _, l := range d.sortedListeners() {
		if l.proc == p {
			l.Close()
		}
	}
	for c := d.conns.Last(); c != nil; {
		older := c.item.Prev()
		if c.proc == p {
			c.close()
		}
		c = older
	}
}

// PowerOff silences the host: its connections are forgotten, and no peer hears of it.
func (d *Node) PowerOff() {
	d.down = true
	for _, l := range d.sortedListeners() {
		l.closeSilently()
	}
	for c := d.conns.Last(); c != nil; {
		older := c.item.Prev()
		c.closeSilently()
		c = older
	}
	for _, l := range d.links {
		if l != nil {
			l.drop()
		}
	}
	d.busy = 0
}

// PowerOn connects the host again.
func (d *Node) PowerOn() {
	if !d.down {
		return
	}
	d.down = false
	for _, from := range d.n.nodes {
		if l := from.existing(d); l != nil {
			l.release()
		}
	}
}

func (d *Node) existing(to *Node) *Link {
	if to.index < len(d.links) {
		return d.links[to.index]
	}
	return nil
}

// address is a port of a host.
type address struct {
	host string
	port int
}

// Alias gives a host's port a second address, such as one that is known outside.
func (n *Network) Alias(addr, host string, port int) { n.alias[addr] = &address{host, port} }

// resolve finds out what an address means.
func (n *Network) resolve(addr string) (*Node, int, error) {
	if a := n.alias[addr]; a != nil {
		return n.node(a.host), a.port, nil
	}
	host, port, err := split(addr)
	if err != nil {
		return nil, 0, err
	}
	if n.names[host] == nil {
		return nil, 0, fmt.Errorf("network: dial %s: no such host: %w", addr, env.ErrRefused)
	}
	return n.names[host], port, nil
}

// split parts "host:port".
func split(addr string) (host string, port int, err error) {
	i := strings.LastIndexByte(addr, ':')
	if i >= 0 {
		port, err = strconv.Atoi(addr[i+1:])
	}
	if i < 0 || err != nil {
		return "", 0, fmt.Errorf("network: dial %q: not of the form host:port: %w", addr, env.ErrRefused)
	}
	return addr[:i], port, nil
}
