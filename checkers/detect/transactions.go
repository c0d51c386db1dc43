package detect

import (
	"fmt"
	"slices"
	"sort"

	"github.com/ktrial/ktrial/checkers/history"
)

// A client is told that its transaction committed when the coordinator has written the
// decision. Its markers are written afterwards, one partition after the other: until
// then the records are hidden, and the offsets pending.

// hasCommitted: the transaction is known to have committed. What consumers read proves it,
// if they are given only what is committed.
func (l *Log) hasCommitted(op *history.Op) bool {
	return op.Type == history.OK || op.Type == history.Unknown && l.readCommitted && l.tookEffect(op)
}

// neverCommitted: the transaction is known not to have committed: it failed, or no client
// knows how it ended, and all of its records are missing though readers came to the
// ends of their partitions.
func (l *Log) neverCommitted(op *history.Op, ends map[history.Key]Ends) bool {
	if op.F != history.Txn || op.Type == history.OK {
		return false
	}
	if op.Type == history.Failed {
		return true
	}
	for _, s := range op.Sends {
		end := ends[l.H.KeyOf(s.Rec)]
		if l.flags[s.Rec]&(readOK|readOther|resent|alsoOlder) != 0 || end.Drained == 0 || end.End == notTold || end.Drained < end.End {
			return false
		}
	}
	return len(op.Sends) > 0
}

// passing is how far successful polls of a partition had come by an event.
type passing struct{ event, offset int64 }

// visibleFrom is the event from which on the record of a transaction is not hidden: a
// poll returned it, or one above it. noEnd: none did.
func (l *Log) visibleFrom(key history.Key, offset int64) int64 {
	if l.passings == nil {
		l.gatherPassings()
	}
	if offset < 0 {
		return noEnd
	}
	all := l.passings[key]
	i := sort.Search(len(all), func(i int) bool { return all[i].offset >= offset })
	if i == len(all) {
		return noEnd
	}
	return all[i].event
}

func (l *Log) gatherPassings() {
	l.passings = map[history.Key][]passing{}
	l.H.EachOf(history.HasPolls, func(op *history.Op) bool {
		if op.Type != history.OK {
			return true
		}
		for i, p := range op.Polled {
			if key := l.H.KeyOf(p.Rec); i+1 == len(op.Polled) || l.H.KeyOf(op.Polled[i+1].Rec) != key {
				l.passings[key] = append(l.passings[key], passing{op.Completed, p.Offset})
			}
		}
		return true
	})
	for key, all := range l.passings {
		slices.SortStableFunc(all, func(a, b passing) int { return compare(a.event, b.event) })
		rising := all[:0]
		for _, p := range all {
			if n := len(rising); n == 0 || rising[n-1].offset < p.offset {
				rising = append(rising, p)
			}
		}
		l.passings[key] = rising
	}
}

// hiddenUntil is the event up to which an operation may hide what lies at and above a
// record that it sent. inTxn: it sent it in a transaction.
func (l *Log) hiddenUntil(op *history.Op, s history.Sent, inTxn bool) int64 {
	switch {
	case op.Type == history.Unknown:
		return noEnd
	case op.Type == history.OK && inTxn:
		return max(op.Completed, l.visibleFrom(l.H.KeyOf(s.Rec), l.offset[s.Rec]))
	}
	return op.Completed
}

// fences: a producer that was granted an epoch is the only one of its transactional
// id. One that holds an older epoch, or an older producer id, is fenced: what it begins
// afterwards must not commit.
type fences struct {
	log    *Log
	grants map[string][]grant // by transactional id
	known  map[producer][]bound
	newest map[producer]func(event int64) bound
	first  map[granted]grant
	beyond map[producer]bool // that used the epoch which only fences
	emit   Emit
}

// producer is a producer id of a transactional id.
type producer struct {
	txn string
	id  int64
}

type granted struct{ id, epoch int64 }

// grant is a producer id and epoch that a client was told to use.
type grant struct {
	granted
	txn         string
	began, done int64
	process     int32
	row         int
}

