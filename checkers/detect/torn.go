package detect

import "github.com/ktrial/ktrial/checkers/history"

// tear: of the transaction of a lost record another one was read.
func (d *lost) tear(rec history.Rec, offset int64, row int) {
	var op history.Op
	l := d.log
	l.H.Read(row, &op)
	if op.F != history.Txn && !l.hasTxn && op.Txn == "" || l.flags[rec]&resent != 0 {
		return
	}
	for _, s := range op.Sends {
		if s.Rec != rec && l.flags[s.Rec]&(readOK|resent) == readOK {
			f := about(TornTransaction, l.H.KeyOf(rec))
			f.Record = Sight{rec, offset, row}
			f.Later = Sight{s.Rec, l.first(s.Rec), None}
			f.Passed = l.parts[f.Key].bound
			d.emit(f)
			return
		}
	}
}

// A client that is killed while it commits learns no offsets. If one of its records is
// read, all are committed, and all are in the log: each above what had been
// acknowledged when the transaction began, and below what was sent after the first of
// them was read. A reader that was given everything in between was given all of it.

// half is a transaction that took effect, with a record that no reader was given and of which
// it is not told where it is.
type half struct {
	row        int
	lost, read history.Rec
	began      int64 // event
	seen       int64 // event by which a record of it had been read
}

// mostHalves bounds the work on histories that are torn all over.
const mostHalves = 256

// findHalves looks for transactions of which a record without an offset is lost.
func (d *lost) findHalves() {
	halves := d.halves()
	if len(halves) == 0 {
		return
	}
	seen := map[history.Rec]int64{}
	for _, h := range halves {
		seen[h.read] = noEnd
	}
	d.log.H.EachOf(history.HasPolls, func(op *history.Op) bool {
		for _, p := range op.Polled {
			if before, wanted := seen[p.Rec]; wanted && op.Type == history.OK {
				seen[p.Rec] = min(before, op.Completed)
			}
		}
		return true
	})
	for _, h := range halves {
		h.seen = seen[h.read]
		if at, passed := d.passedOver(&h); passed {
			f := about(TornTransaction, d.log.H.KeyOf(h.lost))
			f.Record, f.Later, f.Passed = Sight{h.lost, history.NoOffset, h.row}, Sight{h.read, d.log.first(h.read), None}, at
			d.emit(f)
		}
	}
}

func (d *lost) halves() (halves []half) {
	l := d.log
	if l.jepsen {
		return nil
	}
	l.H.EachOf(history.HasSends, func(op *history.Op) bool {
		if len(op.Sends) < 2 || op.F != history.Txn && !l.hasTxn && op.Txn == "" || d.torn[op.Row] || l.beganBefore(op.Row) || !l.hasCommitted(op) {
			return true
		}
		h := half{row: op.Row, began: op.Invoked}
		lost, read := false, false
		for _, s := range op.Sends {
			switch flags := l.flags[s.Rec]; {
			case flags&(readOK|readOther|readSomewhere|resent|alsoOlder) == 0 && l.offset[s.Rec] == history.NoOffset:
				h.lost, lost = s.Rec, true
			case flags&(readOK|polledThere|resent) == readOK|polledThere:
				h.read, read = s.Rec, true
			}
		}
		if lost && read {
			halves = append(halves, h)
		}
		return len(halves) < mostHalves
	})
	return halves
}

// passedOver: some reader was given everything of the offsets at which the lost record
// may be. at is the last of them.
func (d *lost) passedOver(h *half) (at int64, passed bool) {
	l := d.log
	key := l.H.KeyOf(h.lost)
	if end, known := d.ends[key]; known && end.End != notTold && end.Drained >= end.End && end.End > 0 {
		return end.End - 1, true
	}
	low, high := d.around(key, h)
	if high < 0 || int(key) >= len(l.coverage) {
		return 0, false
	}
	s, covered := l.coverage[key].over(high)
	return high, covered && s.low <= max(low, 0)
}

// around are the highest offset that lies below the lost record for certain, and the
// lowest that lies above it; -1: none does.
func (d *lost) around(key history.Key, h *half) (low, high int64) {
	l := d.log
	low, high = -1, -1
	l.parts[key].each(false, func(offset int64, rec history.Rec) {
		w := l.Writer(rec)
		if w < 0 || l.flags[rec]&(tied|several|resent|alsoOlder|sentOK) != sentOK {
			return
		}
		b := l.H.Brief(w)
		switch {
		case b.Type == history.OK && int64(b.Completed) < h.began:
			low = max(low, offset)
		case int64(b.Invoked) > h.seen && high < 0:
			high = offset
		}
	})
	return low, high
}
