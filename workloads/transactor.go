package workloads

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/ktrial/ktrial/broker/client"
	"github.com/ktrial/ktrial/broker/kafka"
	"github.com/ktrial/ktrial/broker/record"
	"github.com/ktrial/ktrial/checkers/history"
	"github.com/ktrial/ktrial/sim/env"
)

// Transactor is a transactional producer whose transactions are in the history, each as
// one operation: what was polled for it, what was sent in it, the offsets, and how it
// ended.
//
// Failed says that a transaction was aborted and never will be committed; Unknown, that
// the producer had to be closed before it knew.
type Transactor struct {
	s        *Stage
	h        env.Host
	cfg      client.ProducerConfig
	session  string
	lives    int // producers so far, under the same transactional.id
	process  int64
	producer *client.Producer
	mops     []history.Mop
	polled   []history.Record
}

// Transaction is what is to be one.
type Transaction struct {
	Sends []Outgoing
	// Polled is what it is made of; Offsets are those of the group behind it, and Member
	// is the one that was given it. Nil: nothing.
	Polled  []client.ConsumerRecord
	Offsets map[kafka.TopicPartition]client.Position
	Member  *Member
	// Abort it, although nothing is wrong.
	Abort bool
	// Pause is slept before each send, and Hold before the end; nil or 0: not.
	Pause func() time.Duration
	Hold  time.Duration
}

// Outgoing is a record to be sent in a transaction. Values must be unique among the
// records of a partition.
type Outgoing struct {
	To      kafka.TopicPartition
	Key     string // empty: none
	Value   string
	Size    int // bytes of the value, at least; see Writer.Send
	Headers []record.Header
}

// NewTransactor makes a producer with the transactional.id of cfg, and blocks until it
// has fenced the one before. An error is one of the configuration.
func (s *Stage) NewTransactor(h env.Host, session string, cfg client.ProducerConfig) (*Transactor, error) {
	cfg.Bugs = s.Bugs
	t := &Transactor{s: s, h: h, cfg: cfg, session: session}
	return t, t.renew()
}

// renew makes another producer in place of one that is of no more use. It begins until
// it has begun.
func (t *Transactor) renew() error {
	for {
		if t.producer != nil {
			t.producer.Close(0)
		}
		producer, err := client.New(t.h, t.s.Bootstrap, t.h.Name()).NewProducer(t.cfg)
		if err != nil {
			return err
		}
		t.producer, t.process = producer, t.s.NewProcess()
		t.lives++
		if t.init() {
			return nil
		}
		t.h.Sleep(time.Second)
	}
}

// init fences the producer before; false: this one must be closed.
func (t *Transactor) init() bool {
	e := t.event(history.InitProducer)
	t.s.Recorder.Invoke(e)
	err := again(t.producer.InitTransactions)
	e.Time, e.Type = t.s.Now(), history.OK
	if err != nil {
		e.Type, e.Error = history.Unknown, err.Error()
		t.s.CountFailure(history.InitProducer, err)
	} else {
		id, epoch := t.producer.Identity()
		e.Producer, e.ProducerEpoch = int64(id), int64(epoch)
	}
	t.s.Recorder.Complete(e)
	return err == nil
}

// again makes a call until it is over: one that took longer than max.block.ms must be
// made again.
func again(call func() error) error {
	for {
		if err := call(); !errors.Is(err, client.ErrTimedOut) {
			return err
		}
	}
}

func (t *Transactor) event(f history.F) history.Event {
	return history.Event{
		Process: t.process, Client: t.h.Name(), F: f, Time: t.s.Now(), Transaction: t.cfg.TransactionalID,
		Session: fmt.Sprintf("%s-%d", t.session, t.lives),
	}
}

// Run makes x a transaction, and returns how it ended: OK, Failed or Unknown. After
// Unknown, and after an error that the producer does not survive, there is another
// producer under the same transactional.id.
func (t *Transactor) Run(x *Transaction) history.Type {
	t.told(x)
	e := t.begin(x)
	t.s.Recorder.Invoke(e)
	offsets := make([]history.Number, len(x.Sends))
	err := t.producer.BeginTransaction()
	if err == nil {
		err = t.fill(x, offsets)
	}
	outcome := t.end(x, err)
	e.Type, e.Time, e.Error = outcome.as, t.s.Now(), outcome.text()
	e.Mops = t.steps(x, offsets)
	t.s.Recorder.Complete(e)
	t.s.tellEnd(t.h, t.cfg.TransactionalID, e.Type, e.Error)
	if outcome.as != history.OK {
		t.s.CountFailure(history.Txn, outcome.err)
	}
	if outcome.closed {
		// The configuration is the one that the first producer was made with.
		_ = t.renew()
	}
	return outcome.as
}