// findFenced judges the producers that tell their epochs.
func (l *Log) findFenced(emit Emit) {
	f := &fences{log: l, grants: map[string][]grant{}, known: map[producer][]bound{}, newest: map[producer]func(int64) bound{}, first: map[granted]grant{}, beyond: map[producer]bool{}, emit: emit}
	var rows []int
	l.H.EachOf(history.HasFacts, func(op *history.Op) bool {
		if op.Producer == 0 && op.ProducerEpoch == 0 {
			return true
		}
		if f.gather(op); op.F != history.InitProducer && len(op.Sends) > 0 {
			rows = append(rows, op.Row)
		}
		return true
	})
	for p, all := range f.known {
		f.newest[p] = rising(all)
	}
	slices.SortStableFunc(rows, func(a, b int) int {
		return compare(int64(l.H.Brief(a).Invoked), int64(l.H.Brief(b).Invoked))
	})
	var op history.Op
	for _, row := range rows {
		l.H.Read(row, &op)
		f.judge(&op)
	}
}

func (f *fences) gather(op *history.Op) {
	if op.ProducerEpoch == fencingEpoch && op.Txn != "" {
		f.used(op)
	}
	if op.Type == history.OK {
		p := producer{op.Txn, op.Producer}
		f.known[p] = append(f.known[p], bound{op.Completed, op.ProducerEpoch, op.Row})
	}
	if op.F != history.InitProducer || op.Type != history.OK {
		return
	}
	g := grant{granted{op.Producer, op.ProducerEpoch}, op.Txn, op.Invoked, op.Completed, op.ProcessNo, op.Row}
	f.grants[op.Txn] = append(f.grants[op.Txn], g)
	before, taken := f.first[g.granted]
	switch {
	case !taken:
		f.first[g.granted] = g
	case before.txn != g.txn || before.process != g.process && !(before.done < g.began || g.done < before.began):
		f.shared(before, g) // what was granted one after the other a sweep finds: see marks
	}
}

// fencingEpoch is the last epoch of a producer id. A coordinator never grants it: there must be one left
// that fences the producer, whose next identity is another producer id.
const fencingEpoch = 1<<15 - 1

// used: a client of transactions has the epoch that only fences. Each client is told of once.
func (f *fences) used(op *history.Op) {
	p := producer{op.Txn, op.Producer}
	if f.beyond[p] {
		return
	}
	f.beyond[p] = true
	x := about(ProducerEpoch, -1)
	x.Mark, x.Name = ProducersEpoch, fmt.Sprintf("%s (producer id %d)", op.Txn, op.Producer)
	x.Earlier, x.Later = Sight{Offset: fencingEpoch - 1, Row: op.Row}, Sight{Offset: fencingEpoch, Row: op.Row}
	f.emit(x)
}

// shared: two producers were granted one identity.
func (f *fences) shared(before, now grant) {
	x := about(ProducerEpoch, -1)
	x.Mark, x.Name = ProducersEpoch, now.txn
	x.Earlier, x.Later = Sight{Offset: before.epoch, Row: before.row}, Sight{Offset: now.epoch, Row: now.row}
	f.emit(x)
}

// judge: an operation that took effect began while its epoch was the newest. Operations
// come in the order of their beginnings.
func (f *fences) judge(op *history.Op) {
	if !f.log.hasCommitted(op) {
		return
	}
	newer, fenced := f.successor(op)
	if newest := f.newest[producer{op.Txn, op.Producer}]; newest != nil {
		if b := newest(op.Invoked); b.value > op.ProducerEpoch {
			newer, fenced = b.row, true
		}
	}
	if !fenced {
		return
	}
	var by history.Op
	f.log.H.Read(newer, &by)
	x := about(ZombieCommit, -1)
	x.Name, x.Earlier, x.Later = op.Txn, Sight{Offset: by.ProducerEpoch, Row: newer}, Sight{Offset: op.ProducerEpoch, Row: op.Row}
	f.emit(x)
}

// successor is the row at which the transactional id was granted another producer id,
// after that of the operation and before it began.
func (f *fences) successor(op *history.Op) (row int, ok bool) {
	if op.Txn == "" {
		return None, false
	}
	granted := int64(-1)
	for _, g := range f.grants[op.Txn] {
		if g.id == op.Producer && (granted < 0 || g.done < granted) {
			granted = g.done
		}
	}
	for _, g := range f.grants[op.Txn] {
		if granted >= 0 && g.id != op.Producer && g.began > granted && g.done < op.Invoked {
			return g.row, true
		}
	}
	return None, false
}
