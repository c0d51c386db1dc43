package workloads

import (
	"errors"
	"maps"
	"slices"
	"time"

	"github.com/ktrial/ktrial/broker/client"
	"github.com/ktrial/ktrial/broker/kafka"
	"github.com/ktrial/ktrial/checkers/history"
	"github.com/ktrial/ktrial/sim/env"
	"github.com/ktrial/ktrial/workloads/fromwire"
	"github.com/twmb/franz-go/pkg/kerr"
)

// Member is a member of a consumer group whose polls and commits are in the history,
// with the generation that each was made in and the partitions that moved meanwhile.
type Member struct {
	s        *Stage
	h        env.Host
	consumer *client.Consumer
	process  int64 // of its polls
	instance string
	// generation of a classic group is that of the last assignment: what a JoinGroup
	// was told is not in the coordinator's log yet, and may be forgotten.
	generation int64
	modern     bool
	group      string
	topics     []string

	failed error // of the last poll
	owned  []kafka.TopicPartition
	next   map[kafka.TopicPartition]kafka.Offset // of what was polled and is owned
	moved  []kafka.TopicPartition                // within the poll under way
	// forgets, if set, says of which records nothing is said, and that they are not returned.
	forgets func(*client.ConsumerRecord) bool
	// unfenced: its offsets in transactions do not say as what it is in the group.
	unfenced bool
	// Moved, if set, is called when partitions are given to the member, or taken from it.
	Moved func(partitions []kafka.TopicPartition)
	// Revoking, if set, is called before partitions are given up that are still
	// owned: the moment to commit.
	Revoking func(partitions []kafka.TopicPartition)

	mop     [1]history.Mop
	records []history.Record
}

// NewMember makes a consumer that subscribes to topics as a member of the group that
// cfg names. An error is one of the configuration.
func (s *Stage) NewMember(h env.Host, cfg client.ConsumerConfig, topics ...string) (*Member, error) {
	cfg.Bugs = s.Bugs
	consumer, err := client.New(h, s.Bootstrap, h.Name()).NewConsumer(cfg)
	if err != nil {
		return nil, err
	}
	m := &Member{s: s, h: h, consumer: consumer, process: s.NewProcess(), group: cfg.GroupID, topics: topics, instance: cfg.GroupInstanceID, modern: cfg.GroupProtocol == client.ConsumerProtocol, next: map[kafka.TopicPartition]kafka.Offset{}}
	consumer.OnCommit = m.committing
	m.subscribed(history.Invoke)
	if err := consumer.Subscribe(topics, m.listener()); err != nil {
		return nil, err
	}
	m.subscribed(history.OK)
	return m, nil
}

// listener follows what the member owns, and records it.
func (m *Member) listener() client.RebalanceListener {
	gone := func(what history.F, partitions []kafka.TopicPartition) {
		m.owns(what, partitions)
		m.owned = slices.DeleteFunc(m.owned, func(tp kafka.TopicPartition) bool { return slices.Contains(partitions, tp) })
		for _, tp := range partitions {
			delete(m.next, tp)
		}
	}
	return client.RebalanceListener{
		Revoked: func(partitions []kafka.TopicPartition) error {
			if m.Revoking != nil && len(partitions) > 0 {
				m.Revoking(partitions)
			}
			gone(history.Revoked, partitions)
			return nil
		},
		Lost: func(partitions []kafka.TopicPartition) error {
			gone(history.Lost, partitions)
			return nil
		},
		Assigned: func(partitions []kafka.TopicPartition) error {
			if as, err := m.consumer.GroupMetadata(); err == nil {
				m.generation = max(0, int64(as.Generation))
			}
			m.owns(history.Assigned, partitions)
			m.owned = append(m.owned, partitions...)
			return nil
		},
	}
}

// owns records what the listener was told.
func (m *Member) owns(what history.F, partitions []kafka.TopicPartition) {
	m.moved = append(m.moved, partitions...)
	if m.Moved != nil {
		m.Moved(partitions)
	}
	e := m.event(what)
	e.Type = history.OK
	for _, tp := range partitions {
		e.Keys = append(e.Keys, m.s.Key(tp))
	}
	m.s.Recorder.Complete(e)
}

