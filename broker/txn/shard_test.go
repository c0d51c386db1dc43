package txn

import (
	"cmp"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"

	"github.com/ktrial/ktrial/broker/coordinator"
	"github.com/ktrial/ktrial/broker/coordinator/timeline"
	"github.com/ktrial/ktrial/broker/kafka"
	"github.com/ktrial/ktrial/broker/metadata"
	"github.com/ktrial/ktrial/broker/planted"
	"github.com/ktrial/ktrial/ledger"
)

type timer struct {
	key   string
	due   time.Duration
	order int
	event func() coordinator.Decision
}

// waiting is a decision that is not committed.
type waiting struct {
	upTo kafka.Offset
	done func(error)
}

// sending is a marker that the machine wants written.
type sending struct {
	Marker
	partitions []kafka.TopicPartition
}

// shard is a machine with what a runtime and a server are to it, driven by hand: a log, a
// clock, timers, a high watermark, markers on their way.
type shard struct {
	m    *Machine
	cfg  Config
	line *timeline.Timeline
	log  []coordinator.Record
	hw   kafka.Offset
	fail *kerr.Error // what the next append fails with
	held bool        // the high watermark stands still
	wait []waiting

	now    time.Duration
	timers map[string]timer
	order  int

	epoch   kafka.LeaderEpoch
	next    kafka.ProducerID // to be given out
	version int16            // transaction.version
	image   *metadata.Image
	bugs    *planted.Set
	told    []ledger.Event
	reached []*ledger.Probe
	markers []sending
	quiet   bool
}

func newShard() *shard {
	s := &shard{epoch: 4, next: 1000}
	s.cfg = Config{
		MaxTimeout: 15 * time.Minute, TimeoutCheck: 10 * time.Second, Expiration: 7 * 24 * time.Hour, ExpiryCheck: time.Hour,
		RetryInterval: 50 * time.Millisecond, NewProducerID: s.newProducerID, Outbox: s,
	}
	s.setVersion(2)
	s.load()
	return s
}

func (s *shard) setVersion(level int16) {
	s.version = level
	s.image = metadata.NewImage()
	must(s.image.Apply(&metadata.FeatureLevelRecord{Name: "transaction.version", Level: level}))
}

func (s *shard) newProducerID() (kafka.ProducerID, error) {
	if s.next < 0 {
		return 0, kerr.CoordinatorLoadInProgress
	}
	s.next++
	return s.next - 1, nil
}

// load makes a machine of the log, as the next coordinator does.
func (s *shard) load() {
	if s.m != nil {
		s.m.Unloaded()
	}
	for _, w := range s.wait {
		w.done(kerr.NotCoordinator)
	}
	s.epoch++
	s.line, s.timers, s.wait = timeline.New(), map[string]timer{}, nil
	s.m = New(s, s.cfg)
	s.line.Commit(s.hw)
	for at, rec := range s.log {
		must(s.fold(kafka.Offset(at), rec))
	}
	s.m.Loaded()
	s.after(0)
}

func must(err error) {
	if err != nil {
		panic(err)
	}
}

func (s *shard) fold(at kafka.Offset, rec coordinator.Record) error {
	s.line.Begin(at)
	defer s.line.End()
	return s.m.Apply(at, rec, coordinator.NoProducer)
}

// run plays a decision as a runtime does.
func (s *shard) run(d coordinator.Decision) {
	start := kafka.Offset(len(s.log))
	done := d.Done
	if done == nil {
		done = func(error) {}
	}
	for i, rec := range d.Records {
		must(s.fold(start+kafka.Offset(i), rec))
		s.log = append(s.log, rec)
	}
	if err := s.fail; err != nil && len(d.Records) > 0 {
		s.fail = nil
		s.log = s.log[:start]
		s.line.Revert(start)
		if d.Appended != nil {
			d.Appended(err)
		}
		done(err)
		return
	}
	if d.Appended != nil && len(d.Records) > 0 {
		d.Appended(nil)
	}
	if d.Settled {
		done(nil)
		return
	}
	s.wait = append(s.wait, waiting{kafka.Offset(len(s.log)), done})
	if !s.held {
		s.commit()
	}
}

