package checkers

import (
	"fmt"
	"sort"
	"time"

	"github.com/ktrial/ktrial/checkers/history"
)

// teller puts findings into words. It first looks through the history once
// for who saw the records that the findings speak of.
type teller struct {
	a     *analysis
	h     *history.History
	seen  map[history.Rec]*sighting
	index map[int]*history.Op // by row, as read
}

// sighting is who saw a record first: where, and in which operation.
type sighting struct {
	okReader, reader int           // rows; -1: nobody
	acked, polled    map[int64]int // by offset: row
	senders          int           // operations that sent it
}

func newTeller(a *analysis, kinds map[Anomaly]*kind) *teller {
	t := &teller{a: a, h: a.h, seen: map[history.Rec]*sighting{}, index: map[int]*history.Op{}}
	for _, k := range kinds {
		for _, fs := range [][]finding{k.bad, k.allowed} {
			for i := range fs {
				t.want(&fs[i])
			}
		}
	}
	if len(t.seen) > 0 {
		t.look()
	}
	return t
}

// want notes the records whose readers and writers the story needs.
func (t *teller) want(f *finding) {
	recs := f.recs
	switch f.anomaly {
	case LostWrite, TornTransaction:
		if rec, ok := t.boundary(f); ok {
			recs = append(recs[:len(recs):len(recs)], rec)
		}
	case PollSkip, IntPollSkip, IntSendSkip:
		if skipped := t.skipped(f, 1); len(skipped) > 0 {
			recs = append(recs[:len(recs):len(recs)], skipped[0])
		}
	case InconsistentOffsets, Duplicate:
	default:
		return
	}
	for _, rec := range recs {
		if t.seen[rec] == nil {
			t.seen[rec] = &sighting{-1, -1, map[int64]int{}, map[int64]int{}, 0}
		}
	}
}

func (t *teller) look() {
	first := func(m map[int64]int, offset int64, row int) {
		if _, ok := m[offset]; !ok {
			m[offset] = row
		}
	}
	t.h.Each(func(op *history.Op) bool {
		for _, p := range op.Polled {
			if s := t.seen[p.Rec]; s != nil {
				if s.okReader < 0 && op.Type == history.OK {
					s.okReader = op.Row
				}
				if s.reader < 0 {
					s.reader = op.Row
				}
				first(s.polled, p.Offset, op.Row)
			}
		}
		for _, p := range op.Sends {
			if s := t.seen[p.Rec]; s != nil {
				s.senders++
				if op.Type != history.Failed {
					first(s.acked, p.Offset, op.Row)
				}
			}
		}
		return true
	})
}

// boundary is the highest record of a partition that a successful poll read.
func (t *teller) boundary(f *finding) (history.Rec, bool) {
	bound := t.a.logs[f.key].bound
	if bound < 0 {
		return 0, false
	}
	at := spot{f.key, bound}
	for _, rec := range t.a.ties[at] {
		if t.a.flags[rec]&readOK != 0 {
			return rec, true
		}
	}
	slot := t.a.logs[f.key].at(bound)
	return history.Rec(slot - 1), slot != 0
}

// skipped are the records between the two of a jump, at most so many.
func (t *teller) skipped(f *finding, most int) (recs []history.Rec) {
	low, high := f.offsets[0], f.offsets[1]
	for len(recs) < most {
		offset, ok := t.a.logs[f.key].between(low, high)
		if !ok {
			break
		}
		recs = append(recs, history.Rec(t.a.logs[f.key].at(offset)-1))
		low = offset
	}
	return recs
}

// tell is a finding in words.
func (t *teller) tell(f *finding) Instance {
	in := Instance{Writer: -1, Reader: -1, Offsets: f.offsets[:min(keptFindings, len(f.offsets))]}
	if int(f.key) < len(t.h.Keys()) && len(f.recs) > 0 {
		in.Partition = t.h.Keys()[f.key].String()
	}
	for _, rec := range f.recs[:min(keptFindings, len(f.recs))] {
		in.Values = append(in.Values, t.h.ValueOf(rec).String())
	}
	rows := append([]int(nil), f.rows...)
	if story := stories[f.anomaly]; story != nil {
		rows = story(t, f, &in)
	} else {
		in.Message = string(f.anomaly)
	}
	rows = unique(rows)
	for _, row := range rows {
		in.Ops = append(in.Ops, t.h.Index(row))
		in.At = max(in.At, t.op(row).End)
	}
	if in.Ops == nil {
		in.Ops = []int64{}
	}
	in.Lanes = t.lanes(rows, f)
	return in
}

