package client

import (
	"time"

	"github.com/ktrial/ktrial/broker/kafka"
	"github.com/ktrial/ktrial/broker/planted"
)

// queue is one partition as its producer sees it. It lives as long as the
// producer, whatever the metadata say: a topic that the cluster does not know
// for a moment must not lose its sequence numbers, for the broker would take
// what follows for duplicates and acknowledge what it never wrote (librdkafka
// before 1.9).
type queue struct {
	tp    kafka.TopicPartition
	index int  // among the producer's queues
	busy  bool // it is among those with batches

	transaction inTransaction // whether it is in the one under way

	// batches are those whose callbacks have not run, in the order of the sends.
	// A retry keeps its position, so order needs no other care: numbered batches
	// come before those without a number, and their sequences follow each other.
	batches fifo

	inFlight int // batches whose state is inFlight

	numbering numbering
	// restart: a number was used up by a batch that is not, or may not be, in
	// the log. No new one is given until all that have one are settled or lost;
	// then the partition begins anew, under another epoch.
	restart bool

	taken, delivered int64 // records
}

// verdict is what next says of the next batch.
type verdict uint8

const (
	nothing   verdict = iota // there is none until something happens
	later                    // it is tried again after so long
	lingering                // it is sent after so long, or with others to the same broker
	sendable                 // it is sent now
)

// next is the batch to send next, if any, and how long to wait for that.
// epoch is the partition's leader epoch, as far as the producer knows.
func (q *queue) next(p *Producer, now time.Duration, epoch kafka.LeaderEpoch) (*batch, verdict, time.Duration) {
	ahead := 0 // batches in flight before b
	for i := 0; i < q.batches.len(); i++ {
		b := q.batches.at(i)
		switch b.state {
		case inFlight:
			ahead++
			continue
		case settled:
			continue
		}
		if ahead > 0 && p.cfg.MaxInFlight == 1 {
			return nil, nothing, 0
		}
		if p.idempotent() && !q.maySend(b, ahead, p) {
			return nil, nothing, 0
		}
		if p.txn != nil && q.transaction != inside {
			return nil, nothing, 0 // the coordinator must know first
		}
		switch wait := p.readyIn(b, i+1 < q.batches.len(), now, epoch); {
		case wait <= 0:
			return b, sendable, 0
		case b.attempts > 0:
			return b, later, wait
		default:
			return b, lingering, wait
		}
	}
	return nil, nothing, 0
}

// maySend reports whether b, the first that is not in flight, may be sent by the
// rules of idempotence.
func (q *queue) maySend(b *batch, ahead int, p *Producer) bool {
	i := &p.identity
	if b.numbered && !b.lost {
		// A retry goes only when it is next in line: all that came before it are
		// settled. That keeps the order.
		return ahead == 0
	}
	if q.restart {
		// Batches before the one that made the restart necessary may still be in
		// doubt. Numbered anew they could be written twice (KAFKA-14034): so first
		// they are settled under their old number.
		if q.inFlight > 0 || i.granted {
			return false
		}
		q.beginAnew(i)
	}
	if i.state != ready {
		return false
	}
	if !q.numbering.of(i) || !q.numbering.known && !q.goesTogether(p.cfg.Bugs) {
		return q.inFlight == 0
	}
	// What the leader cannot distinguish from a new batch must not be in doubt.
	first := q.first()
	return first == b || q.numbering.batches-first.ordinal < rememberedBatches
}

// goesTogether reports whether batches of a producer id go together though the leader has answered none of it. Only the
// planted bug has them do so.
func (q *queue) goesTogether(bugs *planted.Set) bool {
	if !bugs.On(planted.FirstTogether) {
		return false
	}
	bugs.Infected(planted.FirstTogether, q.inFlight > 0)
	return true
}

// rememberedBatches is how many batches of a producer a broker can recognise
// as duplicates, in each partition. So from the first that is not settled on
// no more are numbered: while that one is tried again, others may come and go.
const rememberedBatches = 5

// beginAnew ends a restart: nothing is in flight, and what still has a number
// is lost. Other partitions keep their epoch until they adopt the new one.
func (q *queue) beginAnew(i *identity) {
	q.restart = false
	for j := 0; j < q.batches.len(); j++ {
		if b := q.batches.at(j); b.state == waiting {
			b.numbered, b.lost, b.afterDoubt, b.doubt = false, false, false, false
		}
	}
	if i.state == ready && q.numbering.of(i) {
		i.bump()
	}
}

// first is the first batch that is not settled.
func (q *queue) first() *batch {
	for i := 0; i < q.batches.len(); i++ {
		if b := q.batches.at(i); b.state != settled {
			return b
		}
	}
	return nil
}

// behind calls fn with the numbered batches after b that are not settled.
func (q *queue) behind(b *batch, fn func(*batch)) {
	found := false
	for i := 0; i < q.batches.len(); i++ {
		other := q.batches.at(i)
		if found && other.numbered && other.state != settled {
			fn(other)
		}
		found = found || other == b
	}
}

// missing records that b is certainly not in the log and will not be written
// under its number. What follows it then is not there either.
func (q *queue) missing(b *batch) {
	q.restart = true
	q.behind(b, func(other *batch) { other.lost = true })
}

// gaveUp records that b was given up and may be in the log, now or later.
func (q *queue) gaveUp(b *batch) {
	q.restart = true
	q.behind(b, func(other *batch) { other.afterDoubt = true })
}

// waitingBatches counts what is not in flight: the load of the partition.
func (q *queue) waitingBatches() int { return q.batches.len() - q.inFlight }

// fifo is a queue of batches that keeps its memory.
type fifo struct {
	items []*batch
	head  int
}

func (f *fifo) len() int        { return len(f.items) - f.head }
func (f *fifo) at(i int) *batch { return f.items[f.head+i] }
func (f *fifo) push(b *batch)   { f.items = append(f.items, b) }

func (f *fifo) last() *batch {
	if f.len() == 0 {
		return nil
	}
	return f.items[len(f.items)-1]
}

func (f *fifo) pop() *batch {
	b := f.items[f.head]
	f.items[f.head] = nil
	f.head++
	if f.head*2 >= len(f.items) {
		n := copy(f.items, f.items[f.head:])
		clear(f.items[n:])
		f.items, f.head = f.items[:n], 0
	}
	return b
}

// replace puts parts where b was.
func (f *fifo) replace(b *batch, parts []*batch) {
	var items []*batch
	for i := 0; i < f.len(); i++ {
		if f.at(i) == b {
			items = append(items, parts...)
		} else {
			items = append(items, f.at(i))
		}
	}
	f.items, f.head = items, 0
}
