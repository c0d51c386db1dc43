package network

import (
	"fmt"
	"io"
	"math"
	"time"

	"github.com/ktrial/ktrial/internal/list"
	"github.com/ktrial/ktrial/sim/env"
	"github.com/ktrial/ktrial/sim/kernel"
)

// Conn is one end of a connection: an env.Conn.
type Conn struct {
	n      *Network
	id     uint64
	node   *Node
	proc   *kernel.Process // nil until accepted
	peer   *Conn
	link   *Link          // to the peer
	luck   *kernel.Series // of its packets; nil: decisions are not kept
	remote string

	established bool
	closed      bool // by this end: it only answers with resets
	finished    bool // this end writes no more (CloseWrite)
	lost        bool // what this end sends is dropped on the way
	waits       bool // something was, and this end does not know
	err         error

	in            pipe
	deadline      time.Duration // of Read
	sent          uint64        // packets, but for resets
	wrote         int64         // bytes
	taken         int64         // of those the peer had read when it was last looked at
	arrive        time.Duration // when the last packet arrives
	sendBuffer    int           // the socket's buffer for what was written; 0: no limit of its own
	receiveBuffer int           // and for what was not read
	held          int           // packets of this end that its link cannot carry
	heldSince     time.Duration

	dialing  kernel.WaitList
	listener *Listener       // that the handshake is with
	item     list.Item[Conn] // among the open ends of the node
}

var _ env.Conn = (*Conn)(nil)

// pipe is what comes towards one end.
// Invariant: read <= what the peer wrote <= read + Window.
type pipe struct {
	expected    uint64    // the packet that comes next
	early       []*packet // those that came before expected
	first, last *packet   // arrived and not yet read
	offset      int       // how much of first was read
	read        int64     // bytes
	eof         bool
	readers     kernel.WaitList // of this end
	writers     kernel.WaitList // of the peer, that wait for room
	crediting   bool            // a packet that says so is under way
}

func (n *Network) newConn(node *Node, proc *kernel.Process) *Conn {
	n.conns++
	c := &Conn{n: n, id: n.conns, node: node, proc: proc, deadline: kernel.Never}
	c.item.Init(c)
	return c
}

// Dial connects proc's host to "host:port". It blocks until the deadline.
func (d *Node) Dial(proc *kernel.Process, addr string, deadline time.Duration) (*Conn, error) {
	to, port, err := d.n.resolve(addr)
	if err != nil {
		return nil, err
	}
	c := d.connect(proc, to, port)
	if !d.n.k.Block("dial", addr, &c.dialing, deadline) {
		c.closed = true
		c.item.Remove()
		return nil, fmt.Errorf("network: dial %s from %s: %w", addr, d.name, env.ErrTimeout)
	}
	if c.err != nil {
		c.closed = true
		c.item.Remove()
		return nil, fmt.Errorf("network: dial %s from %s: %w", addr, d.name, c.err)
	}
	return c, nil
}

// connect makes both ends and sends the first packet of the handshake.
func (d *Node) connect(proc *kernel.Process, to *Node, port int) *Conn {
	n := d.n
	n.stats.Conns++
	d.ephemeral++
	if d.ephemeral > 60999 {
		d.ephemeral = 32769
	}
	c, s := n.newConn(d, proc), n.newConn(to, nil)
	c.peer, s.peer = s, c
	c.link, s.link = d.link(to), to.link(d)
	c.remote = fmt.Sprintf("%s:%d", to.name, port)
	s.remote = fmt.Sprintf("%s:%d", d.name, d.ephemeral)
	n.nameLuck(c, s)
	d.conns.Push(&c.item)
	n.send(syn, c, []byte{byte(port >> 8), byte(port)})
	return c
}

// nameLuck names what is decided of the packets of a new connection: by its hosts and its
// port, and how many there were before.
func (n *Network) nameLuck(c, s *Conn) {
	if n.k.Decisions() == nil {
		return
	}
	if n.dialed == nil {
		n.dialed = map[string]int{}
	}
	name := c.node.name + " to " + c.remote
	n.dialed[name]++
	name = fmt.Sprintf("connection %d of %s", n.dialed[name], name)
	c.luck, s.luck = n.k.NewSeries(name+": there"), n.k.NewSeries(name+": back")
}

