package coordinator

import (
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"

	"github.com/ktrial/ktrial/broker/kafka"
	"github.com/ktrial/ktrial/broker/log"
	"github.com/ktrial/ktrial/broker/planted"
	"github.com/ktrial/ktrial/broker/record"
	"github.com/ktrial/ktrial/broker/witness"
	"github.com/ktrial/ktrial/sim/env"
)

// write is an event that may write records.
type write struct {
	name    string
	by      Producer
	guard   log.Guard // of the producer's transaction
	timeout time.Duration
	decide  func(Machine) (Decision, error)
	done    func(error) // what is told the caller

	decision Decision
	appended bool // Decision.Appended was called
	over     bool // done was called
	timer    env.Timer
}

// end ends the event, unless it has ended: first the machine learns how, then the
// caller.
func (w *write) end(err error) {
	if w.over {
		return
	}
	w.over = true
	if w.timer != nil {
		w.timer.Stop()
	}
	if err != nil {
		err = clientError(err)
		w.tellAppended(err)
	}
	if w.decision.Done != nil {
		w.decision.Done(err)
	}
	w.done(err)
}

// tellAppended tells the machine what became of its records here.
func (w *write) tellAppended(err error) {
	if w.decision.Appended != nil && len(w.decision.Records) > 0 && !w.appended {
		w.appended = true
		w.decision.Appended(err)
	}
}

// batch is the records of successive events, which are appended together.
type batch struct {
	base, end kafka.Offset
	by        Producer
	guard     log.Guard
	at        int64 // timestamp of all its records
	events    []*write
	timer     env.Timer // of the linger
}

// deferred is events that end when the high watermark reaches an offset.
type deferred struct {
	at     kafka.Offset
	events []*write
}

// write runs an event.
func (s *shard) write(w *write) {
	if err := s.readable(); err != nil {
		w.end(err)
		return
	}
	d, err := w.decide(s.machine)
	switch {
	case err != nil:
		w.end(err)
		return
	case s.state == loading: // the planted bug is to read
		w.decision.Done = d.Done
		if len(d.Records) > 0 {
			err = errLoading
		}
		w.end(err)
		return
	}
	w.decision = d
	switch {
	case len(d.Records) > 0:
		s.append(w)
	case d.Settled:
		w.end(nil)
	default:
		s.endAfterWritten(w)
	}
	s.limit(w)
}

// endAfterWritten ends an event that writes nothing. What it saw may not be committed, and
// is not to be known before.
func (s *shard) endAfterWritten(w *write) {
	switch {
	case s.open != nil:
		s.open.events = append(s.open.events, w)
	case s.line.Committed() < s.line.Written():
		s.r.host.Reached(ProbeAnswerHeldBack)
		s.defers(s.line.Written(), w)
	default:
		w.end(nil)
	}
}

// limit bounds how long an event waits for its end. Its records stay: they may be
// committed later.
func (s *shard) limit(w *write) {
	if w.over {
		return
	}
	if w.decision.Timeout > 0 {
		w.timeout = w.decision.Timeout
	}
	life := s.life
	w.timer = s.r.host.After(w.timeout, "coordinator timeout", func() {
		s.enqueue(func() {
			if s.life == life && !w.over {
				s.r.host.Reached(ProbeWriteTimedOut)
				w.end(fmt.Errorf("coordinator: %s on %v: not committed after %v: %w", w.name, s.tp, w.timeout, kerr.RequestTimedOut))
			}
		})
	})
}

// append applies the records of an event and puts them into the open batch. Records of
// a transaction have a batch of their own.
func (s *shard) append(w *write) {
	transactional := w.by != NoProducer
	if transactional || s.open != nil && !w.decision.Divisible && s.sizeWith(w.decision.Records) > s.maxBatch() {
		s.flush()
	}
	if s.state != active { // the flush has found the log another's
		w.end(errNotHere)
		return
	}
	s.begin(w.by, w.guard)
	if err := s.applyAll(w); err != nil {
		s.failOpen(err)
		w.end(err)
		return
	}
	s.open.events = append(s.open.events, w)
	if transactional || s.r.cfg.Linger == 0 {
		s.flush()
	}
}

