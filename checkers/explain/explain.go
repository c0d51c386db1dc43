// Package explain puts findings into words: what was seen, why it cannot be, and
// which few operations show it.
package explain

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/ktrial/ktrial/checkers/detect"
	"github.com/ktrial/ktrial/checkers/history"
)

// Instance is one occurrence of an anomaly, with its proof.
type Instance struct {
	Ops       []int64       `json:"ops"`
	Message   string        `json:"message"`
	Proof     []string      `json:"proof,omitempty"` // a short argument, step by step
	Lanes     string        `json:"lanes,omitempty"` // the operations, drawn
	Partition string        `json:"partition,omitempty"`
	Permitted string        `json:"permitted,omitempty"` // why, if it is
	Undecided string        `json:"undecided,omitempty"` // why it cannot be known, if it cannot
	Follows   string        `json:"follows,omitempty"`   // the anomaly that it follows from, of the same record
	At        time.Duration `json:"at"`                  // when it could be known

	Values    []string `json:"values,omitempty"`
	Offsets   []int64  `json:"offsets,omitempty"`
	Delta     int      `json:"delta,omitempty"`   // of a jump, in known records
	Skipped   []string `json:"skipped,omitempty"` // what it jumped over
	Writer    int64    `json:"writer"`            // -1: none
	Reader    int64    `json:"reader"`
	Reference string   `json:"-"`
}

// Kept is how many of its records and offsets an instance names.
const Kept = 64

// Explainer puts findings into words. It first looks through the history once
// for the operations that saw the records that the findings speak of.
type Explainer struct {
	log   *detect.Log
	h     *history.History
	seen  map[history.Rec]*sighting
	index map[int]*history.Op // by row, as read
}

// sighting is where a record was seen first, and in which operation.
type sighting struct {
	okReader, reader int           // rows; -1: none
	acked, polled    map[int64]int // by offset: row
	senders          int           // operations that sent it
}

// New prepares to tell of these findings.
func New(log *detect.Log, findings []*detect.Finding) *Explainer {
	t := &Explainer{log: log, h: log.H, seen: map[history.Rec]*sighting{}, index: map[int]*history.Op{}}
	for _, f := range findings {
		t.want(f)
	}
	if len(t.seen) > 0 {
		t.look()
	}
	return t
}

// want marks the records whose readers and writers the story needs.
func (t *Explainer) want(f *detect.Finding) {
	recs := f.Records()
	switch f.Anomaly {
	case detect.LostWrite, detect.TornTransaction:
		if rec, ok := t.boundary(f); ok {
			recs = append(recs[:len(recs):len(recs)], rec)
		}
	case detect.PollSkip, detect.IntPollSkip, detect.IntSendSkip:
		if skipped := t.skipped(f, 1); len(skipped) > 0 {
			recs = append(recs[:len(recs):len(recs)], skipped[0])
		}
	case detect.InconsistentOffsets, detect.Duplicate:
	default:
		return
	}
	for _, rec := range recs[:min(Kept, len(recs))] {
		if t.seen[rec] == nil {
			t.seen[rec] = &sighting{-1, -1, map[int64]int{}, map[int64]int{}, 0}
		}
	}
}