// unique leaves out what is no row, and what was there before.
func unique(rows []int) (out []int) {
	known := map[int]bool{}
	for _, r := range rows {
		if r >= 0 && !known[r] {
			known[r] = true
			out = append(out, r)
		}
	}
	return out
}

func (t *teller) op(row int) *history.Op {
	if t.index[row] == nil {
		op := &history.Op{}
		t.h.Read(row, op)
		t.index[row] = op
	}
	return t.index[row]
}

// who is the client of an operation, with its index.
func (t *teller) who(row int) string {
	return fmt.Sprintf("%s (op %d)", t.h.Client(t.op(row).ProcessNo), t.h.Index(row))
}

func (t *teller) value(rec history.Rec) string { return t.h.ValueOf(rec).String() }

// spot is a place in a log: orders/0@17.
func (t *teller) spot(key history.Key, offset int64) string {
	if offset < 0 {
		return t.h.Keys()[key].String() + " at an unknown offset"
	}
	return fmt.Sprintf("%s@%d", t.h.Keys()[key], offset)
}

// clock is a time as a person reads it: of long runs, milliseconds.
func clock(d time.Duration) string {
	if d >= time.Second {
		d = d.Round(time.Millisecond)
	}
	return d.String()
}

// came says how a record is known to have been written.
func (t *teller) came(rec history.Rec) string {
	w := int(t.a.writer[rec]) - 1
	if w < 0 {
		return fmt.Sprintf("nobody sent %s", t.value(rec))
	}
	op := t.op(w)
	key := t.h.KeyOf(rec)
	at := ""
	for _, s := range op.Sends {
		if s.Rec == rec && s.Offset >= 0 {
			at = fmt.Sprintf(" at %s", t.spot(key, s.Offset))
		}
	}
	switch op.Type {
	case history.OK:
		return fmt.Sprintf("%s was acknowledged%s to %s at %s", t.value(rec), at, t.who(w), clock(op.End))
	case history.Failed:
		return fmt.Sprintf("%s was sent%s by %s, which definitely failed at %s", t.value(rec), at, t.who(w), clock(op.End))
	}
	if t.a.flags[rec]&proved != 0 {
		for _, s := range op.Sends {
			if t.a.flags[s.Rec]&readOK != 0 {
				return fmt.Sprintf("%s was sent%s by %s, which took effect, for its record %s was read", t.value(rec), at, t.who(w), t.value(s.Rec))
			}
		}
	}
	return fmt.Sprintf("%s was sent%s by %s, which does not know how it ended", t.value(rec), at, t.who(w))
}

// polled says in which operation a record was read.
func (t *teller) polled(row int, rec history.Rec) string {
	return t.polledAt(row, rec, history.NoOffset)
}

// polledAt is polled where the operation may have read the record at several
// offsets.
func (t *teller) polledAt(row int, rec history.Rec, at int64) string {
	op := t.op(row)
	offset := history.NoOffset
	for _, p := range op.Polled {
		if p.Rec == rec && (offset < 0 || offset != at) {
			offset = p.Offset
		}
	}
	return fmt.Sprintf("%s polled %s and was given %s, at %s", t.who(row), t.spot(t.h.KeyOf(rec), offset), t.value(rec), clock(op.End))
}

// index is the operation's index, or -1.
func (t *teller) indexOf(row int) int64 {
	if row < 0 {
		return -1
	}
	return t.h.Index(row)
}

// sortedOffsets lists the keys of a map of offsets.
func sortedOffsets(m map[int64]int) []int64 {
	var offsets []int64
	for o := range m {
		offsets = append(offsets, o)
	}
	sort.Slice(offsets, func(i, j int) bool { return offsets[i] < offsets[j] })
	return offsets
}
