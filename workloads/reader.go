package workloads

import (
	"time"

	"github.com/ktrial/ktrial/broker/client"
	"github.com/ktrial/ktrial/broker/kafka"
	"github.com/ktrial/ktrial/broker/record"
	"github.com/ktrial/ktrial/checkers/history"
	"github.com/ktrial/ktrial/sim/env"
)

// pollTimeout is how long one poll waits for records.
const pollTimeout = 500 * time.Millisecond

// Reader is a consumer of all partitions of some topics, by assignment, whose
// polls are in the history. It has no group, so that it begins each partition where
// auto.offset.reset says.
type Reader struct {
	s        *Stage
	h        env.Host
	host     string
	consumer *client.Consumer
	process  int64
	assigned []kafka.TopicPartition
	next     map[kafka.TopicPartition]kafka.Offset
	// What the event being recorded holds.
	mop     [1]history.Mop
	records []history.Record
}

// NewReader makes a consumer. An error is one of the configuration.
func (s *Stage) NewReader(h env.Host, cfg client.ConsumerConfig, topics ...string) (*Reader, error) {
	var all []kafka.TopicPartition
	for _, topic := range topics {
		for p := range s.Topics[topic] {
			all = append(all, kafka.TopicPartition{Topic: topic, Partition: p})
		}
	}
	consumer, err := client.New(h, s.Bootstrap, h.Name()).NewConsumer(cfg)
	if err != nil {
		return nil, err
	}
	return s.readFrom(h, consumer, cfg, all), nil
}

// readFrom has a consumer read partitions from where auto.offset.reset says.
func (s *Stage) readFrom(h env.Host, consumer *client.Consumer, cfg client.ConsumerConfig, partitions []kafka.TopicPartition) *Reader {
	r := &Reader{s: s, h: h, host: h.Name(), consumer: consumer, process: s.NewProcess(), next: map[kafka.TopicPartition]kafka.Offset{}}
	assign := history.Event{Process: r.process, Client: h.Name(), F: history.Assign, Time: s.Now(), SeekToBeginning: cfg.AutoOffsetReset == client.Earliest}
	r.assigned = partitions
	for _, tp := range partitions {
		assign.Keys = append(assign.Keys, s.Key(tp))
	}
	s.Recorder.Invoke(assign)
	consumer.Assign(r.assigned)
	assign.Type = history.OK
	s.Recorder.Complete(assign)
	return r
}

// Poll polls once, for at most half a second. A poll that found nothing, or
// failed, is recorded too: it is what shows that the consumer was not stuck.
// The records are valid until the next Poll.
func (r *Reader) Poll() []client.ConsumerRecord {
	r.s.Recorder.Invoke(r.event(history.Invoke, nil))
	records, err := r.consumer.Poll(pollTimeout)
	if err != nil {
		e := r.event(history.Failed, nil)
		e.Error = err.Error()
		r.s.Recorder.Complete(e)
		r.s.CountFailure(history.Poll, err)
		return nil
	}
	r.s.Recorder.Complete(r.event(history.OK, records))
	return records
}

// ReadUntil polls until done. A consumer whose polls fail at once, such as one
// that may not reset its position and has none, is given time to pass.
func (r *Reader) ReadUntil(done func() bool) {
	for !done() {
		begun := r.s.Now()
		if r.Poll() == nil && r.s.Now() == begun {
			r.h.Sleep(pollTimeout)
		}
	}
}

// Reached reports whether everything below ends has been read of the reader's
// partitions. The consumer's own position counts too: there may be nothing to
// read just below an end.
func (r *Reader) Reached(ends map[kafka.TopicPartition]kafka.Offset) bool {
	for _, tp := range r.assigned {
		if r.next[tp] >= ends[tp] {
			continue
		}
		at, err := r.consumer.Position(tp)
		if err != nil || at.Offset < ends[tp] {
			return false
		}
	}
	return true
}

// noteReached tells the history that the reader was given everything below ends.
func (r *Reader) noteReached(ends map[kafka.TopicPartition]kafka.Offset) {
	e := history.Event{Type: history.OK, Actor: r.host, F: history.Log, Time: r.s.Now()}
	for _, tp := range r.assigned {
		if end, told := ends[tp]; told {
			e.Mops = append(e.Mops, history.Mop{Kind: history.MopPosition, Key: r.s.Key(tp), Offset: history.At(int64(end))})
		}
	}
	r.s.Recorder.Note(e)
}

// Close leaves the cluster.
func (r *Reader) Close() { r.consumer.Close() }

func (r *Reader) event(as history.Type, records []client.ConsumerRecord) history.Event {
	r.mop[0] = history.Mop{Kind: history.MopPoll, Records: r.seen(records)}
	return history.Event{Type: as, Process: r.process, Client: r.host, F: history.Poll, Time: r.s.Now(), Mops: r.mop[:]}
}

// seen is valid until the next call.
func (r *Reader) seen(records []client.ConsumerRecord) []history.Record {
	r.records = r.records[:0]
	for i := range records {
		r.records = append(r.records, r.s.seen(&records[i]))
		r.next[records[i].Partition] = records[i].Offset + 1
	}
	return r.records
}

// seen is how the history has a record that a poll returned.
func (s *Stage) seen(rec *client.ConsumerRecord) history.Record {
	key := s.Key(rec.Partition)
	seen := history.Record{
		Key: key, Offset: history.At(int64(rec.Offset)), Value: history.Null(),
		Attributes: history.Attributes{LeaderEpoch: history.At(int64(rec.LeaderEpoch))},
	}
	if rec.Value != nil {
		seen.Value = history.ValueIn(key, ValueOf(rec))
	}
	if rec.Key != nil {
		seen.RecordKey = history.TextOf(rec.Key)
	}
	seen.Headers = s.headers(rec.Headers)
	return seen
}

// headers are those of a record as the history has them; nil: it does not tell any.
func (s *Stage) headers(of []record.Header) (told []history.Header) {
	if !s.TellHeaders {
		return nil
	}
	for _, h := range of {
		told = append(told, history.Header{Key: h.Key, Value: string(h.Value)})
	}
	return told
}
