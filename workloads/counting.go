package workloads

import (
	"fmt"
	"hash/fnv"
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/ktrial/ktrial/broker/client"
	"github.com/ktrial/ktrial/broker/kafka"
	"github.com/ktrial/ktrial/broker/record"
	"github.com/ktrial/ktrial/ledger"
	"github.com/ktrial/ktrial/sim/env"
)

// Counting is what Kafka Streams does with a count: workers of a group count inputs by key,
// in a store in memory, and write each new count to a compacted changelog, in the
// transaction that has the offsets. A worker that is given a partition restores the store from the
// changelog first; after a transaction that is not known to be committed it throws its
// stores away.
//
// Clients ask what a pipeline asks. Servers owe that a store that was restored is that of what
// was committed: each count is compared with a model that is made of the inputs alone.
type Counting struct {
	// Pipeline's only step writes the changelog.
	Pipeline
	// Keys is how many there are; 0: 20.
	Keys int
	// RestoreCommitted ends the restoring at the last stable offset, as Streams did once: the
	// markers of the transaction before may not be everywhere then (KAFKA-10167).
	RestoreCommitted bool
}

// Name is how `ktrial list` names it.
func (w Counting) Name() string { return "counting" }

// About is one line for `ktrial list`.
func (w Counting) About() string {
	return "workers count records by key, and restore their counts from a compacted changelog"
}

// Set changes a parameter, or a client configuration by Kafka's name.
func (w Counting) Set(name, value string) (Workload, error) {
	var err error
	switch name {
	case "keys":
		w.Keys, err = number(value, 1)
	case "restore.committed":
		w.RestoreCommitted, err = strconv.ParseBool(value)
	default:
		w.Pipeline, err = setWithin(w.Pipeline, name, value, w.Names())
		return w, err
	}
	if err != nil {
		return nil, fmt.Errorf("parameter %s: found %q, expected %w", name, value, err)
	}
	return w, nil
}

// Names are all that Set knows.
func (w Counting) Names() []string {
	return slices.Concat([]string{"keys", "restore.committed"}, w.Pipeline.Names())
}

// Clients are those of the pipeline, and one that restores all stores when all is over.
func (w Counting) Clients(s *Stage) []Client {
	if w.Keys == 0 {
		w.Keys = 20
	}
	w.Pipeline = w.Pipeline.complete()
	c := &counts{w: w, s: s, inputs: map[kafka.TopicPartition][]string{}}
	w.Pipeline.counts = c
	return append(w.Pipeline.Clients(s), Client{Host: "restorer", Role: Reads, Main: c.restoreAll})
}

// counts is the model: what no worker knows by itself.
type counts struct {
	w      Counting
	s      *Stage
	inputs map[kafka.TopicPartition][]string // keys, by offset: the input has no holes
}

// keyOf is the key that an input counts for.
func (c *counts) keyOf(r *client.ConsumerRecord) string {
	sum := fnv.New32a()
	sum.Write(ValueOf(r))
	return fmt.Sprintf("k%d", int(sum.Sum32()%uint32(c.w.Keys)))
}

// learn takes an input into the model.
func (c *counts) learn(r *client.ConsumerRecord) {
	in := c.inputs[r.Partition]
	for kafka.Offset(len(in)) < r.Offset {
		in = append(in, "")
	}
	if kafka.Offset(len(in)) == r.Offset {
		in = append(in, "")
	}
	in[r.Offset] = c.keyOf(r)
	c.inputs[r.Partition] = in
}

// compare says how a store differs from the counts of all inputs of a partition below an
// offset; empty: it does not.
func (c *counts) compare(tp kafka.TopicPartition, next kafka.Offset, store map[string]int64) string {
	in := c.inputs[tp]
	if next > kafka.Offset(len(in)) {
		return fmt.Sprintf("inputs up to %d are counted, of which %d are known", next-1, len(in))
	}
	model := map[string]int64{}
	for _, key := range in[:next] {
		model[key]++
	}
	for _, key := range slices.Sorted(maps.Keys(model)) {
		if store[key] != model[key] {
			return fmt.Sprintf("%s counts %d, expected %d", key, store[key], model[key])
		}
	}
	if len(store) > len(model) {
		return fmt.Sprintf("%d keys have counts, expected %d", len(store), len(model))
	}
	return ""
}

