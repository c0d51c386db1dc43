package checkers

import (
	"fmt"
	"sort"

	"github.com/ktrial/ktrial/checkers/history"
)

// groupOf is what a group committed and was given.
type groupOf struct {
	given     []bool // by record
	lowest    map[history.Key]int64
	committed map[history.Key]bound // the highest
	registers map[history.Key][]registerOp
}

// findGroups: below the offset that a group committed, every record was given
// to one of its members; nothing is committed beyond the log; and what is read
// as committed is what was committed last.
//
// It needs commits as operations, and polls that name their group.
func findGroups(a *analysis, emit emit) int64 {
	groups := map[string]*groupOf{}
	facts := false
	a.h.EachOf(history.HasFacts, func(*history.Op) bool {
		facts = true
		return false
	})
	if !facts {
		return 0
	}
	a.h.EachOf(history.HasPolls|history.HasFacts, func(op *history.Op) bool {
		if op.Group != "" && len(op.Polled)+len(op.Offsets) > 0 {
			g := groups[op.Group]
			if g == nil {
				g = &groupOf{make([]bool, len(a.flags)), map[history.Key]int64{}, map[history.Key]bound{}, map[history.Key][]registerOp{}}
				groups[op.Group] = g
			}
			g.gather(a, op)
		}
		return true
	})
	var names []string
	for name := range groups {
		names = append(names, name)
	}
	sort.Strings(names)
	ends := logEnds(a.h)
	checked := int64(0)
	for _, name := range names {
		for k := range a.h.Keys() {
			checked += groups[name].judge(a, name, history.Key(k), ends, emit)
		}
	}
	return checked
}

func (g *groupOf) gather(a *analysis, op *history.Op) {
	for _, p := range op.Polled {
		g.given[p.Rec] = true
		if key := a.h.KeyOf(p.Rec); p.Offset >= 0 {
			if low, ok := g.lowest[key]; !ok || p.Offset < low {
				g.lowest[key] = p.Offset
			}
		}
	}
	for _, o := range op.Offsets {
		switch {
		case o.Kind == history.MopCommit && op.Type != history.Failed:
			r := registerOp{write: true, value: o.Offset, call: op.Invoked, ret: op.Completed, row: op.Row}
			if op.Type == history.Unknown {
				r.ret = noEnd
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

func (g *groupOf) judge(a *analysis, name string, key history.Key, ends map[history.Key]knownEnd, emit emit) int64 {
	checked := int64(0)
	partition := a.h.Keys()[key]
	if c, ok := g.committed[key]; ok {
		if end, known := ends[key]; known && c.value > end.offset {
			emit(finding{anomaly: CommitAhead, key: key, rows: []int{c.row}, offsets: []int64{c.value, end.offset},
				note: fmt.Sprintf("group %s committed %d of %s, whose log ends at %d", name, c.value, partition, end.offset)})
		}
		low, given := g.lowest[key]
		a.logs[key].each(false, func(offset int64, rec history.Rec) {
			if !given || offset < low || offset >= c.value || a.flags[rec]&committed == 0 || a.flags[rec]&tied != 0 {
				return
			}
			checked++
			if !g.given[rec] {
				emit(finding{anomaly: GroupSkip, key: key, recs: []history.Rec{rec}, offsets: []int64{offset, c.value},
					rows: []int{int(a.writer[rec]) - 1, c.row},
					note: fmt.Sprintf("group %s committed %d of %s, but %s at %d was given to none of its members", name, c.value, partition, a.h.ValueOf(rec), offset)})
			}
		})
	}
	return checked + g.judgeCommitted(a, name, key, emit)
}

func (g *groupOf) judgeCommitted(a *analysis, name string, key history.Key, emit emit) int64 {
	ops := g.registers[key]
	rows, verdict := judgeRegister(ops, registerSteps)
	what := fmt.Sprintf("the committed offset of group %s on %s", name, a.h.Keys()[key])
	switch {
	case verdict == Violated:
		emit(finding{anomaly: CommittedOffset, key: key, rows: rows, note: what + " was read other than it was committed"})
	case verdict == Inconclusive && len(ops) > 0:
		a.undecided[fmt.Sprintf("%s: too many of %d operations overlap to tell whether it was read as it was committed", what, len(ops))] = true
		return 0
	}
	return int64(len(ops))
}
