package detect

import (
	"math"
	"slices"
	"sort"

	"github.com/ktrial/ktrial/checkers/history"
)

// bijection: per partition an offset holds one record, and a record lies at no
// more offsets than there were sends that may have written it.
//
// An offset claimed by a send whose outcome is unknown is no claim until a
// record of that operation is read.
func (l *Log) bijection(emit Emit) {
	spots := make([]spot, 0, len(l.ties))
	for at := range l.ties {
		spots = append(spots, at)
	}
	slices.SortFunc(spots, func(a, b spot) int {
		if a.key != b.key {
			return int(a.key) - int(b.key)
		}
		return compare(a.offset, b.offset)
	})
	for _, at := range spots {
		emit(l.tieAt(at))
	}
	doubles := make([]history.Rec, 0, len(l.more))
	for rec := range l.more {
		doubles = append(doubles, rec)
	}
	slices.Sort(doubles)
	for _, rec := range doubles {
		if f := l.double(rec); len(f.Offsets) > f.Sends && l.flags[rec]&attempted != 0 || l.jepsen {
			f.Undecided = l.middle && !l.jepsen
			emit(f)
		}
	}
}

func (l *Log) tieAt(at spot) Finding {
	f := about(InconsistentOffsets, at.key)
	f.Record.Offset, f.Recs = at.offset, l.ties[at]
	for _, rec := range f.Recs {
		if l.wasPolledAt(rec, at.offset) {
			f.Polled++
		}
	}
	return f
}

// double are the offsets of a record that was seen at several, but for those that
// may be older than the history: values may have been sent before.
func (l *Log) double(rec history.Rec) Finding {
	f := about(Duplicate, l.H.KeyOf(rec))
	f.Record.Rec, f.Sends = rec, l.Sends(rec)
	for _, p := range l.more[rec].inOrder() {
		if l.parts[f.Key].oldest != unacked && l.older(f.Key, p.offset) {
			continue
		}
		f.Offsets = append(f.Offsets, p.offset)
		if p.polled {
			f.Polled++
		}
	}
	return f
}

// lost: a record that took effect is read by some reader, if one was given what
// lies around it; and it is below the log's end, where that is known.
//
// What lies above everything that was read may still be on its way: see unseen.
// Of a transaction with a lost record, one that was read shows that it is torn.
type lost struct {
	log   *Log
	ends  map[history.Key]Ends
	torn  map[int]bool
	found map[history.Rec]bool
	emit  Emit
}

// findLost returns the records that are lost.
func (l *Log) findLost(emit Emit) map[history.Rec]bool {
	d := lost{l, LogEnds(l.H), map[int]bool{}, map[history.Rec]bool{}, emit}
	for i, flags := range l.flags {
		if flags&committed == 0 || l.offset[i] < 0 || flags&(sentOK|alsoOlder) == alsoOlder {
			continue
		}
		rec := history.Rec(i)
		switch {
		case flags&readOK == 0:
			d.unread(rec, l.last(rec), l.Writer(rec))
		case flags&resent != 0 && flags&several != 0 && flags&(readSomewhere|alsoOlder) == 0:
			d.someUnread(rec)
		}
	}
	d.findHalves()
	return d.found
}

// someUnread: of a value that was sent several times, each that was acknowledged
// is to be read where it was acknowledged.
func (d *lost) someUnread(rec history.Rec) {
	for _, p := range d.log.more[rec].inOrder() {
		if row := d.log.claims[claim{rec, p.offset}]; row > 0 && !p.polled && len(d.log.ties[spot{d.log.H.KeyOf(rec), p.offset}]) == 0 {
			d.unread(rec, p.offset, row-1)
		}
	}
}

// unread judges a record that no successful poll returned.
func (d *lost) unread(rec history.Rec, offset int64, writer int) {
	key := d.log.H.KeyOf(rec)
	f := about(LostWrite, key)
	f.Record = Sight{rec, offset, writer}
	end, known := d.ends[key]
	passed, owed := d.passed(key, offset, writer)
	switch {
	case owed:
		f.Passed = passed
	case known && offset >= end.End:
		f.Beyond, f.End = true, end.End
	case offset < end.Drained && !d.log.beganBefore(writer):
		f.Beyond, f.End = true, end.Drained
	default:
		return
	}
	d.found[rec] = true
	d.emit(f)
	if !d.torn[writer] {
		d.torn[writer] = true
		d.tear(rec, offset, writer)
	}
}

// passed is an offset given to a reader that should have been given the record,
// too.
func (d *lost) passed(key history.Key, offset int64, writer int) (int64, bool) {
	if d.log.jepsen {
		return d.log.parts[key].bound, offset <= d.log.parts[key].bound
	}
	if int(key) < len(d.log.coverage) {
		if s, ok := d.log.coverage[key].over(offset); ok {
			return s.high, true
		}
	}
	return d.log.starts.passed(key, offset, writer)
}

// Ends is what is known of a log: where it begins and ends when all is over, and
// how far a consumer was given everything.
type Ends struct {
	Start, End, Drained int64
	Stable              int64 // -1: not told
}

// notTold is the end of a log whose end is not known.
const notTold = math.MaxInt64

// LogEnds is what a history's Log events tell.
func LogEnds(h *history.History) map[history.Key]Ends {
	ends := map[history.Key]Ends{}
	for i := range h.Notes() {
		n := &h.Notes()[i]
		if n.F != history.Log {
			continue
		}
		for _, m := range n.Mops {
			e, ok := ends[m.Key]
			if !ok {
				e.End, e.Stable = notTold, -1
			}
			switch m.Kind {
			case history.MopStart:
				e.Start = m.Offset
			case history.MopEnd:
				e.End = m.Offset
			case history.MopStable:
				e.Stable = m.Offset
			case history.MopPosition:
				e.Drained = max(e.Drained, m.Offset)
			}
			ends[m.Key] = e
		}
	}
	return ends
}

