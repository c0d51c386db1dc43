package detect

import (
	"math/bits"
	"slices"

	"github.com/ktrial/ktrial/checkers/history"
)

// Jepsen reproduces the error types of jepsen.tests.kafka, quirks
// included, so that the two can be compared: an order by rank of values instead
// of by offset, so that a duplicated value seems to jump; keys that turn up
// last counted unseen; the meta errors of the cycle search. Where several
// values share an offset Jepsen keeps an arbitrary one, and so do we.
//
// throws is the exception with which Jepsen ends instead, if it does.
func (d *Detection) Jepsen(wwDeps bool, emit Emit) (throws string) {
	d.finishLog()
	last := *d.log
	l := &last
	l.jepsen, l.writer = true, lastWriters(l.H)
	if throws = l.jepsenThrows(); throws != "" {
		return throws
	}
	own := func(names ...Anomaly) Emit {
		return func(f Finding) {
			if slices.Contains(names, f.Anomaly) && !f.Beyond {
				emit(f)
			}
		}
	}
	l.bijection(emit)
	l.findLost(own(LostWrite))
	l.unseen(nil, emit)
	l.unseenLast(emit)
	d.again(l, newBadReads(l)).finish(own(G1a, PrecommittedRead))

	ranked := *l
	ranked.rankAll()
	polls := newPollOrder(&ranked)
	ranked.H.EachOf(history.HasPolls|history.HasKeys, func(op *history.Op) bool {
		polls.operation(op)
		return true
	})
	polls.finish(emit)
	ranked.sendOrder(emit)
	l.jepsenCycles(wwDeps, emit)
	return ""
}

// jepsenThrows: a value that no completion sent, or a key of which no offset
// is known.
func (l *Log) jepsenThrows() (exception string) {
	l.H.Each(func(op *history.Op) bool {
		for _, p := range op.Polled {
			w := int(l.writer[p.Rec]) - 1
			if w < 0 || l.H.Brief(w).Completed == history.Never {
				exception = ":no-writer-of-value"
				return false
			}
			if l.parts[l.H.KeyOf(p.Rec)].max < 0 {
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
func (l *Log) rankAll() {
	l.ranks = make([]map[int64]int64, len(l.parts))
	for k := range l.parts {
		ranks := map[int64]int64{}
		l.parts[k].each(false, func(offset int64, _ history.Rec) { ranks[offset] = int64(len(ranks)) })
		l.ranks[k] = ranks
	}
}

// rank is the rank of the last offset at which rec is the value that was kept.
func (l *Log) rank(rec history.Rec) (low, high int64, ok bool) {
	key := l.H.KeyOf(rec)
	best := int64(-1)
	try := func(offset int64) {
		if offset >= 0 && l.kept(spot{key, offset}) == rec {
			best = max(best, l.ranks[key][offset])
		}
	}
	try(l.offset[rec])
	for _, p := range l.positionsOf(rec) {
		try(p.offset)
	}
	return best, best, best >= 0
}

// kept is which of the records at an offset Jepsen looks at: the first of a
// Clojure set, which is the one with the smallest hash, read five bits at a
// time from the low end.
func (l *Log) kept(at spot) history.Rec {
	recs := l.ties[at]
	if len(recs) == 0 {
		return history.Rec(l.parts[at.key].get(at.offset) - 1)
	}
	best, bestHash := recs[0], uint32(0)
	for i, rec := range recs {
		n, _ := l.H.ValueOf(rec).IsInt()
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
func (l *Log) unseenLast(emit Emit) {
	if l.lastOK < 0 {
		return
	}
	var last history.Op
	l.H.Read(l.lastOK, &last)
	fresh := map[history.Key]bool{}
	for _, p := range last.Polled {
		fresh[l.H.KeyOf(p.Rec)] = true
	}
	if len(fresh) == 0 {
		return
	}
	l.H.Each(func(op *history.Op) bool {
		if op.Type != history.OK {
			return true
		}
		for _, s := range op.Sends {
			delete(fresh, l.H.KeyOf(s.Rec))
		}
		if op.Row != l.lastOK {
			for _, p := range op.Polled {
				delete(fresh, l.H.KeyOf(p.Rec))
			}
		}
		return len(fresh) > 0
	})
	for _, p := range last.Polled {
		if key := l.H.KeyOf(p.Rec); fresh[key] {
			f := about(Unseen, key)
			f.Record = Sight{p.Rec, p.Offset, last.Row}
			emit(f)
		}
	}
}

// jepsenCycles names cycles as Elle does: of a component only the most basic
// class, and with each the meta error that says that it exists.
func (l *Log) jepsenCycles(wwDeps bool, emit Emit) {
	meta := map[Anomaly]Anomaly{G0: PL1Cycle, G0Realtime: StrongPL1Cycle, G1c: PL2Cycle, G1cRealtime: StrongPL2Cycle}
	told := map[Anomaly]bool{}
	both := func(f Finding) {
		emit(f)
		if !told[f.Anomaly] {
			told[f.Anomaly] = true
			exists := about(meta[f.Anomaly], f.Key)
			exists.Path = f.Rows()
			emit(exists)
		}
	}
	if wwDeps {
		l.dependencyCycles(both)
	} else {
		l.readCycles(both)
	}
	if l.emptyGraph() {
		emit(about(EmptyGraph, -1))
	}
}

// emptyGraph: no operation read another's record, and none followed another.
func (l *Log) emptyGraph() bool {
	empty, firstEnd := true, int64(history.Never)
	l.H.Each(func(op *history.Op) bool {
		if op.F != history.Send && op.F != history.Poll && op.F != history.Txn {
			return true
		}
		for _, p := range op.Polled {
			empty = empty && int(l.writer[p.Rec])-1 == op.Row
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

// positionsOf are the offsets at which a record of several was seen.
func (l *Log) positionsOf(rec history.Rec) []position {
	if all := l.more[rec]; all != nil {
		return all.inOrder()
	}
	return nil
}
