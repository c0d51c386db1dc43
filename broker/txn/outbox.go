package txn

import (
	"maps"
	"slices"

	"github.com/ktrial/ktrial/broker/kafka"
	"github.com/ktrial/ktrial/broker/planted"
)

// Outbox holds the markers that the coordinators of a broker have to send, by the
// broker that leads the partition. It is a Sender without a network: the server takes parcels
// out of it, and reports what became of them. What could not be delivered is routed
// anew.
//
// Only the newest delivery of a transactional id counts. What comes for an older one,
// or for one that was dropped, means nothing (KAFKA-16352).
type Outbox struct {
	// route is where a partition's leader is. exists is false if there is no such partition
	// any more, and leader is NoNode if it has none that could be asked.
	route func(kafka.TopicPartition) (leader kafka.NodeID, exists bool)
	bugs  *planted.Set
	// written is told when all partitions of a transaction have the marker.
	written func(Marker)

	deliveries map[string]*delivery // by transactional id
	queues     map[kafka.NodeID][]Parcel
	unrouted   []Parcel
}

// delivery is a marker, and the partitions that lack it, by name.
type delivery struct {
	Marker
	waiting []kafka.TopicPartition
	over    bool
}

// Parcel is a marker and partitions that one broker leads.
type Parcel struct {
	Marker
	Partitions []kafka.TopicPartition
	of         *delivery
}

// NewOutbox makes an empty one.
func NewOutbox(route func(kafka.TopicPartition) (kafka.NodeID, bool), written func(Marker), bugs *planted.Set) *Outbox {
	return &Outbox{route: route, bugs: bugs, written: written, deliveries: map[string]*delivery{}, queues: map[kafka.NodeID][]Parcel{}}
}

// Send begins a delivery.
func (o *Outbox) Send(m Marker, partitions []kafka.TopicPartition) {
	if before := o.deliveries[m.ID]; before != nil {
		before.over = true
	}
	d := &delivery{Marker: m, waiting: slices.Clone(partitions)}
	o.deliveries[m.ID] = d
	if len(partitions) == 0 {
		o.end(d)
		return
	}
	o.unrouted = append(o.unrouted, Parcel{m, d.waiting, d})
	o.Route()
}

// Route looks anew for the leaders of what has none. A partition that does not exist any more
// needs no marker.
func (o *Outbox) Route() {
	parcels := o.unrouted
	o.unrouted = nil
	for _, p := range parcels {
		for _, tp := range slices.Clone(p.Partitions) {
			leader, exists := o.route(tp)
			one := Parcel{p.Marker, []kafka.TopicPartition{tp}, p.of}
			switch {
			case p.of.over:
			case !exists:
				o.Delivered(p, tp)
			case leader == kafka.NoNode:
				o.unrouted = append(o.unrouted, one)
			default:
				o.queues[leader] = append(o.queues[leader], one)
			}
		}
	}
}

// Brokers are those for which there are parcels, in the order of their ids.
func (o *Outbox) Brokers() []kafka.NodeID { return slices.Sorted(maps.Keys(o.queues)) }

// Take takes all parcels for a broker out, one for each transaction.
func (o *Outbox) Take(broker kafka.NodeID) (parcels []Parcel) {
	at := make(map[*delivery]int, len(o.queues[broker])) // among the parcels
	for _, p := range o.queues[broker] {
		if p.of.over {
			continue
		}
		i, some := at[p.of]
		if !some {
			at[p.of] = len(parcels)
			parcels = append(parcels, p)
			continue
		}
		parcels[i].Partitions = append(slices.Clip(parcels[i].Partitions), p.Partitions...)
	}
	delete(o.queues, broker)
	return parcels
}

// Again puts a partition of a parcel back, to be routed anew.
func (o *Outbox) Again(p Parcel, tp kafka.TopicPartition) {
	if !p.of.over {
		o.unrouted = append(o.unrouted, Parcel{p.Marker, []kafka.TopicPartition{tp}, p.of})
	}
}

// Delivered: a partition has the marker, or needs none.
func (o *Outbox) Delivered(p Parcel, tp kafka.TopicPartition) {
	d := p.of
	if d.over && !o.bugs.On(planted.TxnPendingByID) {
		return
	}
	d.waiting = slices.DeleteFunc(d.waiting, func(have kafka.TopicPartition) bool { return have == tp })
	switch {
	case len(d.waiting) > 0:
	case d.over: // with the bug: an old delivery ends the present one
		if now := o.deliveries[d.ID]; now != nil {
			o.bugs.Infected(planted.TxnPendingByID, true)
			o.forget(now)
		}
	default:
		o.end(d)
	}
}

// GiveUp ends a delivery whose marker was refused for good, without an outcome.
func (o *Outbox) GiveUp(p Parcel) {
	if !p.of.over {
		o.forget(p.of)
	}
}

func (o *Outbox) end(d *delivery) {
	o.forget(d)
	o.written(d.Marker)
}

func (o *Outbox) forget(d *delivery) {
	d.over = true
	if o.deliveries[d.ID] == d {
		delete(o.deliveries, d.ID)
	}
}

// Waiting are the partitions that still lack the marker of an id's transaction.
func (o *Outbox) Waiting(id string) []kafka.TopicPartition {
	if d := o.deliveries[id]; d != nil {
		return slices.Clone(d.waiting)
	}
	return nil
}

// Drop forgets all that a partition of __transaction_state has to send.
func (o *Outbox) Drop(shard int32) {
	for _, id := range slices.Sorted(maps.Keys(o.deliveries)) {
		if d := o.deliveries[id]; d.Shard == shard {
			o.forget(d)
		}
	}
}
