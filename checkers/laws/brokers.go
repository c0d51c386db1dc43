package laws

// Brokers is what is committed of brokers, and how far each has applied the
// metadata. The ghosts of all partitions share it.
type Brokers struct {
	all []*broker
}

type broker struct {
	node    Node
	epoch   int64
	applied int64 // offset of the last record; -1: none
	changes []standing
	going   bool // a controller has decided to fence it, to register it anew, or that it leaves
}

// standing is what a broker is from an offset of the metadata log on.
type standing struct {
	from   int64
	active bool // neither fenced nor in controlled shutdown
}

// NewBrokers knows of no broker.
func NewBrokers() *Brokers { return &Brokers{} }

func (b *Brokers) of(node Node) *broker {
	for _, x := range b.all {
		if x.node == node {
			return x
		}
	}
	x := &broker{node: node, epoch: -1, applied: -1}
	b.all = append(b.all, x)
	return x
}

// Changed: the record at offset at is committed; it made of the broker's
// registration, of this epoch, what is said.
func (b *Brokers) Changed(at int64, node Node, epoch int64, fenced, leaving bool) {
	x := b.of(node)
	x.epoch = epoch
	x.changes = append(x.changes, standing{at, !fenced && !leaving})
}

// Applied: the broker has applied the metadata up to offset.
func (b *Brokers) Applied(node Node, offset int64) {
	x := b.of(node)
	x.applied = max(x.applied, offset)
}

// isActive reports whether a broker was active at some time between two offsets
// of the metadata log. One of which nothing is known is.
func (b *Brokers) isActive(node Node, from, to int64) bool {
	if b == nil {
		return true
	}
	changes := b.of(node).changes
	for i := len(changes) - 1; i >= 0; i-- {
		if changes[i].from > to {
			continue
		}
		if changes[i].active {
			return true
		}
		if changes[i].from <= from {
			return false
		}
	}
	return true
}

// Going: a controller decides to fence a broker, to register its next process, or to let it
// begin its controlled shutdown; or to unfence it.
func (b *Brokers) Going(node Node, going bool) { b.of(node).going = going }

// left is the offset of the metadata log at which a broker ceased to be active; -1: it is.
func (b *Brokers) left(node Node) int64 {
	at := int64(-1)
	for _, c := range b.of(node).changes {
		switch {
		case c.active:
			at = -1
		case at < 0:
			at = c.from
		}
	}
	return at
}

// unaware is the first active broker that has not applied the metadata up to offset.
func (b *Brokers) unaware(offset int64) (*broker, bool) {
	for _, x := range b.all {
		if n := len(x.changes); n > 0 && x.changes[n-1].active && !x.going && x.applied < offset {
			return x, true
		}
	}
	return nil, false
}