// receive keeps a packet of data to be read; false: this end is closed.
func (c *Conn) receive(p *packet) bool {
	if c.closed || c.err != nil {
		return false
	}
	if c.in.last == nil {
		c.in.first = p
	} else {
		c.in.last.next = p
	}
	c.in.last = p
	c.in.readers.WakeOne()
	return true
}

// control is what a packet without bytes does to the end that it reaches.
func (c *Conn) control(kind packetKind) {
	switch kind {
	case data:
		c.n.send(rst, c, nil)
	case fin:
		c.in.eof = true
		c.in.readers.WakeAll()
	case rst:
		c.reset()
	case credit:
		c.peer.in.crediting = false
		c.peer.in.writers.WakeAll()
	case syn:
		c.answerSyn()
	case synAck:
		if c.closed {
			c.n.send(rst, c, nil)
			return
		}
		c.established = true
		c.n.send(ack, c, nil)
		c.dialing.WakeAll()
	case ack:
		c.listener.offer(c)
	}
}

// answerSyn answers the first packet of a handshake.
func (c *Conn) answerSyn() {
	_, port, _ := split(c.peer.remote)
	c.listener = c.node.listeners[port]
	if c.listener == nil {
		c.closed = true
		c.n.send(rst, c, nil)
		return
	}
	c.established = true
	c.node.conns.Push(&c.item)
	c.n.send(synAck, c, nil)
}

// reset is the arrival of a RST.
func (c *Conn) reset() {
	if c.closed || c.err != nil {
		return
	}
	c.err = env.ErrReset
	if !c.established {
		c.err = env.ErrRefused
	}
	c.wakeAll()
}

// giveUp ends a connection whose packets could not be sent for too long.
func (c *Conn) giveUp() {
	if c.err == nil && !c.closed {
		c.err = env.ErrReset
		c.wakeAll()
	}
}

// wakeAll wakes all tasks that wait on this end, which is over. An end that was
// not accepted has no owner to close it.
func (c *Conn) wakeAll() {
	if c.proc == nil {
		c.item.Remove()
	}
	c.dialing.WakeAll()
	c.in.readers.WakeAll()
	c.peer.in.writers.WakeAll()
}

// Read returns what has come in, and blocks while that is nothing.
func (c *Conn) Read(p []byte) (int, error) {
	for {
		switch {
		case c.proc.Dead() || c.closed:
			return 0, c.fail("read from", env.ErrClosed)
		case len(p) == 0:
			return 0, nil
		case c.in.first != nil:
			return c.take(p), nil
		case c.err != nil:
			return 0, c.fail("read from", c.err)
		case c.in.eof:
			return 0, io.EOF
		case c.n.k.Now() >= c.deadline:
			return 0, c.fail("read from", env.ErrTimeout)
		}
		c.n.k.Block("read from", c.remote, &c.in.readers, c.deadline)
		if wakeup := c.n.cfg.Wakeup; wakeup > 0 && c.in.first != nil {
			c.n.k.Block("wake up to read from", c.remote, nil, c.n.k.Now()+wakeup)
		}
	}
}

// take copies out what fits into p.
func (c *Conn) take(p []byte) int {
	total := 0
	for c.in.first != nil && total < len(p) {
		first := c.in.first
		m := copy(p[total:], first.data[c.in.offset:])
		total += m
		c.in.offset += m
		if c.in.offset == len(first.data) {
			c.in.first = first.next
			c.in.offset = 0
			c.n.recycle(first)
		}
	}
	if c.in.first == nil {
		c.in.last = nil
	} else {
		c.in.readers.WakeOne()
	}
	c.freed(total)
	return total
}

// freed counts bytes that were read, and wakes a peer that waits for room when
// half of the window is free.
func (c *Conn) freed(bytes int) {
	c.in.read += int64(bytes)
	if !c.in.writers.Empty() && !c.in.crediting && c.peer.wrote-c.in.read <= c.peer.window()/2 {
		c.in.crediting = true
		c.n.send(credit, c, nil)
	}
}

