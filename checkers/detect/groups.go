package detect

import (
	"fmt"
	"slices"

	"github.com/ktrial/ktrial/checkers/history"
)

// groupOf is what a group committed and was given.
type groupOf struct {
	name      string
	given     []bool              // by record
	first     []given             // by record: the first poll that returned it
	aborted   map[history.Rec]int // row of a transaction that failed and was given it
	lowest    map[history.Key]int64
	committed map[history.Key]bound   // the highest
	inTxn     map[history.Key][]write // of transactions that succeeded
	untold    map[history.Key][]write // of operations that may have committed and tell nothing that they were given
	plain     map[history.Key]bool    // some commit was not of a transaction, or its client seeks
	left      map[history.Key]bool    // a client that seeks was given something, and may have left out what it liked
	registers map[history.Key][]registerOp
}

// given is a poll that returned a record, and the event at which it began; the zero value: none.
type given struct {
	event int64
	row   int
}

// findGroups: below the offset that a group committed, every record was given
// to one of its members; nothing is committed beyond the log; and what is read
// as committed is what was committed last.
//
// It needs commits as operations, and polls that name their group.
func (d *Detection) findGroups(emit Emit) {
	l := d.log
	facts := false
	l.H.EachOf(history.HasFacts, func(*history.Op) bool {
		facts = true
		return false
	})
	if !facts {
		return
	}
	groups, ends, seeks := map[string]*groupOf{}, LogEnds(l.H), l.back()
	l.H.EachOf(history.HasPolls|history.HasFacts, func(op *history.Op) bool {
		if op.Group != "" && len(op.Polled)+len(op.Offsets) > 0 {
			g := groups[op.Group]
			if g == nil {
				g = &groupOf{op.Group, make([]bool, len(l.flags)), make([]given, len(l.flags)), map[history.Rec]int{}, map[history.Key]int64{}, map[history.Key]bound{},
					map[history.Key][]write{}, map[history.Key][]write{}, map[history.Key]bool{}, map[history.Key]bool{}, map[history.Key][]registerOp{}}
				groups[op.Group] = g
			}
			g.gather(l, op, ends, seeks[op.ProcessNo])
		}
		return true
	})
	var names []string
	for name := range groups {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		for k := range l.H.Keys() {
			groups[name].judge(d, history.Key(k), ends, emit)
		}
	}
}

func (g *groupOf) gather(l *Log, op *history.Op, ends map[history.Key]Ends, seeks bool) {
	// What a transaction that failed was given the group was not: it rewinds.
	aborted, free := l.neverCommitted(op, ends), l.seekers()[op.ProcessNo]
	for _, p := range op.Polled {
		g.given[p.Rec] = g.given[p.Rec] || !aborted
		if aborted {
			g.aborted[p.Rec] = op.Row
		} else if f := &g.first[p.Rec]; f.event == 0 || op.Invoked < f.event {
			*f = given{op.Invoked, op.Row}
		}
		if free {
			g.left[l.H.KeyOf(p.Rec)] = true
		}
		if key := l.H.KeyOf(p.Rec); p.Offset >= 0 {
			if low, ok := g.lowest[key]; !ok || p.Offset < low {
				g.lowest[key] = p.Offset
			}
		}
	}
	for _, o := range op.Offsets {
		switch {
		case o.Kind == history.MopCommit && aborted:
		case o.Kind == history.MopCommit && op.Type != history.Failed:
			g.order(op, o, seeks)
			if op.Type == history.Unknown && len(op.Polled) == 0 {
				g.untold[o.Key] = append(g.untold[o.Key], write{op.Invoked, noEnd, o.Offset, op.Row})
			}
			r := registerOp{write: true, value: o.Offset, call: op.Invoked, ret: op.Completed, row: op.Row}
			if op.Type == history.Unknown || op.F == history.Txn && !l.readCommitted {
				r.ret = noEnd // pending offsets are told to those alone that wait for them (KIP-447)
			}
			if !l.hasCommitted(op) {
			} else if best, ok := g.committed[o.Key]; !ok || o.Offset > best.value {
				g.committed[o.Key] = bound{op.Completed, o.Offset, op.Row}
			}
			g.registers[o.Key] = append(g.registers[o.Key], r)
		case o.Kind == history.MopCommitted && op.Type == history.OK:
			g.registers[o.Key] = append(g.registers[o.Key],
				registerOp{value: o.Offset, call: op.Invoked, ret: op.Completed, row: op.Row})
		}
	}
}