// event is one of the member, as what it is in its group now.
func (m *Member) event(f history.F) history.Event {
	e := history.Event{Process: m.process, Client: m.h.Name(), F: f, Time: m.s.Now(), Group: m.group, Instance: m.instance}
	if as, err := m.consumer.GroupMetadata(); err == nil {
		e.Generation, e.Member = m.generation, as.Member
		if m.modern {
			e.Generation = max(0, int64(as.Generation))
		}
	}
	return e
}

// Owned are the partitions that the member has been given, as far as it knows.
func (m *Member) Owned() []kafka.TopicPartition { return m.owned }

// Next is the offset behind what was polled of each partition that is owned.
func (m *Member) Next() map[kafka.TopicPartition]kafka.Offset { return m.next }

// Poll polls once, for at most half a second. The records are valid until the next
// Poll.
func (m *Member) Poll() []client.ConsumerRecord {
	m.moved = nil
	m.s.Recorder.Invoke(m.polled(history.Invoke, nil))
	records, err := m.consumer.Poll(pollTimeout)
	m.failed = err
	if err != nil {
		e := m.polled(history.Failed, nil)
		e.Error = err.Error()
		m.s.Recorder.Complete(e)
		m.s.CountFailure(history.Poll, err)
		return nil
	}
	if m.forgets != nil {
		records = slices.DeleteFunc(records, func(r client.ConsumerRecord) bool { return m.forgets(&r) })
	}
	m.s.Recorder.Complete(m.polled(history.OK, records))
	return records
}

// PollForTransaction is Poll of records that are processed in a transaction: they are in the
// history as a part of that, and only a poll that returns nothing, or fails, is an operation
// of its own.
func (m *Member) PollForTransaction() []client.ConsumerRecord {
	m.moved = nil
	records, err := m.consumer.Poll(pollTimeout)
	if err == nil && len(records) > 0 {
		for i := range records {
			m.next[records[i].Partition] = records[i].Offset + 1
		}
		return records
	}
	m.s.Recorder.Invoke(m.polled(history.Invoke, nil))
	e := m.polled(history.OK, nil)
	if err != nil {
		e.Type, e.Error = history.Failed, err.Error()
		m.s.CountFailure(history.Poll, err)
	}
	m.s.Recorder.Complete(e)
	return nil
}

// GoBack has the member go on, in each partition that it owns, where the group has
// committed, and where there is nothing at the beginning. It asks for stable offsets: a
// transaction in doubt is decided first. False: what is committed is not known, and a
// moment has passed.
func (m *Member) GoBack() bool {
	owned := m.consumer.Assignment()
	committed, err := m.consumer.Committed(owned...)
	if err != nil {
		m.s.CountFailure(history.Committed, err)
		m.h.Sleep(pollTimeout)
		return false
	}
	for _, tp := range owned {
		at, found := committed[tp]
		if found {
			err = m.consumer.SeekTo(tp, client.Position{Offset: at.Offset, Epoch: at.LeaderEpoch})
			m.next[tp] = at.Offset
		} else {
			err = m.consumer.SeekToBeginning(tp)
			delete(m.next, tp)
		}
		if err != nil {
			panic("workloads: go back: " + err.Error()) // it was assigned a moment ago
		}
	}
	return true
}

// SubscribeTo changes what the member is subscribed to, if that is another list of topics.
func (m *Member) SubscribeTo(topics ...string) error {
	if slices.Equal(topics, m.topics) {
		return nil
	}
	m.h.Reached(ProbeResubscribed)
	m.topics = topics
	m.subscribed(history.Invoke)
	if err := m.consumer.Subscribe(topics, m.listener()); err != nil {
		return err
	}
	m.subscribed(history.OK)
	return nil
}

// goOnAsAnother has the member be another process of the history: an operation of this
// one has no end.
func (m *Member) goOnAsAnother() {
	m.process = m.s.NewProcess()
	m.subscribed(history.Invoke)
	m.subscribed(history.OK)
}

