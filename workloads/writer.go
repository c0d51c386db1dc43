package workloads

import (
	"bytes"

	"github.com/ktrial/ktrial/broker/client"
	"github.com/ktrial/ktrial/broker/kafka"
	"github.com/ktrial/ktrial/checkers/history"
	"github.com/ktrial/ktrial/sim/env"
)

// Writer is a producer whose sends are in the history.
type Writer struct {
	s        *Stage
	host     string
	session  string
	producer *client.Producer

	// free are the processes of the history that have nothing under way. Sends
	// overlap, but a process does one thing at a time, so each send takes one.
	// A process whose send ended unknown is not used again.
	free []int64
	mop  [1]history.Mop // of the event being recorded

	failed int // sends that were not acknowledged

	// Memory to be used again.
	body  []byte
	spare []*sent
}

// NewWriter makes a producer. The session names this life of the client: its
// sends are in the order in which Send was called. An error is one of the
// configuration.
func (s *Stage) NewWriter(h env.Host, session string, cfg client.ProducerConfig) (*Writer, error) {
	cfg.Bugs = s.Bugs
	producer, err := client.New(h, s.Bootstrap, h.Name()).NewProducer(cfg)
	if err != nil {
		return nil, err
	}
	return &Writer{s: s, host: h.Name(), session: session, producer: producer}, nil
}

// Send sends a record and records what becomes of it. Values must be unique
// among the records of a partition, or the history cannot distinguish them. A
// shorter value is filled up to so many bytes with dots, which no value may end
// with. done is called with the outcome; nil: it is not. Send blocks while the
// producer's memory is full.
func (w *Writer) Send(to kafka.TopicPartition, value string, size int, done func(client.Delivery)) {
	body := w.fill(value, size)
	w.send(to, nil, body, len(value), history.Attributes{}, done)
	w.body = body
}

// Put is Send of a record with a key of its own.
func (w *Writer) Put(to kafka.TopicPartition, key, value string, size int) {
	body := w.fill(value, size)
	w.send(to, []byte(key), body, len(value), history.Attributes{RecordKey: history.Text(key)}, nil)
	w.body = body
}

// Delete sends a tombstone: a record with a key and no value.
func (w *Writer) Delete(to kafka.TopicPartition, key string) {
	w.send(to, []byte(key), nil, 0, history.Attributes{RecordKey: history.Text(key)}, nil)
}

// fill is the body of a record. It is in use while a send blocks: until the caller
// gives it back, there is none for another.
func (w *Writer) fill(value string, size int) []byte {
	body := append(w.body[:0], value...)
	for len(body) < size {
		body = append(body, '.')
	}
	w.body = nil
	return body
}

// send sends a record of whose body the first n bytes are the value.
func (w *Writer) send(to kafka.TopicPartition, key, body []byte, n int, told history.Attributes, done func(client.Delivery)) {
	r := w.sent()
	r.process, r.key, r.told, r.done = w.takeProcess(), w.s.Key(to), told, done
	r.value = history.Null()
	if body != nil {
		r.value = history.ValueIn(r.key, body[:n])
	}
	w.s.Recorder.Invoke(r.event(history.Invoke, kafka.NoOffset))
	record := client.ProducerRecord{Topic: to.Topic, Partition: client.To(to.Partition), Key: key, Value: body}
	if err := w.producer.Send(record, r.callback); err != nil {
		r.delivered(client.Delivery{Outcome: client.Failed, Err: err, Offset: kafka.NoOffset})
	}
}

// ValueOf is the value of a record that a Writer sent.
func ValueOf(r *client.ConsumerRecord) []byte { return bytes.TrimRight(r.Value, ".") }

// Flush waits until every send has its outcome.
func (w *Writer) Flush() { w.producer.Flush() }

// Close waits until every send has its outcome.
func (w *Writer) Close() {
	w.producer.Flush()
	w.producer.Close(env.Forever)
}

func (w *Writer) takeProcess() int64 {
	if n := len(w.free); n > 0 {
		process := w.free[n-1]
		w.free = w.free[:n-1]
		return process
	}
	return w.s.NewProcess()
}

// sent is a record on its way.
type sent struct {
	w        *Writer
	process  int64
	key      history.Value
	value    history.Value
	told     history.Attributes
	done     func(client.Delivery)
	callback client.Callback // its method delivered
}

// sent is one that is not in use.
func (w *Writer) sent() *sent {
	if n := len(w.spare); n > 0 {
		r := w.spare[n-1]
		w.spare = w.spare[:n-1]
		return r
	}
	r := &sent{w: w}
	r.callback = r.delivered
	return r
}

func (r *sent) event(as history.Type, offset kafka.Offset) history.Event {
	r.w.mop[0] = history.Mop{Kind: history.MopSend, Key: r.key, Value: r.value, Offset: history.At(int64(offset)), Attributes: r.told}
	return history.Event{Type: as, Process: r.process, Client: r.w.host, Session: r.w.session, F: history.Send, Time: r.w.s.Now(), Mops: r.w.mop[:]}
}

// delivered records the end of a send.
func (r *sent) delivered(d client.Delivery) {
	as, offset := history.Failed, kafka.NoOffset
	switch d.Outcome {
	case client.Acknowledged:
		as, offset = history.OK, d.Offset
	case client.Unknown:
		as = history.Unknown
	}
	e := r.event(as, offset)
	if d.Err != nil {
		e.Error = d.Err.Error()
	}
	r.w.s.Recorder.Complete(e)
	if as != history.OK {
		r.w.failed++
	}
	if as == history.Failed {
		r.w.s.CountFailure(history.Send, d.Err)
	}
	if as != history.Unknown {
		r.w.free = append(r.w.free, r.process)
	}
	done := r.done
	r.done = nil
	r.w.spare = append(r.w.spare, r)
	if done != nil {
		done(d)
	}
}
