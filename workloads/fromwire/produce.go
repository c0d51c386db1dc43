package fromwire

import (
	"hash/fnv"
	"strconv"
	"unicode"
	"unicode/utf8"

	"github.com/ktrial/ktrial/broker/kafka"
	"github.com/ktrial/ktrial/broker/record"
	"github.com/ktrial/ktrial/checkers/history"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// identity is what a record is known by when it comes again.
type identity struct {
	partition kafka.TopicPartition
	producer  kafka.ProducerID
	epoch     kafka.ProducerEpoch
	sequence  kafka.Sequence
	// Without a producer id: the process, what is in the record, and which of
	// those that are equal in one batch it is.
	life    string
	content uint64
	time    int64
	copy    int
}

// send is a record that a client has sent, once or more often.
type send struct {
	id      identity
	process int64
	event   history.Event
	mop     [1]history.Mop
	flying  int   // requests with it that wait for their answers
	acked   bool  // an answer has acknowledged it
	told    *told // its program tells how it ended; nil: it does not
	// Of a record in a transaction: which, and which step of it.
	in    *transaction
	index int
}

// acked stands for every send that an answer has acknowledged, and of which nothing more
// need be known: of what passes a tap in an hour there are many.
var acked = &send{acked: true}

// keepAcked is how many of them are known. A client that has lost the answer sends again
// within its delivery.timeout.ms; one that does so after so many others is taken for another.
const keepAcked = 1 << 20

// done records that a send is acknowledged.
func (o *Observer) done(s *send) {
	s.acked = true
	if o.sends[s.id] != s {
		return // it was sent again by its application
	}
	o.sends[s.id] = acked
	if len(o.acked) < keepAcked {
		o.acked = append(o.acked, s.id)
		return
	}
	if oldest := o.acked[o.oldest]; o.sends[oldest] == acked {
		delete(o.sends, oldest)
	}
	o.acked[o.oldest] = s.id
	o.oldest = (o.oldest + 1) % keepAcked
}

// name is how the history names the value of a record: as its program does, if it tells of
// it. With a producer id the name is unique; the value in front is for people.
func (o *Observer) name(r *record.Record, id identity) history.Value {
	if t := o.toldOf(r); t != nil {
		return history.Text(t.name)
	}
	if id.producer == kafka.NoProducer {
		if r.Value == nil {
			return history.Null()
		}
		return history.Text(readable(r.Value))
	}
	b := make([]byte, 0, 96) // on the stack: a tap names each record that passes
	if r.Value == nil {
		b = append(b, "null"...)
	} else {
		b = append(b, readable(r.Value)...)
	}
	for i, n := range []int64{int64(id.producer), int64(id.epoch), int64(id.sequence)} {
		b = append(b, "#.."[i])
		b = strconv.AppendInt(b, n, 10)
	}
	return history.Text(string(b))
}

// shown is how many bytes of a value a name has at most.
const shown = 40

// readable is a value as people can read it, and no two values alike.
func readable(value []byte) string {
	if len(value) <= shown && printable(value) {
		return string(value)
	}
	head := value[:min(len(value), shown/2)]
	for len(head) > 0 && !printable(head) {
		head = head[:len(head)-1]
	}
	h := fnv.New64a()
	h.Write(value)
	return string(head) + "~" + strconv.FormatUint(h.Sum64(), 16)
}

func printable(b []byte) bool {
	for len(b) > 0 {
		r, n := utf8.DecodeRune(b)
		if r == utf8.RuneError || !unicode.IsPrint(r) {
			return false
		}
		b = b[n:]
	}
	return true
}

// contentOf distinguishes records that have no producer id.
func contentOf(r *record.Record) uint64 {
	h := fnv.New64a()
	part := func(b []byte) {
		h.Write(strconv.AppendInt(nil, int64(len(b)), 10))
		h.Write([]byte{':'})
		h.Write(b)
	}
	part(r.Key)
	part(r.Value)
	for _, header := range r.Headers {
		part([]byte(header.Key))
		part(header.Value)
	}
	return h.Sum64()
}

// records calls each with the records of a batch and what they are known by. It
// reports whether all could be read.
func (c *Connection) records(tp kafka.TopicPartition, b record.Batch, each func(*record.Record, identity)) bool {
	copies := map[uint64]int{}
	err := b.Records(func(r record.Record) error {
		id := identity{partition: tp, producer: kafka.NoProducer}
		if b.HasProducer() {
			id.producer, id.epoch = b.ProducerID(), b.ProducerEpoch()
			id.sequence = b.BaseSequence().Add(int32(r.Offset - b.BaseOffset()))
		} else {
			id.life, id.content, id.time = c.life, contentOf(&r), r.Timestamp
			id.copy = copies[id.content]
			copies[id.content]++
		}
		each(&r, id)
		return nil
	})
	return err == nil
}

// produce begins the sends of a request, or joins those that are under way.
func (c *Connection) produce(r *request, req *kmsg.ProduceRequest) {
	o := c.o
	if !o.Claims.Produced || weaker(req.Acks, o.Claims.LeastAcks) {
		o.Claims.LeastAcks = req.Acks
	}
	o.Claims.Produced = true
	o.wrote[c.life] = true
	carried := map[kafka.TopicPartition][]*send{}
	for i := range req.Topics {
		t := &req.Topics[i]
		topic, known := o.topic(t.Topic, t.TopicID)
		if !known || internal(topic) {
			continue
		}
		for j := range t.Partitions {
			tp := kafka.TopicPartition{Topic: topic, Partition: t.Partitions[j].Partition}
			carried[tp] = c.carried(tp, t.Partitions[j].Records)
		}
	}
	r.answered = func(resp kmsg.Response) { c.produced(carried, resp.(*kmsg.ProduceResponse)) }
	r.failed = func() {
		for _, sends := range carried { //det:allow each is counted down on its own
			for _, s := range sends {
				if s != acked {
					s.flying--
				}
			}
		}
	}
}

// weaker reports whether acks a promise less than b.
func weaker(a, b int16) bool {
	strength := func(acks int16) int {
		if acks < 0 {
			return 2
		}
		return int(acks)
	}
	return strength(a) < strength(b)
}

// carried are the sends of the batches for a partition.
func (c *Connection) carried(tp kafka.TopicPartition, batches []byte) []*send {
	var out []*send
	for len(batches) > 0 {
		b, rest, err := record.Next(batches)
		if err != nil || b.CheckBytes() != nil {
			c.o.Counts.Unread++
			return out
		}
		batches = rest
		if !b.HasProducer() {
			c.o.Claims.NotIdempotent = true
		}
		c.records(tp, b, func(r *record.Record, id identity) { out = append(out, c.begin(r, id, b.IsTransactional())) })
	}
	return out
}

// begin is the send of a record. One that is under way or in doubt is meant
// again; after an acknowledgement an equal record is another one.
func (c *Connection) begin(r *record.Record, id identity, transactional bool) *send {
	o := c.o
	s := o.sends[id]
	if s != nil && (id.producer != kafka.NoProducer || !s.acked && s.flying == 0) {
		o.Counts.Again++
		if s != acked {
			s.flying++
		}
		return s
	}
	t := o.toldOf(r)
	if again := o.sentAgain(t, id.partition); again != nil {
		o.Counts.Again++
		again.flying++
		o.sends[id] = again
		return again
	}
	if s != nil {
		o.Counts.Alike++
	}
	o.Counts.Records++
	s = &send{id: id, flying: 1}
	o.sends[id] = s
	s.mop[0] = history.Mop{Kind: history.MopSend, Key: o.key(id.partition), Value: o.name(r, id)}
	if r.Key != nil {
		s.mop[0].RecordKey = history.TextOf(r.Key)
	}
	if transactional {
		s.in = c.transactionOf(epoch{id.producer, id.epoch}, s.mop[:])
		s.index = s.in.sends(s.mop[0])
		o.join(t, s)
		return s
	}
	s.process = o.process(c.client)
	s.event = history.Event{Process: s.process, Client: c.client, F: history.Send, Time: o.now(), Mops: s.mop[:]}
	if o.inOrder(id) {
		s.event.Session = strconv.FormatInt(int64(id.producer), 10) + "-" + strconv.FormatInt(int64(id.epoch), 10)
	}
	o.recorder.Invoke(s.event)
	o.join(t, s)
	return s
}

// inOrder reports whether a record comes after all that were seen of its producer in the
// partition, so that the order of the history is that of sending. Without a sequence that is
// not known: requests that wait together may be meant in any order. With one it is not so
// when a connection broke within the request that carried the records before.
func (o *Observer) inOrder(id identity) bool {
	if id.producer == kafka.NoProducer {
		return false
	}
	of := id
	of.sequence = 0
	last, seen := o.last[of]
	if seen && id.sequence-last <= 0 { // sequences begin again behind the highest
		return false
	}
	o.last[of] = id.sequence
	return true
}

// produced completes the sends that are acknowledged.
func (c *Connection) produced(carried map[kafka.TopicPartition][]*send, resp *kmsg.ProduceResponse) {
	for i := range resp.Topics {
		t := &resp.Topics[i]
		topic, known := c.o.topic(t.Topic, t.TopicID)
		if !known {
			continue
		}
		for j := range t.Partitions {
			p := &t.Partitions[j]
			tp := kafka.TopicPartition{Topic: topic, Partition: p.Partition}
			sends := carried[tp]
			delete(carried, tp)
			c.hears(tp, p.CurrentLeader.LeaderEpoch) // KIP-951
			for k, s := range sends {
				c.o.answer(s, tp, int64(k), p)
			}
		}
	}
}

// answer takes the answer to one request with a send.
func (o *Observer) answer(s *send, tp kafka.TopicPartition, index int64, p *kmsg.ProduceResponseTopicPartition) {
	if s == acked {
		return
	}
	s.flying--
	duplicate := p.ErrorCode == kerr.DuplicateSequenceNumber.Code
	if s.acked || p.ErrorCode != 0 && !duplicate {
		return
	}
	o.done(s)
	if p.ErrorCode == 0 && p.BaseOffset >= 0 {
		s.mop[0].Offset = history.At(p.BaseOffset + index)
		o.acknowledged(tp, kafka.Offset(p.BaseOffset+index))
	}
	if s.in != nil {
		s.in.mops[s.index].Offset = s.mop[0].Offset
		return
	}
	if s.told != nil {
		return // its program says when it counts on it
	}
	s.event.Type, s.event.Time = history.OK, o.now()
	o.recorder.Complete(s.event)
	o.free[s.event.Client] = append(o.free[s.event.Client], s.process)
}
