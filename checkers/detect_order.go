package checkers

import (
	"fmt"
	"sort"

	"github.com/ktrial/ktrial/checkers/history"
)

// seen is where a client last stood in a partition.
type seen struct {
	rec       history.Rec
	low, high int64 // its offset; a duplicated send has two
	known     bool
	row       int
	age       uint32 // of the assignment under which it was noted
	// reach: operations since, of unknown outcome, were given records up to here.
	// The client goes on from there, or from where it stood. -1: none were.
	reach int64
}

// stands keeps where each process stands in each partition. An assignment
// forgets the partitions that it does not name.
type stands struct {
	at       map[uint64]*seen
	ages     []uint32
	sessions map[string]int32
}

func newStands(processes int) *stands {
	return &stands{map[uint64]*seen{}, make([]uint32, processes), map[string]int32{}}
}

// session numbers a producer's session, as if it were one more process.
func (s *stands) session(name string) int32 {
	n, ok := s.sessions[name]
	if !ok {
		n = int32(len(s.ages))
		s.ages = append(s.ages, 0)
		s.sessions[name] = n
	}
	return n
}

func (s *stands) of(process int32, key history.Key) (*seen, bool) {
	id := uint64(process)<<32 | uint64(uint32(key))
	at := s.at[id]
	if at == nil {
		at = &seen{age: s.ages[process], reach: -1}
		s.at[id] = at
		return at, false
	}
	return at, at.age == s.ages[process] && at.row >= 0
}

// assign keeps only what keys name. A consumer that seeks to the beginning
// stands nowhere.
func (s *stands) assign(op *history.Op) {
	s.ages[op.ProcessNo]++
	age := s.ages[op.ProcessNo]
	if op.Seek {
		return
	}
	for _, key := range op.Keys {
		if at := s.at[uint64(op.ProcessNo)<<32|uint64(uint32(key))]; at != nil && at.age == age-1 {
			at.age = age
		}
	}
}

// replacesAssignment: a client that crashed is a new one, assigned nothing.
func (a *analysis) replacesAssignment(op *history.Op) bool {
	return (op.F == history.Assign || op.F == history.Subscribe || op.F == history.Crash && !a.jepsen) && op.Type != history.Failed
}

// step compares two neighbours: 0 went back or repeated, 2 jumped over a known
// record, 1 neither.
func (a *analysis) step(key history.Key, from, to *seen) int {
	if a.ranks != nil {
		return max(0, min(2, int(to.low-from.low)))
	}
	switch {
	case to.high <= from.low:
		return 0
	case from.high >= to.low:
		return 1
	}
	if _, skipped := a.logs[key].between(from.high, to.low); skipped {
		return 2
	}
	return 1
}

// perKey walks an operation's records key by key, each in its order.
type perKey struct {
	entries []keyWalk
}

type keyWalk struct {
	key         history.Key
	first, last seen
}

func (p *perKey) of(key history.Key) (*keyWalk, bool) {
	for i := range p.entries {
		if p.entries[i].key == key {
			return &p.entries[i], true
		}
	}
	p.entries = append(p.entries, keyWalk{key: key})
	return &p.entries[len(p.entries)-1], false
}

// findPollOrder: a consumer is given the records of a partition one after the
// other, none twice and none left out, until it is assigned anew.
//
// Offsets may have gaps: only an offset that is known to hold a record can be
// skipped. Keys that were rebalanced during an operation are exempt within it.
// Only successful operations move a consumer's position, for the others may
// rewind; but what the others were handed must fit too.
func findPollOrder(a *analysis, emit emit) int64 {
	checked := int64(0)
	positions := newStands(a.h.Processes())
	var walk perKey
	a.h.EachOf(history.HasPolls|history.HasKeys, func(op *history.Op) bool {
		if a.replacesAssignment(op) {
			positions.assign(op)
			return true
		}
		if len(op.Polled) == 0 {
			return true
		}
		checked += int64(len(op.Polled))
		a.walkPolls(op, &walk, emit)
		for i := range walk.entries {
			w := &walk.entries[i]
			at, there := positions.of(op.ProcessNo, w.key)
			if there && at.known && w.first.known {
				a.stepOn(w.key, at, &w.first, emit)
			}
			switch {
			case op.Type == history.OK:
				*at = w.last
				at.age, at.reach = positions.ages[op.ProcessNo], -1
			case !there:
				at.row = -1
			case op.Type == history.Unknown && !a.jepsen:
				at.reach = max(at.reach, w.last.high)
			}
		}
		return true
	})
	return checked
}