// commit moves the high watermark to the log end, and answers.
func (s *shard) commit() {
	s.hw = kafka.Offset(len(s.log))
	s.line.Commit(s.hw)
	wait := s.wait
	s.wait = nil
	for _, w := range wait {
		w.done(nil)
	}
}

// answer plays what a request decided, and calls reply when it holds.
func (s *shard) answer(d coordinator.Decision, err error, reply func(error)) {
	if err != nil {
		reply(err)
		return
	}
	done := d.Done
	d.Done = func(err error) {
		if done != nil {
			done(err)
		}
		reply(err)
	}
	s.run(d)
}

// after lets time go by, and timers fire.
func (s *shard) after(d time.Duration) {
	for end := s.now + d; ; {
		next, ok := s.nextTimer()
		if !ok || next.due > end {
			s.now = end
			return
		}
		s.now = max(s.now, next.due)
		delete(s.timers, next.key)
		s.run(next.event())
	}
}

// nextTimer is the timer that is due first.
func (s *shard) nextTimer() (timer, bool) {
	var all []timer
	for _, t := range s.timers {
		all = append(all, t)
	}
	if len(all) == 0 {
		return timer{}, false
	}
	return slices.MinFunc(all, func(a, b timer) int { return cmp.Or(cmp.Compare(a.due, b.due), cmp.Compare(a.order, b.order)) }), true
}

// What the machine asks of its shard.

func (s *shard) Partition() kafka.TopicPartition {
	return kafka.TopicPartition{Topic: kafka.TransactionsTopic, Partition: 3}
}

func (s *shard) LeaderEpoch() kafka.LeaderEpoch { return s.epoch }

// NowMillis begins at a time at which Kafka was there already.
func (s *shard) NowMillis() int64      { return 1_700_000_000_000 + s.now.Milliseconds() }
func (s *shard) Uptime() time.Duration { return s.now }
func (s *shard) NewUUID() kafka.UUID   { panic("no transaction needs one") }

func (s *shard) Timer(key string, after, _ time.Duration, event func() coordinator.Decision) {
	s.order++
	s.timers[key] = timer{key, s.now + after, s.order, event}
}

func (s *shard) CancelTimer(key string)       { delete(s.timers, key) }
func (s *shard) Image() *metadata.Image       { return s.image }
func (s *shard) Timeline() *timeline.Timeline { return s.line }
func (s *shard) Traced() bool                 { return true }
func (s *shard) Reached(p *ledger.Probe)      { s.reached = append(s.reached, p) }
func (s *shard) Bugs() *planted.Set           { return s.bugs }

func (s *shard) Tell(e ledger.Event) {
	if !s.quiet {
		s.told = append(s.told, e)
	}
}

// And what it asks of the server.

func (s *shard) Send(m Marker, partitions []kafka.TopicPartition) {
	s.markers = append(s.markers, sending{m, partitions})
	if len(partitions) == 0 {
		s.written(len(s.markers) - 1)
	}
}

// written is how the server tells that a transaction has all its markers.
func (s *shard) written(i int) {
	of := s.markers[i].Marker
	s.markers = slices.Delete(s.markers, i, i+1)
	s.Timer("markers written", 0, 0, func() coordinator.Decision {
		d, err := s.m.MarkersWritten(of)
		must(err)
		return d
	})
}

func (s *shard) Waiting(id string) []kafka.TopicPartition {
	for _, x := range s.markers {
		if x.ID == id {
			return x.partitions
		}
	}
	return nil
}

func (s *shard) Drop(shard int32) {
	s.markers = slices.DeleteFunc(s.markers, func(x sending) bool { return x.Shard == shard })
}
