package workloads

import (
	"fmt"
	"hash/fnv"
	"slices"
	"time"

	"github.com/ktrial/ktrial/broker/client"
	"github.com/ktrial/ktrial/broker/kafka"
	"github.com/ktrial/ktrial/checkers/history"
	"github.com/ktrial/ktrial/sim/env"
)

// DeadLetters has the members of a group process orders of which some cannot be: they are
// poison. Such an order is sent to a retry topic, which the group reads too, and after so
// many attempts to a topic of dead letters. When the program is mended, another group
// processes those.
//
// Clients ask: let one bad record not hold up the rest, and lose none. Servers owe what they
// owe to any group and any producer: the members commit only what they have passed on.
type DeadLetters struct {
	GroupConsume
	// Retry and Dead are the topics beside that of the input.
	Retry, Dead string
	// Attempts is how often a poison order is tried.
	Attempts int
	// Poison: one order in so many is.
	Poison int
}

// Name is how `ktrial list` names it.
func (w DeadLetters) Name() string { return "dead-letters" }

// About is one line for `ktrial list`.
func (w DeadLetters) About() string {
	return "a group tries orders that cannot be processed some times, and then sets them aside; another group processes those later"
}

// UsesTopics are those of the input, of retries and of dead letters.
func (w DeadLetters) UsesTopics() []string {
	return append(w.GroupConsume.UsesTopics(), w.Retry, w.Dead)
}

// Set changes a parameter, or a client configuration by Kafka's name.
func (w DeadLetters) Set(name, value string) (Workload, error) {
	changed, err := w.GroupConsume.Set(name, value)
	if err != nil {
		return nil, err
	}
	w.GroupConsume = changed.(GroupConsume)
	return w, nil
}

// IsPoison reports whether the order with a key cannot be processed.
func (w DeadLetters) IsPoison(key string) bool {
	sum := fnv.New32a()
	sum.Write([]byte(key))
	return sum.Sum32()%uint32(w.Poison) == 0
}

// Clients are the producers, the members, and the one that processes the dead letters.
func (w DeadLetters) Clients(s *Stage) []Client {
	d := &letters{w: w, s: s, reached: map[kafka.TopicPartition]kafka.Offset{}, written: map[kafka.TopicPartition]kafka.Offset{}, attempts: map[string]int{}, underway: map[int]int{}}
	out := slices.DeleteFunc(w.Input.Clients(s), func(c Client) bool { return c.Role == Writes })
	for i := range w.Input.Producers {
		p := &producing{w: w.Input, s: s, name: fmt.Sprintf("p%d", i+1)}
		out = append(out, Client{Host: fmt.Sprintf("producer-%d", i+1), Role: Writes, Main: d.producer(p)})
	}
	for i := range w.Members {
		m := &trying{d: d, number: i + 1}
		out = append(out, Client{Host: fmt.Sprintf("member-%d", i+1), Role: Reads, Group: w.Group, Stops: true, Main: m.main})
	}
	return append(out, Client{Host: "mender", Role: Reads, Group: w.Group + "-mended", Stops: true, Main: d.mend})
}

// letters is what all clients of the workload know of each other.
type letters struct {
	w        DeadLetters
	s        *Stage
	reached  map[kafka.TopicPartition]kafka.Offset // the end of what was given to a group
	written  map[kafka.TopicPartition]kafka.Offset // the end of what was passed on
	attempts map[string]int                        // by the value of a record of the retry topic
	passed   int64                                 // numbers what is passed on
	underway map[int]int                           // by member: what it passes on and is not acknowledged
}

// producer sends orders, each with a key of its own.
func (d *letters) producer(p *producing) func(env.Host) {
	return func(h env.Host) {
		p.live(h, func(w *Writer, session int, seq int64) {
			to := kafka.TopicPartition{Topic: p.w.Topic, Partition: int32(h.Rand().IntN(int(p.s.Topics[p.w.Topic])))}
			w.Put(to, fmt.Sprintf("order-%s-%d-%d", p.name, session, seq), Numbered{to, p.name, session, seq}.String(), p.w.Size)
		})
	}
}

// done reports whether all of some topics was given to a group, as far as it was written
// by now.
func (d *letters) done(topics ...string) bool {
	if !d.s.Draining() {
		return false
	}
	for _, n := range d.underway { //det:allow none may have any
		if n > 0 {
			return false
		}
	}
	for _, topic := range topics {
		for p := range d.s.Topics[topic] {
			tp := kafka.TopicPartition{Topic: topic, Partition: p}
			if d.reached[tp] < max(d.s.Ends()[tp], d.written[tp]) {
				return false
			}
		}
	}
	return true
}

