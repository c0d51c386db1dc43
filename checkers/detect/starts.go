package detect

import (
	"math"

	"github.com/ktrial/ktrial/checkers/history"
)

// Reset is what is known of auto.offset.reset: where consumers without a
// position begin.
type Reset uint8

// What is known of it.
const (
	ResetUnknown Reset = iota
	ResetEarliest
	ResetLatest
)

// owing is what a reader owes below the first record that it was given of a
// partition. A consumer that begins at the end of the log owes nothing of what
// was there before; one that begins at its start owes everything.
//
// Where it began is mostly not told, but it follows from what it was given: a
// consumer that began at the end did so when it was assigned, or in a poll, and
// was not given what had been appended by then.
type owing struct {
	log   *Log
	reset Reset
	scans int // of the whole history
}

// mostScans bounds how often the whole history is looked through.
const mostScans = 64

// owes reports whether the reader must have been given a record that lies below
// its start, if it is there: however it may have begun.
func (o *owing) owes(r *reader, s *start, offset int64, writer int) bool {
	switch {
	case s.unsure:
		return false
	case r.seek:
		return true
	case r.first && o.log.middle:
		return false // it may have stood there before
	case !r.told || r.subscribed || r.group:
		return false // it may have begun at a committed offset
	case o.reset == ResetEarliest:
		return true
	}
	sent := int64(o.log.H.Brief(writer).Invoked)
	if o.reset == ResetLatest {
		return sent >= min(s.given, o.known(s)) || sent > s.given
	}
	if o.possible(r, r.began) && (sent < r.done || o.hidden(s, offset, writer)) {
		return false
	}
	if o.possible(r, r.firstPoll) && (max(r.firstPoll, sent) < min(s.given, o.known(s)) || o.hidden(s, offset, writer)) {
		return false
	}
	return true
}

// possible reports whether the reader may have begun at the ends of all its
// partitions, no earlier than this event: what it was given first was not known
// to be there yet.
func (o *owing) possible(r *reader, from int64) bool {
	for i := range r.starts {
		if s := &r.starts[i]; from >= o.known(s) && !o.openAt(s, from) {
			return false
		}
	}
	return true
}

// To a read_committed consumer a log ends where the first transaction that is
// open begins. So one that begins at the end may be given what had been
// acknowledged long before, and owes nothing of what lies below the transaction.
//
// openSends are the operations that had sent to the partition, up to what the
// reader was given first, and whose end was not known yet, while it may have
// begun.
func (o *owing) openSends(s *start) []openAt {
	if s.opens != nil {
		return *s.opens
	}
	opens := []openAt{}
	if o.scans++; o.scans > mostScans { // no more is looked for: anything may have been open
		opens = append(opens, openAt{-1, noEnd, history.NoOffset, None})
		s.opens = &opens
		return opens
	}
	o.log.H.EachOf(history.HasSends, func(op *history.Op) bool {
		done := op.Completed
		if op.Type == history.Unknown {
			done = noEnd
		}
		for _, sent := range op.Sends {
			if o.log.H.KeyOf(sent.Rec) == s.key && op.Invoked < s.given {
				opens = append(opens, openAt{op.Invoked, done, o.log.offset[sent.Rec], op.Row})
			}
		}
		return true
	})
	s.opens = &opens
	return opens
}

// openAt is a record of an operation that was open between two events.
type openAt struct {
	began, done int64
	offset      int64
	row         int
}

// openAt: at an event some transaction may have hidden what the reader was given.
func (o *owing) openAt(s *start, event int64) bool {
	for _, op := range o.openSends(s) {
		if op.began < event && event < op.done && op.offset <= s.offset {
			return true
		}
	}
	return false
}

// hidden: some transaction that was open meanwhile lies between a record and what
// the reader was given first.
func (o *owing) hidden(s *start, offset int64, writer int) bool {
	for _, op := range o.openSends(s) {
		if op.row != writer && op.done > s.given-1 && op.offset <= s.offset && (op.offset < 0 || op.offset > offset) {
			return true
		}
	}
	return false
}

// known is the event at which the first record that a reader was given was known
// to be in the log.
func (o *owing) known(s *start) int64 {
	if w := o.log.Writer(s.rec); w >= 0 && o.log.flags[s.rec]&(resent|several) == 0 {
		if b := o.log.H.Brief(w); b.Type == history.OK {
			return min(int64(b.Completed), s.given)
		}
	}
	return s.given
}

// belowStarts finds the readers that should have read what lies below what each
// was given first.
type belowStarts struct {
	owing
	of      [][]readerStart // by partition
	unknown []bool          // by partition: it has a reader that may have begun anywhere
}

type readerStart struct {
	reader *reader
	start  *start
}

func newBelowStarts(o *pollOrder, reset Reset) *belowStarts {
	b := &belowStarts{owing: owing{log: o.log, reset: reset}, of: make([][]readerStart, len(o.log.parts)), unknown: make([]bool, len(o.log.parts))}
	for _, r := range o.readers {
		for i := range r.starts {
			key := r.starts[i].key
			if !r.told || r.subscribed || r.group || r.starts[i].unsure {
				b.unknown[key] = true
			}
			b.of[key] = append(b.of[key], readerStart{r, &r.starts[i]})
		}
	}
	return b
}

// passed is the offset at which a reader was given something that owes the
// record at this one; ok is false if no reader is known to owe it.
func (b *belowStarts) passed(key history.Key, offset int64, writer int) (at int64, ok bool) {
	at = math.MaxInt64
	for _, rs := range b.of[key] {
		if rs.start.offset > offset && rs.start.offset < at && b.owes(rs.reader, rs.start, offset, writer) {
			at, ok = rs.start.offset, true
		}
	}
	return at, ok
}

// beganAbove: all readers of the partition began above an offset, and owe
// nothing of what is there.
func (b *belowStarts) beganAbove(key history.Key, offset int64, writer int) bool {
	if b.unknown[key] || len(b.of[key]) == 0 || offset < 0 {
		return false
	}
	for _, rs := range b.of[key] {
		if rs.start.offset <= offset || b.owes(rs.reader, rs.start, offset, writer) {
			return false
		}
	}
	return true
}