func (t *Explainer) look() {
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

// boundary is the record beyond a lost one that a successful poll read.
func (t *Explainer) boundary(f *detect.Finding) (history.Rec, bool) {
	if f.Passed < 0 || f.Beyond {
		return 0, false
	}
	for _, rec := range t.log.Ties(f.Key, f.Passed) {
		if t.log.Read(rec) {
			return rec, true
		}
	}
	return t.log.At(f.Key, f.Passed)
}

// skipped are the records between the two of a jump, at most so many.
func (t *Explainer) skipped(f *detect.Finding, most int) (recs []history.Rec) {
	for _, rec := range t.log.Skipped(f) {
		if recs = append(recs, rec); len(recs) == most {
			break
		}
	}
	return recs
}

// firstSkipped is where the first record of a jump lies.
func (t *Explainer) firstSkipped(f *detect.Finding) int64 {
	for offset := range t.log.Skipped(f) {
		return offset
	}
	return history.NoOffset
}

// Explain is a finding in words.
func (t *Explainer) Explain(f *detect.Finding) Instance {
	in := Instance{Writer: -1, Reader: -1, Offsets: offsets(f)}
	recs := f.Records()
	if f.Key >= 0 && int(f.Key) < len(t.h.Keys()) {
		in.Partition = t.h.Keys()[f.Key].String()
	}
	for _, rec := range recs[:min(Kept, len(recs))] {
		in.Values = append(in.Values, t.h.ValueOf(rec).String())
	}
	s := &telling{Explainer: t, f: f, in: &in, recs: slices.Clone(recs), rows: slices.Clone(f.Rows())}
	if story := stories[f.Anomaly]; story != nil {
		story(s)
	} else {
		in.Message = string(f.Anomaly)
	}
	rows := unique(s.rows)
	for _, row := range rows {
		in.Ops = append(in.Ops, t.h.Index(row))
		in.At = max(in.At, t.op(row).End)
	}
	if in.Ops == nil {
		in.Ops = []int64{}
	}
	in.Lanes = t.lanes(rows, s.recs)
	return in
}

// offsets are those that a finding is about, in the order of its story.
func offsets(f *detect.Finding) []int64 {
	switch f.Anomaly {
	case detect.Duplicate:
		return f.Offsets[:min(Kept, len(f.Offsets))]
	case detect.LostWrite:
		if f.Beyond {
			return []int64{f.Record.Offset, f.End}
		}
		return []int64{f.Record.Offset, f.Passed}
	case detect.TornTransaction:
		return []int64{f.Record.Offset, f.Later.Offset}
	case detect.GroupSkip, detect.Unprocessed:
		return []int64{f.Record.Offset, f.Later.Offset}
	case detect.NonmonotonicEnd:
		if f.Record.Row >= 0 {
			return []int64{f.Earlier.Offset, f.Record.Offset}
		}
	case detect.InconsistentOffsets, detect.Unseen, detect.PhantomRead, detect.G1a, detect.AbortedRead, detect.PrecommittedRead,
		detect.DuplicateProcessing, detect.ChangedRecord, detect.ReadAfterRevoke, detect.ProcessedTwice:
		return []int64{f.Record.Offset}
	case detect.G1c, detect.G0, detect.G0Realtime, detect.CommittedOffset, detect.OwnedTwice, detect.ZombieOwner:
		return nil
	case detect.G1cRealtime:
		if f.Direct {
			return []int64{f.Record.Offset}
		}
		return nil
	}
	if f.Earlier == (detect.Sight{Row: detect.None}) && f.Later == (detect.Sight{Row: detect.None}) {
		return nil
	}
	return []int64{f.Earlier.Offset, f.Later.Offset}
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

func (t *Explainer) op(row int) *history.Op {
	if t.index[row] == nil {
		op := &history.Op{}
		t.h.Read(row, op)
		t.index[row] = op
	}
	return t.index[row]
}

// client is the client of an operation.
func (t *Explainer) client(row int) string { return t.h.Client(t.op(row).ProcessNo) }

// actor is the client of an operation, with its index.
func (t *Explainer) actor(row int) string {
	return fmt.Sprintf("%s (op %d)", t.client(row), t.h.Index(row))
}

// value names a record: by its text, or as "record 17" where it is a number.
func (t *Explainer) value(rec history.Rec) string {
	v := t.h.ValueOf(rec)
	switch _, isInt := v.IsInt(); {
	case isInt:
		return "record " + v.String()
	case v.IsNull():
		return "a record without a value"
	}
	return v.String()
}

// partition names a partition: orders/0, or "partition 1" where it is no such
// name.
func (t *Explainer) partition(key history.Key) string {
	name := t.h.Keys()[key].String()
	//text:allow the name of a partition in a foreign history
	if strings.Contains(name, "/") {
		return name
	}
	return "partition " + name
}

// spot is a position in a log: orders/0@17, or "partition 1, offset 17".
func (t *Explainer) spot(key history.Key, offset int64) string {
	name := t.h.Keys()[key].String()
	switch {
	case offset < 0:
		return t.partition(key) + " at an unknown offset"
	//text:allow the name of a partition in a foreign history
	case strings.Contains(name, "/"):
		return fmt.Sprintf("%s@%d", name, offset)
	}
	return fmt.Sprintf("partition %s, offset %d", name, offset)
}

// recordAt is a record and its position.
func (t *Explainer) recordAt(rec history.Rec, key history.Key, offset int64) string {
	return fmt.Sprintf("%s (%s)", t.value(rec), t.spot(key, offset))
}

// clock is a time as a person reads it: of long runs, milliseconds.
func clock(d time.Duration) string {
	if d >= time.Second {
		d = d.Round(time.Millisecond)
	}
	return d.String()
}

// ended says when an operation ended; nothing, if the history has no times.
func (t *Explainer) ended(row int) string {
	if op := t.op(row); op.End > 0 {
		return " at " + clock(op.End)
	}
	return ""
}

// cameBy says how a record is known to have been written, by one of the operations
// that sent it.
func (t *Explainer) cameBy(rec history.Rec, row int) string {
	if row < 0 {
		return fmt.Sprintf("no client sent %s", t.value(rec))
	}
	op := t.op(row)
	what := t.value(rec)
	for _, s := range op.Sends {
		if s.Rec == rec && s.Offset >= 0 {
			what = t.recordAt(rec, t.h.KeyOf(rec), s.Offset)
		}
	}
	switch op.Type {
	case history.OK:
		return fmt.Sprintf("%s was acknowledged to %s%s", what, t.actor(row), t.ended(row))
	case history.Failed:
		return fmt.Sprintf("%s was sent by %s, which definitely failed%s", what, t.actor(row), t.ended(row))
	}
	if t.log.Proved(rec) {
		for _, s := range op.Sends {
			if t.log.Read(s.Rec) {
				return fmt.Sprintf("%s was sent by %s, which took effect, for its record %s was read", what, t.actor(row), t.value(s.Rec))
			}
		}
	}
	return fmt.Sprintf("%s was sent by %s, which does not know how it ended", what, t.actor(row))
}

// polled says in which operation a record was read.
func (t *Explainer) polled(row int, rec history.Rec) string {
	return t.polledAt(row, rec, history.NoOffset)
}

// polledAt is polled where the operation may have read the record at several
// offsets.
func (t *Explainer) polledAt(row int, rec history.Rec, at int64) string {
	offset := history.NoOffset
	for _, p := range t.op(row).Polled {
		if p.Rec == rec && (offset < 0 || offset != at) {
			offset = p.Offset
		}
	}
	return fmt.Sprintf("%s was given %s by a poll%s", t.actor(row), t.recordAt(rec, t.h.KeyOf(rec), offset), t.ended(row))
}

// indexOf is the operation's index, or -1.
func (t *Explainer) indexOf(row int) int64 {
	if row < 0 {
		return -1
	}
	return t.h.Index(row)
}
