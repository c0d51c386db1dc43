package detect

import (
	"slices"
	"strings"

	"github.com/ktrial/ktrial/checkers/history"
)

// processing is what a group's members did with records: where the history tells
// (MopProcessed), each below the committed offset was processed, and none twice; and
// the records of one key came in the order in which they were sent.
type processing struct {
	log  *Log
	emit Emit

	works map[groupKey]*work
	sent  map[history.Rec]sentAt
	order map[keyOf]*keyOrder
}

// work is what a group processed of a partition.
type work struct {
	name string
	free bool          // a member that seeks may have left out what it liked
	done map[int64]int // by offset: row+1 of the first operation that may have processed it, or maybe, or none
	low  int64         // lowest offset of all
}

// none: no operation may have processed it. maybe: a transaction did, if it committed.
const (
	none  = 0
	maybe = -1
)

// sentAt is when a record with a key was sent.
type sentAt struct {
	key         uint32
	began, done int64
	row         int
}

// keyOf is a record key in a topic, as a group reads it.
type keyOf struct {
	group, topic string
	key          uint32
}

// keyOrder is, of the records of a key that a group was given so far, the one whose
// send began last.
type keyOrder struct {
	last  sentAt
	sight Sight
	given map[history.Rec]bool
}

// findProcessing judges operations in the order of their ends.
func (l *Log) findProcessing(emit Emit) {
	p := &processing{log: l, emit: emit, works: map[groupKey]*work{}, sent: map[history.Rec]sentAt{}, order: map[keyOf]*keyOrder{}}
	if !l.anyGroup {
		return
	}
	p.gatherSends()
	var rows []int
	l.H.EachOf(history.HasPolls|history.HasFacts, func(op *history.Op) bool {
		if op.Group != "" && op.Type != history.Failed {
			rows = append(rows, op.Row)
		}
		return true
	})
	slices.SortStableFunc(rows, func(a, b int) int {
		return compare(int64(l.H.Brief(a).Completed), int64(l.H.Brief(b).Completed))
	})
	var op history.Op
	for _, row := range rows {
		l.H.Read(row, &op)
		p.operation(&op)
	}
	p.finish(rows)
}

// gatherSends records when records with keys were sent, but for values that were sent
// several times, of which a poll does not tell which it was given.
func (p *processing) gatherSends() {
	l := p.log
	null := l.H.NullKey()
	l.H.EachOf(history.HasSends, func(op *history.Op) bool {
		for _, s := range op.Sends {
			if s.Details == 0 || op.Type == history.Failed || l.flags[s.Rec]&(resent|several|alsoOlder) != 0 {
				continue
			}
			if key := l.H.Details(s.Details).RecordKey(); key != 0 && key != null {
				done := op.Completed
				if op.Type != history.OK {
					done = noEnd
				}
				p.sent[s.Rec] = sentAt{key, op.Invoked, done, op.Row}
			}
		}
		return true
	})
}

func (p *processing) operation(op *history.Op) {
	if op.Type == history.OK {
		for _, r := range op.Polled {
			p.give(op, r)
		}
	}
	for _, m := range op.Offsets {
		if m.Kind == history.MopProcessed && m.Offset >= 0 {
			p.process(op, m)
		}
	}
}

// give: records of one key come in the order in which they were sent, when a group is
// given them for the first time.
func (p *processing) give(op *history.Op, r history.Polled) {
	now, sent := p.sent[r.Rec]
	if !sent || p.log.seekers()[op.ProcessNo] {
		return
	}
	key := p.log.H.KeyOf(r.Rec)
	at := keyOf{op.Group, topicOf(p.log.H.Keys()[key]), now.key}
	o := p.order[at]
	if o == nil {
		o = &keyOrder{given: map[history.Rec]bool{}}
		p.order[at] = o
	}
	if o.given[r.Rec] {
		return
	}
	o.given[r.Rec] = true
	if len(o.given) > 1 && now.done < o.last.began {
		f := about(KeyOrder, key)
		f.Name, f.Record, f.Earlier, f.Later = op.Group, Sight{r.Rec, r.Offset, now.row}, o.sight, Sight{r.Rec, r.Offset, op.Row}
		p.emit(f)
	}
	if len(o.given) == 1 || now.began > o.last.began {
		o.last, o.sight = now, Sight{r.Rec, r.Offset, op.Row}
	}
}

// topicOf is the topic of a partition's name, such as orders/0; a partition of any
// other name stands for itself.
func topicOf(partition history.Value) string {
	name := partition.String()
	//text:allow the name of a partition in a history file
	if i := strings.LastIndexByte(name, '/'); i > 0 {
		return name[:i]
	}
	return name
}

func (p *processing) process(op *history.Op, m history.OffsetMop) {
	at := groupKey{op.Group, m.Key}
	w := p.works[at]
	if w == nil {
		w = &work{name: op.Group, done: map[int64]int{}, low: m.Offset}
		p.works[at] = w
	}
	w.low = min(w.low, m.Offset)
	w.free = w.free || p.log.seekers()[op.ProcessNo]
	before := w.done[m.Offset] - 1
	switch {
	case op.F == history.Txn && !p.log.hasCommitted(op): // it may have, and then its offsets went with it
		if before == none-1 {
			w.done[m.Offset] = maybe
		}
		return
	case before < 0:
		w.done[m.Offset] = op.Row + 1
		return
	}
	if rec, there := p.log.At(m.Key, m.Offset); there && before != op.Row {
		f := about(ProcessedTwice, m.Key)
		f.Name, f.Record, f.Reader, f.Again = op.Group, Sight{rec, m.Offset, None}, before, op.Row
		p.emit(f)
	}
}

// finish: what lies below the highest offset that a group committed was processed.
func (p *processing) finish(rows []int) {
	committed := map[groupKey]Sight{}
	var op history.Op
	for _, row := range rows {
		p.log.H.Read(row, &op)
		for _, m := range op.Offsets {
			at := groupKey{op.Group, m.Key}
			if m.Kind == history.MopCommit && op.Type == history.OK && p.works[at] != nil && m.Offset > committed[at].Offset {
				committed[at] = Sight{Offset: m.Offset, Row: row}
			}
		}
	}
	var groups []groupKey
	for at := range committed {
		groups = append(groups, at)
	}
	slices.SortFunc(groups, func(a, b groupKey) int {
		if a.key != b.key {
			return int(a.key) - int(b.key)
		}
		return strings.Compare(a.group, b.group)
	})
	for _, at := range groups {
		p.unprocessed(at, p.works[at], committed[at])
	}
}

func (p *processing) unprocessed(at groupKey, w *work, commit Sight) {
	l := p.log
	l.parts[at.key].each(false, func(offset int64, rec history.Rec) {
		if w.free || offset < w.low || offset >= commit.Offset || w.done[offset] != none || l.flags[rec]&committed == 0 || l.flags[rec]&(tied|alsoOlder) != 0 || !l.isThere(offset, rec) {
			return
		}
		f := about(Unprocessed, at.key)
		f.Name, f.Record, f.Later = at.group, Sight{rec, offset, l.Writer(rec)}, commit
		p.emit(f)
	})
}