func (g *groupOf) judge(d *Detection, key history.Key, ends map[history.Key]Ends, emit Emit) {
	l := d.log
	if c, ok := g.committed[key]; ok {
		if end, known := ends[key]; known && c.value > end.End {
			f := about(CommitAhead, key)
			f.Name, f.Earlier.Offset, f.Later = g.name, end.End, Sight{Offset: c.value, Row: c.row}
			emit(f)
		}
		low, given := g.lowest[key]
		may := g.mayCover(key)
		l.parts[key].each(false, func(offset int64, rec history.Rec) {
			if !given || g.left[key] || offset < low || offset >= c.value || l.flags[rec]&committed == 0 || l.flags[rec]&tied != 0 || g.given[rec] || may.holds(offset) {
				return
			}
			f := about(GroupSkip, key)
			f.Name, f.Record, f.Later = g.name, Sight{rec, offset, l.Writer(rec)}, Sight{Offset: c.value, Row: c.row}
			if row, ok := g.aborted[rec]; ok {
				f.Reader = row
			}
			emit(f)
		})
	}
	g.judgeAhead(l, key, emit)
	g.judgeOrder(key, emit)
	g.judgeCommitted(d, key, emit)
}

// judgeAhead: when a commit was known to have happened, a member had begun to be given each record below
// it, or none ever is. A client that commits where it has fetched to, and not what it has
// handed out, is ahead for a while.
func (g *groupOf) judgeAhead(l *Log, key history.Key, emit Emit) {
	if !l.FromTheStart {
		return // a record may have been given before
	}
	var commits []registerOp
	for _, r := range g.registers[key] {
		if r.write && r.ret != noEnd && r.value > 0 {
			commits = append(commits, r)
		}
	}
	slices.SortStableFunc(commits, func(a, b registerOp) int { return compare(a.value, b.value) })
	may := g.mayCover(key)
	var last given // of the records below an offset, the one that was given last
	var what Sight
	judge := func(c registerOp) {
		if last.event > c.ret {
			f := about(CommitAhead, key)
			f.Name, f.Record, f.Reader, f.Later = g.name, what, last.row, Sight{Offset: c.value, Row: c.row}
			emit(f)
			last = given{} // one is bad enough
		}
	}
	l.parts[key].each(false, func(offset int64, rec history.Rec) {
		for len(commits) > 0 && commits[0].value <= offset {
			judge(commits[0])
			commits = commits[1:]
		}
		if by := g.first[rec]; by.event > last.event && l.flags[rec]&committed != 0 && l.flags[rec]&(tied|alsoOlder) == 0 && !may.holds(offset) {
			last, what = by, Sight{rec, offset, l.Writer(rec)}
		}
	})
	for _, c := range commits {
		judge(c)
	}
}

