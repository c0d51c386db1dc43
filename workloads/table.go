package workloads

import (
	"fmt"
	"slices"
	"time"

	"github.com/ktrial/ktrial/broker/kafka"
	"github.com/ktrial/ktrial/sim/env"
)

// Table keeps a table in a compacted topic: producers put values under keys and now
// and then delete one, by a tombstone. One of them leaves early. Consumers read all that there is; so does one
// that rests between its readings, and the auditor, when all is over. What a reader
// has of the table at the end of a partition must be the table.
//
// Clients ask: put this under that key, or delete it; give me what comes next.
// Servers owe, beside what they owe any producer and consumer: the last record of
// each key stays, a tombstone for delete.retention.ms.
type Table struct {
	ProduceConsume
	Keys    int           // 0: 100
	Deletes int           // one in so many writes is a tombstone; 0: none
	Rest    time.Duration // of the reader that rests; 0: there is none
}

// Name is how `ktrial list` names it.
func (w Table) Name() string { return "table" }

// About is one line for `ktrial list`.
func (w Table) About() string {
	return "producers put values under keys and delete some, consumers build the table from what they read"
}

// Set changes a parameter, or a client configuration by Kafka's name.
func (w Table) Set(name, value string) (Workload, error) {
	var err error
	switch name {
	case "keys":
		w.Keys, err = number(value, 1)
	case "deletes":
		w.Deletes, err = number(value, 0)
	case "rest":
		w.Rest, err = duration(value)
	default:
		base, err := w.ProduceConsume.Set(name, value)
		if err != nil {
			return nil, err
		}
		w.ProduceConsume = base.(ProduceConsume)
		return w, nil
	}
	if err != nil {
		return nil, fmt.Errorf("parameter %s: found %q, expected %w", name, value, err)
	}
	return w, nil
}

// Names are all that Set knows.
func (w Table) Names() []string {
	return slices.Concat([]string{"keys", "deletes", "rest"}, w.ProduceConsume.Names())
}

// Clients are those of ProduceConsume, with keys, and the reader that rests.
func (w Table) Clients(s *Stage) []Client {
	out := slices.DeleteFunc(w.ProduceConsume.Clients(s), func(c Client) bool { return c.Role == Writes })
	for i := range w.Producers {
		base := w.ProduceConsume
		if i == 0 {
			base.Duration = w.Lasts() / 3 // what it wrote last is compacted, and it must be known all the same
		}
		p := &putting{w: w, producing: producing{w: base, s: s, name: fmt.Sprintf("p%d", i+1)}}
		out = append(out, Client{Host: fmt.Sprintf("producer-%d", i+1), Role: Writes, Main: p.main})
	}
	if w.Rest > 0 {
		r := &resting{w: w, s: s}
		out = append(out, Client{Host: "resting-consumer", Role: Reads, Main: r.main})
	}
	return out
}

// putting is one producer over all lives of its process.
type putting struct {
	producing
	w Table
}

// Of the writes one in so many puts a key of its own, which is deleted for good a
// while later. Such a tombstone is the last of its key for ever, and goes by itself.
const (
	briefly   = 20
	briefLife = 4 * time.Second
)

func (p *putting) main(h env.Host) {
	var brief []briefKey
	p.live(h, func(w *Writer, session int, seq int64) {
		switch now := p.s.Now(); {
		case p.w.Deletes == 0:
			p.put(w, p.oneOf(h), session, seq)
		case len(brief) > 0 && now > brief[0].until:
			w.Delete(p.partition(brief[0].number), brief[0].name)
			brief = brief[1:]
		case seq%briefly == 0:
			key := briefKey{tableKey{fmt.Sprintf("%s-%d-%d", p.name, session, seq), int(seq / briefly)}, now + briefLife}
			p.put(w, key.tableKey, session, seq)
			brief = append(brief, key)
		case h.Rand().IntN(p.w.Deletes) == 0:
			key := p.oneOf(h)
			w.Delete(p.partition(key.number), key.name)
		default:
			p.put(w, p.oneOf(h), session, seq)
		}
	})
}

// tableKey is a key; its number says which partition it is on, so that its records
// have an order.
type tableKey struct {
	name   string
	number int
}

type briefKey struct {
	tableKey
	until time.Duration
}

func (p *putting) put(w *Writer, key tableKey, session int, seq int64) {
	to := p.partition(key.number)
	w.Put(to, key.name, Numbered{to, p.name, session, seq}.String(), p.w.Size)
}

// oneOf is one of the keys that all producers write.
func (p *putting) oneOf(h env.Host) tableKey {
	keys := p.w.Keys
	if keys == 0 {
		keys = 100
	}
	i := h.Rand().IntN(keys)
	return tableKey{fmt.Sprintf("k%d", i), i}
}

func (p *putting) partition(number int) kafka.TopicPartition {
	return kafka.TopicPartition{Topic: p.w.Topic, Partition: int32(number) % p.s.Topics[p.w.Topic]}
}

// resting reads all that there is, rests, and goes on from where it was.
type resting struct {
	w Table
	s *Stage
}

func (c *resting) main(h env.Host) {
	c.s.AwaitWork(h)
	r := c.w.reader(c.s, h)
	for !c.s.Draining() {
		for len(r.Poll()) > 0 {
		}
		for until := c.s.Now() + c.w.Rest; c.s.Now() < until && !c.s.Draining(); {
			h.Sleep(time.Second)
		}
	}
	r.ReadUntil(func() bool { return r.Reached(c.s.Ends()) })
	r.Close()
}
