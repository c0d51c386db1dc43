package bench

import (
	"encoding/binary"
	"fmt"
	"time"

	"github.com/ktrial/ktrial/broker/client"
	"github.com/ktrial/ktrial/broker/kafka"
	"github.com/ktrial/ktrial/sim/env"
)

// stampBytes at the start of each value say when the record was sent, in virtual time.
const stampBytes = 8

// producer is one producer with its application.
type producer struct {
	r     *run
	index int
	cfg   client.ProducerConfig

	h      env.Host
	p      *client.Producer
	values [][]byte
	next   int
	idle   []*flight
	inSend time.Duration // while it was measured
}

// flight is a record that waits for its answer.
type flight struct {
	p    *producer
	at   time.Duration
	done client.Callback
}

func (p *producer) main(h env.Host) {
	p.h = h
	var err error
	p.p, err = client.New(h, p.r.c.Bootstrap(), h.Name()).NewProducer(p.cfg)
	if err != nil {
		panic(fmt.Sprintf("bench: %v, though it was checked", err))
	}
	p.values = payload(p.r.o.Payload, p.r.o.RecordBytes, h.Rand())
	if _, err := p.p.PartitionsFor(topic); err != nil {
		return
	}
	switch p.r.o.Load {
	case Open:
		p.open()
	case Bunches:
		p.bunches()
	case Closed:
		for {
			p.closed()
		}
	case Full:
		for {
			p.send()
		}
	}
}

// open sends each record at its time. The producers take turns.
func (p *producer) open() {
	start := p.h.Uptime()
	n := float64(p.r.o.Producers)
	for k := int64(0); ; k++ {
		due := start + time.Duration((float64(k)*n+float64(p.index))/p.r.o.Rate*float64(time.Second))
		if wait := due - p.h.Uptime(); wait > 0 {
			p.h.Sleep(wait)
		}
		p.send()
	}
}

// leastSleep is how far ahead of its rate Kafka's tool is before it sleeps
// (ThroughputThrottler.MIN_SLEEP_NS).
const leastSleep = 2 * time.Millisecond

// bunches sends at the rate as Kafka's tool does: each record that is early adds the time of
// one record to what is slept off, in whole milliseconds, once it is enough.
func (p *producer) bunches() {
	perSecond := p.r.o.Rate / float64(p.r.o.Producers)
	each := time.Duration(float64(time.Second) / perSecond)
	start := p.h.Uptime()
	p.h.Sleep(time.Millisecond) // it keeps no rate in its first, in which it waits for metadata
	var early time.Duration
	for k := 0; ; k++ {
		passed := (p.h.Uptime() - start).Truncate(time.Millisecond)
		p.send()
		if float64(k)/passed.Seconds() <= perSecond {
			continue
		}
		if early += each; early >= leastSleep {
			p.h.Sleep((early + time.Millisecond - 1).Truncate(time.Millisecond))
			early = 0
		}
	}
}

func (p *producer) value(now time.Duration) []byte {
	v := p.values[p.next%len(p.values)]
	p.next++
	binary.BigEndian.PutUint64(v, uint64(now))
	return v
}

func (p *producer) flight(now time.Duration) *flight {
	if n := len(p.idle) - 1; n >= 0 {
		f := p.idle[n]
		p.idle = p.idle[:n]
		f.at = now
		return f
	}
	f := &flight{p: p, at: now}
	f.done = f.answered
	return f
}

// send sends one record. It returns when Send does.
func (p *producer) send() {
	now := p.r.w.Now()
	f := p.flight(now)
	counts := p.r.measured(now)
	if counts {
		p.r.meter.sent++
		p.r.meter.open++
	}
	err := p.p.Send(client.ProducerRecord{Topic: topic, Value: p.value(now)}, f.done)
	if counts {
		p.inSend += p.r.w.Now() - now
	}
	if err != nil {
		f.answered(client.Delivery{Outcome: client.Failed, Err: err})
	}
}

// closed sends one record and waits for the answer.
func (p *producer) closed() {
	now := p.r.w.Now()
	counts := p.r.measured(now)
	if counts {
		p.r.meter.sent++
		p.r.meter.open++
	}
	d := p.p.SendSync(client.ProducerRecord{Topic: topic, Value: p.value(now)})
	p.r.acked(now, d)
}

func (f *flight) answered(d client.Delivery) {
	f.p.r.acked(f.at, d)
	f.p.idle = append(f.p.idle, f)
}

// acked counts an answer to what was sent at a time.
func (r *run) acked(sent time.Duration, d client.Delivery) {
	now := r.w.Now()
	if d.Outcome == client.Acknowledged && r.measured(now) {
		r.meter.acked++
	}
	if !r.measured(sent) {
		return
	}
	r.meter.open--
	if d.Outcome != client.Acknowledged {
		r.meter.failed++
		return
	}
	r.meter.publish.record(now - sent)
}

// consumer is one consumer with its share of the partitions.
type consumer struct {
	r     *run
	index int
	cfg   client.ConsumerConfig
}

func (c *consumer) main(h env.Host) {
	if c.r.o.CommitEachPoll {
		c.cfg.GroupID, c.cfg.EnableAutoCommit = fmt.Sprintf("bench-%d", c.index/c.r.o.Consumers), false
	}
	k, err := client.New(h, c.r.c.Bootstrap(), h.Name()).NewConsumer(c.cfg)
	if err != nil {
		panic(fmt.Sprintf("bench: %v, though it was checked", err))
	}
	var mine []kafka.TopicPartition
	for p := c.index % c.r.o.Consumers; p < c.r.o.Partitions; p += c.r.o.Consumers {
		mine = append(mine, kafka.TopicPartition{Topic: topic, Partition: int32(p)})
	}
	k.Assign(mine)
	for {
		records, err := k.Poll(time.Second)
		if err != nil {
			h.Sleep(time.Millisecond) // an error of one partition: the others go on
			continue
		}
		now := c.r.w.Now()
		counts := c.r.measured(now)
		for i := range records {
			sent := time.Duration(binary.BigEndian.Uint64(records[i].Value))
			if counts {
				c.r.meter.consumed++
			}
			if c.r.measured(sent) {
				c.r.meter.endToEnd.record(now - sent)
			}
		}
		if c.r.o.CommitEachPoll {
			c.commit(k, records)
		}
	}
}

// commit commits the positions behind the records.
func (c *consumer) commit(k *client.Consumer, records []client.ConsumerRecord) {
	offsets := client.Offsets{}
	for i := range records {
		r := &records[i]
		offsets[r.Partition] = client.OffsetAndMetadata{Offset: r.Offset + 1, LeaderEpoch: r.LeaderEpoch}
	}
	if len(offsets) > 0 {
		_ = k.CommitOffsetsAsync(offsets, nil) // one that fails is not made again
	}
}
