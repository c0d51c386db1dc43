package network

import (
	"math/rand/v2"
	"slices"
	"time"

	"github.com/ktrial/ktrial/ledger"
	"github.com/ktrial/ktrial/sim/kernel"
)

// Profile is how a link behaves. Zero fields are the ideal.
type Profile struct {
	// Latency is the least that a packet takes, Jitter the mean of what comes
	// on top (exponential).
	Latency, Jitter time.Duration
	// One packet in TailIn takes Tail longer on average (exponential): the
	// long tail.
	TailIn uint64
	Tail   time.Duration
	// One packet in LossIn is lost, and retransmitted after a time-out.
	LossIn uint64
	// Bandwidth in bytes per second, shared by all connections; 0: no limit.
	Bandwidth int64
}

// Link carries packets from one host to another; the way back is another link.
type Link struct {
	n        *Network
	from, to *Node
	rng      rand.Rand // draws from source
	source   kernel.Source

	Profile  Profile
	free     time.Duration // when the last packet has left the wire
	troubles []*Trouble
	delay    time.Duration // the sum of the troubles'
	loss     uint64        // what all troubles together lose of 1000 packets

	cuts int
	held []*packet // what it could not carry, in order
}

// link is the link from d to another node, made when first used. Its random
// numbers are a stream of their own, so that traffic elsewhere does not shift them.
func (d *Node) link(to *Node) *Link {
	for len(d.links) <= to.index {
		d.links = append(d.links, nil)
	}
	l := d.links[to.index]
	if l == nil {
		l = &Link{n: d.n, from: d, to: to, Profile: d.n.cfg.Default}
		if d == to {
			l.Profile = d.n.cfg.Loopback
		}
		l.source = d.n.k.Source(d.n.seed, "link "+d.name+" to "+to.name)
		l.rng = *rand.New(&l.source)
		d.links[to.index] = l
	}
	return l
}

// Link is the link from one host to another.
func (n *Network) Link(from, to string) *Link { return n.node(from).link(n.node(to)) }

// Default restores the profile that the link had at first.
func (l *Link) Default() {
	l.Profile = l.n.cfg.Default
	if l.from == l.to {
		l.Profile = l.n.cfg.Loopback
	}
}

// Trouble is what is wrong with a link, on top of its profile, for as long as
// it is added. Troubles add up, and any of them may go first.
type Trouble struct {
	Delay time.Duration // each packet takes longer by so much
	Loss  int           // of 1000 packets so many are lost, and retransmitted
}

// Add puts a trouble on the link.
func (l *Link) Add(t *Trouble) {
	l.troubles = append(l.troubles, t)
	l.sum()
}

// Remove takes a trouble away. It does nothing if that was done before.
func (l *Link) Remove(t *Trouble) {
	l.troubles = slices.DeleteFunc(l.troubles, func(x *Trouble) bool { return x == t })
	l.sum()
}

func (l *Link) sum() {
	carried := 1000
	l.delay = 0
	for _, t := range l.troubles {
		l.delay += t.Delay
		carried = carried * (1000 - min(max(t.Loss, 0), 1000)) / 1000
	}
	l.loss = uint64(1000 - carried)
}

// loses reports whether a packet is lost.
func (l *Link) loses() bool {
	return kernel.Chance(&l.rng, l.Profile.LossIn) || l.loss > 0 && l.rng.Uint64N(1000) < l.loss
}

// Open reports whether the link carries packets now.
func (l *Link) Open() bool { return l.cuts == 0 && !l.to.down && !l.from.down }

// Cut stops the link. Cuts add up: each needs its own Mend.
func (l *Link) Cut() {
	if l.from == l.to {
		return
	}
	l.cuts++
	if l.cuts == 1 {
		l.n.tell(&Cut{l.direction()})
	}
}

// Mend takes back one Cut.
func (l *Link) Mend() {
	if l.cuts == 0 {
		return
	}
	l.cuts--
	if l.cuts == 0 {
		l.n.tell(&Mended{l.direction()})
	}
	l.release()
}

func (l *Link) direction() Direction { return Direction{l.from.name, l.to.name} }

func (n *Network) tell(e ledger.Event) {
	if n.Tell != nil {
		n.Tell(e)
	}
}

// arrival is when a packet of so many bytes that c sends now gets there.
func (l *Link) arrival(c *Conn, size int) time.Duration {
	l.source.Of(c.luck)
	p := &l.Profile
	at := max(l.n.k.Now(), l.from.busy)
	if p.Bandwidth > 0 {
		l.free = max(at, l.free) + time.Duration(int64(size)*int64(time.Second)/p.Bandwidth)
		at = l.free
	}
	at = l.throughCards(at, size)
	at += p.Latency + l.delay + kernel.Exponential(&l.rng, p.Jitter)
	if kernel.Chance(&l.rng, p.TailIn) {
		at += kernel.Exponential(&l.rng, p.Tail)
	}
	for rto := l.n.cfg.RTO; l.loses() && rto < time.Minute; rto *= 2 {
		at += rto
	}
	return max(at, l.to.busy)
}

// throughCards is when a packet that is sent at a time is through the cards of both
// hosts, without the way between them. The receiver's takes its first byte while the
// sender's is at the later ones.
func (l *Link) throughCards(at time.Duration, size int) time.Duration {
	out, in := l.from.card, l.to.card
	if out == in {
		return at
	}
	end := at
	if out != nil {
		at, end = out.Out.take(at, size)
	}
	if in != nil {
		_, through := in.In.take(at, size)
		end = max(end, through)
	}
	return end
}

// hold keeps a packet that the link cannot carry: its sender retransmits.
func (l *Link) hold(p *packet) {
	l.held = append(l.held, p)
	c := p.from
	if c.held == 0 {
		c.heldSince = l.n.k.Now()
		l.limit(c, c.heldSince)
	}
	c.held++
}

// limit breaks a connection whose packets are held for too long.
func (l *Link) limit(c *Conn, since time.Duration) {
	if l.n.cfg.GiveUp <= 0 {
		return
	}
	l.n.k.At(since+l.n.cfg.GiveUp, func() {
		if c.held > 0 && c.heldSince == since {
			l.forget(c)
			c.giveUp()
		}
	})
}

// forget drops what is held of one sender.
func (l *Link) forget(c *Conn) {
	kept := l.held[:0]
	for _, p := range l.held {
		if p.from == c {
			l.n.recycle(p)
			continue
		}
		kept = append(kept, p)
	}
	clear(l.held[len(kept):])
	l.held = kept
	c.held = 0
}

// drop loses what is held: the sender has lost power.
func (l *Link) drop() {
	for _, p := range l.held {
		p.from.held = 0
		l.n.recycle(p)
	}
	l.held = nil
}

// release sends on what was held, once the link carries again. Each connection
// notices at its next retransmission: as retransmissions back off, the longer
// the outage, the later.
func (l *Link) release() {
	if !l.Open() || len(l.held) == 0 {
		return
	}
	held := l.held
	l.held = nil
	for _, p := range held {
		c := p.from
		if c.held > 0 { // the first of its connection
			outage := min(l.n.k.Now()-c.heldSince, l.n.cfg.RetransmitCap)
			l.source.Of(c.luck)
			c.arrive = max(c.arrive, l.n.k.Now()+time.Duration(l.rng.Int64N(int64(outage)+1)))
			c.held = 0
		}
		l.n.transmit(l, p)
	}
}
