package checkers

import (
	"fmt"
	"math"
	"sort"

	"github.com/ktrial/ktrial/checkers/history"
)

// bound is something known of a partition from an event on: its end is at
// least so far, because of the operation in this row.
type bound struct {
	event, value int64
	row          int
}

// marksOf is what operations tell of one mark of one partition.
type marksOf struct {
	reads  []markRead
	floors []bound
	// acked are the floors that were promised to producers. What they are worth
	// depends on acks.
	acked []bound
}

type markRead struct {
	begin, value int64
	row          int
	process      int64
}

// findMarks: a log's end, read in real time, is never below what is known to
// have been appended, nor below what was read before; its start never goes
// back. Producer epochs and group generations only grow. All are counters, so
// one sweep in the order of time suffices.
func findMarks(a *analysis, emit emit) int64 {
	m := &marks{ends: map[history.Key]*marksOf{}, stables: map[history.Key]*marksOf{}, starts: map[history.Key]*marksOf{},
		producers: map[string]*marksOf{}, groups: map[string]*marksOf{}}
	a.h.EachOf(history.HasFacts, func(op *history.Op) bool {
		m.gather(op)
		return true
	})
	if len(m.ends) > 0 {
		m.gatherAppends(a)
	}
	checked := sweepKeys(a, m.ends, NonmonotonicEnd, "end", emit)
	checked += sweepKeys(a, m.stables, NonmonotonicEnd, "last stable offset", emit)
	checked += sweepKeys(a, m.starts, DecreasingStart, "start", emit)
	checked += sweepNames(a, m.producers, ProducerEpoch, "producer epoch of %s", 1, emit)
	checked += sweepNames(a, m.groups, GroupGeneration, "generation of group %s", 0, emit)
	return checked
}

type marks struct {
	ends, stables, starts map[history.Key]*marksOf
	producers, groups     map[string]*marksOf
}

func (m *marks) gather(op *history.Op) {
	if op.Type != history.OK {
		return
	}
	switch op.F {
	case history.InitProducer:
		if op.Producer == 0 && op.Epoch == 0 {
			return // not told
		}
		// Another producer id is another counter.
		note(m.producers, fmt.Sprintf("%s (producer id %d)", op.Txn, op.Producer)).add(op, op.Epoch)
	case history.Join:
		if op.Generation <= 0 {
			return // not told
		}
		note(m.groups, op.Group).add(op, op.Generation)
	}
	for _, o := range op.Offsets {
		if o.Offset < 0 {
			continue
		}
		switch o.Kind {
		case history.MopEnd:
			note(m.ends, o.Key).add(op, o.Offset)
		case history.MopStable:
			note(m.stables, o.Key).add(op, o.Offset)
		case history.MopStart:
			note(m.starts, o.Key).add(op, o.Offset)
		case history.MopDelete:
			note(m.starts, o.Key).floor(op, o.Offset)
		}
	}
}

func note[K comparable](m map[K]*marksOf, key K) *marksOf {
	if m[key] == nil {
		m[key] = &marksOf{}
	}
	return m[key]
}

func (s *marksOf) add(op *history.Op, value int64) {
	s.reads = append(s.reads, markRead{op.Invoked, value, op.Row, op.Process})
	s.floor(op, value)
}

func (s *marksOf) floor(op *history.Op, value int64) {
	if n := len(s.floors); n > 0 && s.floors[n-1].event <= op.Completed && s.floors[n-1].value >= value {
		return // as much was known already
	}
	s.floors = append(s.floors, bound{op.Completed, value, op.Row})
}

// gatherAppends: what was acknowledged or delivered is below the end.
func (m *marks) gatherAppends(a *analysis) {
	a.h.EachOf(history.HasSends|history.HasPolls, func(op *history.Op) bool {
		if op.Type != history.OK {
			return true
		}
		for _, s := range op.Sends {
			if end := m.ends[a.h.KeyOf(s.Rec)]; end != nil && s.Offset >= 0 && a.flags[s.Rec]&(tied|several) == 0 {
				end.acked = append(end.acked, bound{op.Completed, s.Offset + 1, op.Row})
			}
		}
		for _, p := range op.Polled {
			if end := m.ends[a.h.KeyOf(p.Rec)]; end != nil && p.Offset >= 0 {
				end.floor(op, p.Offset+1)
			}
		}
		return true
	})
}

// sweep calls bad for every read that is less than grow above the highest
// floor known before it began. Of several floors it names the one that says
// most: what the reader itself was told, then what anybody saw, then what was
// only acknowledged.
func (s *marksOf) sweep(grow int64, bad func(read markRead, floor bound)) {
	sort.SliceStable(s.reads, func(i, j int) bool { return s.reads[i].begin < s.reads[j].begin })
	seen, acked := rising(s.floors), rising(s.acked)
	told := map[int64]bound{} // by process, which reads one after another
	for _, r := range s.reads {
		own, heard := told[r.process]
		if !heard || r.value > own.value {
			told[r.process] = bound{r.begin, r.value, r.row}
		}
		anybodys, promised := seen(r.begin), acked(r.begin)
		switch {
		case heard && r.value < own.value+grow:
			bad(r, own)
		case r.value < anybodys.value+grow:
			bad(r, anybodys)
		case r.value < promised.value+grow:
			bad(r, promised)
		}
	}
}

// rising returns a function that tells the highest of floors known before an
// event, for events in their order.
func rising(floors []bound) func(event int64) bound {
	sort.SliceStable(floors, func(i, j int) bool { return floors[i].event < floors[j].event })
	best := bound{value: math.MinInt64 / 2}
	return func(event int64) bound {
		for len(floors) > 0 && floors[0].event < event {
			if floors[0].value > best.value {
				best = floors[0]
			}
			floors = floors[1:]
		}
		return best
	}
}

func sweepKeys(a *analysis, all map[history.Key]*marksOf, anomaly Anomaly, what string, emit emit) (checked int64) {
	for k := range a.h.Keys() {
		key := history.Key(k)
		s := all[key]
		if s == nil {
			continue
		}
		checked += int64(len(s.reads))
		s.sweep(0, func(r markRead, floor bound) {
			emit(finding{anomaly: anomaly, key: key, rows: []int{floor.row, r.row}, offsets: []int64{floor.value, r.value},
				note: fmt.Sprintf("the %s of %s was read as %d, though it was at least %d before", what, a.h.Keys()[key], r.value, floor.value)})
		})
	}
	return checked
}

func sweepNames(a *analysis, all map[string]*marksOf, anomaly Anomaly, what string, grow int64, emit emit) (checked int64) {
	var names []string
	for name := range all {
		names = append(names, name)
	}
	sort.Strings(names)
	for _, name := range names {
		s := all[name]
		checked += int64(len(s.reads))
		s.sweep(grow, func(r markRead, floor bound) {
			emit(finding{anomaly: anomaly, rows: []int{floor.row, r.row}, offsets: []int64{floor.value, r.value},
				note: fmt.Sprintf(what+" was granted as %d, though %d was granted before", name, r.value, floor.value)})
		})
	}
	return checked
}
