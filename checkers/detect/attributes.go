package detect

import (
	"slices"

	"github.com/ktrial/ktrial/checkers/history"
)

// attributes compares what records carry beside their values: a record's key,
// headers and timestamp are read as they were sent, and the leader epochs of a
// log grow with its offsets.
//
// Only what is told on both sides is compared.
type attributes struct {
	log    *Log
	at     map[spot]toldAt // what was told first of the record at an offset
	sent   map[history.Rec]toldAt
	found  []Finding
	epochs map[history.Key]map[history.Epoch]*epochSpan
}

type toldAt struct {
	rec     history.Rec
	details uint32
	row     int
	sent    bool
}

// epochSpan is how far the records of a leader epoch reach that polls returned.
type epochSpan struct{ low, high Sight }

func newAttributes(l *Log) *attributes {
	return &attributes{log: l, at: map[spot]toldAt{}, sent: map[history.Rec]toldAt{}, epochs: map[history.Key]map[history.Epoch]*epochSpan{}}
}

func (a *attributes) operation(op *history.Op) {
	for _, s := range op.Sends {
		told := toldAt{s.Rec, s.Details, op.Row, true}
		switch {
		case s.Details == 0 || op.Type == history.Failed:
		case op.Type == history.OK && s.Offset >= 0:
			a.compare(spot{a.log.H.KeyOf(s.Rec), s.Offset}, told)
		default:
			a.sent[s.Rec] = told
		}
	}
	for i := range op.Polled {
		p := &op.Polled[i]
		if p.Details != 0 && p.Offset >= 0 {
			a.compare(spot{a.log.H.KeyOf(p.Rec), p.Offset}, toldAt{p.Rec, p.Details, op.Row, false})
		}
		if p.Epoch != 0 && p.Offset >= 0 && a.atEdge(op.Polled, i) {
			a.spread(p, op.Row)
		}
	}
}

// atEdge: of a run of records of one epoch the first and the last say it all.
func (a *attributes) atEdge(all []history.Polled, i int) bool {
	p := &all[i]
	next := func(q *history.Polled) bool { return q.Epoch == p.Epoch }
	return i == 0 || i == len(all)-1 || !next(&all[i-1]) || !next(&all[i+1]) ||
		all[i-1].Offset != p.Offset-1 || all[i+1].Offset != p.Offset+1
}

func (a *attributes) spread(p *history.Polled, row int) {
	key := a.log.H.KeyOf(p.Rec)
	spans := a.epochs[key]
	if spans == nil {
		spans = map[history.Epoch]*epochSpan{}
		a.epochs[key] = spans
	}
	now := Sight{p.Rec, p.Offset, row}
	s := spans[p.Epoch]
	switch {
	case s == nil:
		spans[p.Epoch] = &epochSpan{now, now}
	case p.Offset < s.low.Offset:
		s.low = now
	case p.Offset > s.high.Offset:
		s.high = now
	}
}

// compare keeps what was told first of a record at an offset. A record that
// stands where another does is another matter: see bijection.
func (a *attributes) compare(at spot, now toldAt) {
	before, known := a.at[at]
	switch {
	case !known:
		a.at[at] = now
	case before.rec == now.rec:
		a.differ(before, now, at.offset)
		if now.sent && !before.sent {
			a.at[at] = now
		}
	}
}

func (a *attributes) differ(before, now toldAt, offset int64) {
	h := a.log.H
	if h.Details(before.details).Same(h.Details(now.details), true) {
		return
	}
	if now.sent {
		before, now = now, before
	}
	f := about(ChangedRecord, h.KeyOf(now.rec))
	f.Record, f.Reader = Sight{now.rec, offset, before.row}, now.row
	f.Details = [2]uint32{before.details, now.details}
	f.Direct = before.sent
	a.found = append(a.found, f)
}

// finish compares what was sent, and only later seen where it is.
func (a *attributes) finish(appendTime bool, emit Emit) {
	l := a.log
	var recs []history.Rec
	for rec := range a.sent {
		if l.flags[rec]&(resent|several) == 0 && l.offset[rec] >= 0 {
			recs = append(recs, rec)
		}
	}
	slices.Sort(recs)
	for _, rec := range recs {
		a.compare(spot{l.H.KeyOf(rec), l.offset[rec]}, a.sent[rec])
	}
	for _, f := range a.found {
		before, now := l.H.Details(f.Details[0]), l.H.Details(f.Details[1])
		if appendTime && f.Direct && before.Same(now, false) {
			continue // the broker's clock, not the producer's
		}
		f.Direct = false
		emit(f)
	}
	for k := range l.H.Keys() {
		a.orderOf(history.Key(k), emit)
	}
}

// orderOf: records of a later leader epoch lie above those of an earlier one.
func (a *attributes) orderOf(key history.Key, emit Emit) {
	var epochs []history.Epoch
	for epoch := range a.epochs[key] {
		epochs = append(epochs, epoch)
	}
	slices.Sort(epochs)
	highest := history.Epoch(0)
	for _, epoch := range epochs {
		s := a.epochs[key][epoch]
		if highest != 0 {
			if before := a.epochs[key][highest]; before.high.Offset >= s.low.Offset {
				f := about(LeaderEpochOrder, key)
				f.Earlier, f.Later = before.high, s.low
				f.Epochs = [2]int64{int64(highest) - 1, int64(epoch) - 1}
				emit(f)
			}
		}
		if highest == 0 || s.high.Offset > a.epochs[key][highest].high.Offset {
			highest = epoch
		}
	}
}
