package network

import (
	"math/bits"
	"slices"

	"github.com/ktrial/ktrial/sim/kernel"
)

type packetKind uint8

const (
	data packetKind = iota
	fin
	rst
	syn
	synAck
	ack
	credit // there is room again
)

// packet is something under way from one end of a connection to the other. One
// Write is one packet, unless it does not fit into the window.
type packet struct {
	kernel.Event
	kind packetKind
	from *Conn
	seq  uint64  // among those of from
	next *packet // the next that has arrived but was not read
	data []byte
}

// send puts a packet on its way.
func (n *Network) send(kind packetKind, from *Conn, payload []byte) {
	p := n.newPacket()
	p.kind, p.from, p.seq = kind, from, from.sent
	if kind != rst {
		from.sent++
	}
	if len(payload) > 0 {
		p.data = n.buffers.get(len(payload))
		copy(p.data, payload)
	}
	p.Retag(kernel.Tag(kernel.KindPacket, uint32(from.link.to.index), from.id<<4|uint64(kind)))
	n.stats.Packets++
	n.stats.Bytes += int64(len(payload))
	l := from.link
	if !l.Open() {
		l.hold(p)
		return
	}
	n.transmit(l, p)
}

// transmit schedules the arrival. Within a connection nothing overtakes.
func (n *Network) transmit(l *Link, p *packet) {
	from := p.from
	from.arrive = max(from.arrive, l.arrival(from, len(p.data)+headerSize))
	n.k.Schedule(from.arrive, &p.Event)
}

// headerSize is what a packet costs on the wire beside its bytes.
const headerSize = 66

// Fire is the arrival. What has overtaken another of its connection waits for
// it: one that a link could not carry is sent again, behind those that were
// under way already. A reset does not wait; the packets before it may be lost.
func (p *packet) Fire() {
	from := p.from
	n, to := from.node.n, from.peer
	if from.lost {
		if p.kind == data && !from.closed && !from.waits {
			from.waits = true
			n.tell(&Vanished{from.link.direction()})
		}
		n.recycle(p)
		return
	}
	if l := from.link; !l.Open() && !(l.from.down && l.cuts == 0 && !l.to.down) {
		l.hold(p)
		return
	}
	in := &to.in
	if p.kind != rst && p.seq != in.expected {
		in.early = append(in.early, p)
		return
	}
	p.arrive(to)
	for i := 0; i < len(in.early); i++ {
		if next := in.early[i]; next.seq == in.expected {
			in.early = slices.Delete(in.early, i, i+1)
			next.arrive(to)
			i = -1
		}
	}
}

// arrive is what a packet does to the end that it reaches.
func (p *packet) arrive(to *Conn) {
	kind := p.kind
	if kind != rst {
		to.in.expected++
	}
	if kind == data && to.receive(p) {
		return // kept until it is read
	}
	to.n.recycle(p)
	to.control(kind)
}

func (n *Network) newPacket() *packet {
	if i := len(n.packets); i > 0 {
		p := n.packets[i-1]
		n.packets = n.packets[:i-1]
		return p
	}
	p := &packet{}
	p.Init(p, 0)
	return p
}

func (n *Network) recycle(p *packet) {
	n.buffers.put(p.data)
	p.data, p.from, p.next = nil, nil, nil
	n.packets = append(n.packets, p)
}

// buffers keeps free buffers by the power of two of their capacity.
type buffers struct {
	free [32][][]byte
}

func (b *buffers) get(size int) []byte {
	class := max(8, bits.Len(uint(size-1)))
	if i := len(b.free[class]); i > 0 {
		buf := b.free[class][i-1]
		b.free[class] = b.free[class][:i-1]
		return buf[:size]
	}
	return make([]byte, size, 1<<class)
}

func (b *buffers) put(buf []byte) {
	if cap(buf) == 0 {
		return
	}
	class := bits.Len(uint(cap(buf) - 1))
	b.free[class] = append(b.free[class], buf)
}
