package workloads

import (
	"errors"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"

	"github.com/ktrial/ktrial/broker/client"
	"github.com/ktrial/ktrial/broker/kafka"
	"github.com/ktrial/ktrial/checkers/history"
	"github.com/ktrial/ktrial/sim/env"
)

// pollTimeout is how long one poll waits for records.
const pollTimeout = 500 * time.Millisecond

// Reader is a consumer of all partitions of some topics, by assignment and from
// their beginning, whose polls are in the history.
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
	consumer, err := client.New(h, s.Bootstrap, h.Name()).NewConsumer(cfg)
	if err != nil {
		return nil, err
	}
	r := &Reader{s: s, h: h, host: h.Name(), consumer: consumer, process: s.NewProcess(), next: map[kafka.TopicPartition]kafka.Offset{}}
	assign := history.Event{Process: r.process, Client: h.Name(), F: history.Assign, Time: s.Now(), SeekToBeginning: true}
	for _, topic := range topics {
		for p := range s.Topics[topic] {
			tp := kafka.TopicPartition{Topic: topic, Partition: p}
			r.assigned = append(r.assigned, tp)
			assign.Keys = append(assign.Keys, s.Key(tp))
		}
	}
	s.Recorder.Invoke(assign)
	consumer.Assign(r.assigned)
	assign.Type = history.OK
	s.Recorder.Complete(assign)
	return r, nil
}

// Poll polls once, for at most half a second. A poll that found nothing, or
// failed, is recorded too: it is what shows that the consumer was not stuck.
// The records are valid until the next Poll. After a failure it waits, as a
// program does that polls again: the error may come at once each time. A client
// whose configuration leaves it without a position gives up (see Stage.GiveUp).
func (r *Reader) Poll() []client.ConsumerRecord {
	r.s.Recorder.Invoke(r.event(history.Invoke, nil))
	records, err := r.consumer.Poll(pollTimeout)
	if err != nil {
		e := r.event(history.Failed, nil)
		e.Error = err.Error()
		r.s.Recorder.Complete(e)
		r.s.CountFailure(history.Poll, err)
		if hasNoPosition(err) {
			r.s.GiveUp(r.host, err)
		}
		r.h.Sleep(afterFailure)
		return nil
	}
	r.s.Recorder.Complete(r.event(history.OK, records))
	return records
}

// afterFailure is how long a reader waits when a poll has failed.
const afterFailure = 100 * time.Millisecond

// hasNoPosition reports whether an error of Poll comes again until the program
// seeks: auto.offset.reset=none. Java's client throws an InvalidOffsetException.
func hasNoPosition(err error) bool {
	var truncated *client.LogTruncationError
	return errors.Is(err, client.ErrNoPosition) || errors.Is(err, kerr.OffsetOutOfRange) || errors.As(err, &truncated)
}

// ReadUntil polls until done, or until the client has given up.
func (r *Reader) ReadUntil(done func() bool) {
	for !done() && r.s.GaveUp(r.host) == nil {
		r.Poll()
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
		rec := &records[i]
		r.records = append(r.records, history.Record{
			Key: r.s.Key(rec.Partition), Offset: int64(rec.Offset), Value: history.TextOf(ValueOf(rec)),
		})
		r.next[rec.Partition] = rec.Offset + 1
	}
	return r.records
}
