package client

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"

	"github.com/ktrial/ktrial/broker/kafka"
	"github.com/ktrial/ktrial/broker/record"
	"github.com/ktrial/ktrial/sim/env"
)

// producerTopic is what a producer keeps of a topic it sends to.
type producerTopic struct {
	name   string
	queues []*queue // by partition; nil: none yet
	sticky sticky
	turns  roundRobin
	// ratio is what compression makes of a byte, in thousandths, as far as past
	// batches say: it decides when a batch is full.
	ratio int32
}

// The steps in which an estimate follows what is observed: slowly when records
// compress better than thought, fast when they do worse.
const (
	ratioOne        = 1000
	ratioBetter     = 5
	ratioWorse      = 50
	ratioSafety     = 1050
	ratioDenominate = ratioOne * ratioOne
)

func (t *producerTopic) observe(plain, packed int) {
	if plain == 0 {
		return
	}
	seen := int32(int64(packed) * ratioOne / int64(plain))
	switch {
	case seen > t.ratio:
		t.ratio = max(t.ratio+ratioWorse, seen)
	case seen < t.ratio:
		t.ratio = max(t.ratio-ratioBetter, seen)
	}
}

// estimate is the size that a batch of so many plain bytes will have.
func (t *producerTopic) estimate(plain int, codec record.Codec) int {
	if codec == record.None {
		return plain
	}
	records := int64(plain - record.HeaderSize)
	return record.HeaderSize + int(records*int64(t.ratio)*ratioSafety/ratioDenominate)
}

func (p *Producer) topic(name string) *producerTopic {
	t := p.topics[name]
	if t == nil {
		t = &producerTopic{name: name, ratio: ratioOne}
		p.topics[name] = t
	}
	return t
}

func (p *Producer) queue(t *producerTopic, partition int32) *queue {
	for int(partition) >= len(t.queues) {
		t.queues = append(t.queues, nil)
	}
	q := t.queues[partition]
	if q == nil {
		q = &queue{tp: kafka.TopicPartition{Topic: t.name, Partition: partition}, index: len(p.queues)}
		q.numbering.id = kafka.NoProducer
		t.queues[partition] = q
		p.queues = append(p.queues, q)
	}
	return q
}

// choose is the partition that r goes to; bySticky says that it is the sticky one.
func (p *Producer) choose(t *producerTopic, known *topic, r *ProducerRecord) (partition int32, bySticky bool) {
	partitions := int32(len(known.parts))
	switch {
	case r.Partition > 0:
		return int32(r.Partition) - 1, false
	case p.cfg.Partitioner != nil:
		copied := *r // r itself stays on the stack of whatever calls Send
		return p.cfg.Partitioner(&copied, partitions), false
	case p.cfg.PartitionerClass == RoundRobin:
		return t.turns.next(known), false
	case r.Key != nil && !p.cfg.IgnoreKeys:
		return partitionForKey(r.Key, partitions), false
	}
	from := spread{topic: known, adaptive: p.cfg.Adaptive && !p.cfg.StickyForABatch, queued: func(partition int32) int {
		if int(partition) >= len(t.queues) || t.queues[partition] == nil {
			return 0
		}
		return t.queues[partition].waitingBatches()
	}}
	return t.sticky.current(from, p.net.host.Rand()), true
}

