package kernel

import "time"

// Event is something that will happen. It is embedded in what knows what to do
// then, so that scheduling allocates nothing, and may be scheduled again once
// it has happened or was cancelled.
type Event struct {
	seq uint64 // of the queue entry that is valid; 0: none
	tag uint64 // for the trace
	on  Firer
}

// Firer does what an event stands for. It runs outside of any task.
type Firer interface {
	Fire()
}

// Init says what happens and how the trace names it.
func (e *Event) Init(on Firer, tag uint64) { e.on, e.tag = on, tag }

// Retag changes how the trace names it.
func (e *Event) Retag(tag uint64) { e.tag = tag }

// Pending reports whether e is still to come.
func (e *Event) Pending() bool { return e.seq != 0 }

// entry orders an event by time, then by when it was scheduled.
type entry struct {
	at  time.Duration
	seq uint64
	ev  *Event
}

func (a *entry) before(b *entry) bool {
	return a.at < b.at || a.at == b.at && a.seq < b.seq
}

// queue is a 4-ary heap of values: half as deep as a binary one, and its
// comparisons touch no pointer. A cancelled event leaves its entry behind,
// known by its stale number; when those are the majority they are swept out.
type queue struct {
	heap []entry
	seq  uint64
	dead int
}

func (q *queue) push(at time.Duration, ev *Event) {
	q.seq++
	ev.seq = q.seq
	q.heap = append(q.heap, entry{at, q.seq, ev})
	q.up(len(q.heap) - 1)
}

func (q *queue) cancel(ev *Event) {
	ev.seq = 0
	q.dead++
	if q.dead > 64 && q.dead > len(q.heap)/2 {
		q.sweep()
	}
}

// sweep drops the entries of cancelled events.
func (q *queue) sweep() {
	live := q.heap[:0]
	for _, e := range q.heap {
		if e.ev.seq == e.seq {
			live = append(live, e)
		}
	}
	clear(q.heap[len(live):])
	q.heap, q.dead = live, 0
	for i := (len(live) - 2) / 4; i >= 0 && len(live) > 1; i-- {
		q.down(i)
	}
}

// next is the time of the first event.
func (q *queue) next() (time.Duration, bool) {
	for len(q.heap) > 0 {
		e := &q.heap[0]
		if e.ev.seq == e.seq {
			return e.at, true
		}
		q.dead--
		q.drop()
	}
	return 0, false
}

// pop removes the first event; next must have said that there is one.
func (q *queue) pop() (time.Duration, *Event) {
	e := q.heap[0]
	q.drop()
	e.ev.seq = 0
	return e.at, e.ev
}

func (q *queue) drop() {
	n := len(q.heap) - 1
	q.heap[0] = q.heap[n]
	q.heap[n] = entry{}
	q.heap = q.heap[:n]
	if n > 1 {
		q.down(0)
	}
}

func (q *queue) up(i int) {
	h := q.heap
	e := h[i]
	for i > 0 {
		parent := (i - 1) / 4
		if !e.before(&h[parent]) {
			break
		}
		h[i] = h[parent]
		i = parent
	}
	h[i] = e
}

func (q *queue) down(i int) {
	h := q.heap
	e := h[i]
	for {
		first := 4*i + 1
		if first >= len(h) {
			break
		}
		least := first
		for c := first + 1; c < min(first+4, len(h)); c++ {
			if h[c].before(&h[least]) {
				least = c
			}
		}
		if !h[least].before(&e) {
			break
		}
		h[i] = h[least]
		i = least
	}
	h[i] = e
}