// judgeCommitted: what is read of a register is what was written last. A read that
// breaks this is left out, and the rest judged again: it may be permitted, and another
// not.
func (g *groupOf) judgeCommitted(d *Detection, key history.Key, emit Emit) {
	const most = 8 // one is bad enough
	ops := g.registers[key]
	first := int64(unsaid)
	if d.log.FromTheStart {
		first = history.NoOffset
	}
	rows, verdict := judgeRegister(ops, first, registerSteps)
	for found := 0; verdict == broken; found++ {
		f := about(CommittedOffset, key)
		f.Name, f.Path = g.name, rows
		emit(f)
		if found == most {
			return
		}
		var over bool
		if ops, rows, verdict, over = withoutOne(ops, rows, first); over {
			return
		}
	}
	if verdict == unknown && len(ops) > 0 {
		d.undecided[fmt.Sprintf("the committed offset of group %s on %s: so many of %d operations are under way at once that a search of %d steps does not tell whether it was read as it was committed", g.name, d.log.H.Keys()[key], len(ops), registerSteps)] = true
	}
}

// withoutOne judges ops again without one read among rows: the one without which
// all others have an order, or else the one that began last. over: there is none.
func withoutOne(ops []registerOp, rows []int, first int64) (rest []registerOp, broke []int, verdict outcome, over bool) {
	var reads []int // their indices in ops, the last to begin first
	for i, op := range ops {
		if !op.write && slices.Contains(rows, op.row) {
			reads = append(reads, i)
		}
	}
	slices.SortStableFunc(reads, func(a, b int) int { return compare(ops[b].call, ops[a].call) })
	for n, i := range reads {
		without := slices.Delete(slices.Clone(ops), i, i+1)
		found, is := judgeRegister(without, first, registerSteps)
		if n == 0 || is == holds {
			rest, broke, verdict = without, found, is
		}
		if is == holds {
			break
		}
	}
	return rest, broke, verdict, len(reads) == 0
}

// back are the processes that sought the beginning of a log, or anything, at any time.
func (l *Log) back() map[int32]bool {
	seeks := map[int32]bool{}
	l.H.EachOf(history.HasKeys, func(op *history.Op) bool {
		if (op.Seek || op.F == history.Seek) && op.Type != history.Failed {
			seeks[op.ProcessNo] = true
		}
		return true
	})
	return seeks
}

// order records the commit of a transaction. Each goes on from the one before it, if
// nothing else moves the offsets of the group.
func (g *groupOf) order(op *history.Op, o history.OffsetMop, seeks bool) {
	switch {
	case op.F != history.Txn || seeks:
		g.plain[o.Key] = true
	case op.Type == history.OK && o.Offset >= 0:
		g.inTxn[o.Key] = append(g.inTxn[o.Key], write{op.Invoked, op.Completed, o.Offset, op.Row})
	}
}

// judgeOrder: a transaction that began when another one had committed does not set the
// group back.
func (g *groupOf) judgeOrder(key history.Key, emit Emit) {
	all := g.inTxn[key]
	if g.plain[key] || len(all) < 2 {
		return
	}
	done := make([]bound, 0, len(all))
	for _, w := range all {
		done = append(done, bound{w.done, w.value, w.row})
	}
	highest := rising(done)
	slices.SortStableFunc(all, func(a, b write) int { return compare(a.began, b.began) })
	for _, w := range all {
		if before := highest(w.began); before.value > w.value {
			f := about(CommitOrder, key)
			f.Name, f.Earlier, f.Later = g.name, Sight{Offset: before.value, Row: before.row}, Sight{Offset: w.value, Row: w.row}
			emit(f)
		}
	}
}

// mayCover are the records that operations may have been given which never told: a client
// that was killed while it committed had been given what lies between what the group had
// committed when it began, and what it committed.
func (g *groupOf) mayCover(key history.Key) (may coverage) {
	untold := g.untold[key]
	if len(untold) == 0 {
		return may
	}
	var done []bound
	for _, r := range g.registers[key] {
		if r.write {
			done = append(done, bound{r.ret, r.value, r.row})
		}
	}
	committed := rising(done)
	slices.SortStableFunc(untold, func(a, b write) int { return compare(a.began, b.began) })
	for _, w := range untold {
		if from := max(0, committed(w.began).value); from < w.value {
			may.spans = append(may.spans, span{from, w.value - 1})
		}
	}
	may.merge()
	return may
}