// changelog is where the counts of a partition are written.
func (c *counts) changelog(tp kafka.TopicPartition) kafka.TopicPartition {
	return kafka.TopicPartition{Topic: c.w.Topics[0], Partition: tp.Partition}
}

// counter is one life of a worker.
type counter struct {
	*counts
	worker *worker
	stores map[kafka.TopicPartition]map[string]int64
	next   map[kafka.TopicPartition]kafka.Offset // of the stores that changed in this turn
	restorer
}

// restorer restores stores, with clients of its own that it keeps: one that is new takes long to learn
// which brokers are gone.
type restorer struct {
	s        *Stage
	h        env.Host
	cfg      client.ConsumerConfig
	consumer *client.Consumer
	admin    *client.Admin
}

func newRestorer(s *Stage, h env.Host, cfg client.ConsumerConfig) restorer {
	c := client.New(h, s.Bootstrap, h.Name())
	return restorer{s, h, cfg, checked(c.NewConsumer(cfg)), c.NewAdmin(client.AdminDefaults())}
}

func (r *restorer) close() {
	r.consumer.Close()
	r.admin.Close()
}

func newCounter(c *counts, h env.Host, k *worker) *counter {
	x := &counter{
		counts: c, worker: k, restorer: newRestorer(c.s, h, c.w.Input.consumerConfig()),
		stores: map[kafka.TopicPartition]map[string]int64{}, next: map[kafka.TopicPartition]kafka.Offset{},
	}
	k.member.Moved = func(partitions []kafka.TopicPartition) {
		for _, tp := range partitions {
			delete(x.stores, tp)
		}
	}
	return x
}

// countHeader holds the count that a record of the changelog sets.
const countHeader = "count"

// transform counts an input. It may block, while a store is restored; no transaction is open then.
func (x *counter) transform(r *client.ConsumerRecord) []Outgoing {
	x.learn(r)
	tp := r.Partition
	if x.stores[tp] == nil {
		x.stores[tp] = x.restore(tp)
	}
	key := x.keyOf(r)
	x.stores[tp][key]++
	x.next[tp] = r.Offset + 1
	x.worker.sent++
	to := x.changelog(tp)
	return []Outgoing{{
		To: to, Key: key, Size: x.w.Input.Size, Value: fmt.Sprintf("%s-%d@%v", x.worker.name, x.worker.sent, to),
		Headers: []record.Header{{Key: countHeader, Value: strconv.AppendInt(nil, x.stores[tp][key], 10)}},
	}}
}

// turn processes what one poll returns, and compares what was committed with the model.
func (x *counter) turn(l *Loop) {
	clear(x.next)
	committed := l.Turn()
	if l.rewind {
		clear(x.stores)
	}
	if !committed {
		return
	}
	for _, tp := range slices.SortedFunc(maps.Keys(x.next), kafka.TopicPartition.Compare) {
		if store := x.stores[tp]; store != nil {
			x.tell(tp, x.next[tp], store)
		}
	}
}

func (x *counter) tell(tp kafka.TopicPartition, next kafka.Offset, store map[string]int64) {
	x.h.Tell(&CountsCompared{Partition: tp, Next: next, Keys: len(store), Difference: x.compare(tp, next, store)})
}

// restore reads the changelog of a partition to its end.
//
// The end is the high watermark, and the records are those that are committed: where a
// transaction is open, or its marker on its way, that waits for it.
func (x *counter) restore(tp kafka.TopicPartition) map[string]int64 {
	from := x.changelog(tp)
	level := client.ReadUncommitted
	if x.w.RestoreCommitted {
		level = client.ReadCommitted
	}
	end := x.endOf(from, level)
	store := x.read(from, end)
	x.h.Tell(&StateRestored{Partition: from, Keys: len(store), End: end})
	return store
}

