package client

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/ktrial/ktrial/broker/cost"
	"github.com/ktrial/ktrial/broker/kafka"
	"github.com/ktrial/ktrial/sim/env"
)

// shipment is one produce request: at most one batch of each partition.
type shipment struct {
	p       *Producer
	link    *link
	batches []*batch
	size    int32
	sent    time.Duration       // where work takes time
	req     kmsg.ProduceRequest // its memory is used again
	done    func(kmsg.Response, error)
}

// answer is what came of a shipment. An answer of the broker is settled before
// answered returns, since the link then uses its memory again: while the
// producer is at work nothing but the failure to send comes.
type answer struct {
	shipment *shipment
	resp     *kmsg.ProduceResponse
	err      error
}

// run is the sender task. Timers and the tasks that read answers do the same
// work, see schedule; callbacks are run by tasks alone.
func (p *Producer) run() {
	for !p.closed {
		p.schedule.run()
		p.deliver()
		p.schedule.sleep()
	}
}

// shipSoon has the sender task send what is ready.
func (p *Producer) shipSoon() {
	p.schedule.soon(p.shipping)
	p.schedule.wake()
}

// deliverLater leaves callbacks to the sender task, if there are any to run: they
// may block.
func (p *Producer) deliverLater() {
	if p.settled {
		p.schedule.wake()
	}
}

// work does what can be done now, except for calling back.
func (p *Producer) work(now time.Duration) {
	p.settle()
	if p.schedule.take(p.expiry, now) {
		p.expire(now)
	}
	p.schedule.clear(p.shipping)
	if p.txn == nil || !p.txn.work(now) {
		p.ship(now)
	}
	if b := p.eldest(); b != nil {
		p.schedule.at(p.expiry, b.created+p.cfg.DeliveryTimeout)
	}
}

// ship sends every batch that is ready to a broker that is.
func (p *Producer) ship(now time.Duration) {
	if p.idempotent() && !p.identified() {
		return
	}
	first, lingers := p.busyFrom(p.turn), false
	for i := range p.busy {
		q := p.busy[(first+i)%len(p.busy)]
		if q.batches.len() > q.inFlight && p.load(q, now) == lingering {
			lingers = true
		}
	}
	for i := 0; lingers && len(p.shipments) > 0 && i < len(p.busy); i++ {
		p.loadLingering(p.busy[(first+i)%len(p.busy)], now)
	}
	if n := len(p.queues); n > 0 {
		p.turn = (p.turn + 1) % n
	}
	for i, s := range p.shipments {
		p.shipments[i] = nil
		s.send()
	}
	again := len(p.shipments) > 0 // there may be more for the same brokers
	p.shipments = p.shipments[:0]
	if again || p.idempotent() && p.txn == nil && p.identity.state == uninitialized { // the epochs are used up
		p.schedule.soon(p.shipping)
	}
}

// load adds the next batch of q to the shipment for its leader, if it and the
// leader are ready, and returns what q says of it.
func (p *Producer) load(q *queue, now time.Duration) verdict {
	leader, epoch := p.net.metadata.leader(q.tp)
	b, verdict, wait := q.next(p, now, epoch)
	switch verdict {
	case nothing:
		return verdict
	case later, lingering:
		p.schedule.at(p.shipping, now+wait)
		return verdict
	}
	l := p.net.link(leader)
	switch {
	case l == nil:
		p.net.metadata.want(q.tp.Topic)
		p.net.metadata.requestUpdate()
	case l.inFlight >= int(p.cfg.MaxInFlight):
	case l.ready():
		p.shipment(l).add(b, epoch)
	case l.delay() > 0:
		p.schedule.at(p.shipping, now+l.delay())
	}
	return verdict
}

// loadLingering adds the next batch of q, if it lingers, to the shipment for its
// leader, if there is one: what goes to a broker takes the first batch of each of
// its partitions along (Kafka's RecordAccumulator.drain).
func (p *Producer) loadLingering(q *queue, now time.Duration) {
	leader, epoch := p.net.metadata.leader(q.tp)
	b, verdict, _ := q.next(p, now, epoch)
	if verdict != lingering {
		return
	}
	for _, s := range p.shipments {
		if s.link.node == leader && !s.has(q) {
			s.add(b, epoch)
		}
	}
}

// has reports whether a batch of q is in the shipment: a request has one of each
// partition, as its answer has.
func (s *shipment) has(q *queue) bool {
	return slices.ContainsFunc(s.batches, func(b *batch) bool { return b.queue == q })
}

// add has b go with s, unless it is too large: then it goes with the next one.
func (s *shipment) add(b *batch, epoch kafka.LeaderEpoch) {
	if len(s.batches) > 0 && s.size+b.size() > s.p.cfg.MaxRequestSize {
		return
	}
	s.p.prepare(b, epoch)
	s.batches = append(s.batches, b)
	s.size += b.size()
}