// follow has all know how far a member is.
func (d *letters) follow(m *Member) {
	for tp, next := range m.Next() { //det:allow the largest of each
		d.reached[tp] = max(d.reached[tp], next)
	}
	if !d.s.Draining() {
		return
	}
	for _, tp := range slices.Clone(m.Owned()) {
		if at, err := m.consumer.Position(tp); err == nil {
			d.reached[tp] = max(d.reached[tp], at.Offset)
		}
	}
}

// member joins a group, as one that reads topics.
func (d *letters) member(h env.Host, number int, group string, topics ...string) *Member {
	w := d.w.GroupConsume
	w.Group = group
	m, err := d.s.NewMember(h, checked(client.ReadConsumer(w.given(number))), topics...)
	if err != nil {
		panic("workloads: member: " + err.Error())
	}
	return m
}

// trying is one member over all lives of its process.
type trying struct {
	d      *letters
	number int
	lives  int
}

func (t *trying) main(h env.Host) {
	d := t.d
	d.s.AwaitWork(h)
	t.lives++
	d.underway[t.number] = 0 // the life before passes on no more
	m := d.member(h, t.number, d.w.Group, d.w.Input.Topic, d.w.Retry)
	w, err := d.s.NewWriter(h, fmt.Sprintf("m%d-%d", t.number, t.lives), d.w.Input.producerConfig())
	if err != nil {
		panic("workloads: member: " + err.Error())
	}
	for !d.done(d.w.Input.Topic, d.w.Retry) && !d.s.Stopping(h.Name()) {
		begun := d.s.Now()
		if records := m.Poll(); len(records) > 0 {
			m.Process(records, func() { d.try(h, w, t.number, records) })
			m.Commit(ends(records))
		}
		if d.s.Now() == begun {
			h.Sleep(pollTimeout)
		}
		d.follow(m)
	}
	m.Close(closing)
	w.Close()
}

// try processes records, and passes on what cannot be processed. It returns when that is
// acknowledged: only then may the records be committed.
func (d *letters) try(h env.Host, w *Writer, member int, records []client.ConsumerRecord) {
	left := 0
	acked := h.NewSignal("passed on")
	for i := range records {
		r := &records[i]
		if key := string(r.Key); d.w.IsPoison(key) {
			left++
			d.underway[member]++
			d.passOn(w, key, d.attempts[string(ValueOf(r))]+1, func() {
				left--
				d.underway[member]--
				acked.Broadcast()
			})
		}
	}
	for left > 0 {
		acked.Wait(env.Forever)
	}
}

// passOn sends an order that was tried so often to the next topic, until that is
// acknowledged.
func (d *letters) passOn(w *Writer, key string, tried int, acked func()) {
	topic := d.w.Retry
	if tried >= d.w.Attempts {
		topic = d.w.Dead
	}
	sum := fnv.New32a()
	sum.Write([]byte(key))
	to := kafka.TopicPartition{Topic: topic, Partition: int32(sum.Sum32() % uint32(d.s.Topics[topic]))}
	d.passed++
	value := fmt.Sprintf("%s tried %d times, %d", key, tried, d.passed)
	d.attempts[value] = tried
	w.putThen(to, key, value, func(sent client.Delivery) {
		if sent.Outcome != client.Acknowledged {
			d.passOn(w, key, tried, acked)
			return
		}
		d.written[to] = max(d.written[to], sent.Offset+1)
		acked()
	})
}

// putThen is Put, and done is called with the outcome.
func (w *Writer) putThen(to kafka.TopicPartition, key, value string, done func(client.Delivery)) {
	body := w.fill(value, 0)
	w.send(to, []byte(key), body, len(value), history.Attributes{RecordKey: history.Text(key)}, done)
	w.body = body
}

// mend is the group that processes the dead letters, from two thirds of the work on: the
// program is mended by then.
func (d *letters) mend(h env.Host) {
	d.s.AwaitWork(h)
	for d.s.Now() < d.w.Lasts()*2/3 && !d.s.Draining() {
		h.Sleep(time.Second)
	}
	m := d.member(h, 99, d.w.Group+"-mended", d.w.Dead)
	for !d.done(d.w.Input.Topic, d.w.Retry, d.w.Dead) && !d.s.Stopping(h.Name()) {
		begun := d.s.Now()
		if records := m.Poll(); len(records) > 0 {
			m.Process(records, func() {})
			m.Commit(ends(records))
		}
		if d.s.Now() == begun {
			h.Sleep(pollTimeout)
		}
		d.follow(m)
	}
	m.Close(closing)
}