// endOf is where a log ends.
func (r *restorer) endOf(tp kafka.TopicPartition, level client.IsolationLevel) kafka.Offset {
	for {
		listed, err := r.admin.ListOffsets(level, map[kafka.TopicPartition]client.OffsetSpec{tp: client.EndOfLog})
		if err == nil && listed[tp].Err == nil {
			return listed[tp].Offset
		}
		r.h.Sleep(pollTimeout)
	}
}

// read reads a changelog up to an end.
func (r *restorer) read(from kafka.TopicPartition, end kafka.Offset) map[string]int64 {
	store := map[string]int64{}
	reader := r.s.readFrom(r.h, r.consumer, r.cfg, []kafka.TopicPartition{from})
	if err := r.consumer.SeekToBeginning(from); err != nil { // it may be where it was left before
		panic("workloads: restore: " + err.Error())
	}
	for to := map[kafka.TopicPartition]kafka.Offset{from: end}; !reader.Reached(to); {
		begun := r.s.Now()
		records := reader.Poll()
		for i := range records {
			for _, header := range records[i].Headers {
				if header.Key == countHeader {
					store[string(records[i].Key)] = countIn(header.Value)
				}
			}
		}
		if len(records) == 0 && r.s.Now() == begun {
			r.h.Sleep(pollTimeout)
		}
	}
	return store
}

func countIn(header []byte) int64 {
	n, err := strconv.ParseInt(string(header), 10, 64)
	if err != nil {
		panic("workloads: the count of a changelog: " + err.Error())
	}
	return n
}

// restoreAll restores the store of each partition when nothing is written any more, and
// compares it with the model of all inputs.
func (c *counts) restoreAll(h env.Host) {
	c.s.AwaitWork(h)
	for !c.s.Draining() {
		h.Sleep(time.Second)
	}
	r := newRestorer(c.s, h, c.w.Input.consumerConfig())
	for p := range c.s.Topics[c.w.Input.Topic] {
		tp := kafka.TopicPartition{Topic: c.w.Input.Topic, Partition: p}
		store := r.read(c.changelog(tp), c.s.Ends()[c.changelog(tp)])
		next := kafka.Offset(len(c.inputs[tp]))
		h.Tell(&CountsCompared{Partition: tp, Next: next, Keys: len(store), Difference: c.compare(tp, next, store)})
	}
	r.close()
}

// What workers know of their counts.
type (
	// StateRestored: a worker has read the changelog of a partition.
	StateRestored struct {
		Partition kafka.TopicPartition `json:"partition"` // of the changelog
		Keys      int                  `json:"keys"`      // that have counts
		End       kafka.Offset         `json:"end"`       // that was read to
	}
	// CountsCompared: the counts of what was committed were compared with the model.
	CountsCompared struct {
		Partition  kafka.TopicPartition `json:"partition"`            // of the input
		Next       kafka.Offset         `json:"next"`                 // behind the last input that is counted
		Keys       int                  `json:"keys"`                 // that have counts
		Difference string               `json:"difference,omitempty"` // empty: none
	}
)

var (
	stateRestored  = ledger.Declare[StateRestored]("state-restored", "a worker has restored its counts from a changelog", ledger.Notable)
	countsCompared = ledger.Declare[CountsCompared]("counts-compared", "the counts of a partition were compared with the model", ledger.Traffic)
)

func (e *StateRestored) Kind() *ledger.Kind  { return stateRestored }
func (e *CountsCompared) Kind() *ledger.Kind { return countsCompared }

// Subject is the partition.
func (e *StateRestored) Subject() string  { return e.Partition.String() }
func (e *CountsCompared) Subject() string { return e.Partition.String() }

// Sentence is such as: has restored 20 counts from counts/1, read up to offset 412.
func (e *StateRestored) Sentence() string {
	return fmt.Sprintf("has restored %d counts from %v, read up to offset %d", e.Keys, e.Partition, e.End)
}

// Sentence is such as: has 20 counts of orders/1 below offset 412, which are right.
func (e *CountsCompared) Sentence() string {
	if e.Difference == "" {
		return fmt.Sprintf("has %d counts of %v below offset %d, which are right", e.Keys, e.Partition, e.Next)
	}
	return fmt.Sprintf("has %d counts of %v below offset %d: %s", e.Keys, e.Partition, e.Next, e.Difference)
}