// shipment finds or makes the shipment for a link.
func (p *Producer) shipment(l *link) *shipment {
	for _, s := range p.shipments {
		if s.link == l {
			return s
		}
	}
	var s *shipment
	if n := len(p.spare); n > 0 {
		s = p.spare[n-1]
		p.spare = p.spare[:n-1]
	} else {
		s = &shipment{p: p}
		s.done = s.answered
	}
	s.link = l
	p.shipments = append(p.shipments, s)
	return s
}

// free keeps the memory of s for another shipment.
func (s *shipment) free() {
	clear(s.batches)
	s.batches, s.size, s.link = s.batches[:0], 0, nil
	s.p.spare = append(s.p.spare, s)
}

// prepare makes b ready for the wire.
func (p *Producer) prepare(b *batch, epoch kafka.LeaderEpoch) {
	q := b.queue
	if b.builder != nil {
		plain := b.builder.Size()
		p.builders = append(p.builders, b.close())
		p.topic(q.tp.Topic).observe(plain, len(b.encoded))
	}
	if p.idempotent() && !b.numbered {
		if !q.numbering.of(&p.identity) {
			q.numbering.adopt(&p.identity, p.cfg.FirstSequence)
		}
		b.number(&q.numbering)
	}
	b.state, b.onWire, b.tried = inFlight, true, epoch
	q.inFlight++
}

// send hands the shipment to its link.
func (s *shipment) send() {
	p := s.p
	topics := s.req.Topics[:0]
	s.req = kmsg.NewProduceRequest()
	s.req.Topics = topics
	s.req.Acks = int16(p.cfg.Acks)
	if p.txn != nil {
		s.req.TransactionID = &p.cfg.TransactionalID
	}
	s.req.TimeoutMillis = int32(min(p.cfg.RequestTimeout.Milliseconds(), math.MaxInt32))
	for _, b := range s.batches {
		part := kmsg.NewProduceRequestTopicPartition()
		part.Partition, part.Records = b.queue.tp.Partition, b.encoded
		rt := s.topic(b.queue.tp.Topic)
		rt.Partitions = append(rt.Partitions, part)
	}
	p.spendOnShipment(s)
	s.link.send(&s.req, s.done)
}

func (s *shipment) topic(name string) *kmsg.ProduceRequestTopic {
	for i := range s.req.Topics {
		if s.req.Topics[i].Topic == name {
			return &s.req.Topics[i]
		}
	}
	rt := kmsg.NewProduceRequestTopic()
	if n := len(s.req.Topics); n < cap(s.req.Topics) {
		rt.Partitions = s.req.Topics[:n+1][n].Partitions[:0]
	}
	rt.Topic = name
	if t := s.p.net.metadata.topic(name); t != nil {
		rt.TopicID = t.id
	}
	s.req.Topics = append(s.req.Topics, rt)
	return &s.req.Topics[len(s.req.Topics)-1]
}

func (s *shipment) answered(resp kmsg.Response, err error) {
	a := answer{shipment: s, err: err}
	if resp != nil {
		a.resp = resp.(*kmsg.ProduceResponse)
	}
	p := s.p
	if machine := p.net.host.Machine(); machine != nil {
		machine.Took(cost.InFlight, p.net.host.Uptime()-s.sent, s.records())
	}
	p.answers = append(p.answers, a)
	p.schedule.soon(p.shipping)
	if p.schedule.running || p.closed {
		return
	}
	p.schedule.run()
	p.deliver()
}

// identified reports whether there is a producer id. If there is none, it has
// one asked for as soon as there is something to send.
func (p *Producer) identified() bool {
	switch p.identity.state {
	case ready:
		return true
	case fatal:
		p.abort(p.identity.err)
	case uninitialized:
		if p.txn != nil {
			break // InitTransactions asks
		}
		for _, q := range p.queues {
			if q.batches.len() > 0 {
				p.identity.become(initializing)
				p.net.host.Go("InitProducerId", p.initProducerID)
				break
			}
		}
	}
	return false
}

// initProducerID asks any broker for a producer id until it gets one.
func (p *Producer) initProducerID() {
	for failures := 1; !p.net.closed; failures++ {
		req := kmsg.NewPtrInitProducerIDRequest()
		req.TransactionTimeoutMillis = math.MaxInt32
		resp, err := p.net.ask(req, p.cfg.RequestTimeout)
		if err == nil {
			got := resp.(*kmsg.InitProducerIDResponse)
			if err = kerr.ErrorForCode(got.ErrorCode); err == nil {
				p.identity.assigned(kafka.ProducerID(got.ProducerID), kafka.ProducerEpoch(got.ProducerEpoch))
				p.shipSoon()
				return
			}
			if !kerr.IsRetriable(err) {
				p.identity.fail(fmt.Errorf("client: InitProducerId: %w", err))
				p.shipSoon()
				return
			}
		}
		p.net.host.Sleep(p.net.retryBackoff(failures))
	}
}

