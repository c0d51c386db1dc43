package detect

import (
	"math"
	"slices"
	"sort"

	"github.com/anishathalye/porcupine"
)

// outcome of a search.
type outcome uint8

const (
	unknown outcome = iota
	holds
	broken
)

// registerOp writes or reads a register. A write that may still take effect
// returns at noEnd.
type registerOp struct {
	write     bool
	value     int64
	call, ret int64
	row       int
}

// registerSteps bounds the search for registers whose values repeat.
const registerSteps = 1_000_000

// unsaid is the value of a register that had some value before the history
// began, which it does not tell.
const unsaid = math.MinInt64

// judgeRegister decides whether a register is linearizable that begins with a
// value, or with one that is unsaid: exactly and without a search where every
// write has its own value; else, if no read by itself shows that it is not, by a
// search between the moments at which nothing is under way, within a number of
// steps, beyond which it is unknown. rows are operations that show a violation.
func judgeRegister(ops []registerOp, first int64, steps int) (rows []int, verdict outcome) {
	if ops = sinceWritten(ops, first); len(ops) == 0 {
		return nil, holds
	}
	if writes, unique := uniqueWrites(ops, first); unique {
		rows = judgeZones(ops, writes)
		if rows == nil {
			return nil, holds
		}
		if first != unsaid {
			return rows, broken
		}
		// What was read before it was written may be what was there at first.
		if _, verdict = searchWindows(ops, first, steps); verdict == broken {
			return rows, broken
		}
		return nil, verdict
	}
	if rows = staleRead(ops, first); rows != nil {
		return rows, broken
	}
	rows, verdict = searchWindows(ops, first, steps)
	if verdict == holds && len(ops) <= fewOps && first != unsaid {
		// Small enough to look closer: each write of unknown outcome happens once.
		if left := steps; searchRegister(ops, &left) == broken {
			return shrinkRegister(ops, steps), broken
		}
	}
	return rows, verdict
}

// sinceWritten leaves out what was read before anything was written, if it is
// unknown what was there at first, or which other clients wrote.
func sinceWritten(ops []registerOp, first int64) []registerOp {
	if first != unsaid {
		return ops
	}
	begun := noEnd
	for _, op := range ops {
		if op.write {
			begun = min(begun, op.call)
		}
	}
	var kept []registerOp
	for _, op := range ops {
		if op.write || op.ret > begun {
			kept = append(kept, op)
		}
	}
	return kept
}

// fewOps may be searched with every write of unknown outcome counted.
const fewOps = 24

// uniqueWrites is which operation wrote each value; -1 for the one that was there
// at first. unique is false if two wrote the same.
func uniqueWrites(ops []registerOp, first int64) (writes map[int64]int, unique bool) {
	writes = map[int64]int{}
	for i, op := range ops {
		if op.write {
			if _, known := writes[op.value]; known {
				return nil, false
			}
			writes[op.value] = i
		}
	}
	if first != unsaid {
		_, known := writes[first]
		writes[first] = -1
		return writes, !known
	}
	for _, op := range ops {
		if _, known := writes[op.value]; !op.write && !known {
			writes[op.value] = -1
			break
		}
	}
	return writes, true
}

// zone of a value: the time between the earliest return and the latest call
// among its write and its reads. Forward: it must hold the value throughout.
// Backward: it holds it at some moment of it.
type zone struct {
	low, high       int64 // of the forward or backward interval
	lowRow, highRow int
	forward         bool
}

