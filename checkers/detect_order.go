package checkers

import "github.com/ktrial/ktrial/checkers/history"

// seen is where a client last stood in a partition.
type seen struct {
	rec       history.Rec
	low, high int64 // its offset; a duplicated send has two
	known     bool
	row       int
	age       uint32 // of the assignment under which it was noted
}

// stands keeps where each process stands in each partition. An assignment
// forgets the partitions that it does not name.
type stands struct {
	at   map[uint64]*seen
	ages []uint32
}

func newStands(processes int) *stands {
	return &stands{map[uint64]*seen{}, make([]uint32, processes)}
}

func (s *stands) of(process int32, key history.Key) (*seen, bool) {
	id := uint64(process)<<32 | uint64(uint32(key))
	at := s.at[id]
	if at == nil {
		at = &seen{age: s.ages[process]}
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

func replacesAssignment(op *history.Op) bool {
	return (op.F == history.Assign || op.F == history.Subscribe) && op.Type != history.Failed
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
	a.h.Each(func(op *history.Op) bool {
		if replacesAssignment(op) {
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
				switch a.step(w.key, at, &w.first) {
				case 0:
					a.emitStep(NonmonotonicPoll, w.key, at, &w.first, emit)
				case 2:
					a.emitStep(PollSkip, w.key, at, &w.first, emit)
				}
			}
			if op.Type == history.OK {
				*at = w.last
				at.age = positions.ages[op.ProcessNo]
			} else if !there {
				at.row = -1
			}
		}
		return true
	})
	return checked
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
// says that they are there.
func findSendOrder(a *analysis, emit emit) int64 {
	checked := int64(0)
	last := newStands(a.h.Processes())
	var walk perKey
	a.h.Each(func(op *history.Op) bool {
		if replacesAssignment(op) {
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
		for i := range walk.entries {
			w := &walk.entries[i]
			at, there := last.of(op.ProcessNo, w.key)
			if there && at.known && w.first.known && a.step(w.key, at, &w.first) == 0 {
				a.emitStep(NonmonotonicSend, w.key, at, &w.first, emit)
			}
			*at = w.last
			at.age = last.ages[op.ProcessNo]
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
// acks=all). The pair that breaks this is the smallest counterexample.
func findAppendOrder(a *analysis, emit emit) int64 {
	checked := int64(0)
	for k := range a.logs {
		key := history.Key(k)
		first, firstDone := history.Rec(0), uint32(history.Never) // of those above, the one acknowledged first
		a.logs[k].each(true, func(offset int64, rec history.Rec) {
			flags := a.flags[rec]
			if flags&committed == 0 || flags&tied != 0 {
				return
			}
			low, high, ok := a.where(rec)
			if !ok {
				return
			}
			checked++
			w := a.h.Brief(int(a.writer[rec]) - 1)
			if offset == high && firstDone < w.Invoked {
				emit(finding{anomaly: AppendRealtimeOrder, key: key, recs: []history.Rec{first, rec},
					offsets: []int64{a.first(first), offset}, rows: []int{int(a.writer[first]) - 1, int(a.writer[rec]) - 1}})
			}
			if offset == low && w.Type == history.OK && w.Completed < firstDone {
				first, firstDone = rec, w.Completed
			}
		})
	}
	return checked
}
