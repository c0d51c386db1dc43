package checkers

import (
	"fmt"
	"slices"

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
	logs    []watchedLog    // by partition
	records []watchedRecord // by record
	clients []watchedClient // by process
	here    []watchedStep   // where the poll being looked at stands; scratch
	added   *history.Added  // the event being looked at
}

// Found is a certain violation.
type Found struct {
	Anomaly Anomaly
	Violation
}

// watchedLog is a partition: what is known to be at each offset.
type watchedLog struct {
	at    []watchedSpot
	acked int64 // highest acknowledged offset, and by which event; -1: none
	ackOp int64
}

type watchedSpot struct {
	rec      uint32 // +1; 0: nothing is known
	event    uint32
	promised bool // acknowledged, or polled by an operation that succeeded
}

type watchedRecord struct {
	sent    bool
	resent  bool // by another operation: nobody knows whose it is
	readOK  bool // polled by an operation that succeeded
	outcome history.Type
	event   int64 // of the outcome
	offset  int64 // polled there; NoOffset
	polled  int64 // by which event
}

type watchedClient struct {
	position []watchedStep // by the last operation that succeeded
	placed   []int32       // by partition: where in position it is, from 1; 0: not there
	floor    []watchedStep // acknowledged by others when its operation began
}

// watchedStep is where somebody stands in a partition.
type watchedStep struct {
	key    history.Key
	offset int64 // NoOffset: its last record was not told where
	event  int64
	reach  int64 // as far as operations since, of unknown outcome, were given records
}

// sparseLimit: offsets further than this beyond what is known are not kept.
const sparseLimit = 1 << 22

