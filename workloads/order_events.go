package workloads

import (
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/ktrial/ktrial/broker/kafka"
	"github.com/ktrial/ktrial/sim/env"
)

// OrderEvents has the members of a group process what becomes of orders: each is created,
// and then updated several times, by events that have its number as their key.
//
// Clients ask: give the events of an order to one of us, as they were sent. Servers owe that
// as far as they are on one partition.
type OrderEvents struct {
	GroupConsume
	// Unkeyed: the events of an order go to partitions in turn, as with
	// partitioner.ignore.keys=true; else to the one of its key.
	Unkeyed bool
}

// Name is how `ktrial list` names it.
func (w OrderEvents) Name() string { return "order-events" }

// About is one line for `ktrial list`.
func (w OrderEvents) About() string {
	return "a group processes what becomes of orders, by events with the number of the order as their key"
}

// Set changes a parameter, or a client configuration by Kafka's name.
func (w OrderEvents) Set(name, value string) (Workload, error) {
	if name == "unkeyed" {
		on, err := strconv.ParseBool(value)
		if err != nil {
			return nil, fmt.Errorf("parameter unkeyed: found %q, expected true or false", value)
		}
		w.Unkeyed = on
		return w, nil
	}
	var err error
	if w.GroupConsume, err = setWithin(w.GroupConsume, name, value, w.Names()); err != nil {
		return nil, err
	}
	return w, nil
}

// Names are all that Set knows.
func (w OrderEvents) Names() []string { return append([]string{"unkeyed"}, w.GroupConsume.Names()...) }

// Config says what was configured, by Kafka's names. An order is asked for that holds
// across partitions, unless events go to any of them.
func (w OrderEvents) Config() map[string]string {
	out := w.GroupConsume.Config()
	out["ordering"] = "key"
	if w.Unkeyed {
		out["ordering"] = "none"
	}
	return out
}

// Clients are those of the group, with other producers.
func (w OrderEvents) Clients(s *Stage) []Client {
	out := slices.DeleteFunc(w.GroupConsume.Clients(s), func(c Client) bool { return c.Role == Writes })
	for i := range w.Input.Producers {
		p := &ordering{w: w, producing: producing{w: w.Input, s: s, name: fmt.Sprintf("p%d", i+1)}}
		out = append(out, Client{Host: fmt.Sprintf("producer-%d", i+1), Role: Writes, Main: p.main})
	}
	return out
}

// ordering is one producer over all lives of its process.
type ordering struct {
	producing
	w    OrderEvents
	turn int32
}

// order is one that has not had all of its events.
type order struct {
	number int64
	left   int           // events that are still to come
	next   time.Duration // when the next is due
}

// Of an order so many events come, each so long after the one before: long enough for that
// one to be acknowledged, when nothing is wrong.
const (
	eventsOfOrder = 4
	untilUpdate   = 300 * time.Millisecond
)

func (p *ordering) main(h env.Host) {
	var open []order
	p.live(h, func(w *Writer, session int, seq int64) {
		if len(open) == 0 || p.s.Now() < open[0].next {
			open = append(open, order{number: seq, left: eventsOfOrder})
			open[0], open[len(open)-1] = open[len(open)-1], open[0]
		}
		o := open[0]
		to := p.partition(session, o.number)
		w.Put(to, fmt.Sprintf("order-%s-%d-%d", p.name, session, o.number), Numbered{to, p.name, session, seq}.String(), p.w.Input.Size)
		open = open[1:]
		if o.left--; o.left > 0 {
			o.next = p.s.Now() + untilUpdate
			open = append(open, o)
		}
		slices.SortStableFunc(open, func(a, b order) int { return int(a.next - b.next) })
	})
}

// partition is that of an order, or the next in turn.
func (p *ordering) partition(session int, number int64) kafka.TopicPartition {
	n := p.s.Topics[p.w.Input.Topic]
	if p.w.Unkeyed {
		p.turn++
		return kafka.TopicPartition{Topic: p.w.Input.Topic, Partition: p.turn % n}
	}
	return kafka.TopicPartition{Topic: p.w.Input.Topic, Partition: int32((number + int64(session)) % int64(n))}
}