// begin is the event with which a transaction begins: it has all that will be sent, so
// that what is seen of one whose end is never told is known.
func (t *Transactor) begin(x *Transaction) history.Event {
	e := t.event(history.Txn)
	id, epoch := t.producer.Identity()
	e.Producer, e.ProducerEpoch = int64(id), int64(epoch)
	if x.Member != nil {
		m := x.Member.event(history.Txn)
		e.Process, e.Group = m.Process, m.Group
		if !x.Member.unfenced { // else the group is not told of which generation they are
			e.Member, e.Instance, e.Generation = m.Member, m.Instance, m.Generation
		}
		for _, tp := range x.Member.moved {
			e.Rebalanced = append(e.Rebalanced, t.s.Key(tp))
		}
	}
	e.Mops = t.steps(x, nil)
	return e
}

// steps are those of a transaction; offsets are those of its sends, once there are any.
func (t *Transactor) steps(x *Transaction, offsets []history.Number) []history.Mop {
	t.mops = t.mops[:0]
	if x.Polled != nil {
		t.mops = append(t.mops, history.Mop{Kind: history.MopPoll, Records: t.polled})
	}
	for i := range x.Sends {
		s := &x.Sends[i]
		key := t.s.Key(s.To)
		m := history.Mop{Kind: history.MopSend, Key: key, Value: history.ValueIn(key, []byte(s.Value))}
		if s.Key != "" {
			m.RecordKey = history.Text(s.Key)
		}
		m.Headers = t.s.headers(s.Headers)
		if offsets != nil {
			m.Offset = offsets[i]
		}
		t.mops = append(t.mops, m)
	}
	for _, tp := range slices.SortedFunc(maps.Keys(x.Offsets), kafka.TopicPartition.Compare) {
		t.mops = append(t.mops, history.Mop{Kind: history.MopCommit, Key: t.s.Key(tp), Offset: history.At(int64(x.Offsets[tp].Offset))})
	}
	return t.mops
}

// told remembers what was polled.
func (t *Transactor) told(x *Transaction) {
	t.polled = t.polled[:0]
	for i := range x.Polled {
		t.polled = append(t.polled, t.s.seen(&x.Polled[i]))
	}
}

// fill sends what is in the transaction.
func (t *Transactor) fill(x *Transaction, offsets []history.Number) error {
	for i := range x.Sends {
		if x.Pause != nil {
			t.h.Sleep(x.Pause())
		}
		s := &x.Sends[i]
		value := []byte(s.Value)
		for len(value) < s.Size {
			value = append(value, '.')
		}
		r := client.ProducerRecord{Topic: s.To.Topic, Partition: client.To(s.To.Partition), Value: value, Headers: s.Headers}
		if s.Key != "" {
			r.Key = []byte(s.Key)
		}
		err := t.producer.Send(r, func(d client.Delivery) {
			if d.Outcome == client.Acknowledged && d.Offset != kafka.NoOffset {
				offsets[i] = history.At(int64(d.Offset))
			}
		})
		if err != nil {
			return err
		}
	}
	if x.Hold > 0 {
		t.h.Sleep(x.Hold)
	}
	if len(x.Offsets) == 0 {
		return nil
	}
	as, err := x.Member.consumer.GroupMetadata()
	if err != nil {
		return err
	}
	if x.Member.unfenced {
		as = client.GroupMetadata{Group: as.Group, Generation: client.NoGeneration}
	}
	committed := client.Offsets{}
	for tp, at := range x.Offsets { //det:allow it is a map again
		committed[tp] = client.OffsetAndMetadata{Offset: at.Offset, LeaderEpoch: at.Epoch}
	}
	return t.producer.SendOffsets(committed, as)
}

// outcome is how a transaction ended, for an error or none.
type outcome struct {
	as     history.Type
	err    error
	closed bool // the producer is of no more use
}

func (o outcome) text() string {
	if o.err == nil {
		return ""
	}
	return o.err.Error()
}

// end commits, or aborts if that is wanted or something failed.
func (t *Transactor) end(x *Transaction, failed error) outcome {
	if failed == nil && !x.Abort {
		if failed = again(t.producer.CommitTransaction); failed == nil {
			return outcome{as: history.OK}
		}
	}
	as := history.Failed
	if t.producer.MayHaveCommitted() {
		as = history.Unknown
	}
	if errors.Is(failed, client.ErrFatal) {
		return outcome{as, failed, true}
	}
	if err := again(t.producer.AbortTransaction); err != nil {
		return outcome{as, errors.Join(failed, err), true}
	}
	if failed == nil {
		failed = errAborted
	}
	return outcome{history.Failed, failed, false}
}

// errAborted is why a transaction failed that was aborted at its application's wish.
var errAborted = errors.New("aborted by the application")

// Close ends the producer, which aborts what is open.
func (t *Transactor) Close() { t.producer.Close(closing) }
