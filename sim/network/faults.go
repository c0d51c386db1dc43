package network

import "time"

// between calls f with each open connection of the two hosts, as seen from a.
func (n *Network) between(a, b string, f func(c *Conn)) int {
	other, count := n.node(b), 0
	for c := n.node(a).conns.Last(); c != nil; {
		older := c.item.Prev()
		if c.peer.node == other && c.established {
			count++
			f(c)
		}
		c = older
	}
	return count
}

// Reset breaks all connections between two hosts; both ends see it at once. It
// returns how many there were.
func (n *Network) Reset(a, b string) int {
	return n.between(a, b, func(c *Conn) {
		c.reset()
		c.peer.reset()
	})
}

// Stall holds back what is sent from now on over the open connections from one
// host to another; new connections overtake them. It returns how many there
// were.
func (n *Network) Stall(from, to string, d time.Duration) int {
	return n.between(from, to, func(c *Conn) {
		c.arrive = max(c.arrive, n.k.Now()+d)
	})
}

// HalfOpen makes something on the way forget the open connections between two
// hosts, as a firewall does: whatever they send vanishes, and neither end is
// told. It returns how many there were.
func (n *Network) HalfOpen(a, b string) int {
	return n.between(a, b, func(c *Conn) {
		c.lost, c.peer.lost = true, true
	})
}

// Mend restores every link: no cut, no trouble, and the profile it had at first.
func (n *Network) Mend() {
	for _, from := range n.nodes {
		for _, l := range from.links {
			if l != nil {
				l.cuts = 0
				l.troubles = nil
				l.sum()
				l.Default()
				l.release()
			}
		}
	}
}
