package checkers

import (
	"math/bits"

	"github.com/ktrial/ktrial/checkers/history"
)

// jepsenErrors reproduces the error types of jepsen.tests.kafka, quirks
// included, for people who compare: an order by rank of values instead of by
// offset, so that a duplicated value seems to jump; keys that turn up last
// counted unseen; the meta errors of the cycle search. Where several values
// share an offset Jepsen keeps an arbitrary one, and so do we.
//
// throws is the exception with which Jepsen ends instead, if it does.
func jepsenErrors(a *analysis, wwDeps bool, emit emit) (throws string) {
	last := *a
	a = &last
	a.jepsen, a.writer = true, lastWriters(a.h)
	if throws = a.jepsenThrows(); throws != "" {
		return throws
	}
	own := func(names ...Anomaly) func(finding) {
		return func(f finding) {
			for _, n := range names {
				if f.anomaly == n && !f.tail {
					emit(f)
				}
			}
		}
	}
	findBijection(a, emit)
	findLost(a, own(LostWrite))
	findUnseen(a, emit)
	a.unseenLast(emit)
	findBadReads(a, own(G1a, PrecommittedRead))

	ranked := *a
	ranked.rankAll()
	findPollOrder(&ranked, emit)
	findSendOrder(&ranked, emit)
	a.jepsenCycles(wwDeps, emit)
	return ""
}

// jepsenThrows: a value that no completion sent, or a key of which no offset
// is known.
func (a *analysis) jepsenThrows() (exception string) {
	a.h.Each(func(op *history.Op) bool {
		for _, p := range op.Polled {
			w := int(a.writer[p.Rec]) - 1
			if w < 0 || a.h.Brief(w).Completed == history.Never {
				exception = ":no-writer-of-value"
				return false
			}
			if a.logs[a.h.KeyOf(p.Rec)].max < 0 {
				exception = "java.lang.IndexOutOfBoundsException"
			}
		}
		return true
	})
	return exception
}

// lastWriters is, by record, row+1 of the operation that sent it last.
func lastWriters(h *history.History) []uint32 {
	writer := make([]uint32, h.Records())
	h.EachOf(history.HasSends, func(op *history.Op) bool {
		for _, s := range op.Sends {
			writer[s.Rec] = uint32(op.Row + 1)
		}
		return true
	})
	return writer
}

// rankAll numbers the offsets known to hold a record, per partition.
func (a *analysis) rankAll() {
	a.ranks = make([]map[int64]int64, len(a.logs))
	for k := range a.logs {
		ranks := map[int64]int64{}
		a.logs[k].each(false, func(offset int64, _ history.Rec) { ranks[offset] = int64(len(ranks)) })
		a.ranks[k] = ranks
	}
}

// rank is the rank of the last offset at which rec is the value that was kept.
func (a *analysis) rank(rec history.Rec) (low, high int64, ok bool) {
	key := a.h.KeyOf(rec)
	best := int64(-1)
	try := func(offset int64) {
		if offset >= 0 && a.kept(spot{key, offset}) == rec {
			best = max(best, a.ranks[key][offset])
		}
	}
	try(a.offset[rec])
	for _, p := range a.moreOffsets[rec] {
		try(p.offset)
	}
	return best, best, best >= 0
}

// kept is which of the records at an offset Jepsen looks at: the first of a
// Clojure set, which is the one with the smallest hash, read five bits at a
// time from the low end.
func (a *analysis) kept(at spot) history.Rec {
	recs := a.ties[at]
	if len(recs) == 0 {
		return history.Rec(a.logs[at.key].at(at.offset) - 1)
	}
	best, bestHash := recs[0], uint32(0)
	for i, rec := range recs {
		n, _ := a.h.ValueOf(rec).IsInt()
		hash := clojureOrder(clojureHash(n))
		if i == 0 || hash < bestHash {
			best, bestHash = rec, hash
		}
	}
	return best
}

// clojureHash is Clojure's hash of an integer (Murmur3).
func clojureHash(n int64) uint32 {
	if n == 0 {
		return 0
	}
	h := uint32(0)
	for _, k := range [2]uint32{uint32(n), uint32(n >> 32)} {
		k *= 0xcc9e2d51
		k = bits.RotateLeft32(k, 15) * 0x1b873593
		h = bits.RotateLeft32(h^k, 13)*5 + 0xe6546b64
	}
	h ^= 8
	h = (h ^ h>>16) * 0x85ebca6b
	h = (h ^ h>>13) * 0xc2b2ae35
	return h ^ h>>16
}

// clojureOrder makes the order in which a hash tree is walked that of numbers.
func clojureOrder(hash uint32) (order uint32) {
	for shift := 0; shift < 30; shift += 5 {
		order = order<<5 | hash>>shift&31
	}
	return order<<2 | hash>>30
}

// unseenLast: of a key that turns up first in the polls of the last operation
// that succeeded, Jepsen calls everything unseen.
func (a *analysis) unseenLast(emit emit) {
	if a.lastOK < 0 {
		return
	}
	var last history.Op
	a.h.Read(a.lastOK, &last)
	fresh := map[history.Key]bool{}
	for _, p := range last.Polled {
		fresh[a.h.KeyOf(p.Rec)] = true
	}
	if len(fresh) == 0 {
		return
	}
	a.h.Each(func(op *history.Op) bool {
		if op.Type != history.OK {
			return true
		}
		for _, s := range op.Sends {
			delete(fresh, a.h.KeyOf(s.Rec))
		}
		if op.Row != a.lastOK {
			for _, p := range op.Polled {
				delete(fresh, a.h.KeyOf(p.Rec))
			}
		}
		return len(fresh) > 0
	})
	for _, p := range last.Polled {
		if key := a.h.KeyOf(p.Rec); fresh[key] {
			emit(finding{anomaly: Unseen, key: key, recs: []history.Rec{p.Rec}, offsets: []int64{p.Offset}, rows: []int{last.Row}})
		}
	}
}

// jepsenCycles names cycles as Elle does: of a component only the most basic
// class, and with each the meta error that says that it exists.
func (a *analysis) jepsenCycles(wwDeps bool, emit emit) {
	meta := map[Anomaly]Anomaly{G0: pl1Cycle, G0Realtime: strongPL1Cycle, G1c: pl2Cycle, G1cRealtime: strongPL2Cycle}
	told := map[Anomaly]bool{}
	both := func(f finding) {
		emit(f)
		if !told[f.anomaly] {
			told[f.anomaly] = true
			emit(finding{anomaly: meta[f.anomaly], key: f.key, rows: f.rows})
		}
	}
	if wwDeps {
		findDependencyCycles(a, both)
	} else {
		findReadCycles(a, both)
	}
	if a.emptyGraph() {
		emit(finding{anomaly: emptyGraph})
	}
}

// emptyGraph: no operation read another's record, and none followed another.
func (a *analysis) emptyGraph() bool {
	empty, firstEnd := true, int64(history.Never)
	a.h.Each(func(op *history.Op) bool {
		if op.F != history.Send && op.F != history.Poll && op.F != history.Txn {
			return true
		}
		for _, p := range op.Polled {
			empty = empty && int(a.writer[p.Rec])-1 == op.Row
		}
		if op.Type != history.Failed {
			empty = empty && op.Invoked < firstEnd
		}
		if op.Type == history.OK {
			firstEnd = min(firstEnd, op.Completed)
		}
		return empty
	})
	return empty
}
