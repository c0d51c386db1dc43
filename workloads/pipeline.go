package workloads

import (
	"fmt"
	"slices"
	"time"

	"github.com/ktrial/ktrial/broker/client"
	"github.com/ktrial/ktrial/broker/kafka"
	"github.com/ktrial/ktrial/internal/nearest"
	"github.com/ktrial/ktrial/sim/env"
)

// Pipeline has workers that consume what producers send, and send for each record one to
// the next topic, as members of a consumer group. With several steps each topic is the
// input of the next step.
//
// Clients ask: let each input count so many times. Servers owe, with exactly once: the
// output, the offsets and the end of a transaction are seen together or not at all, so
// each input has one output.
type Pipeline struct {
	// Input is what is sent, and which clients read the last topic.
	Input ProduceConsume
	// Topics are those that the steps write to.
	Topics []string
	// Workers is how many each step has; 0: 3.
	Workers int
	// Guarantee says how often a record counts; empty: exactly once.
	Guarantee Guarantee
	// Aborts: one in so many transactions is aborted although nothing is wrong; 0: none.
	Aborts int
	// Hold is how long a transaction is left open before its end, at most.
	Hold time.Duration
	// Classic are further settings of members in the classic protocol.
	Classic map[string]string
	// Old is how many workers of each step are clients from before KIP-890.
	Old int
	// Unfenced has workers send offsets without the group's metadata, as before KIP-447.
	Unfenced bool

	counts *counts // of Counting
}

// Guarantee is how often a record counts.
type Guarantee string

// The guarantees.
const (
	ExactlyOnce Guarantee = "exactly-once"
	// AtLeastOnce commits offsets after the output was acknowledged, AtMostOnce before it
	// is sent. Neither has transactions.
	AtLeastOnce Guarantee = "at-least-once"
	AtMostOnce  Guarantee = "at-most-once"
)

var guarantees = []string{string(ExactlyOnce), string(AtLeastOnce), string(AtMostOnce)}

// Name is how `ktrial list` names it.
func (w Pipeline) Name() string { return "pipeline" }

// About is one line for `ktrial list`.
func (w Pipeline) About() string {
	return "workers consume what producers send, and send for each record one to the next topic"
}

// Lasts is how long the producers send.
func (w Pipeline) Lasts() time.Duration { return w.Input.Lasts() }

// UsesTopics are those of the input and of the steps.
func (w Pipeline) UsesTopics() []string { return append(w.Input.UsesTopics(), w.Topics...) }

var pipelineParameters = []string{"workers", "guarantee", "aborts", "hold", "old"}

// Set changes a parameter, or a client configuration by Kafka's name.
func (w Pipeline) Set(name, value string) (Workload, error) {
	var err error
	switch name {
	case "workers":
		w.Workers, err = number(value, 1)
	case "guarantee":
		if !slices.Contains(guarantees, value) {
			return nil, nearest.Unknown("guarantee", value, guarantees)
		}
		w.Guarantee = Guarantee(value)
	case "aborts":
		w.Aborts, err = number(value, 0)
	case "hold":
		w.Hold, err = duration(value)
	case "old":
		w.Old, err = number(value, 0)
	default:
		var err error
		if w.Input, err = setWithin(w.Input, name, value, w.Names()); err != nil {
			return nil, err
		}
		return w, nil
	}
	if err != nil {
		return nil, fmt.Errorf("parameter %s: found %q, expected %w", name, value, err)
	}
	return w, nil
}

// Names are all that Set knows.
func (w Pipeline) Names() []string { return slices.Concat(pipelineParameters, w.Input.Names()) }

// Check refuses what the clients would refuse, in Kafka's words.
func (w Pipeline) Check() error {
	w = w.complete()
	if err := w.Input.Check(); err != nil {
		return err
	}
	_, err := client.ReadConsumer(w.members(0).given(1))
	return err
}

// Config says what was configured, by Kafka's names.
func (w Pipeline) Config() map[string]string {
	w = w.complete()
	out := w.Input.Config()
	out["subscribe"], out["enable.auto.commit"] = "true", "false"
	out["processing"] = string(w.Guarantee)
	if w.Unfenced {
		out["offsets.fenced"] = "false"
	}
	return out
}

// complete is w with what it leaves open.
func (w Pipeline) complete() Pipeline {
	if w.Guarantee == "" {
		w.Guarantee = ExactlyOnce
	}
	if w.Workers == 0 {
		w.Workers = 3
	}
	if w.Guarantee == ExactlyOnce {
		w.Input = w.Input.committedOnly()
	}
	return w
}

// Step names the group of a step, from 1.
func Step(n int) string { return fmt.Sprintf("step-%d", n) }

