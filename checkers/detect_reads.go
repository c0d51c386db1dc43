package checkers

import "github.com/ktrial/ktrial/checkers/history"

// findBadReads: a poll returns only what was sent, by nobody who failed, not
// by the polling transaction itself; and of the transactions of a group, only
// one that succeeds processes a record.
func findBadReads(a *analysis, emit emit) int64 {
	checked := int64(0)
	subscribed := make([]bool, a.h.Processes())
	processed := map[string][]uint32{} // by group, by record: row+1
	reported := map[[2]history.Rec]bool{}
	a.h.EachOf(history.HasPolls|history.HasKeys, func(op *history.Op) bool {
		if op.Type != history.Failed && op.F == history.Assign {
			subscribed[op.ProcessNo] = false
		}
		if op.Type != history.Failed && op.F == history.Subscribe {
			subscribed[op.ProcessNo] = true
		}
		checked += int64(len(op.Polled))
		var once []uint32
		if op.F == history.Txn && op.Type == history.OK && subscribed[op.ProcessNo] && len(op.Polled) > 0 {
			if once = processed[op.Group]; once == nil {
				once = make([]uint32, len(a.flags))
				processed[op.Group] = once
			}
		}
		for _, p := range op.Polled {
			flags := a.flags[p.Rec]
			if flags&attempted != sentOK {
				a.judgeRead(op, p, flags, emit)
			}
			if once == nil {
				continue
			}
			switch before := once[p.Rec]; {
			case before == 0:
				once[p.Rec] = uint32(op.Row + 1)
			case before != uint32(op.Row+1) && !reported[[2]history.Rec{p.Rec, history.Rec(op.Row)}]:
				reported[[2]history.Rec{p.Rec, history.Rec(op.Row)}] = true
				emit(finding{anomaly: DuplicateProcessing, key: a.h.KeyOf(p.Rec), recs: []history.Rec{p.Rec},
					offsets: []int64{p.Offset}, rows: []int{int(before) - 1, op.Row}})
			}
		}
		if len(op.Sends) > 0 && len(op.Polled) > 0 {
			a.findOwnRead(op, emit)
		}
		return true
	})
	return checked
}

func (a *analysis) judgeRead(op *history.Op, p history.Polled, flags uint16, emit emit) {
	f := finding{key: a.h.KeyOf(p.Rec), recs: []history.Rec{p.Rec}, offsets: []int64{p.Offset}, rows: []int{op.Row}}
	switch {
	case flags&attempted == 0:
		f.anomaly = PhantomRead
	case flags&attempted != sentFailed:
		return
	case op.Type == history.OK:
		f.anomaly = G1a
	default:
		f.anomaly = AbortedRead
	}
	if w := a.writer[p.Rec]; w != 0 {
		f.rows = []int{int(w) - 1, op.Row}
	}
	emit(f)
}

func (a *analysis) findOwnRead(op *history.Op, emit emit) {
	for _, p := range op.Polled {
		if a.writer[p.Rec] != uint32(op.Row+1) || a.flags[p.Rec]&resent != 0 && !a.jepsen {
			continue
		}
		emit(finding{anomaly: PrecommittedRead, key: a.h.KeyOf(p.Rec), recs: []history.Rec{p.Rec},
			offsets: []int64{p.Offset}, rows: []int{op.Row}})
	}
}