// stepOn compares the first record that an operation was given with where the
// client stood.
func (a *analysis) stepOn(key history.Key, at, first *seen, emit emit) {
	switch a.step(key, at, first) {
	case 0:
		a.emitStep(NonmonotonicPoll, key, at, first, emit)
	case 2:
		from := *at
		if from.high = max(from.high, at.reach); a.step(key, &from, first) == 2 {
			a.emitStep(PollSkip, key, at, first, emit)
		}
	}
}

func (a *analysis) walkPolls(op *history.Op, walk *perKey, emit emit) {
	walk.entries = walk.entries[:0]
	var w *keyWalk
	for _, p := range op.Polled {
		key := a.h.KeyOf(p.Rec)
		now := seen{rec: p.Rec, low: p.Offset, high: p.Offset, known: p.Offset >= 0, row: op.Row}
		if !now.known || a.ranks != nil {
			now.low, now.high, now.known = a.where(p.Rec)
		}
		there := w != nil && w.key == key
		if !there {
			w, there = walk.of(key)
		}
		if !there {
			w.first = now
		} else if now.known && w.last.known {
			if step := a.step(key, &w.last, &now); step != 1 && !contains(op.Rebalanced, key) {
				anomaly := IntNonmonotonicPoll
				if step == 2 {
					anomaly = IntPollSkip
				}
				a.emitStep(anomaly, key, &w.last, &now, emit)
			}
		}
		w.last = now
	}
}

func (a *analysis) emitStep(anomaly Anomaly, key history.Key, from, to *seen, emit emit) {
	rows := []int{from.row, to.row}
	if from.row == to.row {
		rows = rows[:1]
	}
	emit(finding{anomaly: anomaly, key: key, recs: []history.Rec{from.rec, to.rec},
		offsets: []int64{from.low, to.high}, rows: rows})
}

func contains(keys []history.Key, key history.Key) bool {
	for _, k := range keys {
		if k == key {
			return true
		}
	}
	return false
}

// findSendOrder: the records of one producer lie in a partition in the order
// in which it sent them. Records of others in between are no fault: int-send-skip
// says that they are there. Sends that name a session are compared with those
// of the session, whichever process they are of.
func findSendOrder(a *analysis, emit emit) int64 {
	checked := int64(0)
	last := newStands(a.h.Processes())
	var walk perKey
	a.h.EachOf(history.HasSends|history.HasKeys, func(op *history.Op) bool {
		if a.replacesAssignment(op) {
			last.assign(op)
			return true
		}
		if len(op.Sends) == 0 {
			return true
		}
		checked += int64(len(op.Sends))
		a.walkSends(op, &walk, emit)
		if op.Type == history.Failed {
			return true
		}
		sender, inSession := op.ProcessNo, op.Session != "" && !a.jepsen
		if inSession {
			sender = last.session(op.Session)
		}
		for i := range walk.entries {
			w := &walk.entries[i]
			at, there := last.of(sender, w.key)
			if there && at.known && w.first.known && a.step(w.key, at, &w.first) == 0 {
				a.emitStep(NonmonotonicSend, w.key, at, &w.first, emit)
			}
			if there && inSession && !w.last.known {
				continue
			}
			*at = w.last
			at.age = last.ages[sender]
		}
		return true
	})
	return checked
}

