package coordinator

import (
	"maps"
	"slices"
	"time"

	"github.com/ktrial/ktrial/broker/kafka"
	"github.com/ktrial/ktrial/broker/log"
	"github.com/ktrial/ktrial/broker/metadata"
	"github.com/ktrial/ktrial/broker/planted"
	"github.com/ktrial/ktrial/broker/record"
	"github.com/ktrial/ktrial/broker/replica"
	"github.com/ktrial/ktrial/sim/env"
)

// Config is what a runtime is told.
type Config struct {
	Node  kafka.NodeID
	Topic string // the internal topic
	// Linger is how long a batch stays open for more events: 0: not at all; -1: until
	// the events that wait already have had their turn (the default since 4.2).
	Linger time.Duration
	// LoadBuffer is how much is read at a time while a shard loads, in bytes.
	LoadBuffer int32
	// LoadDelay is a pause after each such read: a simulated disk reads in no time.
	LoadDelay time.Duration
	// Timeout is how long the events of timers wait for the high watermark.
	Timeout time.Duration
	Codec   record.Codec
	// Acks: -1 refuses records while fewer replicas are in sync than min.insync.replicas
	// asks for; 1 appends them, and they wait. The answer waits for the high watermark
	// in any case.
	Acks int16
	// Check has each shard compared with the fold of its committed log whenever it
	// answers, if its machine is a Hasher. It costs as much as the state is large.
	Check bool
}

// Log is what a runtime needs of the partitions that its broker leads: a
// replica.Manager.
type Log interface {
	AppendLocal(tp kafka.TopicPartition, batches []byte, how log.Append, acks int16) (log.AppendInfo, error)
	ReadLocal(tp kafka.TopicPartition, epoch kafka.LeaderEpoch, from kafka.Offset, maxBytes int32) ([]byte, error)
	LocalEnds(tp kafka.TopicPartition, epoch kafka.LeaderEpoch) (replica.Ends, error)
	MaxBatch(tp kafka.TopicPartition) int32
	OnHighWatermark(tp kafka.TopicPartition, f func(kafka.Offset))
}

// Runtime serves the shards of one internal topic that this broker leads.
type Runtime struct {
	host  env.Host
	cfg   Config
	log   Log
	image func() *metadata.Image
	make  func(Env) Machine
	bugs  *planted.Set

	// shards are those that were ever led here, by partition.
	shards map[int32]*shard
	closed bool

	calls []*call // memory to be used again
}

// New makes a runtime without shards. make is asked for a machine whenever one is
// loaded.
func New(host env.Host, cfg Config, log Log, image func() *metadata.Image, bugs *planted.Set, make func(Env) Machine) *Runtime {
	return &Runtime{host: host, cfg: cfg, log: log, image: image, bugs: bugs, make: make, shards: map[int32]*shard{}}
}

// RoleChanged tells that this broker begins or ends to lead a partition; it is
// replica.Manager's OnRole. It does not block.
func (r *Runtime) RoleChanged(tp kafka.TopicPartition, epoch kafka.LeaderEpoch, leads bool) {
	if tp.Topic != r.cfg.Topic || r.closed {
		return
	}
	s := r.shards[tp.Partition]
	if s == nil {
		s = newShard(r, tp)
		r.shards[tp.Partition] = s
	}
	if leads {
		s.enqueue(func() { s.elected(epoch) })
		return
	}
	r.resign(s, epoch)
}

// ImageChanged tells all shards of a new image. Each hears of it when the events before
// it have had their turn. It does not block.
func (r *Runtime) ImageChanged(ch *metadata.Changes) {
	for _, s := range r.sorted() {
		if s.state == active {
			s.enqueue(func() { s.imageChanged(ch) })
		}
	}
}

// sorted are the shards by partition.
func (r *Runtime) sorted() []*shard {
	out := make([]*shard, 0, len(r.shards))
	for _, p := range slices.Sorted(maps.Keys(r.shards)) {
		out = append(out, r.shards[p])
	}
	return out
}

// Partitions are those whose shards are here, loaded or not.
func (r *Runtime) Partitions() []int32 {
	var out []int32
	for _, s := range r.sorted() {
		if s.state == loading || s.state == active {
			out = append(out, s.tp.Partition)
		}
	}
	return out
}

