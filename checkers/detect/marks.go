package detect

import (
	"fmt"
	"math"
	"slices"
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

// marks: a log's end, read in real time, is never below what is known to
// have been appended, nor below what was read before; its start never goes
// back. Producer epochs and group generations only grow. All are counters, so
// one sweep in the order of time suffices.
type marks struct {
	log                   *Log
	ends, stables, starts map[history.Key]*marksOf
	producers, groups     map[string]*marksOf
	committed             bool // consumers are given only what is stable
	memberEpochs          bool // generations are the members' own, and say nothing of each other
	emit                  Emit
}

func (l *Log) findMarks(readCommitted, memberEpochs bool, emit Emit) int64 {
	m := &marks{log: l, ends: map[history.Key]*marksOf{}, stables: map[history.Key]*marksOf{}, starts: map[history.Key]*marksOf{},
		producers: map[string]*marksOf{}, groups: map[string]*marksOf{}, committed: readCommitted, memberEpochs: memberEpochs, emit: emit}
	l.H.EachOf(history.HasFacts, func(op *history.Op) bool {
		m.gather(op)
		return true
	})
	if len(m.ends)+len(m.stables) > 0 {
		m.gatherAppends()
	}
	checked := m.sweepKeys(m.ends, NonmonotonicEnd, LogEnd)
	checked += m.sweepKeys(m.stables, NonmonotonicEnd, LastStable)
	checked += m.sweepKeys(m.starts, DecreasingStart, LogStart)
	checked += m.sweepNames(m.producers, ProducerEpoch, ProducersEpoch, 1)
	checked += m.sweepNames(m.groups, GroupGeneration, Generation, 0)
	return checked
}

func (m *marks) gather(op *history.Op) {
	if op.Type != history.OK {
		return
	}
	switch op.F {
	case history.InitProducer:
		if op.Producer == 0 && op.ProducerEpoch == 0 {
			return // not told
		}
		// Another producer id is another counter.
		markOf(m.producers, fmt.Sprintf("%s (producer id %d)", op.Txn, op.Producer)).add(op, op.ProducerEpoch)
	case history.Join:
		if op.Generation <= 0 || m.memberEpochs {
			return // not told
		}
		markOf(m.groups, op.Group).add(op, op.Generation)
	}
	for _, o := range op.Offsets {
		if o.Offset < 0 {
			continue
		}
		switch o.Kind {
		case history.MopEnd:
			markOf(m.ends, o.Key).add(op, o.Offset)
		case history.MopStable:
			markOf(m.stables, o.Key).add(op, o.Offset)
			m.compare(op, o)
		case history.MopStart:
			markOf(m.starts, o.Key).add(op, o.Offset)
		case history.MopDelete:
			markOf(m.starts, o.Key).floor(op, o.Offset)
		}
	}
}

// compare: in one answer nothing is stable beyond the end.
func (m *marks) compare(op *history.Op, stable history.OffsetMop) {
	for _, o := range op.Offsets {
		if o.Kind != history.MopEnd || o.Key != stable.Key || o.Offset < 0 || o.Offset >= stable.Offset {
			continue
		}
		f := about(NonmonotonicEnd, o.Key)
		f.Mark = LogEnd
		f.Earlier, f.Later = Sight{Offset: stable.Offset, Row: op.Row}, Sight{Offset: o.Offset, Row: op.Row}
		m.emit(f)
	}
}

func markOf[K comparable](m map[K]*marksOf, key K) *marksOf {
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

// gatherAppends: what was acknowledged or delivered is below the end, and what
// read_committed consumers were given is below the last stable offset.
func (m *marks) gatherAppends() {
	l := m.log
	l.H.EachOf(history.HasSends|history.HasPolls, func(op *history.Op) bool {
		if op.Type != history.OK {
			return true
		}
		for _, s := range op.Sends {
			if end := m.ends[l.H.KeyOf(s.Rec)]; end != nil && s.Offset >= 0 && l.flags[s.Rec]&(tied|several) == 0 {
				end.acked = append(end.acked, bound{op.Completed, s.Offset + 1, op.Row})
			}
		}
		for i, p := range op.Polled {
			key := l.H.KeyOf(p.Rec)
			if p.Offset < 0 || i+1 < len(op.Polled) && op.Polled[i+1].Offset == p.Offset+1 && l.H.KeyOf(op.Polled[i+1].Rec) == key {
				continue // of a run of records the last says it all
			}
			if end := m.ends[key]; end != nil {
				end.floor(op, p.Offset+1)
			}
			if stable := m.stables[key]; stable != nil && m.committed {
				stable.floor(op, p.Offset+1)
			}
		}
		return true
	})
}

// sweep calls bad for every read that is less than grow above the highest
// floor known before it began. Of several floors it names the one that says
// most: what the reader itself was told, then what any client saw, then what
// was only acknowledged.
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

func (m *marks) sweepKeys(all map[history.Key]*marksOf, anomaly Anomaly, mark Mark) (checked int64) {
	for k := range m.log.H.Keys() {
		key := history.Key(k)
		s := all[key]
		if s == nil {
			continue
		}
		checked += int64(len(s.reads))
		s.sweep(0, func(r markRead, floor bound) { m.emit(low(about(anomaly, key), mark, r, floor)) })
	}
	return checked
}

func (m *marks) sweepNames(all map[string]*marksOf, anomaly Anomaly, mark Mark, grow int64) (checked int64) {
	var names []string
	for name := range all {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		s := all[name]
		checked += int64(len(s.reads))
		s.sweep(grow, func(r markRead, floor bound) {
			f := low(about(anomaly, -1), mark, r, floor)
			f.Name = name
			m.emit(f)
		})
	}
	return checked
}

// low is a mark that was read lower than it was known to be.
func low(f Finding, mark Mark, r markRead, floor bound) Finding {
	f.Mark = mark
	f.Earlier, f.Later = Sight{Offset: floor.value, Row: floor.row}, Sight{Offset: r.value, Row: r.row}
	return f
}
