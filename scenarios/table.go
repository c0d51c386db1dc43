package scenarios

import (
	"fmt"
	"time"

	"github.com/ktrial/ktrial/checkers"
	"github.com/ktrial/ktrial/checkers/history"
)

// TableIsKept: a reader that began at the start of a partition and has come past the
// last record of a key has the value of that record, or, if it is a tombstone, none.
//
// It is not promised that a reader sees each value in between. A reader that is slower
// than delete.retention.ms may miss a tombstone, and has a value that was deleted.
var TableIsKept = checkers.Check{
	Name:  "what a reader has of a table is the table",
	About: "of each record key a reader has the last value by its offset, and none if that is a tombstone",
	Run: func(h *history.History) checkers.Checked {
		t := table{h: h, last: map[cell]write{}, cells: map[history.Key][]cell{}, unsure: map[cell]bool{}}
		h.Each(t.learn)
		readers := readings{table: &t, of: map[reading]*view{}}
		h.Each(readers.read)
		return readers.judge()
	},
}

// cell is a record key of a partition.
type cell struct {
	partition history.Key
	key       uint32
}

// write is a record that was put under a key. rec is of a tombstone if its value is
// null.
type write struct {
	rec     history.Rec
	offset  int64
	op      int
	details uint32
}

// table is what was last written under each key, as far as any client knows.
type table struct {
	h    *history.History
	last map[cell]write
	// cells of each partition, in the order in which they were met.
	cells map[history.Key][]cell
	// unsure: a tombstone was sent of which it is not known whether it was written.
	unsure map[cell]bool
}

func (t *table) learn(op *history.Op) bool {
	for _, s := range op.Sends {
		c, ok := t.cell(s.Rec, s.Details)
		switch {
		case !ok || op.Type == history.Failed:
		case op.Type == history.OK && s.Offset >= 0:
			t.put(c, write{s.Rec, s.Offset, op.Row, s.Details})
		default: // a value is found again where it was written, if it was and stayed
			t.unsure[c] = t.unsure[c] || t.isTombstone(s.Rec)
		}
	}
	for _, p := range op.Polled {
		if c, ok := t.cell(p.Rec, p.Details); ok && op.Type == history.OK {
			t.put(c, write{p.Rec, p.Offset, op.Row, p.Details})
		}
	}
	return true
}

func (t *table) cell(rec history.Rec, details uint32) (cell, bool) {
	if details == 0 || !t.h.Details(details).HasKey() {
		return cell{}, false
	}
	return cell{t.h.KeyOf(rec), t.h.Details(details).RecordKey()}, true
}

func (t *table) put(c cell, w write) {
	last, known := t.last[c]
	if !known {
		t.cells[c.partition] = append(t.cells[c.partition], c)
	}
	if !known || w.offset > last.offset {
		t.last[c] = w
	}
}

func (t *table) isTombstone(rec history.Rec) bool { return t.h.ValueOf(rec).IsNull() }

// reading is what a process reads of a partition.
type reading struct {
	process   int64
	partition history.Key
}

// view is a reader's table.
type view struct {
	reading
	has  map[cell]write
	upTo int64 // offset of the last record that it was given
	op   int
	at   time.Duration
}

// readings are those of all processes that began at the start, in the order in which
// they did.
type readings struct {
	*table
	of    map[reading]*view
	order []*view
}

func (r *readings) read(op *history.Op) bool {
	if op.F == history.Assign && op.Type == history.OK && op.Seek {
		for _, k := range op.Keys {
			v := &view{reading: reading{op.Process, k}, has: map[cell]write{}, upTo: history.NoOffset}
			r.of[v.reading] = v
			r.order = append(r.order, v)
		}
	}
	for _, p := range op.Polled {
		v := r.of[reading{op.Process, r.h.KeyOf(p.Rec)}]
		if v == nil || op.Type != history.OK {
			continue
		}
		v.upTo, v.op, v.at = p.Offset, op.Row, op.End
		c, ok := r.cell(p.Rec, p.Details)
		switch {
		case !ok:
		case r.isTombstone(p.Rec):
			delete(v.has, c)
		default:
			v.has[c] = write{p.Rec, p.Offset, op.Row, p.Details}
		}
	}
	return true
}

func (r *readings) judge() (found checkers.Checked) {
	for _, v := range r.order {
		for _, c := range r.cells[v.partition] {
			last := r.last[c]
			if last.offset >= v.upTo {
				continue // it has not come past it
			}
			found.Count++
			if broken := r.compare(v, c, last); broken != nil {
				found.Broken = append(found.Broken, *broken)
			}
		}
	}
	return found
}

// compare is what is wrong with one key of a reader's table, or nil.
func (r *readings) compare(v *view, c cell, last write) *checkers.Broken {
	has, ok := v.has[c]
	deleted := r.isTombstone(last.rec)
	switch {
	case !ok && (deleted || r.unsure[c]), ok && !deleted && has.rec == last.rec:
		return nil
	case ok && !deleted && has.offset > last.offset:
		panic(fmt.Sprintf("scenarios: a reader has a record at %d, the last that is known is at %d", has.offset, last.offset))
	}
	key := r.h.Attributes(r.h.Details(last.details)).RecordKey
	name := fmt.Sprintf("%v@%d", r.h.Keys()[v.partition], last.offset)
	ops, values := []int64{r.h.Index(last.op)}, []string{}
	what := "nothing"
	if ok {
		what = fmt.Sprintf("%v, read at %d", r.h.ValueOf(has.rec), has.offset)
		ops, values = append(ops, r.h.Index(has.op)), append(values, r.h.ValueOf(has.rec).String())
	}
	want := fmt.Sprintf("deleted by the tombstone %s", name)
	if !deleted {
		want = fmt.Sprintf("%v, written to %s", r.h.ValueOf(last.rec), name)
		values = append(values, r.h.ValueOf(last.rec).String())
	}
	return &checkers.Broken{
		Message: fmt.Sprintf("process %d has read up to %d, and has under key %v %s; it is %s", v.process, v.upTo, key, what, want),
		Ops:     append(ops, r.h.Index(v.op)), Values: values, At: v.at,
	}
}
