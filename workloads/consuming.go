package workloads

import (
	"bytes"
	"time"

	"github.com/ktrial/ktrial/broker/client"
	"github.com/ktrial/ktrial/broker/kafka"
	"github.com/ktrial/ktrial/checkers/history"
	"github.com/ktrial/ktrial/sim/env"
)

// pollTimeout is how long one poll waits for records.
const pollTimeout = 500 * time.Millisecond

// consuming reads all partitions, over all lives of its process.
type consuming struct {
	w ProduceConsume
	s *Stage
}

// main is one life of the consumer's process. It reads from the beginning: a
// consumer without a group remembers nothing.
func (c *consuming) main(h env.Host) {
	c.s.AwaitWork(h)
	r := newReader(c.w, c.s, h)
	r.readUntil(func() bool { return c.s.Draining() && r.reached(c.s.Ends()) })
	r.close()
}

// auditing reads everything once more when nothing is written any longer.
type auditing struct {
	w ProduceConsume
	s *Stage
}

func (a *auditing) main(h env.Host) {
	for !a.s.Draining() {
		h.Sleep(time.Second)
	}
	r := newReader(a.w, a.s, h)
	r.readUntil(func() bool { return r.reached(a.s.Ends()) })
	r.close()
}

// reader is a consumer that records what it sees.
type reader struct {
	s        *Stage
	h        env.Host
	consumer *client.Consumer
	process  int64
	assigned []kafka.TopicPartition
	next     map[kafka.TopicPartition]kafka.Offset
	// What the event being recorded holds.
	mop     [1]history.Mop
	records []history.Record
}

func newReader(w ProduceConsume, s *Stage, h env.Host) *reader {
	consumer, err := client.New(h, s.Bootstrap, h.Name()).NewConsumer(w.consumerConfig())
	if err != nil {
		panic("workloads: consumer: " + err.Error())
	}
	r := &reader{s: s, h: h, consumer: consumer, process: s.NewProcess(), next: map[kafka.TopicPartition]kafka.Offset{}}
	assign := history.Event{Process: r.process, Client: h.Name(), F: history.Assign, Time: s.Now(), SeekToBeginning: true}
	for p := range s.Topics[w.Topic] {
		tp := kafka.TopicPartition{Topic: w.Topic, Partition: p}
		r.assigned = append(r.assigned, tp)
		assign.Keys = append(assign.Keys, history.Partition(tp.Topic, tp.Partition))
	}
	s.Recorder.Invoke(assign)
	consumer.Assign(r.assigned)
	assign.Type = history.OK
	s.Recorder.Complete(assign)
	return r
}

func (r *reader) readUntil(done func() bool) {
	for !done() {
		r.poll()
	}
}

// poll polls once. A poll that found nothing is recorded too: it is what shows
// that the consumer was not stuck.
func (r *reader) poll() {
	r.s.Recorder.Invoke(r.event(history.Invoke, nil))
	records, err := r.consumer.Poll(pollTimeout)
	if err != nil {
		e := r.event(history.Failed, nil)
		e.Error = err.Error()
		r.s.Recorder.Complete(e)
		return
	}
	r.s.Recorder.Complete(r.event(history.OK, records))
}

func (r *reader) event(as history.Type, records []client.ConsumerRecord) history.Event {
	r.mop[0] = history.Mop{Kind: history.MopPoll, Records: r.seen(records)}
	return history.Event{Type: as, Process: r.process, Client: r.h.Name(), F: history.Poll, Time: r.s.Now(), Mops: r.mop[:]}
}

// seen is valid until the next call.
func (r *reader) seen(records []client.ConsumerRecord) []history.Record {
	r.records = r.records[:0]
	for i := range records {
		rec := &records[i]
		r.records = append(r.records, history.Record{
			Key: r.s.Key(rec.Partition), Offset: int64(rec.Offset),
			Value: history.TextOf(bytes.TrimRight(rec.Value, ".")),
		})
		r.next[rec.Partition] = rec.Offset + 1
	}
	return r.records
}

// reached reports whether everything below ends has been read. The consumer's
// own position counts too: there may be nothing to read just below an end.
func (r *reader) reached(ends map[kafka.TopicPartition]kafka.Offset) bool {
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

func (r *reader) close() { r.consumer.Close() }
