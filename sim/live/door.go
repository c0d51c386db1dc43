package live

import (
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"time"

	"github.com/ktrial/ktrial/sim/env"
	"github.com/ktrial/ktrial/sim/network"
)

// door is a TCP port that leads to a port of a host.
type door struct {
	w        *World
	host     string
	to       string
	listener net.Listener
	slots    chan struct{} // one for each connection that is served

	mu     sync.Mutex
	conns  map[net.Conn]bool
	closed bool
}

// Expose opens a TCP address ("127.0.0.1:9092", or ":0" for any port) that
// leads to a host's port, and returns the address. Hosts inside the world that
// dial this address get there too, so that it may be advertised to all clients.
// Connections wait in the operating system's queue until the host listens.
func (w *World) Expose(host string, port int, listen string) (string, error) {
	l, err := net.Listen("tcp", listen)
	if err != nil {
		return "", fmt.Errorf("live: %w", err)
	}
	d := &door{w: w, host: host, to: fmt.Sprintf("%s:%d", host, port), listener: l,
		slots: make(chan struct{}, w.cfg.MaxConns), conns: map[net.Conn]bool{}}
	w.doors = append(w.doors, d)
	w.Network().Alias(l.Addr().String(), host, port)
	w.gate.Go("door of "+d.to, d.open)
	return l.Addr().String(), nil
}

// open waits until the host listens, or until it is clear that it never will.
func (d *door) open() {
	for {
		c, err := d.w.gate.Dial(d.to, dialTimeout)
		if err == nil {
			c.Close()
			break
		}
		d.w.gate.Sleep(20 * time.Millisecond)
		if !d.w.Host(d.host).IsRunning() {
			break // connections are closed at once
		}
	}
	go d.accept()
}

// patience is how long a connection waits for another one to end when all slots
// are taken.
const patience = time.Second

// accept takes connections while there are slots. The others are closed: to let
// them wait would look to their clients like a broker that hangs.
func (d *door) accept() {
	full := false // no slot has become free since the last connection was refused
	for {
		c, err := d.next()
		if err != nil {
			return
		}
		wait := patience
		if full {
			wait = 0
		}
		if full = !d.take(wait); full {
			if d.w.cfg.Refused != nil {
				d.w.cfg.Refused(d.listener.Addr().String(), len(d.w.slots))
			}
			c.Close()
			continue
		}
		if !d.add(c) {
			c.Close()
			return
		}
		b := &bridge{d: d, tcp: c, in: make(chan struct{}, 1), out: make(chan []byte, 1)}
		d.w.Do(b.open)
	}
}

// take takes a slot of this door and one of all doors, if both become free in
// time.
func (d *door) take(wait time.Duration) bool {
	timer := time.NewTimer(wait)
	defer timer.Stop()
	for _, slots := range []chan struct{}{d.slots, d.w.slots} {
		select {
		case slots <- struct{}{}:
			continue
		default:
		}
		select {
		case slots <- struct{}{}:
		case <-timer.C:
			if slots == d.w.slots {
				<-d.slots
			}
			return false
		case <-d.w.done:
			return false
		}
	}
	return true
}

// next accepts one connection. While the program has no file left to open, say,
// it tries again: others will be closed. The only error is that of a closed
// door.
func (d *door) next() (net.Conn, error) {
	for {
		c, err := d.listener.Accept()
		if err == nil || errors.Is(err, net.ErrClosed) {
			return c, err
		}
		time.Sleep(50 * time.Millisecond)
	}
}

func (d *door) add(c net.Conn) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if !d.closed {
		d.conns[c] = true
	}
	return !d.closed
}

// remove forgets a connection that is closed, and gives its slots back.
func (d *door) remove(c net.Conn) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.conns[c] {
		delete(d.conns, c)
		<-d.slots
		<-d.w.slots
	}
}

func (d *door) close() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.closed = true
	d.listener.Close()
	for c := range d.conns {
		c.Close()
	}
}

// chunk is how much of a connection is on the bridge at a time, each way; of answers, once one
// fills it, as much as the window of the network.
const (
	chunk      = 32 << 10
	largeChunk = window
)

