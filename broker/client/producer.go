package client

import (
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"

	"github.com/ktrial/ktrial/broker/kafka"
	"github.com/ktrial/ktrial/broker/record"
	"github.com/ktrial/ktrial/sim/env"
)

// ProducerRecord is a record to be sent.
type ProducerRecord struct {
	Topic     string
	Partition Choice // zero: the partitioner chooses
	Timestamp int64  // milliseconds; zero: now
	Key       []byte
	Value     []byte
	Headers   []record.Header
}

// Choice is a partition, or the wish that the partitioner choose one.
type Choice int32

// To chooses partition p.
func To(p int32) Choice { return Choice(p + 1) }

// Outcome is what a producer knows about a record it was asked to send.
type Outcome uint8

const (
	// Acknowledged: as many replicas as acks asked for hold the record (with
	// acks=0: it was handed to the network).
	Acknowledged Outcome = iota
	// Failed: the record is not in the log, and never will be.
	Failed
	// Unknown: the record was sent, no answer settled whether it was written,
	// and it may even be written later, by a request that is still on its way.
	Unknown
)

var outcomes = [...]string{"ok", "failed", "unknown"}

func (o Outcome) String() string { return outcomes[o] }

// Delivery is what became of one record.
type Delivery struct {
	Partition kafka.TopicPartition
	Outcome   Outcome
	Err       error        // nil exactly if Acknowledged
	Offset    kafka.Offset // NoOffset if not acknowledged, or the broker did not say
	Timestamp int64        // of the record as the log has it

	// The identity under which it was last sent; NoProducer without idempotence
	// or if it was never sent.
	ProducerID kafka.ProducerID
	Epoch      kafka.ProducerEpoch
	Sequence   kafka.Sequence
}

// Callback is called with a delivery, exactly once for each record that Send took,
// and in the order of the sends for each partition. It runs in the task that got
// the broker's answer, or in the producer's sender, and holds that up for as long
// as it takes.
type Callback func(Delivery)

// Producer sends records: Send puts them into batches, one queue of batches
// per partition; the batches that are ready are sent to the leaders and settled
// by the answers.
type Producer struct {
	cfg ProducerConfig
	net *network

	topics map[string]*producerTopic
	queues []*queue // in the order in which they were first used
	busy   []*queue // those with batches, in the same order
	oldest *batch   // of those not settled, once it was looked for

	identity identity
	txn      *transactions // nil: there is no transactional.id

	memory      int64   // of buffer.memory that is free
	memoryQueue []*byte // tasks that wait for it, in turn
	memoryFree  env.Signal

	// Memory to be used again.
	builders []*record.Builder
	batches  []*batch
	spare    []*shipment

	schedule *schedule // of the sender
	shipping duty      // to send batches that are ready
	expiry   duty      // to give up the eldest batch

	answers    []answer // that are not settled
	settling   []answer // memory of answers
	settled    bool     // some batch is, and its callbacks may be due
	delivering bool     // some task runs callbacks
	shipments  []*shipment
	turn       int // where the sender begins to look for batches

	flushing  int
	delivered env.Signal // broadcast after callbacks have run
	closing   bool       // Send takes nothing more
	closed    bool       // the sender ends
}

// NewProducer makes a producer. A configuration that contradicts itself is
// refused as in Kafka.
func (c *Client) NewProducer(cfg ProducerConfig) (*Producer, error) {
	if err := cfg.Check(); err != nil {
		return nil, err
	}
	p := &Producer{
		cfg: cfg, topics: map[string]*producerTopic{}, memory: cfg.BufferMemory,
		memoryFree: c.host.NewSignal("buffer.memory"),
		delivered:  c.host.NewSignal("deliveries"),
	}
	p.identity.id = kafka.NoProducer
	p.schedule = newSchedule(c.host, "sender", p.work)
	p.schedule.afterAlarm = p.deliverLater
	p.shipping, p.expiry = p.schedule.add(), p.schedule.add()
	p.net = c.network(&p.cfg.Common, p.shipSoon)
	p.net.metadata.maxIdle = cfg.MetadataMaxIdle
	if cfg.TransactionalID != "" {
		p.txn = newTransactions(p)
	}
	c.host.Go("sender", p.run)
	return p, nil
}

func (p *Producer) idempotent() bool { return p.cfg.Idempotence }