// begin opens a batch, unless one is open.
func (s *shard) begin(by Producer, guard log.Guard) {
	if s.open != nil {
		return
	}
	b := &batch{base: s.line.Written(), end: s.line.Written(), by: by, guard: guard, at: s.r.host.Now().Millis()}
	s.open = b
	s.builder.Reset(record.Options{
		Codec: s.r.cfg.Codec, LeaderEpoch: s.epoch, BaseOffset: b.base,
		Idempotent: by != NoProducer, Transactional: by != NoProducer,
		ProducerID: by.ID, ProducerEpoch: by.Epoch, BaseSequence: record.NoSequence,
	})
	flush := func() {
		if s.life != nil && s.open == b {
			s.flush()
		}
	}
	switch linger := s.r.cfg.Linger; {
	case linger < 0:
		s.enqueue(flush)
	case linger > 0:
		b.timer = s.r.host.After(linger, "coordinator linger", func() { s.enqueueFirst(flush) })
	}
}

// applyAll applies records one by one, and adds each to the batch.
func (s *shard) applyAll(w *write) error {
	for _, rec := range w.decision.Records {
		if s.builder.SizeWith(s.open.at, rec.Key, rec.Value) > s.maxBatch() {
			if !w.decision.Divisible || s.builder.Count() == 0 {
				return fmt.Errorf("coordinator: %s on %v: more than %d bytes in a batch: %w", w.name, s.tp, s.maxBatch(), kerr.MessageTooLarge)
			}
			by, guard := s.open.by, s.open.guard
			if err := s.flush(); err != nil {
				return err
			}
			s.begin(by, guard)
		}
		if err := s.applyOne(s.open.end, rec, w.by); err != nil {
			return fmt.Errorf("coordinator: %s on %v: apply to offset %d: %w", w.name, s.tp, s.open.end, err)
		}
		s.builder.Append(s.open.at, rec.Key, rec.Value)
		s.open.end++
	}
	return nil
}

func (s *shard) applyOne(at kafka.Offset, rec Record, by Producer) error {
	s.line.Begin(at)
	defer s.line.End()
	return s.machine.Apply(at, rec, by)
}

// sizeWith is at most what the open batch would be with those records.
func (s *shard) sizeWith(recs []Record) int {
	const offset = 5 // the longest that a record's offset is
	size := s.builder.Size()
	for _, rec := range recs {
		size += s.builder.SizeWith(s.open.at, rec.Key, rec.Value) - s.builder.Size() + offset
	}
	return size
}

func (s *shard) maxBatch() int { return int(s.r.log.MaxBatch(s.tp)) }

// flush appends the open batch, and has its events wait for the high watermark. It
// blocks while the disk is slow.
func (s *shard) flush() error {
	b := s.open
	if b == nil {
		return nil
	}
	bytes := []byte(s.builder.Build())
	info, err := s.r.log.AppendLocal(s.tp, bytes, log.Append{Epoch: s.epoch, Origin: log.Coordinator, Guard: b.guard}, s.r.cfg.Acks)
	if err == nil && info.FirstOffset != b.base {
		err = fmt.Errorf("coordinator: append to %v: at offset %d, expected %d: %w", s.tp, info.FirstOffset, b.base, errNotHere)
		s.failOpen(err)
		s.reload()
		return err
	}
	if err != nil {
		s.failOpen(err)
		return err
	}
	s.close(b)
	s.check.appended(bytes)
	for _, w := range b.events {
		w.tellAppended(nil)
	}
	s.deferAll(b.end, b.events)
	return nil
}

// close ends the open batch.
func (s *shard) close(b *batch) {
	s.open = nil
	if b.timer != nil {
		b.timer.Stop()
	}
}

// failOpen takes back what the open batch has changed, and ends its events.
func (s *shard) failOpen(err error) {
	b := s.open
	if b == nil {
		return
	}
	s.close(b)
	s.line.Revert(b.base)
	if b.end > b.base {
		s.r.host.Tell(&witness.ShardReverted{Shard: s.self, To: b.base, Error: witness.ErrorOf(err)})
	}
	for _, w := range b.events {
		w.end(err)
	}
}

