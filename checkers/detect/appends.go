package detect

import (
	"slices"

	"github.com/ktrial/ktrial/checkers/history"
)

// appendOrder sweeps each log from its end: what was acknowledged before
// another append began lies before it (Kafka's partition is linearizable for
// acks=all), and so does an end that was read before. The pair that breaks
// this is the smallest counterexample.
func (l *Log) appendOrder(emit Emit) int64 {
	ends := endReads(l.H)
	checked := int64(0)
	for k := range l.parts {
		s := appendSweep{log: l, key: history.Key(k), ends: ends[history.Key(k)], done: history.Never, emit: emit}
		l.parts[k].each(true, s.append)
		checked += s.checked
	}
	return checked
}

// appendSweep goes down a log and keeps what, of all above, was over first.
type appendSweep struct {
	log     *Log
	key     history.Key
	ends    []endRead // by offset, those still to come last
	emit    Emit
	checked int64

	done   uint32      // when that was over
	row    int         // the operation
	rec    history.Rec // that it appended, at this offset,
	at     int64
	end    int64 // or the end that it read
	isRead bool
}

// endRead is an operation that read a log's end.
type endRead struct {
	offset int64
	done   uint32
	row    int
}

// endReads are the ends read by operations that succeeded, by partition and
// offset.
func endReads(h *history.History) map[history.Key][]endRead {
	ends := map[history.Key][]endRead{}
	h.EachOf(history.HasFacts, func(op *history.Op) bool {
		for _, o := range op.Offsets {
			if o.Kind == history.MopEnd && o.Offset >= 0 && op.Type == history.OK {
				ends[o.Key] = append(ends[o.Key], endRead{o.Offset, uint32(op.Completed), op.Row})
			}
		}
		return true
	})
	for _, e := range ends {
		slices.SortStableFunc(e, func(a, b endRead) int { return compare(a.offset, b.offset) })
	}
	return ends
}

func (s *appendSweep) append(offset int64, rec history.Rec) {
	l := s.log
	flags := l.flags[rec]
	if flags&committed == 0 || flags&tied != 0 {
		return
	}
	row := l.Writer(rec)
	low, high, ok := offset, offset, true
	if flags&resent == 0 {
		low, high, ok = l.where(rec)
	} else if row = l.claims[claim{rec, offset}] - 1; row < 0 {
		return // only the acknowledgement tells which of the sends it is
	}
	if !ok {
		return
	}
	s.checked++
	for n := len(s.ends); n > 0 && s.ends[n-1].offset > offset; n-- {
		if e := s.ends[n-1]; e.done < s.done {
			s.done, s.row, s.end, s.isRead = e.done, e.row, e.offset, true
		}
		s.ends = s.ends[:n-1]
	}
	w := l.H.Brief(row)
	if offset == high && s.done < w.Invoked {
		s.emit(s.inversion(rec, offset, row))
	}
	if offset == low && w.Type == history.OK && w.Completed < s.done && l.vouched(rec, offset) {
		s.done, s.row, s.rec, s.at, s.isRead = w.Completed, row, rec, offset, false
	}
}

func (s *appendSweep) inversion(rec history.Rec, offset int64, row int) Finding {
	if s.isRead {
		f := about(NonmonotonicEnd, s.key)
		f.Mark, f.Record = LogEnd, Sight{rec, offset, row}
		f.Earlier = Sight{Offset: s.end, Row: s.row}
		return f
	}
	f := about(AppendRealtimeOrder, s.key)
	f.Earlier, f.Later = Sight{s.rec, s.at, s.row}, Sight{rec, offset, row}
	return f
}

// vouched: the acknowledgement of a record is of what lies at this offset. Where it
// tells another offset, which polls contradict, it says nothing of when this one
// was appended.
func (l *Log) vouched(rec history.Rec, offset int64) bool {
	flags := l.flags[rec]
	return flags&several == 0 || flags&resent != 0 || flags&claimedThere == 0 || l.acknowledgedAt(rec) == offset
}

// acknowledgedAt is where the acknowledgement of a record that was sent once says that it
// is.
func (l *Log) acknowledgedAt(rec history.Rec) int64 {
	var op history.Op
	l.H.Read(l.Writer(rec), &op)
	for _, s := range op.Sends {
		if s.Rec == rec {
			return s.Offset
		}
	}
	return history.NoOffset
}