// Close drops all shards, as when the broker shuts down. It does not block: what waits
// is answered NOT_COORDINATOR when its turn comes.
func (r *Runtime) Close() {
	r.closed = true
	for _, s := range r.sorted() {
		s.enqueue(s.unload)
	}
}

// Start has decide run on a shard when its turn comes, and done called, by a task of
// the shard, when its records are committed, refused, or in doubt after timeout. With no
// records it is called when all is committed that decide may have seen. name says
// in traces what is decided. It does not block; done must not, either.
func (r *Runtime) Start(partition int32, name string, timeout time.Duration, decide func(Machine) (Decision, error), done func(error)) {
	r.start(&write{name: name, by: NoProducer, timeout: timeout, decide: decide, done: done}, partition)
}

func (r *Runtime) start(w *write, partition int32) {
	s := r.shards[partition]
	if s == nil {
		w.done(errNotHere)
		return
	}
	s.enqueue(func() { s.write(w) })
}

// Write is Start that waits for the end. It blocks.
func (r *Runtime) Write(partition int32, name string, timeout time.Duration, decide func(Machine) (Decision, error)) error {
	return r.wait(func(done func(error)) { r.Start(partition, name, timeout, decide, done) })
}

// WriteTxn is Write of records that belong to the open transaction of a producer: they
// count when it is committed (TxnOffsetCommit). guard is what BeginVerification gave for
// the partition, if the transaction was verified since. It blocks.
func (r *Runtime) WriteTxn(partition int32, name string, by Producer, guard log.Guard, timeout time.Duration, decide func(Machine) (Decision, error)) error {
	return r.wait(func(done func(error)) {
		r.start(&write{name: name, by: by, guard: guard, timeout: timeout, decide: decide, done: done}, partition)
	})
}

// Marker is what ends the transaction of a producer in a partition.
type Marker struct {
	By               Producer
	CoordinatorEpoch int32
	Commit           bool
	Version          int8 // transaction.version of the transaction (KIP-1228)
}

// EndTxn writes a marker to a partition, and has the machine apply it. It blocks.
func (r *Runtime) EndTxn(partition int32, m Marker, timeout time.Duration) error {
	return r.wait(func(done func(error)) { r.StartEndTxn(partition, m, timeout, done) })
}

// StartEndTxn is EndTxn that does not wait: done is called, by a task of the shard, when
// the marker is committed, refused, or in doubt after timeout. It does not block; done must not, either.
func (r *Runtime) StartEndTxn(partition int32, m Marker, timeout time.Duration, done func(error)) {
	s := r.shards[partition]
	if s == nil {
		done(errNotHere)
		return
	}
	w := &write{name: "end-transaction", by: m.By, timeout: timeout, done: done}
	s.enqueue(func() { s.endTxn(w, m) })
}

// Read has f look at a shard when its turn comes: at what is committed, if it takes
// that cut. It blocks until then.
func (r *Runtime) Read(partition int32, f func(Machine) error) error {
	s := r.shards[partition]
	if s == nil {
		return errNotHere
	}
	return r.wait(func(done func(error)) {
		s.enqueue(func() {
			if err := s.readable(); err != nil {
				done(err)
				return
			}
			done(f(s.machine))
		})
	})
}

// call is a task that waits for its event.
type call struct {
	over bool
	err  error
	wake env.Signal
}

// wait blocks until what begin began calls done. The error is as clients are told it.
func (r *Runtime) wait(begin func(done func(error))) error {
	c := r.newCall()
	begin(func(err error) {
		if c.over {
			panic("coordinator: an event ended twice")
		}
		c.over, c.err = true, err
		c.wake.Notify()
	})
	for !c.over {
		c.wake.Wait(env.Forever)
	}
	err := c.err
	r.calls = append(r.calls, c)
	return err
}

func (r *Runtime) newCall() *call {
	if n := len(r.calls); n > 0 {
		c := r.calls[n-1]
		r.calls = r.calls[:n-1]
		c.over, c.err = false, nil
		return c
	}
	return &call{wake: r.host.NewSignal("coordinator answers")}
}
