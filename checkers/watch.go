package checkers

import (
	"fmt"
	"time"

	"github.com/ktrial/ktrial/checkers/history"
)

// Watch judges a history while it is recorded, so that a run can stop at the
// first violation that is certain. It looks for what no later event can
// excuse, and leaves out what the expectations may permit: the whole history
// is still to be judged at the end.
//
// It is a history.Recorder's Watch:
//
//	watch := checkers.NewWatch(expect)
//	recorder.Watch = watch.Event
type Watch struct {
	// First is what was found first; nil: nothing yet.
	First *Found

	strict  map[Anomaly]bool
	keys    map[history.Value]*watchedLog
	clients map[int64]*watchedClient
	events  int64
}

// Found is a certain violation.
type Found struct {
	Anomaly Anomaly
	Violation
}

// watchedLog is a partition: what is known to be at each offset, and of each
// value.
type watchedLog struct {
	at     []watchedSpot
	values map[history.Value]*watchedValue
	acked  int64 // highest acknowledged offset, and by which event
	ackOp  int64
}

type watchedSpot struct {
	value    history.Value
	known    bool
	polled   bool
	event    int64
	promised bool // acknowledged, or polled by an operation that succeeded
}

type watchedValue struct {
	outcome history.Type // Invoke while it is open
	event   int64
	offset  int64 // polled there; NoOffset
	polled  int64 // by which event
	readOK  bool  // that poll succeeded
}

type watchedClient struct {
	position map[history.Value]history.Record // last record of a successful operation
	by       map[history.Value]int64
	began    int64
	floor    map[history.Value]bound // acknowledged offset when it began
}

// sparseLimit: offsets further than this beyond what is known are not kept.
const sparseLimit = 1 << 22

// NewWatch watches a run under these expectations.
func NewWatch(e Expectations) *Watch {
	w := &Watch{strict: map[Anomaly]bool{}, keys: map[history.Value]*watchedLog{}, clients: map[int64]*watchedClient{}}
	w.Expect(e)
	return w
}

// Expect changes what is expected, as when a fault happens that permits more.
func (w *Watch) Expect(e Expectations) {
	for _, info := range Anomalies {
		w.strict[info.Anomaly] = true
	}
	for i := range permissions {
		if row := &permissions[i]; row.when(&e) {
			for _, anomaly := range row.permits {
				w.strict[anomaly] = false
			}
		}
	}
}

func (w *Watch) log(key history.Value) *watchedLog {
	l := w.keys[key]
	if l == nil {
		l = &watchedLog{values: map[history.Value]*watchedValue{}, acked: -1}
		w.keys[key] = l
	}
	return l
}

func (w *Watch) client(process int64) *watchedClient {
	c := w.clients[process]
	if c == nil {
		c = &watchedClient{map[history.Value]history.Record{}, map[history.Value]int64{}, 0, map[history.Value]bound{}}
		w.clients[process] = c
	}
	return c
}

func (w *Watch) found(anomaly Anomaly, at time.Duration, ops []int64, format string, args ...any) {
	if w.First != nil || !w.strict[anomaly] {
		return
	}
	w.First = &Found{anomaly, Violation{fmt.Sprintf(format, args...), ops, at}}
}

// Event sees one event as it is recorded.
func (w *Watch) Event(e *history.Event) {
	number := w.events
	w.events++
	if e.Process == history.NoProcess || w.First != nil {
		return
	}
	c := w.client(e.Process)
	switch {
	case e.Type == history.Invoke:
		w.begin(c, e, number)
	case e.F == history.Assign || e.F == history.Subscribe:
		if e.Type != history.Failed {
			c.assign(e)
		}
	default:
		w.sends(c, e, number)
		w.polls(c, e, number)
	}
}

func (w *Watch) begin(c *watchedClient, e *history.Event, number int64) {
	c.began = number
	clear(c.floor)
	for i := range e.Mops {
		if m := &e.Mops[i]; m.Kind == history.MopSend {
			l := w.log(m.Key)
			if l.values[m.Value] == nil {
				l.values[m.Value] = &watchedValue{outcome: history.Invoke, event: number, offset: history.NoOffset}
			}
			c.floor[m.Key] = bound{event: l.ackOp, value: l.acked}
		}
	}
}

func (c *watchedClient) assign(e *history.Event) {
	for key := range c.position {
		keep := false
		for _, k := range e.Keys {
			keep = keep || k == key && !e.SeekToBeginning
		}
		if !keep {
			delete(c.position, key)
		}
	}
}