// judgeZones (Gibbons and Korach): a register with unique values is
// linearizable iff no read ends before its write begins, no two forward zones
// overlap, and no backward zone lies inside a forward one. It returns the
// operations that break this.
func judgeZones(ops []registerOp, writes map[int64]int) []int {
	for _, op := range ops {
		switch w, written := writes[op.value]; {
		case !written:
			return []int{op.row}
		case !op.write && w >= 0 && op.ret < ops[w].call:
			return unique([]int{ops[w].row, op.row})
		}
	}
	var forward, backward []zone
	for _, z := range zonesOf(ops, writes) {
		if z.forward {
			forward = append(forward, z)
		} else {
			backward = append(backward, z)
		}
	}
	sort.Slice(forward, func(i, j int) bool { return forward[i].low < forward[j].low })
	for i := 1; i < len(forward); i++ {
		if a, b := forward[i-1], forward[i]; b.low < a.high {
			return unique([]int{a.lowRow, a.highRow, b.lowRow, b.highRow})
		}
	}
	for _, b := range backward {
		i := sort.Search(len(forward), func(i int) bool { return forward[i].low > b.low }) - 1
		if i >= 0 && b.high < forward[i].high {
			return unique([]int{forward[i].lowRow, forward[i].highRow, b.lowRow, b.highRow})
		}
	}
	return nil
}

// zonesOf are the zones of all values, but for those of writes that may never
// have happened.
func zonesOf(ops []registerOp, writes map[int64]int) (zones []zone) {
	of := map[int64]int{}
	happened := []bool{}
	for _, op := range ops {
		i, known := of[op.value]
		if !known {
			i = len(zones)
			of[op.value] = i
			z := zone{low: op.ret, lowRow: op.row, high: op.call, highRow: op.row}
			if w, written := writes[op.value]; written && w < 0 { // before all began
				z.low, z.lowRow = -1, -1
			}
			zones, happened = append(zones, z), append(happened, false)
		}
		z := &zones[i]
		if op.ret < z.low {
			z.low, z.lowRow = op.ret, op.row
		}
		if op.call > z.high {
			z.high, z.highRow = op.call, op.row
		}
		happened[i] = happened[i] || !op.write || op.ret != noEnd
	}
	kept := zones[:0]
	for i, z := range zones {
		if !happened[i] {
			continue
		}
		if z.forward = z.low < z.high; !z.forward {
			z.low, z.high, z.lowRow, z.highRow = z.high, z.low, z.highRow, z.lowRow
		}
		kept = append(kept, z)
	}
	return kept
}

// searchRegister asks porcupine, with as many steps as are left.
func searchRegister(ops []registerOp, left *int) outcome {
	model := porcupine.Model{
		Init: func() any { return int64(-1) },
		Step: func(state, input, _ any) (bool, any) {
			if *left--; *left < 0 {
				return false, state
			}
			op := input.(registerOp)
			if op.write {
				return true, op.value
			}
			return state.(int64) == op.value, state
		},
	}
	operations := make([]porcupine.Operation, 0, len(ops))
	for i, op := range ops {
		operations = append(operations, porcupine.Operation{ClientId: i, Input: op, Call: op.call, Return: op.ret})
	}
	switch ok := porcupine.CheckOperations(model, operations); {
	case ok:
		return holds
	case *left < 0:
		return unknown
	}
	return broken
}

// shrinkRegister drops what the violation does not need. Whatever order explains
// all operations explains those that are left, too, if only reads were dropped,
// and writes that none of the reads left can be of. It ends where it is when it
// has used up its steps.
func shrinkRegister(ops []registerOp, left int) []int {
	overwritten := overwrittenBefore(ops)
	for size := len(ops) / 2; size > 0; {
		smaller := false
		for from := 0; from < len(ops); {
			rest := without(ops, from, from+size, overwritten)
			if len(rest) == len(ops) || left < 0 || searchRegister(rest, &left) != broken {
				from += size
				continue
			}
			ops, smaller = rest, true
		}
		if !smaller || size > 1 {
			size /= 2
		}
	}
	rows := []int{}
	for _, op := range ops {
		rows = append(rows, op.row)
	}
	return unique(rows)
}

