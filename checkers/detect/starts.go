package detect

import (
	"math"
	"slices"

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
	// firstUnsure is the event at which the first poll of unknown outcome began, which
	// may have come as far as anything; -1: there is none.
	firstUnsure int64
	// idle is, by partition, the event at which the first assignment began under which
	// nothing was given of it, so that it may have stood at its end; -1: there is none.
	idle  []int64
	scans int // of the whole history
	// sought is, by partition, the event at which the first consumer was moved there by its
	// application.
	sought map[history.Key]int64
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
	case !r.told || r.subscribed || r.group || o.leftOff(s, offset):
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

// leftOff: some consumer may have left off between a record and what the reader was
// given first, and the reader may have gone on from there: the application seeks, or
// the offset was committed by a group that the history does not name.
func (o *owing) leftOff(s *start, offset int64) bool {
	earlier := func(event int64) bool { return event >= 0 && event < s.given }
	since, sought := o.sought[s.key]
	return s.resumable > offset || earlier(o.firstUnsure) || earlier(o.idle[s.key]) || sought && earlier(since)
}

// possible reports whether the reader may have begun at the ends of all its
// partitions, no earlier than this event: what it was given first was not known
// to be there yet. Where a consumer had left off before it may have gone on.
func (o *owing) possible(r *reader, from int64) bool {
	for i := range r.starts {
		if s := &r.starts[i]; from >= o.known(s) && !o.openAt(s, from) && !o.leftOff(s, history.NoOffset) {
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
		for _, sent := range op.Sends {
			if o.log.H.KeyOf(sent.Rec) == s.key && op.Invoked < s.given {
				opens = append(opens, openAt{op.Invoked, o.log.hiddenUntil(op, sent, op.Txn != ""), o.log.offset[sent.Rec], op.Row})
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
	n := len(o.log.parts)
	b := &belowStarts{owing: owing{log: o.log, reset: reset, firstUnsure: o.firstUnsure, idle: slices.Repeat([]int64{-1}, n), sought: o.sought},
		of: make([][]readerStart, n), unknown: make([]bool, n)}
	not := make([]int, len(o.log.parts))
	for n, r := range o.readers {
		for i := range r.starts {
			key := r.starts[i].key
			if !r.told || r.subscribed || r.group || r.starts[i].unsure {
				b.unknown[key] = true
			}
			b.of[key] = append(b.of[key], readerStart{r, &r.starts[i]})
		}
		b.noteIdle(r, not, n+1)
	}
	for _, all := range b.of {
		findResumable(all)
	}
	for key := range o.sought {
		b.unknown[key] = true
	}
	return b
}

// noteIdle records the partitions of an assignment under which nothing was given of
// them, and that did not go on in the next. not is a list by partition that the
// calls share, each with a number of its own.
func (b *belowStarts) noteIdle(r *reader, not []int, number int) {
	for i := range r.starts {
		not[r.starts[i].key] = number
	}
	for _, key := range r.kept {
		not[key] = number
	}
	for _, key := range r.keys {
		if not[key] != number && (b.idle[key] < 0 || r.began < b.idle[key]) {
			b.idle[key] = r.began
		}
	}
}

// findResumable finds, for each reader of a partition, the highest offset below its
// first at which another had begun before: from there on up to its first it may have
// left off.
func findResumable(all []readerStart) {
	inTime := slices.Clone(all)
	slices.SortStableFunc(inTime, func(x, y readerStart) int { return compare(x.start.given, y.start.given) })
	var begun []int64 // in order
	for _, rs := range inTime {
		i, there := slices.BinarySearch(begun, rs.start.offset)
		rs.start.resumable = history.NoOffset
		if i > 0 {
			rs.start.resumable = begun[i-1]
		}
		if !there {
			begun = slices.Insert(begun, i, rs.start.offset)
		}
	}
}

// passed is the lowest offset at which a reader was given something first that owes the
// record at this one; ok is false if no reader is known to owe it.
func (b *belowStarts) passed(key history.Key, offset int64, writer int) (at int64, ok bool) {
	at = b.least(key, offset, writer, func(s *start) int64 { return s.offset })
	return at, at != math.MaxInt64
}

// Owed is the event by which a reader was given something first that owes the record at an
// offset below it; -1 if no reader is known to owe it.
func (l *Log) Owed(key history.Key, offset int64, writer int) int64 {
	event := l.starts.least(key, offset, writer, func(s *start) int64 { return s.given })
	if event == math.MaxInt64 {
		return -1
	}
	return event
}

// least is the least of something of the starts that owe a record; math.MaxInt64 if none does.
func (b *belowStarts) least(key history.Key, offset int64, writer int, of func(*start) int64) int64 {
	least := int64(math.MaxInt64)
	for _, rs := range b.of[key] {
		if n := of(rs.start); rs.start.offset > offset && n < least && b.owes(rs.reader, rs.start, offset, writer) {
			least = n
		}
	}
	return least
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