// append puts r into a batch. It blocks while the buffer is full.
func (p *Producer) append(r *ProducerRecord, done Callback, deadline time.Duration) error {
	ts := r.Timestamp
	if ts == 0 {
		ts = p.net.host.Now().Millis()
	}
	t := p.topic(r.Topic)
	reserved := int64(0)
	partition, bySticky, left := int32(-1), true, false
	for {
		known, err := p.topicFor(r, deadline)
		if err == nil && p.closing {
			err = errClosed
		}
		if err == nil && p.txn != nil {
			err = p.txn.maySend(r.Topic) // it may have failed while the topic or memory was waited for
		}
		if err != nil {
			p.release(reserved)
			return err
		}
		if bySticky {
			partition, bySticky = p.choose(t, known, r)
		}
		if partition < 0 || int(partition) >= len(known.parts) {
			panic(fmt.Sprintf("client: the partitioner chose %s/%d of %d partitions", r.Topic, partition, len(known.parts)))
		}
		q := p.queue(t, partition)
		last := q.batches.last()
		if bySticky && !p.cfg.StickyForABatch && (last == nil || last.full) && t.sticky.moveOn(p.cfg.BatchSize) {
			continue
		}
		if !p.fits(t, last, ts, r) {
			if last != nil && !last.full {
				last.full = true
				p.shipSoon()
			}
			if bySticky && p.cfg.StickyForABatch && !left {
				t.sticky.leave(spread{topic: known}, p.net.host.Rand())
				left = true
				continue
			}
			if reserved == 0 {
				// Waiting for memory, others may have moved on: look again.
				if reserved, err = p.reserve(r, ts, deadline); err != nil {
					return err
				}
				continue
			}
			last = p.newBatch(q, reserved)
			reserved = 0
		}
		p.release(reserved)
		p.add(t, last, ts, r, done, bySticky)
		return nil
	}
}

// fits reports whether r can go into b.
func (p *Producer) fits(t *producerTopic, b *batch, ts int64, r *ProducerRecord) bool {
	if b == nil || b.full {
		return false
	}
	now := b.builder.Size()
	with := b.builder.SizeWith(ts, r.Key, r.Value, r.Headers...)
	return t.estimate(now, p.cfg.Compression)+with-now <= int(p.cfg.BatchSize)
}

func (p *Producer) newBatch(q *queue, reserved int64) *batch {
	b := p.emptyBatch()
	b.queue, b.reserved, b.created = q, reserved, p.net.host.Uptime()
	b.tried, b.appendTime = kafka.NoEpoch, record.NoTimestamp
	opts := record.Options{Codec: p.cfg.Compression, Level: p.cfg.Level(p.cfg.Compression), Transactional: p.txn != nil}
	if n := len(p.builders); n > 0 {
		b.builder = p.builders[n-1]
		p.builders = p.builders[:n-1]
		b.builder.Reset(opts)
	} else {
		b.builder = record.NewBuilder(opts)
	}
	q.batches.push(b)
	p.nowBusy(q)
	return b
}

func (p *Producer) emptyBatch() *batch {
	n := len(p.batches)
	if n == 0 {
		return &batch{}
	}
	b := p.batches[n-1]
	p.batches = p.batches[:n-1]
	return b
}

// recycle keeps the memory of b for another batch, if nothing asks for b any
// more: its callbacks have run, and no answer to it is to come.
func (p *Producer) recycle(b *batch) {
	if !b.delivered || b.onWire {
		return
	}
	if p.oldest == b {
		p.oldest = nil
	}
	clear(b.sends) // of callbacks
	*b = batch{sends: b.sends[:0], encoded: b.encoded[:0]}
	p.batches = append(p.batches, b)
}

// nowBusy records that q has batches. A producer may have sent to thousands of
// partitions: the sender looks only at those where there is something to do.
func (p *Producer) nowBusy(q *queue) {
	if q.busy {
		return
	}
	q.busy = true
	p.busy = slices.Insert(p.busy, p.busyFrom(q.index), q)
}

// busyFrom is the first of the busy queues at or after an index.
func (p *Producer) busyFrom(index int) int {
	at, _ := slices.BinarySearchFunc(p.busy, index, func(q *queue, index int) int { return cmp.Compare(q.index, index) })
	return at
}

