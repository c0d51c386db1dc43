package client

import (
	"time"

	"github.com/ktrial/ktrial/broker/cost"
	"github.com/ktrial/ktrial/broker/record"
	"github.com/ktrial/ktrial/sim/env"
)

// What clients do costs on a host whose work takes time: the application's thread pays
// in Send and in Poll, the sender and the fetcher hold up what they send.

// sendsAtOnce is how many records the application's thread pays for at once. A core is
// not asked for each microsecond.
const sendsAtOnce = 16

// spendOnSend blocks for what a record costs the application's thread.
func (p *Producer) spendOnSend(r *ProducerRecord) {
	machine := p.net.host.Machine()
	if machine == nil {
		return
	}
	p.unpaid.records++
	p.unpaid.bytes += int64(len(r.Key) + len(r.Value))
	if p.unpaid.records < sendsAtOnce {
		return
	}
	records, bytes := p.unpaid.records, p.unpaid.bytes
	p.unpaid.records, p.unpaid.bytes = 0, 0
	work := []env.Work{{Kind: cost.ProducerRecord, N: records}, {Kind: cost.ProducerByte, N: bytes}}
	if codec := p.cfg.Compression; codec != record.None {
		work = append(work, env.Work{Kind: cost.Compress(codec), N: bytes})
	}
	machine.Spend(work...)
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

func (c *Consumer) spendOnFetch() {
	if machine := c.net.host.Machine(); machine != nil {
		machine.SpendAhead(env.Work{Kind: cost.ConsumerRequest, N: 1})
	}
}

// spendOnPoll blocks for what the records cost the application's thread.
func (c *Consumer) spendOnPoll(records []ConsumerRecord) {
	machine := c.net.host.Machine()
	if machine == nil || len(records) == 0 {
		return
	}
	var bytes int64
	for i := range records {
		bytes += int64(len(records[i].Key) + len(records[i].Value))
	}
	work := []env.Work{{Kind: cost.ConsumerRecord, N: int64(len(records))}, {Kind: cost.ConsumerByte, N: bytes}}
	if c.codec != record.None {
		work = append(work, env.Work{Kind: cost.Decompress(c.codec), N: bytes})
	}
	machine.Spend(work...)
}
