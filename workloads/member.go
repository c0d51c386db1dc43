package workloads

import (
	"slices"
	"time"

	"github.com/ktrial/ktrial/broker/client"
	"github.com/ktrial/ktrial/broker/kafka"
	"github.com/ktrial/ktrial/checkers/history"
	"github.com/ktrial/ktrial/sim/env"
)

// Member is a member of a consumer group whose polls and commits are in the history,
// with the generation that each was made in and the partitions that moved meanwhile.
type Member struct {
	s        *Stage
	h        env.Host
	consumer *client.Consumer
	process  int64 // of its polls
	commits  int64 // of its commits, some of which are within a poll
	group    string
	topics   []string

	owned []kafka.TopicPartition
	next  map[kafka.TopicPartition]kafka.Offset // of what was polled and is owned
	moved []kafka.TopicPartition                // within the poll under way
	// Revoking, if set, is called before partitions are given up that are still
	// owned: the moment to commit.
	Revoking func(partitions []kafka.TopicPartition)

	mop     [1]history.Mop
	records []history.Record
}

// NewMember makes a consumer that subscribes to topics as a member of the group that
// cfg names. An error is one of the configuration.
func (s *Stage) NewMember(h env.Host, cfg client.ConsumerConfig, topics ...string) (*Member, error) {
	consumer, err := client.New(h, s.Bootstrap, h.Name()).NewConsumer(cfg)
	if err != nil {
		return nil, err
	}
	m := &Member{s: s, h: h, consumer: consumer, process: s.NewProcess(), commits: s.NewProcess(), group: cfg.GroupID, topics: topics, next: map[kafka.TopicPartition]kafka.Offset{}}
	e := history.Event{Process: m.process, Client: h.Name(), F: history.Subscribe, Group: m.group, Time: s.Now()}
	for _, topic := range topics {
		for p := range s.Topics[topic] {
			e.Keys = append(e.Keys, s.Key(kafka.TopicPartition{Topic: topic, Partition: p}))
		}
	}
	s.Recorder.Invoke(e)
	if err := consumer.Subscribe(topics, m.listener()); err != nil {
		return nil, err
	}
	e.Type, e.Time = history.OK, s.Now()
	s.Recorder.Complete(e)
	return m, nil
}

// listener follows what the member owns.
func (m *Member) listener() client.RebalanceListener {
	gone := func(partitions []kafka.TopicPartition) {
		m.moved = append(m.moved, partitions...)
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
			gone(partitions)
			return nil
		},
		Lost: func(partitions []kafka.TopicPartition) error {
			gone(partitions)
			return nil
		},
		Assigned: func(partitions []kafka.TopicPartition) error {
			m.moved = append(m.moved, partitions...)
			m.owned = append(m.owned, partitions...)
			return nil
		},
	}
}

// Owned are the partitions that the member has been given, as far as it knows.
func (m *Member) Owned() []kafka.TopicPartition { return m.owned }

// Next is the offset behind what was polled of each partition that is owned.
func (m *Member) Next() map[kafka.TopicPartition]kafka.Offset { return m.next }

// Poll polls once, for at most half a second, and hands over what has come with
// process; nil: there is nothing to do. The history has the poll as complete before
// process is called, or, with afterwards, when it has returned: then what was polled
// by a process that died over it counts as never delivered. The records are valid
// until the next Poll.
func (m *Member) Poll(afterwards bool, process func([]client.ConsumerRecord)) (records int) {
	m.moved = nil
	m.s.Recorder.Invoke(m.polled(history.Invoke, nil))
	polled, err := m.consumer.Poll(pollTimeout)
	if err != nil {
		e := m.polled(history.Failed, nil)
		e.Error = err.Error()
		m.s.Recorder.Complete(e)
		m.s.CountFailure(history.Poll, err)
		return 0
	}
	if afterwards {
		process(polled)
	}
	m.s.Recorder.Complete(m.polled(history.OK, polled))
	if !afterwards && process != nil {
		process(polled)
	}
	return len(polled)
}

// polled is the event of a poll.
func (m *Member) polled(as history.Type, records []client.ConsumerRecord) history.Event {
	m.mop[0] = history.Mop{Kind: history.MopPoll, Records: m.seen(records)}
	e := history.Event{Type: as, Process: m.process, Client: m.h.Name(), F: history.Poll, Time: m.s.Now(), Mops: m.mop[:], Group: m.group}
	if as == history.OK {
		e.Generation = m.generation()
		for _, tp := range m.moved {
			e.Rebalanced = append(e.Rebalanced, m.s.Key(tp))
		}
	}
	return e
}

// generation is that of the member as it is now; 0: it is in none.
func (m *Member) generation() int64 {
	as, err := m.consumer.GroupMetadata()
	if err != nil {
		return 0
	}
	return max(0, int64(as.Generation))
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

// Commit commits offsets and waits for the outcome. It reports whether they were
// accepted.
func (m *Member) Commit(offsets map[kafka.TopicPartition]kafka.Offset) bool {
	if len(offsets) == 0 {
		return true
	}
	e := history.Event{Process: m.commits, Client: m.h.Name(), F: history.Commit, Group: m.group, Generation: m.generation(), Time: m.s.Now()}
	committed := client.Offsets{}
	for _, tp := range sorted(offsets) {
		committed[tp] = client.OffsetAndMetadata{Offset: offsets[tp], LeaderEpoch: kafka.NoEpoch}
		e.Mops = append(e.Mops, history.Mop{Kind: history.MopCommit, Key: m.s.Key(tp), Offset: history.At(int64(offsets[tp]))})
	}
	m.s.Recorder.Invoke(e)
	err := m.consumer.CommitOffsetsSync(committed)
	e.Type, e.Time = history.OK, m.s.Now()
	if err != nil {
		// An attempt before the one that was refused may have got through.
		e.Type, e.Error = history.Unknown, err.Error()
		m.s.CountFailure(history.Commit, err)
		m.commits = m.s.NewProcess()
	}
	m.s.Recorder.Complete(e)
	return err == nil
}

// Close leaves the group, having given up what is owned, within the time.
func (m *Member) Close(within time.Duration) {
	if err := m.consumer.CloseWithin(within); err != nil {
		m.s.CountFailure(history.Other, err)
	}
}