func (p *Producer) add(t *producerTopic, b *batch, ts int64, r *ProducerRecord, done Callback, bySticky bool) {
	before := 0
	if b.count() > 0 {
		before = t.estimate(b.builder.Size(), p.cfg.Compression)
	}
	b.builder.Append(ts, r.Key, r.Value, r.Headers...)
	b.sends = append(b.sends, send{done, ts})
	if machine := p.net.host.Machine(); machine != nil {
		b.added += p.net.host.Uptime() - b.created
	}
	b.queue.taken++
	if p.txn != nil {
		p.txn.sentTo(b.queue)
	}
	after := t.estimate(b.builder.Size(), p.cfg.Compression)
	b.full = after >= int(p.cfg.BatchSize)
	if bySticky && !p.cfg.StickyForABatch {
		t.sticky.appended(int32(after-before), p.cfg.BatchSize, b.full)
	}
	switch {
	case b.full, b.count() == 1 && (p.cfg.Linger == 0 || p.idempotent() && p.identity.state != ready):
		p.shipSoon()
	case b.count() == 1:
		p.schedule.at(p.shipping, b.created+p.cfg.Linger)
	}
}

// topicFor is the topic of r, with the partition that r asks for.
func (p *Producer) topicFor(r *ProducerRecord, deadline time.Duration) (*topic, error) {
	md := &p.net.metadata
	want := max(1, int(r.Partition))
	if t := md.want(r.Topic); t != nil && len(t.parts) >= want {
		return t, nil
	}
	return md.waitFor(r.Topic, deadline-p.net.host.Uptime(), func(t *topic) bool { return len(t.parts) >= want })
}

// reserve takes buffer.memory for a batch that begins with r. Tasks that wait
// for it are served in turn.
func (p *Producer) reserve(r *ProducerRecord, ts int64, deadline time.Duration) (int64, error) {
	size := max(int64(p.cfg.BatchSize), int64(recordBound(r)))
	if size <= p.memory && len(p.memoryQueue) == 0 {
		p.memory -= size
		return size, nil
	}
	turn := new(byte)
	p.memoryQueue = append(p.memoryQueue, turn)
	defer func() {
		for i := range p.memoryQueue {
			if p.memoryQueue[i] == turn {
				p.memoryQueue = append(p.memoryQueue[:i], p.memoryQueue[i+1:]...)
				break
			}
		}
		p.memoryFree.Broadcast()
	}()
	p.shipSoon() // an exhausted buffer makes every batch ready
	for size > p.memory || p.memoryQueue[0] != turn {
		left := deadline - p.net.host.Uptime()
		if p.closing {
			return 0, errClosed
		}
		if left <= 0 || !p.memoryFree.Wait(left) {
			return 0, fmt.Errorf("client: send to %s: buffer.memory is exhausted: %d bytes free, expected %d: %w",
				r.Topic, p.memory, size, kerr.RequestTimedOut)
		}
	}
	p.memory -= size
	return size, nil
}

func (p *Producer) release(size int64) {
	if size == 0 {
		return
	}
	p.memory += size
	if len(p.memoryQueue) > 0 {
		p.memoryFree.Broadcast()
	}
}

// recordBound is the most that a batch with r alone can take.
func recordBound(r *ProducerRecord) int {
	const overhead = record.HeaderSize + 5 + 1 + 10 + 5 + 5 + 5 + 5
	n := overhead + len(r.Key) + len(r.Value)
	for i := range r.Headers {
		n += 10 + len(r.Headers[i].Key) + len(r.Headers[i].Value)
	}
	return n
}

// readyIn is how long b must still wait before it may be sent; more says that
// other batches wait behind it.
func (p *Producer) readyIn(b *batch, more bool, now time.Duration, epoch kafka.LeaderEpoch) time.Duration {
	if b.attempts > 0 {
		// A new leader is worth a try at once (KIP-951).
		if epoch > b.tried && b.tried != kafka.NoEpoch {
			return 0
		}
		return max(0, b.retryAt-now)
	}
	if b.full || more || p.flushing > 0 || p.closing || len(p.memoryQueue) > 0 || p.txn != nil && p.txn.state.ending() {
		return 0
	}
	return max(0, b.created+p.cfg.Linger-now)
}

var errClosed = fmt.Errorf("client: producer: %w", env.ErrClosed)
