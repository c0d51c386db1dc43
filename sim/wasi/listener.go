package wasi

import (
	"errors"

	"github.com/ktrial/ktrial/sim/env"
)

// backlog is how many connections wait for the program to accept them: what listen(2) is
// mostly asked for.
const backlog = 128

// listener takes connections of other programs. A task accepts them.
type listener struct {
	in      *instance
	l       env.Listener
	waiting []env.Conn
	room    env.Signal // one of them was accepted
	closed  bool
}

// Ports that are given to one that asks for any (Linux: net.ipv4.ip_local_port_range).
const (
	firstEphemeral = 32768
	lastEphemeral  = 60999
)

// listenOn: port, where the descriptor goes, where the port goes. Port 0: any.
func listenOn(c caller, a []uint64) errno {
	in := c.in
	port := int(uint16(a[0]))
	l, err := in.listen(&port)
	if err != nil {
		return number(err)
	}
	d := &listener{in: in, l: l, room: in.h.NewSignal("backlog")}
	in.h.Go("accept", d.accept)
	if e := c.put32(a[1], uint32(in.add(d))); e != success {
		return e
	}
	return c.put32(a[2], uint32(port))
}

// listen listens on a port, or on any if it is 0.
func (in *instance) listen(port *int) (l env.Listener, err error) {
	if *port != 0 {
		return in.h.Listen(*port)
	}
	err = env.ErrPortUsed
	for *port = firstEphemeral; errors.Is(err, env.ErrPortUsed) && *port < lastEphemeral; *port++ {
		if l, err = in.h.Listen(*port); err == nil {
			return l, nil
		}
	}
	return nil, err
}

func (d *listener) accept() {
	for {
		conn, err := d.l.Accept()
		if err != nil {
			return
		}
		if d.closed {
			conn.Close()
			return
		}
		d.waiting = append(d.waiting, conn)
		d.in.ready.Broadcast()
		for len(d.waiting) >= backlog && !d.closed {
			d.room.Wait(env.Forever)
		}
	}
}

// accepted: descriptor, flags, where the new descriptor goes. again: none waits.
func accepted(c caller, a []uint64) errno {
	c.in.pace.spend(readOrWrite)
	d, is := c.in.open[int32(a[0])].(*listener)
	switch {
	case !is:
		return badDescriptor
	case len(d.waiting) == 0:
		return again
	}
	s := &socket{in: c.in, conn: d.waiting[0], room: c.in.h.NewSignal("buffer")}
	d.waiting = d.waiting[1:]
	d.room.Broadcast()
	c.in.h.Go("receive", s.receive)
	return c.put32(a[2], uint32(c.in.add(s)))
}

func (d *listener) read([]byte) (int, errno)  { return 0, invalid }
func (d *listener) write([]byte) (int, errno) { return 0, invalid }
func (d *listener) readable() bool            { return len(d.waiting) > 0 }
func (d *listener) writable() bool            { return false }
func (d *listener) fileType() uint8           { return streamSocket }

func (d *listener) close() {
	d.closed = true
	d.l.Close()
	for _, conn := range d.waiting {
		conn.Close()
	}
	d.room.Broadcast()
}