// Send takes r into a batch and returns; done (which may be nil) is called
// later. It blocks, at most max.block.ms, while the topic is unknown or the
// buffer is full. If it returns an error then r was not taken and done is not
// called: the record is not and will not be written. Key, Value and Headers
// are copied. A transactional producer sends in a transaction only, and if a record
// cannot be taken then the transaction must be aborted.
func (p *Producer) Send(r ProducerRecord, done Callback) error {
	if p.closing {
		return errClosed
	}
	if p.txn != nil {
		if err := p.txn.maySend(r.Topic); err != nil {
			return err
		}
	}
	if p.identity.state == fatal {
		return fmt.Errorf("client: send to %s: %w", r.Topic, p.identity.err)
	}
	p.spendOnSend(&r)
	err := p.take(&r, done)
	if err != nil && p.txn != nil {
		p.txn.sendFailed(err)
	}
	return err
}

// take puts r into a batch, unless it is too large.
func (p *Producer) take(r *ProducerRecord, done Callback) error {
	size := int64(recordBound(r))
	if size > int64(p.cfg.MaxRequestSize) || size > p.cfg.BufferMemory {
		return fmt.Errorf("client: send to %s: record of up to %d bytes, expected at most max.request.size %d and buffer.memory %d: %w",
			r.Topic, size, p.cfg.MaxRequestSize, p.cfg.BufferMemory, kerr.MessageTooLarge)
	}
	return p.append(r, done, p.net.host.Uptime()+p.cfg.MaxBlock)
}

// SendSync sends r and blocks until its delivery is known.
func (p *Producer) SendSync(r ProducerRecord) Delivery {
	var got Delivery
	finished := false
	wake := p.net.host.NewSignal("delivery")
	err := p.Send(r, func(d Delivery) {
		got, finished = d, true
		wake.Notify()
	})
	if err != nil {
		return Delivery{
			Partition: kafka.TopicPartition{Topic: r.Topic, Partition: int32(r.Partition) - 1},
			Outcome:   Failed, Err: err, Offset: kafka.NoOffset, Timestamp: r.Timestamp,
			ProducerID: kafka.NoProducer, Epoch: kafka.NoEpoch, Sequence: record.NoSequence,
		}
	}
	for !finished {
		wake.Wait(env.Forever)
	}
	return got
}

// Flush sends what waits without lingering, and blocks until every record
// taken before the call has been delivered or has failed.
func (p *Producer) Flush() { p.flush(env.Forever) }

func (p *Producer) flush(timeout time.Duration) {
	marks := make([]int64, len(p.queues))
	for i, q := range p.queues {
		marks[i] = q.taken
	}
	p.flushing++
	p.shipSoon()
	deadline := p.net.host.Uptime() + timeout
	for i, mark := range marks {
		for q := p.queues[i]; q.delivered < mark && !p.closed; {
			left := env.Forever
			if timeout != env.Forever {
				if left = deadline - p.net.host.Uptime(); left <= 0 {
					p.flushing--
					return
				}
			}
			p.delivered.Wait(left)
		}
	}
	p.flushing--
}

// PartitionsFor blocks until the number of partitions of topic is known, at
// most max.block.ms.
func (p *Producer) PartitionsFor(topic string) (int32, error) {
	t, err := p.topicFor(&ProducerRecord{Topic: topic}, p.net.host.Uptime()+p.cfg.MaxBlock)
	if err != nil {
		return 0, err
	}
	return int32(len(t.parts)), nil
}

// Close waits up to timeout (env.Forever: without limit) for what was sent, has an open
// transaction aborted, fails what is left, and ends the producer's tasks and connections.
// It must not be called by a Callback.
func (p *Producer) Close(timeout time.Duration) {
	if p.closing {
		return
	}
	p.closing = true
	p.memoryFree.Broadcast()
	if timeout != 0 {
		deadline := env.Forever
		if timeout != env.Forever {
			deadline = p.net.host.Uptime() + timeout
		}
		p.flush(timeout)
		if p.txn != nil {
			p.txn.abortAtClose(deadline)
		}
	}
	p.closed = true
	p.abort(errClosed)
	p.deliver()
	p.schedule.close()
	p.net.close()
	p.delivered.Broadcast()
	if p.txn != nil {
		p.txn.news.Broadcast()
	}
}