// defers has an event end when the high watermark reaches an offset.
func (s *shard) defers(at kafka.Offset, events ...*write) { s.deferAll(at, events) }

func (s *shard) deferAll(at kafka.Offset, events []*write) {
	if len(events) == 0 {
		return
	}
	if s.r.bugs.On(planted.AckBeforeCommit) {
		s.r.bugs.Infected(planted.AckBeforeCommit, s.line.Committed() < at)
		for _, w := range events {
			w.end(nil)
		}
		return
	}
	s.waiting = append(s.waiting, deferred{at, events})
}

// hwMoved takes in a high watermark: the answers up to there go out in a moment. It
// does not block.
func (s *shard) hwMoved(hw kafka.Offset) {
	s.hw = hw
	if s.hwTold {
		return
	}
	s.hwTold = true
	life := s.life
	s.enqueueFirst(func() {
		if s.life == life {
			s.hwTold = false
			s.commit()
		}
	})
}

// commit ends the events whose records the high watermark has passed, in the order of
// offsets.
func (s *shard) commit() {
	if s.hw <= s.line.Committed() {
		return
	}
	if s.hw > s.appended() { // the log has what this shard has never seen
		s.reload()
		return
	}
	s.line.Commit(s.hw)
	s.checkCommitted()
	for len(s.waiting) > 0 && s.waiting[0].at <= s.hw {
		events := s.waiting[0].events
		s.waiting[0] = deferred{}
		s.waiting = s.waiting[1:]
		for _, w := range events {
			w.end(nil)
		}
	}
}

// appended is where the log ends, as far as this shard knows.
func (s *shard) appended() kafka.Offset {
	if s.open != nil {
		return s.open.base
	}
	return s.line.Written()
}

func (s *shard) failWaiting(err error) {
	waiting := s.waiting
	s.waiting = nil
	for _, d := range waiting {
		for _, w := range d.events {
			w.end(err)
		}
	}
}

// endTxn appends the marker that ends a transaction here, and has the machine apply it.
func (s *shard) endTxn(w *write, m Marker) {
	if err := s.ready(); err != nil {
		w.end(err)
		return
	}
	s.flush()
	if s.state != active {
		w.end(errNotHere)
		return
	}
	base := s.line.Written()
	if err := s.applyMarker(base, w.by, m.Commit); err != nil {
		s.line.Revert(base)
		w.end(err)
		return
	}
	kind := record.Abort
	if m.Commit {
		kind = record.Commit
	}
	marker := record.NewEndTxnMarker(kind, s.r.host.Now().Millis(), w.by.ID, w.by.Epoch, m.CoordinatorEpoch)
	info, err := s.r.log.AppendLocal(s.tp, marker, log.Append{Epoch: s.epoch, Origin: log.Internal, TxnVersion: m.Version}, s.r.cfg.Acks)
	switch {
	case err != nil:
		s.line.Revert(base)
		s.r.host.Tell(&witness.ShardReverted{Shard: s.self, To: base, Error: witness.ErrorOf(err)})
		w.end(err)
	case info.FirstOffset != base:
		s.line.Revert(base)
		err := fmt.Errorf("coordinator: marker on %v: at offset %d, expected %d: %w", s.tp, info.FirstOffset, base, errNotHere)
		w.end(err)
		s.reload()
	default:
		s.r.host.Tell(&witness.MarkerWritten{
			Partition: s.tp, ProducerID: w.by.ID, Epoch: w.by.Epoch, CoordinatorEpoch: m.CoordinatorEpoch, Commit: m.Commit, At: base,
		})
		if of, ok := s.machine.(Marked); ok {
			of.MarkerAppended()
		}
		s.check.appended(marker)
		s.defers(s.line.Written(), w)
		s.limit(w)
	}
}

func (s *shard) applyMarker(at kafka.Offset, by Producer, commit bool) error {
	s.line.Begin(at)
	defer s.line.End()
	return s.machine.ApplyMarker(at, by, commit)
}