// bridge joins a TCP connection with one of the world. Each direction passes
// one chunk at a time and waits until it was taken, so that a slow side slows
// down the other and nothing piles up between them.
type bridge struct {
	d   *door
	tcp net.Conn

	// Of the world's thread.
	conn    env.Conn
	seen    Observer // nil: nothing is to see it
	arrived []byte   // from TCP, not yet passed on
	ended   bool     // TCP has no more
	broken  bool     // and takes no more
	news    env.Signal
	sent    bool // TCP has taken the last chunk
	room    env.Signal

	in  chan struct{} // the world has taken a chunk: read the next
	out chan []byte   // chunks for TCP
}

// open starts the two tasks of the bridge.
func (b *bridge) open() {
	h := b.d.w.gate
	b.news, b.room = h.NewSignal("bytes from "+b.tcp.RemoteAddr().String()), h.NewSignal("TCP")
	h.Go("client "+b.tcp.RemoteAddr().String(), func() {
		c, err := h.Dial(b.d.to, dialTimeout)
		if err != nil {
			b.tcp.Close()
			b.d.remove(b.tcp)
			return
		}
		b.conn = c
		if connected := b.d.w.cfg.Connected; connected != nil {
			b.seen = connected(b.d.host, b.tcp.RemoteAddr().String())
		}
		c.(*network.Conn).SetLocalAddr(b.tcp.RemoteAddr().String())
		go b.readTCP()
		go b.writeTCP()
		h.Go("answers to "+b.tcp.RemoteAddr().String(), b.down)
		b.up()
	})
}

// maxIdle is how long a client may say nothing: the default of
// connections.max.idle.ms.
const maxIdle = 10 * time.Minute

// readTCP brings chunks into the world.
func (b *bridge) readTCP() {
	buf := make([]byte, chunk)
	for {
		b.tcp.SetReadDeadline(time.Now().Add(maxIdle))
		n, err := b.tcp.Read(buf)
		b.d.w.Do(func() {
			b.arrived, b.ended = buf[:n], err != nil
			b.broken = err != nil && err != io.EOF
			b.news.Broadcast()
		})
		if err != nil {
			return
		}
		select {
		case <-b.in:
		case <-b.d.w.done:
			return
		}
	}
}

// halfCloser is a connection of which one direction can be ended.
type halfCloser interface{ CloseWrite() error }

// up passes on what comes from TCP.
func (b *bridge) up() {
	defer close(b.in)
	for {
		for len(b.arrived) == 0 && !b.ended {
			b.news.Wait(env.Forever)
		}
		if b.seen != nil {
			b.seen.Sent(b.arrived)
		}
		_, err := b.conn.Write(b.arrived)
		if b.broken || err != nil {
			b.conn.Close()
			b.tcp.Close()
			return
		}
		if b.ended {
			// A client that has shut down its direction may still wait for answers.
			// The host closes when it has given them.
			b.conn.(halfCloser).CloseWrite()
			return
		}
		b.arrived = nil
		b.in <- struct{}{}
	}
}

// writeTCP brings chunks out of the world.
func (b *bridge) writeTCP() {
	defer b.d.remove(b.tcp)
	defer b.tcp.Close()
	for {
		select {
		case p, ok := <-b.out:
			if !ok {
				return
			}
			_, err := b.tcp.Write(p)
			b.d.w.Do(func() {
				b.sent = true
				b.room.Broadcast()
			})
			if err != nil {
				b.tcp.Close() // readTCP will inform the world
			}
		case <-b.d.w.done:
			return
		}
	}
}

// down passes on what the host answers.
func (b *bridge) down() {
	buf := make([]byte, chunk)
	for {
		n, err := b.conn.Read(buf)
		if b.seen != nil {
			b.seen.Received(buf[:n])
		}
		if n > 0 {
			b.sent = false
			b.out <- buf[:n]
			for !b.sent {
				b.room.Wait(env.Forever)
			}
		}
		if n == chunk && len(buf) == chunk {
			buf = make([]byte, largeChunk)
		}
		if err != nil {
			if b.seen != nil {
				b.seen.Closed()
			}
			b.conn.Close()
			close(b.out)
			return
		}
	}
}
