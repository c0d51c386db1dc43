package group

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/ktrial/ktrial/broker/coordinator"
	"github.com/ktrial/ktrial/broker/coordinator/timeline"
	"github.com/ktrial/ktrial/broker/kafka"
	"github.com/ktrial/ktrial/broker/metadata"
	"github.com/ktrial/ktrial/broker/planted"
	"github.com/ktrial/ktrial/ledger"
)

// entry is a record of the shard's log, or a marker.
type entry struct {
	rec    coordinator.Record
	by     coordinator.Producer
	marker bool
	commit bool
}

type timer struct {
	key   string
	due   time.Duration
	order int
	event func() coordinator.Decision
}

// waiting is a decision whose records, or what was written before it, are not
// committed.
type waiting struct {
	upTo kafka.Offset
	done func(error)
}

// shard is a machine with what a runtime is to it, driven by hand: a log, a clock,
// timers, a high watermark.
type shard struct {
	m    *Machine
	cfg  Config
	line *timeline.Timeline
	log  []entry
	fail *kerr.Error // what the next append fails with
	held bool        // the high watermark stands still
	wait []waiting

	now    time.Duration
	skew   time.Duration // of the wall clock
	timers map[string]timer
	order  int

	uuids uint64
	image *metadata.Image
	bugs  *planted.Set
	told  []ledger.Event
	quiet bool // told is not kept
}

// kafkaDefaults are those of Kafka's configuration.
var kafkaDefaults = Config{
	MinSessionTimeout: 6 * time.Second, MaxSessionTimeout: 30 * time.Minute,
	InitialRebalanceDelay: 3 * time.Second, MaxSize: 1<<31 - 1,
	OffsetMetadataMaxBytes: 4096,
	OffsetsRetention:       7 * 24 * time.Hour, OffsetsRetentionCheckInterval: 10 * time.Minute,
}

func newShard(cfg Config) *shard {
	s := &shard{cfg: cfg, image: metadata.NewImage()}
	s.load()
	return s
}

// load makes a machine of the log.
func (s *shard) load() {
	s.line, s.timers, s.wait = timeline.New(), map[string]timer{}, nil
	s.m = New(s, s.cfg)
	s.line.Commit(kafka.Offset(len(s.log)))
	for at, e := range s.log {
		must(s.fold(kafka.Offset(at), e))
	}
	s.m.Loaded()
}

func must(err error) {
	if err != nil {
		panic(err)
	}
}

func (s *shard) fold(at kafka.Offset, e entry) error {
	s.line.Begin(at)
	defer s.line.End()
	if e.marker {
		return s.m.ApplyMarker(at, e.by, e.commit)
	}
	return s.m.Apply(at, e.rec, e.by)
}

// run plays a decision as a runtime does, as the work of a producer.
func (s *shard) run(d coordinator.Decision, by coordinator.Producer) {
	start := kafka.Offset(len(s.log))
	for i, rec := range d.Records {
		e := entry{rec: rec, by: by}
		must(s.fold(start+kafka.Offset(i), e))
		s.log = append(s.log, e)
	}
	done := d.Done
	if done == nil {
		done = func(error) {}
	}
	if err := s.fail; err != nil && len(d.Records) > 0 {
		s.fail = nil
		s.log = s.log[:start]
		s.line.Revert(start)
		if d.Appended != nil {
			d.Appended(clientError(err))
		}
		done(clientError(err))
		return
	}
	if d.Appended != nil && len(d.Records) > 0 {
		d.Appended(nil)
	}
	s.wait = append(s.wait, waiting{kafka.Offset(len(s.log)), done})
	if !s.held {
		s.commit()
	}
}

// decide plays a decision of no transaction.
func (s *shard) decide(d coordinator.Decision) { s.run(d, coordinator.NoProducer) }

// commit moves the high watermark to the log end, and answers.
func (s *shard) commit() {
	s.line.Commit(kafka.Offset(len(s.log)))
	wait := s.wait
	s.wait = nil
	for _, w := range wait {
		w.done(nil)
	}
}

// marker ends a transaction.
func (s *shard) marker(by coordinator.Producer, commit bool) {
	e := entry{by: by, marker: true, commit: commit}
	must(s.fold(kafka.Offset(len(s.log)), e))
	s.log = append(s.log, e)
	s.m.MarkerAppended()
	if !s.held {
		s.commit()
	}
}