// members is how the workers of a step are configured as members of their group.
func (w Pipeline) members(step int) GroupConsume {
	return GroupConsume{Input: w.Input, Group: Step(step + 1), Classic: w.Classic}
}

// Clients are the producers, the workers of each step, and those that read the last
// topic and, when all is over, every topic.
func (w Pipeline) Clients(s *Stage) []Client {
	w = w.complete()
	var out []Client
	for i := range w.Input.Producers {
		p := &producing{w: w.Input, s: s, name: fmt.Sprintf("p%d", i+1)}
		out = append(out, Client{Host: fmt.Sprintf("producer-%d", i+1), Role: Writes, Main: p.main})
	}
	all := w.UsesTopics()
	for i := range w.Topics {
		st := &step{w: w, s: s, number: i, from: all[i], to: all[i+1], reached: map[kafka.TopicPartition]kafka.Offset{}}
		for _, c := range out {
			if c.Role == Writes && (c.Group == "" || c.Group == Step(i)) {
				st.before = append(st.before, c.Host)
			}
		}
		out = append(out, st.clients()...)
	}
	last := w.Input
	last.Topic = all[len(all)-1]
	for i := range w.Input.Consumers {
		c := &consuming{w: last, s: s}
		out = append(out, Client{Host: fmt.Sprintf("consumer-%d", i+1), Role: Reads, Main: c.main})
	}
	ask := &asking{w: last, s: s, stable: w.Guarantee == ExactlyOnce}
	audit := &auditing{w: w.Input, s: s, topics: all}
	return append(out, Client{Host: "asker", Main: ask.main}, Client{Host: "auditor", Role: Reads, Main: audit.main})
}

// step is what the workers of one step know of each other. No real ones do: it is how
// they know that they have processed all there is.
type step struct {
	w        Pipeline
	s        *Stage
	number   int
	from, to string
	before   []string // hosts of the clients that write to from
	reached  map[kafka.TopicPartition]kafka.Offset
	ends     map[kafka.TopicPartition]kafka.Offset // of from, once nothing is written to it any more
}

func (st *step) clients() (out []Client) {
	for i := range st.w.Workers {
		k := &worker{st: st, number: i + 1}
		host := fmt.Sprintf("worker-%d", st.number*st.w.Workers+i+1)
		c := Client{Host: host, Role: Writes, Group: Step(st.number + 1), Stops: true, Main: k.main}
		if st.w.Guarantee == ExactlyOnce {
			c.TransactionalID = host
		}
		out = append(out, c)
	}
	audit := &groupAudit{s: st.s, group: Step(st.number + 1), topics: []string{st.from}, done: st.done}
	return append(out, Client{Host: fmt.Sprintf("group-auditor-%d", st.number+1), Role: Reads, Watches: Step(st.number + 1), Main: audit.main})
}

// done reports whether all of the input is processed.
func (st *step) done() bool {
	if st.ends == nil {
		return false
	}
	for tp, end := range st.ends { //det:allow all must be reached
		if st.reached[tp] < end {
			return false
		}
	}
	return true
}

// written reports whether nothing is written to the input any more.
func (st *step) written() bool {
	return !slices.ContainsFunc(st.before, func(host string) bool { return !st.s.Done(host) })
}

// worker is one worker over all lives of its process.
type worker struct {
	st      *step
	number  int
	session int // of the next life
	member  *Member
	name    string // of this life
	sent    int64  // records, in this life
	rewind  bool   // output is not known to be written, and the position is behind its input
}

// main is one life of the worker's process.
func (k *worker) main(h env.Host) {
	st := k.st
	st.s.AwaitWork(h)
	k.rewind = false
	k.name, k.sent = fmt.Sprintf("w%d.%d-%d", st.number+1, k.number, k.session), 0
	k.session++
	admin := client.New(h, st.s.Bootstrap, h.Name()).NewAdmin(client.AdminDefaults())
	turn, leave := k.begin(h)
	for !st.done() && !st.s.Stopping(h.Name()) {
		begun := st.s.Now()
		if turn(); st.s.Now() == begun {
			h.Sleep(pollTimeout) // a poll that fails at once
		}
		if st.ends == nil && st.written() {
			st.ask(admin)
		}
	}
	leave()
	admin.Close()
}

