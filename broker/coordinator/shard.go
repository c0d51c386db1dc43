package coordinator

import (
	"github.com/twmb/franz-go/pkg/kerr"

	"github.com/ktrial/ktrial/broker/coordinator/timeline"
	"github.com/ktrial/ktrial/broker/kafka"
	"github.com/ktrial/ktrial/broker/metadata"
	"github.com/ktrial/ktrial/broker/planted"
	"github.com/ktrial/ktrial/broker/record"
	"github.com/ktrial/ktrial/broker/witness"
)

// state of a shard, as CoordinatorRuntime has them.
type state uint8

const (
	absent  state = iota // INITIAL, or CLOSED and forgotten
	loading              // its log is being folded
	active               // it serves
	failed               // its log could not be folded
)

// What an event is answered on a shard that does not serve.
var (
	errNotHere = kerr.NotCoordinator
	errLoading = kerr.CoordinatorLoadInProgress
)

// shard is one partition of the internal topic. It outlives leaderships: its queue is
// where they follow each other.
type shard struct {
	r    *Runtime
	tp   kafka.TopicPartition
	self *witness.Shard // in all of its events

	// queue is what has yet to happen, in turn; urgent goes before it.
	queue, urgent events
	// busy: a task is taking events off the queue.
	busy bool

	// epoch is the newest in which this broker is known to lead the partition.
	epoch kafka.LeaderEpoch
	state state
	*life
}

// life is what a shard has from one load to the unload.
type life struct {
	machine Machine
	line    *timeline.Timeline
	env     *shardEnv
	builder *record.Builder

	open    *batch // nil: none
	waiting []deferred

	// hw is the newest high watermark that was told, and hwTold that an event is
	// queued for it.
	hw     kafka.Offset
	hwTold bool

	check *checker // nil: the shard is not compared with its log
}

func newShard(r *Runtime, tp kafka.TopicPartition) *shard {
	return &shard{r: r, tp: tp, self: &witness.Shard{Node: r.cfg.Node, Shard: tp}, epoch: kafka.NoEpoch}
}

// events is a queue of events.
type events struct {
	list []func()
	next int
}

func (q *events) push(f func()) { q.list = append(q.list, f) }

func (q *events) pop() func() {
	if q.next == len(q.list) {
		return nil
	}
	f := q.list[q.next]
	q.list[q.next] = nil
	q.next++
	if q.next == len(q.list) {
		q.list, q.next = q.list[:0], 0
	}
	return f
}

// enqueue has f run in its turn, by a task of the shard. It does not block; f may.
func (s *shard) enqueue(f func()) {
	s.queue.push(f)
	s.wake()
}

// enqueueFirst has f run before all that waits.
func (s *shard) enqueueFirst(f func()) {
	s.urgent.push(f)
	s.wake()
}

func (s *shard) wake() {
	if !s.busy {
		s.busy = true
		s.r.host.Go("coordinator of "+s.tp.String(), s.run)
	}
}

// run takes events off the queue until there are none: one at a time, as no other task
// does. An event that blocks, as an append may, holds up those behind it.
func (s *shard) run() {
	for {
		f := s.urgent.pop()
		if f == nil {
			f = s.queue.pop()
		}
		if f == nil {
			s.busy = false
			return
		}
		f()
	}
}

// elected: this broker leads the partition in that epoch. A shard that is there
// keeps its state: nothing was appended that it has not decided itself.
func (s *shard) elected(epoch kafka.LeaderEpoch) {
	if epoch <= s.epoch {
		return
	}
	s.epoch = epoch
	if s.state == absent || s.state == failed {
		s.load()
	}
}

// resign drops a shard: this broker does not lead the partition any more.
func (r *Runtime) resign(s *shard, epoch kafka.LeaderEpoch) {
	if r.bugs.On(planted.UnloadIgnoresEpoch) {
		r.host.After(lateUnload, "late unload", func() {
			s.enqueue(func() {
				r.bugs.Infected(planted.UnloadIgnoresEpoch, epoch < s.epoch && s.state == active)
				s.unload()
			})
		})
		return
	}
	s.enqueue(func() { s.resigned(epoch) })
}

// resigned: in that epoch this broker does not lead the partition. What it led since
// counts more. Of a replica that is gone, or closed, the epoch is the one it led in.
func (s *shard) resigned(epoch kafka.LeaderEpoch) {
	if epoch < s.epoch {
		s.r.host.Reached(ProbeOldResignation)
		return
	}
	s.unload()
}

// unload ends a life: what waits is answered, and the shard forgotten.
func (s *shard) unload() {
	if s.state == loading || s.state == active {
		s.r.host.Yield("coordinator unload")
		s.state = absent
		s.r.log.OnHighWatermark(s.tp, nil)
		s.env.close()
		s.failWaiting(errNotHere)
		s.failOpen(errNotHere)
		s.machine.Unloaded()
		s.r.host.Tell(&witness.ShardUnloaded{Shard: s.self, Epoch: s.epoch})
	}
	s.state, s.epoch, s.life = absent, kafka.NoEpoch, nil
}

// ready says why the shard does not serve, or nil.
func (s *shard) ready() error {
	switch s.state {
	case active:
		return nil
	case loading:
		s.r.host.Reached(ProbeAskedWhileLoading)
		return errLoading
	}
	return errNotHere
}

// readable says why the shard cannot be read, or nil.
func (s *shard) readable() error {
	if s.state == loading && s.r.bugs.On(planted.ServeWhileLoading) {
		s.r.bugs.Infected(planted.ServeWhileLoading, true)
		return nil
	}
	return s.ready()
}

func (s *shard) imageChanged(ch *metadata.Changes) {
	if s.state == active {
		s.machine.MetadataChanged(s.r.image(), ch)
	}
}
