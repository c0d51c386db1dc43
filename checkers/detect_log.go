package checkers

import (
	"fmt"
	"math"
	"sort"

	"github.com/ktrial/ktrial/checkers/history"
)

// findBijection: per partition, offsets and records are one to one.
//
// An offset claimed by a send whose outcome is unknown is no claim until a
// record of that operation is read.
func findBijection(a *analysis, emit emit) int64 {
	spots := make([]spot, 0, len(a.ties))
	for at := range a.ties {
		spots = append(spots, at)
	}
	sort.Slice(spots, func(i, j int) bool {
		if spots[i].key != spots[j].key {
			return spots[i].key < spots[j].key
		}
		return spots[i].offset < spots[j].offset
	})
	for _, at := range spots {
		f := finding{anomaly: InconsistentOffsets, key: at.key, recs: a.ties[at], offsets: []int64{at.offset}}
		for _, rec := range f.recs {
			if a.wasPolledAt(rec, at.offset) {
				f.claims++
			}
		}
		emit(f)
	}
	doubles := make([]history.Rec, 0, len(a.moreOffsets))
	for rec := range a.moreOffsets {
		doubles = append(doubles, rec)
	}
	sort.Slice(doubles, func(i, j int) bool { return doubles[i] < doubles[j] })
	for _, rec := range doubles {
		f := finding{anomaly: Duplicate, key: a.h.KeyOf(rec), recs: []history.Rec{rec}}
		for _, p := range a.moreOffsets[rec] {
			f.offsets = append(f.offsets, p.offset)
			if p.polled {
				f.claims++
			}
		}
		emit(f)
	}
	return a.sends + a.polls
}

func (a *analysis) wasPolledAt(rec history.Rec, offset int64) bool {
	if a.flags[rec]&several == 0 {
		return a.flags[rec]&polledThere != 0
	}
	for _, p := range a.moreOffsets[rec] {
		if p.offset == offset {
			return p.polled
		}
	}
	return false
}

// findLost: a record that took effect is read by somebody, if anything at its
// offset or above is; and it is below the log's end, where that is known.
//
// What lies above everything that was read may still be on its way: see
// findUnseen. Of a transaction with a lost record, one that was read shows
// that it is torn.
func findLost(a *analysis, emit emit) int64 {
	ends := logEnds(a.h)
	torn := map[uint32]bool{}
	checked := int64(0)
	for i, flags := range a.flags {
		rec := history.Rec(i)
		if flags&committed == 0 || a.offset[i] < 0 {
			continue
		}
		checked++
		if flags&readOK != 0 {
			continue
		}
		key := a.h.KeyOf(rec)
		last := a.last(rec)
		end, known := ends[key]
		beyond := known && last >= end.offset
		if last > a.logs[key].bound && !beyond && last >= end.drained {
			continue
		}
		f := finding{anomaly: LostWrite, key: key, recs: []history.Rec{rec}, offsets: []int64{last, a.logs[key].bound}}
		f.rows = []int{int(a.writer[rec]) - 1}
		if last > a.logs[key].bound {
			f.tail, f.offsets[1] = true, end.offset
			if !beyond {
				f.offsets[1] = end.drained
			}
		}
		emit(f)
		if w := a.writer[rec]; !torn[w] {
			torn[w] = true
			a.findTorn(rec, int(w)-1, emit)
		}
	}
	return checked
}

func (a *analysis) findTorn(lost history.Rec, row int, emit emit) {
	var op history.Op
	a.h.Read(row, &op)
	if op.F != history.Txn && !a.hasTxn && op.Txn == "" || a.flags[lost]&resent != 0 {
		return
	}
	for _, s := range op.Sends {
		if s.Rec != lost && a.flags[s.Rec]&(readOK|resent) == readOK {
			emit(finding{anomaly: TornTransaction, key: a.h.KeyOf(lost), recs: []history.Rec{lost, s.Rec},
				offsets: []int64{a.last(lost), a.first(s.Rec)}, rows: []int{row}})
			return
		}
	}
}

// knownEnd is what is known of a log's end: where it is when all is over, and
// how far a consumer was given everything.
type knownEnd struct {
	start, offset, drained int64
	stable                 int64 // -1: not told
}

// notTold is the end of a log whose end is not known.
const notTold = math.MaxInt64

func logEnds(h *history.History) map[history.Key]knownEnd {
	ends := map[history.Key]knownEnd{}
	for i := range h.Notes() {
		n := &h.Notes()[i]
		if n.F != history.Log {
			continue
		}
		for _, m := range n.Mops {
			e, ok := ends[m.Key]
			if !ok {
				e.offset, e.stable = notTold, -1
			}
			switch m.Kind {
			case history.MopStart:
				e.start = m.Offset
			case history.MopEnd:
				e.offset = m.Offset
			case history.MopStable:
				e.stable = m.Offset
			case history.MopPosition:
				e.drained = max(e.drained, m.Offset)
			}
			ends[m.Key] = e
		}
	}
	return ends
}

// findStuck: when all is over and every transaction had its time to end, the
// last stable offset is the log's end.
func findStuck(a *analysis, emit emit) (checked int64) {
	ends := logEnds(a.h)
	for k := range a.h.Keys() {
		key := history.Key(k)
		end, known := ends[key]
		if !known || end.stable < 0 || end.offset == notTold {
			continue
		}
		checked++
		if end.stable < end.offset {
			emit(finding{anomaly: StuckLSO, key: key, offsets: []int64{end.stable, end.offset},
				note: fmt.Sprintf("the last stable offset of %s is %d in the end, though its log ends at %d: a transaction still hangs", a.h.Keys()[key], end.stable, end.offset)})
		}
	}
	return checked
}

// findUnseen: every acknowledged record was read when all was over.
func findUnseen(a *analysis, emit emit) int64 {
	for i, flags := range a.flags {
		if flags&sentOK != 0 && flags&readOK == 0 {
			rec := history.Rec(i)
			emit(finding{anomaly: Unseen, key: a.h.KeyOf(rec), recs: []history.Rec{rec},
				offsets: []int64{a.offset[i]}, rows: []int{int(a.writer[i]) - 1}})
		}
	}
	return a.sends
}