func (a *analysis) walkSends(op *history.Op, walk *perKey, emit emit) {
	walk.entries = walk.entries[:0]
	for _, s := range op.Sends {
		if s.Silent {
			continue
		}
		key := a.h.KeyOf(s.Rec)
		now := seen{rec: s.Rec, row: op.Row}
		now.low, now.high, now.known = a.where(s.Rec)
		now.known = now.known && (a.jepsen || a.writer[s.Rec] == uint32(op.Row+1) && a.flags[s.Rec]&resent == 0)
		w, there := walk.of(key)
		if !there {
			w.first = now
		} else if now.known && w.last.known {
			switch a.step(key, &w.last, &now) {
			case 0:
				a.emitStep(IntNonmonotonicSend, key, &w.last, &now, emit)
			case 2:
				a.emitStep(IntSendSkip, key, &w.last, &now, emit)
			}
		}
		w.last = now
	}
}

// findAppendOrder sweeps each log from its end: what was acknowledged before
// another append began lies before it (Kafka's partition is linearizable for
// acks=all), and so does an end that was read before. The pair that breaks
// this is the smallest counterexample.
func findAppendOrder(a *analysis, emit emit) int64 {
	ends := endReads(a.h)
	checked := int64(0)
	for k := range a.logs {
		s := appendSweep{a: a, key: history.Key(k), ends: ends[history.Key(k)], done: history.Never, emit: emit}
		a.logs[k].each(true, s.append)
		checked += s.checked
	}
	return checked
}

// appendSweep goes down a log and keeps what, of all above, was over first.
type appendSweep struct {
	a       *analysis
	key     history.Key
	ends    []endRead // by offset, those still to come last
	emit    emit
	checked int64

	done   uint32      // when that was over
	row    int         // the operation
	rec    history.Rec // that it appended,
	end    int64       // or the end that it read
	isRead bool
}

// endRead is an operation that read a log's end.
type endRead struct {
	offset int64
	done   uint32
	row    int
}

// endReads are the ends read by operations that succeeded, by partition and
// offset.
func endReads(h *history.History) map[history.Key][]endRead {
	ends := map[history.Key][]endRead{}
	h.EachOf(history.HasFacts, func(op *history.Op) bool {
		for _, o := range op.Offsets {
			if o.Kind == history.MopEnd && o.Offset >= 0 && op.Type == history.OK {
				ends[o.Key] = append(ends[o.Key], endRead{o.Offset, uint32(op.Completed), op.Row})
			}
		}
		return true
	})
	for _, e := range ends {
		sort.SliceStable(e, func(i, j int) bool { return e[i].offset < e[j].offset })
	}
	return ends
}

func (s *appendSweep) append(offset int64, rec history.Rec) {
	flags := s.a.flags[rec]
	if flags&committed == 0 || flags&(tied|resent) != 0 {
		return
	}
	low, high, ok := s.a.where(rec)
	if !ok {
		return
	}
	s.checked++
	for n := len(s.ends); n > 0 && s.ends[n-1].offset > offset; n-- {
		if e := s.ends[n-1]; e.done < s.done {
			s.done, s.row, s.end, s.isRead = e.done, e.row, e.offset, true
		}
		s.ends = s.ends[:n-1]
	}
	row := int(s.a.writer[rec]) - 1
	w := s.a.h.Brief(row)
	if offset == high && s.done < w.Invoked {
		s.emit(s.inversion(rec, offset, row))
	}
	if offset == low && w.Type == history.OK && w.Completed < s.done {
		s.done, s.row, s.rec, s.isRead = w.Completed, row, rec, false
	}
}

func (s *appendSweep) inversion(rec history.Rec, offset int64, row int) finding {
	if !s.isRead {
		return finding{anomaly: AppendRealtimeOrder, key: s.key, recs: []history.Rec{s.rec, rec},
			offsets: []int64{s.a.first(s.rec), offset}, rows: []int{s.row, row}}
	}
	return finding{anomaly: NonmonotonicEnd, key: s.key, recs: []history.Rec{rec}, offsets: []int64{s.end, offset}, rows: []int{s.row, row},
		note: fmt.Sprintf("the end of %s was read as %d before %s was sent, which was then appended at %d", s.a.h.Keys()[s.key], s.end, s.a.h.ValueOf(rec), offset)}
}