// expire gives up the batches that have been on their way for longer than
// delivery.timeout.ms.
func (p *Producer) expire(now time.Duration) {
	if b := p.eldest(); b == nil || now < b.created+p.cfg.DeliveryTimeout {
		return
	}
	for _, q := range p.busy {
		for i := 0; i < q.batches.len(); i++ {
			b := q.batches.at(i)
			if now < b.created+p.cfg.DeliveryTimeout {
				break
			}
			if b.state == settled {
				continue
			}
			if b.onWire {
				b.doubt = true
			}
			p.failInTransaction(b, fmt.Errorf("client: produce to %v: %d records not delivered within delivery.timeout.ms %v: %w",
				q.tp, b.count(), p.cfg.DeliveryTimeout, kerr.RequestTimedOut))
		}
	}
}

// eldest is the batch that expires first, or nil if all are settled. It stays
// that until it is settled or split: those that come later are younger.
func (p *Producer) eldest() *batch {
	if p.oldest != nil && p.oldest.state != settled {
		return p.oldest
	}
	p.oldest = nil
	for _, q := range p.busy {
		if b := q.first(); b != nil && (p.oldest == nil || b.created < p.oldest.created) {
			p.oldest = b
		}
	}
	return p.oldest
}

// abort fails everything that is not settled.
func (p *Producer) abort(err error) {
	for _, q := range p.queues {
		for i := 0; i < q.batches.len(); i++ {
			if b := q.batches.at(i); b.state != settled {
				b.doubt = b.doubt || b.onWire
				p.fail(b, err)
			}
		}
	}
}

// deliver runs the callbacks of what is settled, in order: a batch that was
// settled before one ahead of it waits for that.
func (p *Producer) deliver() {
	if p.delivering {
		return // the task that is at it comes to these as well
	}
	p.delivering = true
	ran := p.settled
	for p.settled {
		p.settled = false
		for i := 0; i < len(p.busy); i++ { // a callback may send, and make others busy
			q := p.busy[i]
			for q.batches.len() > 0 && q.batches.at(0).state == settled {
				b := q.batches.pop()
				b.deliver()
				q.delivered += int64(b.count())
				b.delivered = true
				p.recycle(b)
			}
		}
	}
	p.delivering = false
	if ran {
		p.busy = slices.DeleteFunc(p.busy, func(q *queue) bool {
			q.busy = q.batches.len() > 0
			return !q.busy
		})
		p.delivered.Broadcast()
	}
}

// settle deals with the answers that have come.
func (p *Producer) settle() {
	for len(p.answers) > 0 {
		answers := p.answers
		p.answers = p.settling[:0]
		for i := range answers {
			answers[i].settle()
			answers[i].shipment.free()
		}
		clear(answers)
		p.settling = answers
	}
}

func (a *answer) settle() {
	for _, b := range a.shipment.batches {
		p := a.shipment.p
		v := a.of(b)
		b.onWire = false
		if b.state == settled {
			// It was given up while it was on the wire, and its memory kept until
			// now: those bytes were still in use.
			p.release(b.reserved)
			b.reserved = 0
			p.recycle(b)
			continue
		}
		b.queue.inFlight--
		b.state = waiting
		p.judge(b, v)
	}
}

// of is the part of the answer that concerns b.
func (a *answer) of(b *batch) judgement {
	switch {
	case errors.Is(a.err, errNotSent):
		return judgement{err: kerr.NetworkException, unsent: true}
	case errors.Is(a.err, kerr.UnsupportedVersion):
		return judgement{err: kerr.UnsupportedVersion, unsent: true}
	case errors.Is(a.err, env.ErrTimeout):
		return judgement{err: kerr.RequestTimedOut}
	case a.err != nil:
		return judgement{err: kerr.NetworkException}
	case a.resp == nil: // acks=0
		return judgement{base: kafka.NoOffset, appendTime: -1}
	}
	for i := range a.resp.Topics {
		rt := &a.resp.Topics[i]
		if a.names(rt, b.queue.tp.Topic) {
			for j := range rt.Partitions {
				if rt.Partitions[j].Partition == b.queue.tp.Partition {
					return a.read(&rt.Partitions[j])
				}
			}
		}
	}
	return judgement{err: kerr.UnknownServerError} // the broker left it out
}

func (a *answer) names(rt *kmsg.ProduceResponseTopic, topic string) bool {
	if a.resp.Version < 13 {
		return rt.Topic == topic
	}
	return rt.TopicID == a.shipment.topic(topic).TopicID
}

func (a *answer) read(rp *kmsg.ProduceResponseTopicPartition) judgement {
	v := judgement{
		base: kafka.Offset(rp.BaseOffset), appendTime: rp.LogAppendTime, logStart: kafka.Offset(rp.LogStartOffset),
		hint: hint{kafka.NodeID(rp.CurrentLeader.LeaderID), kafka.LeaderEpoch(rp.CurrentLeader.LeaderEpoch)},
	}
	if rp.ErrorCode == 0 {
		return v
	}
	v.err = kerr.TypedErrorForCode(rp.ErrorCode)
	if rp.ErrorMessage != nil {
		v.message = *rp.ErrorMessage
	}
	v.records = rp.ErrorRecords
	for i := range a.resp.Brokers {
		n := &a.resp.Brokers[i]
		a.shipment.p.net.metadata.meet(kafka.NodeID(n.NodeID), n.Host, n.Port, n.Rack)
	}
	return v
}