// Write sends all of p, and blocks while the window is full.
func (c *Conn) Write(p []byte) (int, error) {
	sent := 0
	for {
		switch {
		case c.proc.Dead() || c.closed || c.finished:
			return sent, c.fail("write to", env.ErrClosed)
		case c.err != nil:
			return sent, c.fail("write to", c.err)
		case sent == len(p):
			return sent, nil
		}
		room := min(c.room(len(p)-sent), len(p)-sent)
		if room == 0 {
			c.n.k.Block("write to", c.remote, &c.peer.in.writers, kernel.Never)
			continue
		}
		part := p[sent : sent+room]
		c.n.k.Trace().Bytes(kernel.KindWrite, c.proc.ID(), part)
		c.wrote += int64(room)
		sent += room
		c.n.send(data, c, part)
	}
}

// Room is how many bytes Write takes without blocking. A connection that is over
// takes any number: Write fails at once.
func (c *Conn) Room() int {
	if c.closed || c.err != nil || c.proc.Dead() {
		return math.MaxInt
	}
	return c.room(math.MaxInt)
}

// window is how many bytes that this end wrote may be under way or unread.
func (c *Conn) window() int64 {
	w := c.n.cfg.Window
	if c.node.card == nil {
		return int64(w)
	}
	if c.sendBuffer > 0 {
		w = min(w, c.sendBuffer)
	}
	if c.peer.receiveBuffer > 0 {
		w = min(w, c.peer.receiveBuffer)
	}
	return int64(w)
}

// SetBuffers sets the sizes of the socket's buffers; 0 or less: those of the network.
func (c *Conn) SetBuffers(send, receive int) { c.sendBuffer, c.receiveBuffer = send, receive }

// room is how many bytes fit into the window, or enough for what is wanted.
func (c *Conn) room(wanted int) int {
	window := c.window()
	if left := window - (c.wrote - c.taken); left >= int64(wanted) {
		return int(left)
	}
	c.taken = c.peer.in.read
	return int(max(0, window-(c.wrote-c.taken)))
}

// SetReadDeadline is the Uptime of the host at which a Read gives up; zero: never.
func (c *Conn) SetReadDeadline(uptime time.Duration) {
	if uptime == 0 {
		c.SetDeadline(kernel.Never)
		return
	}
	c.SetDeadline(c.node.Virtual(uptime))
}

// SetDeadline is the virtual time at which a Read gives up, also one that waits already.
func (c *Conn) SetDeadline(at time.Duration) {
	if c.deadline == at {
		return
	}
	c.deadline = at
	c.in.readers.Reschedule(at)
}

// CloseWrite ends the direction to the peer, which reads io.EOF behind what was
// written. Reading goes on.
func (c *Conn) CloseWrite() error {
	if c.closed || c.err != nil || c.finished || c.proc.Dead() {
		return nil
	}
	c.finished = true
	c.n.send(fin, c, nil)
	return nil
}

// Close ends both directions. What was written still arrives.
func (c *Conn) Close() error {
	if c.closed || c.proc.Dead() {
		return nil
	}
	c.close()
	return nil
}

// close signals the peer: with a FIN or, if bytes are unread, with a reset, as TCP
// does, because the peer must not believe that they were read.
func (c *Conn) close() {
	if c.closed {
		return
	}
	kind := fin
	if c.in.first != nil {
		kind = rst
	}
	told := c.err != nil || c.finished && kind == fin
	c.closeSilently()
	if !told {
		c.n.send(kind, c, nil)
	}
}

// closeSilently closes this end without a signal to the peer.
func (c *Conn) closeSilently() {
	if c.waits {
		c.waits = false
		c.n.tell(&GivenUp{c.link.direction()})
	}
	c.closed = true
	c.item.Remove()
	for p := c.in.first; p != nil; {
		next := p.next
		c.n.recycle(p)
		p = next
	}
	c.in.first, c.in.last, c.in.offset = nil, nil, 0
	c.wakeAll()
}

// SetLocalAddr has the peer take this end for another address: what connects here is for a
// client that is elsewhere.
func (c *Conn) SetLocalAddr(addr string) { c.peer.remote = addr }

// LocalAddr is "host:port" of this end.
func (c *Conn) LocalAddr() string { return c.peer.remote }

// RemoteAddr is "host:port" of the peer.
func (c *Conn) RemoteAddr() string { return c.remote }

func (c *Conn) fail(doing string, err error) error {
	return fmt.Errorf("network: %s %s: %w", doing, c.remote, err)
}