// after lets time go by, and timers fire.
func (s *shard) after(d time.Duration) {
	for end := s.now + d; ; {
		next, ok := s.next()
		if !ok || next.due > end {
			s.now = end
			return
		}
		s.now = max(s.now, next.due)
		delete(s.timers, next.key)
		s.decide(next.event())
	}
}

// next is the timer that is due first.
func (s *shard) next() (timer, bool) {
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
	return kafka.TopicPartition{Topic: kafka.OffsetsTopic, Partition: 3}
}

// LeaderEpoch does not matter to groups.
func (s *shard) LeaderEpoch() kafka.LeaderEpoch { return 0 }

// NowMillis begins at a time at which Kafka was there already.
func (s *shard) NowMillis() int64      { return 1_700_000_000_000 + (s.now + s.skew).Milliseconds() }
func (s *shard) Uptime() time.Duration { return s.now }

func (s *shard) NewUUID() (u kafka.UUID) {
	s.uuids++
	binary.BigEndian.PutUint64(u[8:], s.uuids)
	return u
}

func (s *shard) Timer(key string, after, _ time.Duration, event func() coordinator.Decision) {
	s.order++
	s.timers[key] = timer{key, s.now + after, s.order, event}
}

func (s *shard) CancelTimer(key string)       { delete(s.timers, key) }
func (s *shard) Image() *metadata.Image       { return s.image }
func (s *shard) Timeline() *timeline.Timeline { return s.line }
func (s *shard) Traced() bool                 { return true }
func (s *shard) Reached(*ledger.Probe)        {}
func (s *shard) Bugs() *planted.Set           { return s.bugs }

func (s *shard) Tell(e ledger.Event) {
	if !s.quiet {
		s.told = append(s.told, e)
	}
}

// member names a request's sender in shorthand.
type joinRequest struct {
	group, id          string
	instance           *string
	version            int16
	protocolType       string
	protocols          []protocol
	session, rebalance time.Duration
}

func (r joinRequest) build() *kmsg.JoinGroupRequest {
	req := kmsg.NewPtrJoinGroupRequest()
	req.Version, req.Group, req.MemberID, req.InstanceID, req.ProtocolType = r.version, r.group, r.id, r.instance, r.protocolType
	req.SessionTimeoutMillis, req.RebalanceTimeoutMillis = int32(r.session.Milliseconds()), int32(r.rebalance.Milliseconds())
	for _, p := range r.protocols {
		q := kmsg.NewJoinGroupRequestProtocol()
		q.Name, q.Metadata = p.name, p.metadata
		req.Protocols = append(req.Protocols, q)
	}
	return req
}

// subscription is that of a consumer, as Java writes it.
func subscription(topics ...string) []byte {
	s := kmsg.NewConsumerMemberMetadata()
	s.Version, s.Topics, s.Generation = 3, topics, -1
	return s.AppendTo(nil)
}

// assignment is that of a consumer.
func assignment(tps ...kafka.TopicPartition) []byte {
	a := kmsg.NewConsumerMemberAssignment()
	a.Version = 3
	for _, tp := range tps {
		i := slices.IndexFunc(a.Topics, func(t kmsg.ConsumerMemberAssignmentTopic) bool { return t.Topic == tp.Topic })
		if i < 0 {
			t := kmsg.NewConsumerMemberAssignmentTopic()
			t.Topic = tp.Topic
			a.Topics, i = append(a.Topics, t), len(a.Topics)
		}
		a.Topics[i].Partitions = append(a.Topics[i].Partitions, tp.Partition)
	}
	return a.AppendTo(nil)
}

// codeName is the name of an error code.
func codeName(code int16) string {
	if code == 0 {
		return "NONE"
	}
	if e, ok := kerr.ErrorForCode(code).(*kerr.Error); ok {
		return e.Message
	}
	return fmt.Sprint(code)
}

// clientError is what a runtime tells of an append that failed.
func clientError(err *kerr.Error) error {
	switch err {
	case kerr.NotEnoughReplicas:
		return kerr.CoordinatorNotAvailable
	case kerr.NotLeaderForPartition:
		return kerr.NotCoordinator
	case kerr.MessageTooLarge:
		return kerr.UnknownServerError
	}
	return err
}