// subscribed records that the member subscribes to its topics.
func (m *Member) subscribed(as history.Type) {
	e := history.Event{Type: as, Process: m.process, Client: m.h.Name(), F: history.Subscribe, Group: m.group, Time: m.s.Now()}
	for _, topic := range m.topics {
		for p := range m.s.Topics[topic] {
			e.Keys = append(e.Keys, m.s.Key(kafka.TopicPartition{Topic: topic, Partition: p}))
		}
	}
	m.s.Recorder.Add(&e)
}

// polled is the event of a poll.
func (m *Member) polled(as history.Type, records []client.ConsumerRecord) history.Event {
	e := m.event(history.Poll)
	e.Type = as
	m.mop[0] = history.Mop{Kind: history.MopPoll, Records: m.seen(records)}
	e.Mops = m.mop[:]
	for _, tp := range m.moved {
		e.Rebalanced = append(e.Rebalanced, m.s.Key(tp))
	}
	return e
}

// Process records that the application works on records until work returns.
func (m *Member) Process(records []client.ConsumerRecord, work func()) {
	e := m.event(history.Process)
	for i := range records {
		e.Mops = append(e.Mops, history.Mop{Kind: history.MopProcessed, Key: m.s.Key(records[i].Partition), Offset: history.At(int64(records[i].Offset))})
	}
	m.s.Recorder.Invoke(e)
	work()
	e.Type, e.Time = history.OK, m.s.Now()
	m.s.Recorder.Complete(e)
}

// seen is valid until the next call.
func (m *Member) seen(records []client.ConsumerRecord) []history.Record {
	m.records = m.records[:0]
	for i := range records {
		m.records = append(m.records, m.s.seen(&records[i]))
		m.next[records[i].Partition] = records[i].Offset + 1
	}
	return m.records
}

// Commit commits positions and waits for the outcome. It reports whether they were
// accepted. A position has the leader epoch of the record before it (KIP-320): the
// member that begins there knows then which leaders are too old to be asked. Without
// it one that was replaced may find the position out of range.
func (m *Member) Commit(offsets map[kafka.TopicPartition]client.Position) bool {
	if len(offsets) == 0 {
		return true
	}
	committed := client.Offsets{}
	for tp, at := range offsets { //det:allow it is a map again
		committed[tp] = client.OffsetAndMetadata{Offset: at.Offset, LeaderEpoch: at.Epoch}
	}
	err := m.consumer.CommitOffsetsSync(committed)
	if err != nil {
		m.s.CountFailure(history.Commit, err)
	}
	return err == nil
}

// committing records an attempt to commit. Each is an operation of its own, by a
// process of its own: one without an answer may be carried out late, after others.
func (m *Member) committing(c client.Commit) (ended func(error)) {
	s := m.s
	e := m.event(history.Commit)
	e.Process, e.Generation, e.Member = s.NewProcess(), max(0, int64(c.Generation)), c.Member
	for _, tp := range slices.SortedFunc(maps.Keys(c.Offsets), kafka.TopicPartition.Compare) {
		e.Mops = append(e.Mops, history.Mop{Kind: history.MopCommit, Key: s.Key(tp), Offset: history.At(int64(c.Offsets[tp].Offset))})
	}
	s.Recorder.Invoke(e)
	return func(err error) {
		e.Time, e.Type = s.Now(), history.OK
		if err != nil {
			e.Error, e.Type = err.Error(), history.Unknown
			if slices.ContainsFunc(fromwire.CommitRefusals, func(k *kerr.Error) bool { return errors.Is(err, k) }) {
				e.Type = history.Failed
			}
		}
		s.Recorder.Complete(e)
	}
}

// Fenced reports whether the last poll failed because another process is the
// static member of its group.instance.id by now (KIP-345).
func (m *Member) Fenced() bool {
	return errors.Is(m.failed, kerr.FencedInstanceID) || errors.Is(m.failed, kerr.UnreleasedInstanceID)
}

// Close leaves the group, having given up what is owned, within the time.
func (m *Member) Close(within time.Duration) {
	if err := m.consumer.CloseWithin(within); err != nil {
		m.s.CountFailure(history.Other, err)
	}
}