// begin joins the group, and returns what is done in each turn and at the end.
func (k *worker) begin(h env.Host) (turn, leave func()) {
	st := k.st
	cfg := checked(client.ReadConsumer(st.w.members(st.number).given(k.number)))
	if st.w.Guarantee != ExactlyOnce {
		w := checked(st.s.NewWriter(h, k.name, st.w.Input.producerConfig()))
		k.member = checked(st.s.NewMember(h, cfg, st.from))
		return func() { k.turn(w) }, func() { k.member.Close(closing); w.Close() }
	}
	t := checked(st.s.NewTransactor(h, k.name, k.transactorConfig(h)))
	k.member = checked(st.s.NewMember(h, cfg, st.from))
	k.member.unfenced = st.w.Unfenced
	l := NewLoop(h, k.member, t, k.transform)
	l.Draw = func(x *Transaction) {
		x.Abort = st.w.Aborts > 0 && h.Rand().IntN(st.w.Aborts) == 0
		if st.w.Hold > 0 {
			x.Hold = time.Duration(h.Rand().Int64N(int64(st.w.Hold)))
		}
	}
	once, end := func() { l.Turn() }, func() {}
	if st.w.counts != nil {
		x := newCounter(st.w.counts, h, k)
		l.transform = x.transform
		once, end = func() { x.turn(l) }, x.close
	}
	return func() { once(); k.countReached(l.reached, l.rewind) }, func() { k.member.Close(closing); t.Close(); end() }
}

// transactorConfig is the configuration of the worker's producer.
func (k *worker) transactorConfig(h env.Host) client.ProducerConfig {
	cfg := k.st.w.Input.transactorConfig(h.Name())
	if k.number <= k.st.w.Old {
		cfg.TransactionVersion = min(cfg.TransactionVersion, 1)
	}
	return cfg
}

// transform is what is made of a record: one with its value as the key, for the
// partition of the same number.
func (k *worker) transform(r *client.ConsumerRecord) []Outgoing {
	st := k.st
	to := kafka.TopicPartition{Topic: st.to, Partition: r.Partition.Partition % st.s.Topics[st.to]}
	k.sent++
	return []Outgoing{{To: to, Key: string(ValueOf(r)), Value: fmt.Sprintf("%s-%d@%v", k.name, k.sent, to), Size: st.w.Input.Size}}
}

// turn processes what one poll returns without a transaction.
func (k *worker) turn(w *Writer) {
	if k.rewind && !k.member.GoBack() {
		return
	}
	k.rewind = false
	records := k.member.Poll()
	if len(records) == 0 {
		k.countReached(nil, false)
		return
	}
	if k.st.w.Guarantee == AtMostOnce && !k.member.Commit(ends(records)) {
		return // another member may have been given them
	}
	k.member.Process(records, func() { k.rewind = !k.send(w, records) && k.st.w.Guarantee == AtLeastOnce })
	if k.rewind || k.st.w.Guarantee == AtLeastOnce && !k.member.Commit(ends(records)) {
		return
	}
	reached := map[kafka.TopicPartition]kafka.Offset{}
	for tp, at := range ends(records) { //det:allow each has its own
		reached[tp] = at.Offset
	}
	k.countReached(reached, false)
}

// send sends what is made of records, and reports whether all was acknowledged.
func (k *worker) send(w *Writer, records []client.ConsumerRecord) bool {
	w.failed = 0
	for i := range records {
		for _, out := range k.transform(&records[i]) {
			w.Put(out.To, out.Key, out.Value, out.Size)
		}
	}
	w.Flush()
	return w.failed == 0
}

// countReached has the other workers know how far this one is. Its own position counts
// too, if nothing is to be done again: there may be nothing to read just below an end.
func (k *worker) countReached(reached map[kafka.TopicPartition]kafka.Offset, rewind bool) {
	st := k.st
	for tp, next := range reached { //det:allow the largest of each
		st.reached[tp] = max(st.reached[tp], next)
	}
	if st.ends == nil || rewind {
		return
	}
	for _, tp := range slices.Clone(k.member.Owned()) {
		if st.reached[tp] < st.ends[tp] {
			if at, err := k.member.consumer.Position(tp); err == nil {
				st.reached[tp] = max(st.reached[tp], at.Offset)
			}
		}
	}
}

// ask asks where the input ends.
func (st *step) ask(admin *client.Admin) {
	specs := map[kafka.TopicPartition]client.OffsetSpec{}
	for p := range st.s.Topics[st.from] {
		specs[kafka.TopicPartition{Topic: st.from, Partition: p}] = client.EndOfLog
	}
	listed, err := admin.ListOffsets(client.ReadUncommitted, specs)
	if err != nil || st.ends != nil {
		return
	}
	found := map[kafka.TopicPartition]kafka.Offset{}
	for tp, at := range listed { //det:allow it is a map again
		if at.Err != nil {
			return
		}
		found[tp] = at.Offset
	}
	st.ends = found
}