// findStuck: when all is over and every transaction had its time to end, the
// last stable offset is the log's end.
func (l *Log) findStuck(emit Emit) (checked int64) {
	ends := LogEnds(l.H)
	for k := range l.H.Keys() {
		key := history.Key(k)
		end, known := ends[key]
		if !known || end.Stable < 0 || end.End == notTold {
			continue
		}
		checked++
		if end.Stable < end.End {
			f := about(StuckLSO, key)
			f.Earlier.Offset, f.Later.Offset = end.Stable, end.End
			emit(f)
		}
	}
	return checked
}

// unseen: every acknowledged record was read when all was over. Whether all was
// over is known by where the logs end, by the position of a consumer, or, where
// empty polls are said to mean it, by one that found nothing where the record
// should have been; else it is undecided. What lies below all that any reader
// began with need not have been read, nor what lies above all that the history says
// consumers were given, where it tells no end of the log.
func (l *Log) unseen(lost map[history.Rec]bool, emit Emit) {
	ends := LogEnds(l.H)
	for i, flags := range l.flags {
		if flags&sentOK == 0 || flags&readOK != 0 {
			continue
		}
		rec := history.Rec(i)
		f := about(Unseen, l.H.KeyOf(rec))
		f.Record = Sight{rec, l.offset[i], l.Writer(rec)}
		f.Undecided = lost[rec] && l.middle && l.repeats() // as the loss itself is, see doubtful
		if !l.jepsen && !lost[rec] {
			if l.starts.beganAbove(f.Key, f.Record.Offset, f.Record.Row) {
				continue
			}
			end, told := ends[f.Key]
			if told && end.End == notTold {
				if f.Record.Offset >= end.Drained && !l.wasDrained(&f) {
					continue
				}
				told = false
			}
			f.Undecided = told && l.beganBefore(f.Record.Row) || !told && (flags&resent != 0 || !l.wasDrained(&f))
		}
		emit(f)
	}
}

// wasDrained: a reader passed the record, or a poll that says so returned nothing
// where it should have come.
func (l *Log) wasDrained(f *Finding) bool {
	if int(f.Key) >= len(l.coverage) || f.Record.Offset < 0 {
		return false
	}
	c := &l.coverage[f.Key]
	if c.holds(f.Record.Offset) {
		return true
	}
	if !l.emptyPolls || len(c.drains) == 0 || !l.emptyPollsProve() {
		return false
	}
	proofs := l.drainProofs(f.Key)
	i := sort.Search(len(proofs), func(i int) bool { return proofs[i].offset >= f.Record.Offset })
	return i > 0 && proofs[i-1].event > int64(l.H.Brief(f.Record.Row).Completed)
}

// drainProofs are the empty polls of a partition that prove something, by offset,
// each with the latest event of all up to it.
func (l *Log) drainProofs(key history.Key) []drain {
	c := &l.coverage[key]
	if c.proofs != nil {
		return c.proofs
	}
	c.proofs = []drain{}
	for _, d := range c.drains {
		if (d.told || !l.members) && !l.hidden(key, d.event) {
			c.proofs = append(c.proofs, d)
		}
	}
	slices.SortFunc(c.proofs, func(a, b drain) int { return compare(a.offset, b.offset) })
	for i := 1; i < len(c.proofs); i++ {
		c.proofs[i].event = max(c.proofs[i].event, c.proofs[i-1].event)
	}
	return c.proofs
}

// emptyPollsProve: no poll of the history returned nothing though another read
// what had been acknowledged before. Where one did, what is said of empty polls is
// not true.
func (l *Log) emptyPollsProve() bool {
	if l.empties == 0 {
		l.empties = 1
		for key := range l.coverage {
			for _, d := range l.coverage[key].drains {
				if l.wasWrong(history.Key(key), d) {
					l.empties = -1
				}
			}
		}
	}
	return l.empties > 0
}

func (l *Log) wasWrong(key history.Key, d drain) bool {
	wrong := false
	l.parts[key].next(d.offset+1, math.MaxInt64, func(_ int64, rec history.Rec) bool {
		if w := l.Writer(rec); w >= 0 && l.flags[rec]&(sentOK|readOK|resent) == sentOK|readOK {
			b := l.H.Brief(w)
			wrong = b.Type == history.OK && int64(b.Completed) < d.event && !l.hidden(key, d.event)
		}
		return true // the next record is the one that should have come
	})
	return wrong
}

// hidden: at an event some operation had sent to the partition of which no
// client knew yet how it would end, or the markers of a transaction had not been
// written. Behind an open transaction consumers see nothing.
func (l *Log) hidden(key history.Key, event int64) bool {
	if l.opens == nil {
		l.opens = map[history.Key][]openSend{}
		l.H.EachOf(history.HasSends, func(op *history.Op) bool {
			for _, s := range op.Sends {
				key, done := l.H.KeyOf(s.Rec), l.hiddenUntil(op, s, op.F == history.Txn || op.Txn != "")
				all := l.opens[key]
				if n := len(all); n > 0 {
					done = max(done, all[n-1].done)
				}
				l.opens[key] = append(all, openSend{op.Invoked, done})
			}
			return true
		})
	}
	all := l.opens[key]
	i := sort.Search(len(all), func(i int) bool { return all[i].began >= event })
	return i > 0 && all[i-1].done > event
}

// openSend is when an operation began, and when it and all before it could hide
// nothing any more.
type openSend struct{ began, done int64 }
