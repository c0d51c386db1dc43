package live

import (
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	"github.com/ktrial/ktrial/sim/env"
)

// door is a TCP port that leads to a port of a host.
type door struct {
	w        *World
	to       string
	listener net.Listener
	slots    chan struct{} // one for each connection that is served

	mu     sync.Mutex
	conns  map[net.Conn]bool
	closed bool
}

// Expose opens a TCP address ("127.0.0.1:9092", or ":0" for any port) that
// leads to a host's port, and returns the address. Hosts inside the world that
// dial this address get there too, so that it may be advertised to everyone.
func (w *World) Expose(host string, port int, listen string) (string, error) {
	l, err := net.Listen("tcp", listen)
	if err != nil {
		return "", fmt.Errorf("live: %w", err)
	}
	d := &door{w: w, to: fmt.Sprintf("%s:%d", host, port), listener: l,
		slots: make(chan struct{}, w.cfg.MaxConns), conns: map[net.Conn]bool{}}
	w.doors = append(w.doors, d)
	w.Network().Alias(l.Addr().String(), host, port)
	go d.accept()
	return l.Addr().String(), nil
}

// accept takes connections while there are slots; the rest waits in the
// operating system's queue.
func (d *door) accept() {
	for {
		d.slots <- struct{}{}
		c, err := d.next()
		if err != nil {
			return
		}
		if !d.add(c) {
			c.Close()
			return
		}
		b := &bridge{d: d, tcp: c, in: make(chan struct{}, 1), out: make(chan []byte, 1)}
		d.w.Do(b.open)
	}
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

func (d *door) remove(c net.Conn) {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.conns, c)
	d.free()
}

// free gives a slot back.
func (d *door) free() {
	select {
	case <-d.slots:
	default:
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
	d.free() // accept may wait for one
}

// chunk is how much of a connection is on the bridge at a time, each way.
const chunk = 32 << 10

// bridge joins a TCP connection with one of the world. Each direction passes
// one chunk at a time and waits until it was taken, so that whoever is slow
// slows down the other side and nothing piles up between them.
type bridge struct {
	d   *door
	tcp net.Conn

	// Of the world's thread.
	conn    env.Conn
	arrived []byte // from TCP, not yet passed on
	ended   bool   // TCP has no more
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
		go b.readTCP()
		go b.writeTCP()
		h.Go("answers to "+b.tcp.RemoteAddr().String(), b.down)
		b.up()
	})
}

// readTCP brings chunks into the world.
func (b *bridge) readTCP() {
	buf := make([]byte, chunk)
	for {
		n, err := b.tcp.Read(buf)
		b.d.w.Do(func() {
			b.arrived, b.ended = buf[:n], err != nil
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

// up passes on what comes from TCP.
func (b *bridge) up() {
	defer close(b.in)
	for {
		for len(b.arrived) == 0 && !b.ended {
			b.news.Wait(env.Forever)
		}
		_, err := b.conn.Write(b.arrived)
		if b.ended || err != nil {
			b.conn.Close()
			b.tcp.Close()
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
				b.tcp.Close() // readTCP will tell the world
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
		if n > 0 {
			b.sent = false
			b.out <- buf[:n]
			for !b.sent {
				b.room.Wait(env.Forever)
			}
		}
		if err != nil {
			close(b.out)
			return
		}
	}
}