// without is ops without those from here to there that can be dropped.
func without(ops []registerOp, from, to int, overwritten func(read registerOp) registerOp) (rest []registerOp) {
	dropped := func(i int) bool { return i >= from && i < to }
	readers := map[int64][]registerOp{}
	for i, op := range ops {
		if !op.write && !dropped(i) {
			readers[op.value] = append(readers[op.value], op)
		}
	}
	read := func(write registerOp) bool {
		for _, r := range readers[write.value] {
			if mayBe(write, r, overwritten(r)) {
				return true
			}
		}
		return false
	}
	for i, op := range ops {
		if !dropped(i) || op.write && read(op) {
			rest = append(rest, op)
		}
	}
	return rest
}

// staleRead finds a read that by itself proves the register wrong: the
// operation that wrote its value began after it, or was overwritten before it
// for certain.
func staleRead(ops []registerOp, first int64) (rows []int) {
	writers := writersByValue(ops)
	overwritten := overwrittenBefore(ops)
	for _, r := range ops {
		if r.write {
			continue
		}
		by := overwritten(r)
		isFirst := r.value == first || first == unsaid
		last, began := writers[r.value].before(r.ret)
		switch {
		case isFirst && by.row < 0, began && (by.row < 0 || last >= by.call):
		case began || isFirst:
			return unique([]int{by.row, r.row})
		case writers[r.value] != nil:
			return unique([]int{writers[r.value].rows[0], r.row})
		default:
			return []int{r.row}
		}
	}
	return nil
}

// writersOf are the writes of one value, by when they began.
type writersOf struct {
	calls, rets []int64 // rets: the latest of all up to here
	rows        []int
}

func writersByValue(ops []registerOp) map[int64]*writersOf {
	var writes []registerOp
	for _, op := range ops {
		if op.write {
			writes = append(writes, op)
		}
	}
	slices.SortStableFunc(writes, func(a, b registerOp) int { return compare(a.call, b.call) })
	of := map[int64]*writersOf{}
	for _, w := range writes {
		all := of[w.value]
		if all == nil {
			all = &writersOf{}
			of[w.value] = all
		}
		ret := w.ret
		if n := len(all.rets); n > 0 {
			ret = max(ret, all.rets[n-1])
		}
		all.calls, all.rets, all.rows = append(all.calls, w.call), append(all.rets, ret), append(all.rows, w.row)
	}
	return of
}

// before is the latest end of the writes that began before an event; ok is false
// if none did.
func (w *writersOf) before(event int64) (ret int64, ok bool) {
	if w == nil {
		return 0, false
	}
	i := sort.Search(len(w.calls), func(i int) bool { return w.calls[i] >= event })
	if i == 0 {
		return 0, false
	}
	return w.rets[i-1], true
}

// mayBe: what is read may be what this wrote, if the last to write for certain
// before the read was by.
func mayBe(write, read, by registerOp) bool {
	return write.call < read.ret && (by.row < 0 || write.ret >= by.call)
}

// overwrittenBefore returns a function that tells of a read which write
// overwrote all that were over before it: of those that ended before the read
// began, the one that began last. Its row is -1 if there is none.
func overwrittenBefore(ops []registerOp) func(read registerOp) registerOp {
	var writes []registerOp
	for _, op := range ops {
		if op.write {
			writes = append(writes, op)
		}
	}
	sort.Slice(writes, func(i, j int) bool { return writes[i].ret < writes[j].ret })
	rets := make([]int64, len(writes))
	for i, w := range writes {
		if rets[i] = w.ret; i > 0 && writes[i-1].call > w.call {
			writes[i] = writes[i-1]
		}
	}
	return func(read registerOp) registerOp {
		i := sort.Search(len(rets), func(i int) bool { return rets[i] >= read.call })
		if i == 0 {
			return registerOp{row: -1}
		}
		return writes[i-1]
	}
}

// unique leaves out what is no row, and what was there before.
func unique(rows []int) (out []int) {
	for _, r := range rows {
		if r >= 0 && !slices.Contains(out, r) {
			out = append(out, r)
		}
	}
	return out
}