func (w *Watch) sends(c *watchedClient, e *history.Event, number int64) {
	for i := range e.Mops {
		m := &e.Mops[i]
		if m.Kind != history.MopSend {
			continue
		}
		l := w.log(m.Key)
		v := l.values[m.Value]
		if v == nil {
			v = &watchedValue{outcome: history.Invoke, event: number, offset: history.NoOffset}
			l.values[m.Value] = v
		}
		v.outcome, v.event = e.Type, number
		switch {
		case e.Type == history.Failed && v.offset >= 0:
			w.found(abortedRead(v.readOK), e.Time, []int64{v.polled, number}, "%v at %v@%d was given to a consumer, and its operation definitely failed", m.Value, m.Key, v.offset)
		case e.Type != history.OK || m.Offset < 0:
			continue
		}
		if floor, ok := c.floor[m.Key]; ok && m.Offset < floor.value {
			w.found(AppendRealtimeOrder, e.Time, []int64{floor.event, number}, "%v was appended at %v@%d, though %d had been acknowledged before it was sent", m.Value, m.Key, m.Offset, floor.value)
		}
		w.put(l, m.Key, m.Offset, m.Value, false, e, number)
		if m.Offset > l.acked {
			l.acked, l.ackOp = m.Offset, number
		}
	}
}

// put notes what is at an offset, and compares.
func (w *Watch) put(l *watchedLog, key history.Value, offset int64, value history.Value, polled bool, e *history.Event, number int64) {
	if offset >= int64(len(l.at)) {
		if offset > int64(len(l.at))+sparseLimit {
			return
		}
		l.at = append(l.at, make([]watchedSpot, offset+1-int64(len(l.at)))...)
	}
	s := &l.at[offset]
	if s.known && s.value != value {
		w.found(InconsistentOffsets, e.Time, []int64{s.event, number}, "%v@%d is %v and %v", key, offset, s.value, value)
		return
	}
	if !s.known {
		*s = watchedSpot{value: value, known: true, event: number}
	}
	s.polled = s.polled || polled
	s.promised = s.promised || e.Type == history.OK
}

func (w *Watch) polls(c *watchedClient, e *history.Event, number int64) {
	var here map[history.Value]history.Record
	for i := range e.Mops {
		for _, r := range e.Mops[i].Records {
			if w.First != nil {
				return
			}
			w.read(e, r, number)
			if r.Offset < 0 {
				continue
			}
			if here == nil {
				here = map[history.Value]history.Record{}
			}
			if last, ok := here[r.Key]; ok {
				if !holdsKey(e.Rebalanced, r.Key) {
					w.step(IntNonmonotonicPoll, IntPollSkip, e, last, r, []int64{number})
				}
			} else if last, ok := c.position[r.Key]; ok {
				w.step(NonmonotonicPoll, PollSkip, e, last, r, []int64{c.by[r.Key], number})
			}
			here[r.Key] = r
		}
	}
	if e.Type == history.OK {
		for key, r := range here {
			c.position[key], c.by[key] = r, number
		}
	}
}

func holdsKey(keys []history.Value, key history.Value) bool {
	for _, k := range keys {
		if k == key {
			return true
		}
	}
	return false
}

// read compares a delivered record with who sent it.
func (w *Watch) read(e *history.Event, r history.Record, number int64) {
	l := w.log(r.Key)
	v := l.values[r.Value]
	switch {
	case v == nil:
		w.found(PhantomRead, e.Time, []int64{number}, "%v at %v@%d was given to a consumer, and nobody has sent it", r.Value, r.Key, r.Offset)
		return
	case v.outcome == history.Failed:
		w.found(abortedRead(e.Type == history.OK), e.Time, []int64{v.event, number}, "%v at %v@%d was given to a consumer, though its operation definitely failed", r.Value, r.Key, r.Offset)
	}
	if r.Offset < 0 {
		return
	}
	if v.offset >= 0 && v.offset != r.Offset {
		w.found(Duplicate, e.Time, []int64{v.polled, number}, "%v is in %v at %d and %d", r.Value, r.Key, v.offset, r.Offset)
	}
	v.offset, v.polled, v.readOK = r.Offset, number, e.Type == history.OK
	w.put(l, r.Key, r.Offset, r.Value, true, e, number)
}

// abortedRead is named by what became of the reader.
func abortedRead(ok bool) Anomaly {
	if ok {
		return G1a
	}
	return AbortedRead
}

// step compares two neighbours that a consumer was given.
func (w *Watch) step(back, skip Anomaly, e *history.Event, from, to history.Record, ops []int64) {
	if to.Offset <= from.Offset {
		w.found(back, e.Time, ops, "a consumer of %v went from %d back to %d", to.Key, from.Offset, to.Offset)
		return
	}
	l := w.log(to.Key)
	for o := from.Offset + 1; o < to.Offset && o < int64(len(l.at)); o++ {
		s := &l.at[o]
		if v := l.values[s.value]; s.known && s.promised && (v == nil || v.outcome != history.Failed) {
			w.found(skip, e.Time, append([]int64{s.event}, ops...), "a consumer of %v jumped from %d to %d over %v at %d", to.Key, from.Offset, to.Offset, s.value, o)
			return
		}
	}
}
