package client

import (
	"time"

	"github.com/ktrial/ktrial/broker/cost"
	"github.com/ktrial/ktrial/broker/record"
	"github.com/ktrial/ktrial/sim/env"
)

// What clients do costs on a host whose work takes time: the application's thread pays
// in Send and in Poll, the sender holds up what it sends.

// spendOnSend is what a record costs the application's thread: KafkaProducer.doSend
// serializes, chooses a partition and appends to the batch, which compresses, all in the
// caller's thread and record by record. The sender takes whole batches.
func (p *Producer) spendOnSend(r *ProducerRecord) {
	machine := p.net.host.Machine()
	if machine == nil {
		return
	}
	bytes := int64(len(r.Key) + len(r.Value))
	if codec := p.cfg.Compression; codec != record.None {
		machine.Owe(cost.Compress(codec), bytes)
	}
	machine.Owe(cost.ProducerByte, bytes)
	machine.Owe(cost.ProducerRecord, 1)
}

// spendOnShipment has the sender work on a request, which leaves after that.
func (p *Producer) spendOnShipment(s *shipment) {
	machine := p.net.host.Machine()
	if machine == nil {
		return
	}
	s.sent = p.net.host.Uptime()
	for _, b := range s.batches {
		if n := int64(b.count()); b.attempts == 0 && n > 0 {
			machine.Took(cost.Batching, s.sent-b.created-b.added/time.Duration(n), n)
		}
	}
	machine.SpendAhead(env.Work{Kind: cost.ProducerRequest, N: 1}, env.Work{Kind: cost.ProducerBatch, N: int64(len(s.batches))},
		env.Work{Kind: cost.SenderByte, N: int64(s.size)})
}

func (s *shipment) records() (n int64) {
	for _, b := range s.batches {
		n += int64(b.count())
	}
	return n
}

// spendOnPoll blocks for what the records cost the application's thread, and the answers
// and commits since the last time: a consumer of Kafka has no other thread for them.
func (c *Consumer) spendOnPoll(records []ConsumerRecord) {
	machine := c.net.host.Machine()
	if machine == nil || len(records) == 0 {
		return
	}
	var bytes int64
	for i := range records {
		bytes += int64(len(records[i].Key) + len(records[i].Value))
	}
	work := []env.Work{{Kind: cost.ConsumerRequest, N: c.unpaid}, {Kind: cost.ConsumerRecord, N: int64(len(records))}, {Kind: cost.ConsumerByte, N: bytes}}
	c.unpaid = 0
	if c.codec != record.None {
		work = append(work, env.Work{Kind: cost.Decompress(c.codec), N: bytes})
	}
	machine.Spend(work...)
}
