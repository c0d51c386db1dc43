package detect

import "slices"

// searchWindows looks for an order of a register's operations. It cuts them where
// nothing is under way: what came before then matters only by the values that
// the register may have, so that the whole costs no more than its busiest
// stretches. first is the value at the beginning, or unsaid.
//
// A write of unknown outcome may happen at any time from its call on; that it
// happens at most once is not held against the history.
func searchWindows(ops []registerOp, first int64, steps int) (rows []int, verdict outcome) {
	var sure, maybe []registerOp
	for _, op := range ops {
		if op.write && op.ret == noEnd {
			maybe = append(maybe, op)
		} else {
			sure = append(sure, op)
		}
	}
	byCall := func(a, b registerOp) int { return compare(a.call, b.call) }
	slices.SortStableFunc(sure, byCall)
	slices.SortStableFunc(maybe, byCall)
	s := &windowSearch{states: map[int64]int{first: None}, maybe: earliest(maybe), left: steps}
	for from := 0; from < len(sure); {
		to, end := from+1, sure[from].ret
		for to < len(sure) && sure[to].call < end {
			end = max(end, sure[to].ret)
			to++
		}
		before := s.states
		switch s.pass(sure[from:to]) {
		case unknown:
			return nil, unknown
		case broken:
			return s.proof(before, sure[:from], sure[from:to]), broken
		}
		from = to
	}
	return nil, holds
}

// earliest is when each value may have been written at the earliest by a write of
// unknown outcome.
func earliest(maybe []registerOp) map[int64]int64 {
	calls := map[int64]int64{}
	for _, op := range maybe {
		if _, known := calls[op.value]; !known {
			calls[op.value] = op.call
		}
	}
	return calls
}

// windowSearch is a search in progress.
type windowSearch struct {
	states map[int64]int // the values that the register may have, and which operation wrote each, or was the first to read it
	maybe  map[int64]int64
	left   int

	ops  []registerOp
	seen map[windowState]bool
	ends map[int64]int
}

// windowState: which operations of a window happened, and what the register is.
type windowState struct {
	done  uint64
	value int64
}

// pass finds the values that the register may have after some operations that
// overlap.
func (s *windowSearch) pass(ops []registerOp) outcome {
	if len(ops) > 64 {
		return unknown
	}
	s.ops, s.seen, s.ends = ops, map[windowState]bool{}, map[int64]int{}
	for value, row := range s.states {
		if !s.visit(windowState{0, value}, row) {
			return unknown
		}
	}
	if len(s.ends) == 0 {
		return broken
	}
	s.states = s.ends
	return holds
}

// visit tries all that may happen next; false: no steps are left.
func (s *windowSearch) visit(at windowState, row int) bool {
	if s.seen[at] {
		return true
	}
	if s.left--; s.left < 0 {
		return false
	}
	s.seen[at] = true
	if at.done == 1<<len(s.ops)-1 {
		s.ends[at.value] = row
		return true
	}
	first := s.firstReturn(at.done)
	for i, op := range s.ops {
		if at.done&(1<<i) != 0 || op.call > first {
			continue
		}
		next := windowState{at.done | 1<<i, op.value}
		switch {
		case op.write:
			if !s.visit(next, op.row) {
				return false
			}
		case s.reads(at.value, op):
			shown := row
			if op.value != at.value {
				shown = op.row // that it was written by then is known from this read
			}
			if !s.visit(next, shown) {
				return false
			}
		}
	}
	return true
}

// firstReturn is when the first of the operations that have not happened is over:
// what begins later comes later.
func (s *windowSearch) firstReturn(done uint64) int64 {
	first := noEnd
	for i, op := range s.ops {
		if done&(1<<i) == 0 {
			first = min(first, op.ret)
		}
	}
	return first
}

// reads: the register may be read as this.
func (s *windowSearch) reads(value int64, op registerOp) bool {
	if value == op.value || value == unsaid {
		return true
	}
	call, written := s.maybe[op.value]
	return written && call < op.ret
}

// proof are the operations of a window that has no order, those that wrote the
// values before it or showed them, and the last that wrote what is read in it.
func (s *windowSearch) proof(before map[int64]int, earlier, window []registerOp) (rows []int) {
	for _, row := range before {
		rows = append(rows, row)
	}
	slices.Sort(rows)
	const enough = 8
	rows = rows[max(0, len(rows)-enough):]
	for _, read := range window {
		for _, op := range slices.Backward(earlier) {
			if op.write && !read.write && op.value == read.value {
				rows = append(rows, op.row)
				break
			}
		}
	}
	slices.Sort(rows)
	rows = unique(rows[max(0, len(rows)-enough):])
	for _, op := range window {
		if len(rows) < 2*enough {
			rows = append(rows, op.row)
		}
	}
	return unique(rows)
}