// NewWatch watches a run under these expectations.
func NewWatch(e Expectations) *Watch {
	w := &Watch{strict: map[Anomaly]bool{}}
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

// Event sees an event that was recorded.
func (w *Watch) Event(a *history.Added) {
	if a.ProcessNo < 0 || w.First != nil {
		return
	}
	w.added = a
	w.clients = grown(w.clients, int(a.ProcessNo), watchedClient{})
	c := &w.clients[a.ProcessNo]
	switch {
	case a.Type == history.Invoke:
		w.begin(c)
	case a.F == history.Assign || a.F == history.Subscribe || a.F == history.Crash:
		if a.Type != history.Failed {
			c.assign(a)
		}
	default:
		w.sends(c)
		w.polls(c)
	}
}

// grown is all with a place for n.
func grown[T any](all []T, n int, empty T) []T {
	for n >= len(all) {
		all = append(all, empty)
	}
	return all
}

func (w *Watch) log(key history.Key) *watchedLog {
	w.logs = grown(w.logs, int(key), watchedLog{acked: -1})
	return &w.logs[key]
}

func (w *Watch) record(rec history.Rec) *watchedRecord {
	w.records = grown(w.records, int(rec), watchedRecord{offset: history.NoOffset})
	return &w.records[rec]
}

// found takes a violation; its operations and its arguments are worked out
// only if it is the first.
func (w *Watch) found(anomaly Anomaly, ops []int64, format string, args ...any) {
	if w.First != nil || !w.strict[anomaly] {
		return
	}
	for i, op := range ops {
		ops[i] = w.added.IndexOf(op)
	}
	w.First = &Found{anomaly, Violation{fmt.Sprintf(format, args...), ops, w.added.Time}}
}

// spot is a place in a log: orders/0@17.
func (w *Watch) spot(key history.Key, offset int64) string {
	return fmt.Sprintf("%v@%d", w.added.History.Keys()[key], offset)
}

func (w *Watch) value(rec history.Rec) history.Value { return w.added.ValueOf(rec) }

func (w *Watch) begin(c *watchedClient) {
	c.floor = c.floor[:0]
	for _, s := range w.added.Sends {
		if r := w.record(s.Rec); !r.sent {
			r.sent, r.outcome, r.event = true, history.Invoke, w.added.Number
		} else {
			r.resent = true
		}
		key := w.added.KeyOf(s.Rec)
		if l := w.log(key); l.acked >= 0 {
			c.floor = append(c.floor, watchedStep{key: key, offset: l.acked, event: l.ackOp})
		}
	}
}

func (c *watchedClient) assign(a *history.Added) {
	c.position = slices.DeleteFunc(c.position, func(s watchedStep) bool {
		return a.Seek || !slices.Contains(a.Keys, s.key)
	})
	clear(c.placed)
	for i, s := range c.position {
		c.placed[s.key] = int32(i) + 1
	}
}

// stands is where the client stands in a partition; nil: nowhere. A consumer
// may have thousands.
func (c *watchedClient) stands(key history.Key) *watchedStep {
	if int(key) < len(c.placed) && c.placed[key] > 0 {
		return &c.position[c.placed[key]-1]
	}
	return nil
}

// moves has the client stand at s.
func (c *watchedClient) moves(s watchedStep) {
	if p := c.stands(s.key); p != nil {
		*p = s
		return
	}
	c.position = append(c.position, s)
	c.placed = grown(c.placed, int(s.key), 0)
	c.placed[s.key] = int32(len(c.position))
}

// in is where steps stand in a partition; -1: nowhere.
func in(steps []watchedStep, key history.Key) int {
	for i := range steps {
		if steps[i].key == key {
			return i
		}
	}
	return -1
}

func (w *Watch) sends(c *watchedClient) {
	a := w.added
	for _, s := range a.Sends {
		if s.Silent && a.Type == history.OK {
			continue
		}
		r := w.record(s.Rec)
		r.sent, r.outcome, r.event = true, a.Type, a.Number
		key := a.KeyOf(s.Rec)
		switch {
		case a.Type == history.Failed && r.offset >= 0 && !r.resent:
			w.found(abortedRead(r.readOK), []int64{r.polled, a.Number}, "%v at %s was given to a consumer, and its operation definitely failed", w.value(s.Rec), w.spot(key, r.offset))
			continue
		case a.Type != history.OK || s.Offset < 0:
			continue
		}
		if i := in(c.floor, key); i >= 0 && s.Offset < c.floor[i].offset {
			w.found(AppendRealtimeOrder, []int64{c.floor[i].event, a.Number}, "%v was appended at %s, though %d had been acknowledged before it was sent", w.value(s.Rec), w.spot(key, s.Offset), c.floor[i].offset)
		}
		l := w.log(key)
		w.put(l, key, s.Offset, s.Rec)
		if s.Offset > l.acked {
			l.acked, l.ackOp = s.Offset, a.Number
		}
	}
}

// put notes what is at an offset, and compares.
func (w *Watch) put(l *watchedLog, key history.Key, offset int64, rec history.Rec) {
	if offset > int64(len(l.at))+sparseLimit {
		return
	}
	l.at = grown(l.at, int(offset), watchedSpot{})
	s := &l.at[offset]
	switch s.rec {
	case 0:
		s.rec, s.event = uint32(rec)+1, uint32(w.added.Number)
	case uint32(rec) + 1:
	default:
		before := history.Rec(s.rec - 1)
		w.found(InconsistentOffsets, []int64{int64(s.event), w.added.Number}, "%s is %v and %v", w.spot(key, offset), w.value(before), w.value(rec))
		return
	}
	s.promised = s.promised || w.added.Type == history.OK
}

func (w *Watch) polls(c *watchedClient) {
	a := w.added
	w.here = w.here[:0]
	last := -1
	for _, p := range a.Polled {
		if w.First != nil {
			return
		}
		key := a.KeyOf(p.Rec)
		w.read(p, key)
		if last < 0 || w.here[last].key != key {
			last = in(w.here, key)
		}
		if last >= 0 {
			if !slices.Contains(a.Rebalanced, key) {
				w.step(IntNonmonotonicPoll, IntPollSkip, w.here[last], p.Offset)
			}
			w.here[last].offset = p.Offset
			continue
		}
		if before := c.stands(key); before != nil {
			w.step(NonmonotonicPoll, PollSkip, *before, p.Offset)
		}
		last = len(w.here)
		w.here = append(w.here, watchedStep{key: key, offset: p.Offset, event: a.Number})
	}
	for _, s := range w.here {
		switch before := c.stands(s.key); {
		case a.Type == history.OK:
			c.moves(s)
		case a.Type != history.Unknown || before == nil:
		case s.offset < 0:
			before.offset = history.NoOffset
		default:
			before.reach = max(before.reach, s.offset)
		}
	}
}

// read compares a delivered record with who sent it.
func (w *Watch) read(p history.Polled, key history.Key) {
	a, r := w.added, w.record(p.Rec)
	switch {
	case !r.sent:
		w.found(PhantomRead, []int64{a.Number}, "%v at %s was given to a consumer, and nobody has sent it", w.value(p.Rec), w.spot(key, p.Offset))
		return
	case r.outcome == history.Failed && !r.resent:
		w.found(abortedRead(a.Type == history.OK), []int64{r.event, a.Number}, "%v at %s was given to a consumer, though its operation definitely failed", w.value(p.Rec), w.spot(key, p.Offset))
	}
	if p.Offset < 0 {
		return
	}
	if r.offset >= 0 && r.offset != p.Offset {
		w.found(Duplicate, []int64{r.polled, a.Number}, "%v is in %v at %d and %d", w.value(p.Rec), a.History.Keys()[key], r.offset, p.Offset)
	}
	r.offset, r.polled, r.readOK = p.Offset, a.Number, a.Type == history.OK
	w.put(w.log(key), key, p.Offset, p.Rec)
}

// abortedRead is named by what became of the reader.
func abortedRead(ok bool) Anomaly {
	if ok {
		return G1a
	}
	return AbortedRead
}

// step compares two neighbours that a consumer was given, the second by the
// event being looked at.
func (w *Watch) step(back, skip Anomaly, from watchedStep, to int64) {
	ops := func(more ...int64) []int64 {
		if from.event != w.added.Number {
			more = append(more, from.event)
		}
		return append(more, w.added.Number)
	}
	key := w.added.History.Keys()[from.key]
	if to < 0 || from.offset < 0 {
		return
	}
	if to <= from.offset {
		w.found(back, ops(), "a consumer of %v went from %d back to %d", key, from.offset, to)
		return
	}
	l := w.log(from.key)
	for o := max(from.offset, from.reach) + 1; o < min(to, int64(len(l.at))); o++ {
		s := &l.at[o]
		if s.rec == 0 || !s.promised {
			continue
		}
		if rec := history.Rec(s.rec - 1); w.record(rec).outcome != history.Failed {
			w.found(skip, ops(int64(s.event)), "a consumer of %v jumped from %d to %d over %v at %d", key, from.offset, to, w.value(rec), o)
			return
		}
	}
}
