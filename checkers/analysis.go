package checkers

import (
	"math"
	"sort"

	"github.com/ktrial/ktrial/checkers/history"
)

// What is known of a record.
const (
	sentOK      = 1 << iota // by an operation that succeeded
	sentFailed              // by one that definitely failed
	sentUnknown             // by one whose outcome is unknown
	proved                  // unknown, but a record of the same operation was read
	readOK                  // by a poll that succeeded
	readOther               // by a poll of a failed or unknown operation
	polledThere             // its offset is from a poll: it was really there
	tied                    // another record was seen at its offset
	several                 // seen at several offsets: see analysis.moreOffsets
	resent                  // by several operations that did not fail: nobody knows whose it is
)

const (
	attempted = sentOK | sentFailed | sentUnknown
	committed = sentOK | proved
)

// analysis is the log as all observations together tell it: which record is at
// which offset, who wrote it, who read it. Offsets come from acknowledgements
// of operations that took effect and from every poll of every operation: a
// consumer must never be handed bad data, whatever becomes of its transaction.
type analysis struct {
	h *history.History

	flags  []uint16 // by record, as the rest
	writer []uint32 // row+1 of the operation that sent it; of several, see wrote; 0: nobody
	offset []int64  // where it was seen first; history.NoOffset: nowhere

	moreOffsets map[history.Rec][]place // of records with several, sorted
	logs        []keyLog
	ties        map[spot][]history.Rec // where several records were seen at one offset
	tiedRecs    map[tiedRec]bool       // of ties, but for the first of each

	hasTxn  bool // some operation is a transaction of several steps
	oks     int64
	sends   int64 // acknowledged
	polls   int64 // records delivered to polls that succeeded
	ackRead int64 // acknowledged records that were read
	lastOK  int   // row of the operation that succeeded last; -1

	jepsen    bool              // it is reproduced: see jepsen.go
	undecided map[string]bool   // what a search within its budget did not decide
	ranks     []map[int64]int64 // by key, for its order; else nil
}

// place is an offset at which a record was seen. Polled: by a poll, not only
// claimed by an acknowledgement.
type place struct {
	offset int64
	polled bool
}

type spot struct {
	key    history.Key
	offset int64
}

type tiedRec struct {
	at  spot
	rec history.Rec
}

// keyLog is one partition: which offsets are known to hold a record. Dense
// where offsets are, a sorted list where they are not.
type keyLog struct {
	min, max int64 // of the offsets seen; max < min: none
	records  int
	slots    []uint32 // by offset-min: rec+1, or 0
	sparse   map[int64]uint32
	sorted   []int64
	bound    int64 // largest first offset of a record that a successful poll read
}

func analyse(h *history.History) *analysis {
	return h.Memo(analysisKey{}, func() any {
		a := &analysis{h: h, moreOffsets: map[history.Rec][]place{}, ties: map[spot][]history.Rec{}, tiedRecs: map[tiedRec]bool{}, undecided: map[string]bool{}, lastOK: -1}
		n := h.Records()
		a.flags = make([]uint16, n)
		a.writer = make([]uint32, n)
		a.offset = make([]int64, n)
		for i := range a.offset {
			a.offset[i] = history.NoOffset
		}
		a.logs = make([]keyLog, len(h.Keys()))
		for i := range a.logs {
			a.logs[i] = keyLog{min: math.MaxInt64, max: -1, bound: -1}
		}
		a.gather()
		a.layOut()
		a.placeAll()
		a.finish()
		return a
	}).(*analysis)
}

type analysisKey struct{}

// gather notes who sent and who read each record.
func (a *analysis) gather() {
	lastDone := int64(-1)
	a.h.Each(func(op *history.Op) bool {
		flag := uint16(sentUnknown)
		switch op.Type {
		case history.OK:
			flag = sentOK
			a.oks++
			if op.Completed != history.Never && op.Completed > lastDone {
				lastDone, a.lastOK = op.Completed, op.Row
			}
		case history.Failed:
			flag = sentFailed
		}
		if op.F == history.Txn {
			a.hasTxn = true
		}
		for _, s := range op.Sends {
			if s.Silent && op.Type == history.OK {
				a.flags[s.Rec] |= sentUnknown
			} else {
				a.flags[s.Rec] |= flag
			}
			a.wrote(s.Rec, op)
			if s.Offset >= 0 && op.Type != history.Failed {
				a.logs[a.h.KeyOf(s.Rec)].widen(s.Offset)
			}
		}
		flag = readOther
		if op.Type == history.OK {
			flag = readOK
			a.polls += int64(len(op.Polled))
		}
		for _, p := range op.Polled {
			a.flags[p.Rec] |= flag
			if p.Offset >= 0 {
				a.logs[a.h.KeyOf(p.Rec)].widen(p.Offset)
			}
		}
		return true
	})
}

// wrote notes that op sent rec. Of several that did, one that succeeded says
// most of it, and one that failed nothing.
func (a *analysis) wrote(rec history.Rec, op *history.Op) {
	w := &a.writer[rec]
	if *w == 0 {
		*w = uint32(op.Row + 1)
		return
	}
	before := a.h.Brief(int(*w) - 1).Type
	if *w != uint32(op.Row+1) && before != history.Failed && op.Type != history.Failed {
		a.flags[rec] |= resent
	}
	if before != history.OK && (op.Type == history.OK || before == history.Failed) {
		*w = uint32(op.Row + 1)
	}
}

func (l *keyLog) widen(offset int64) {
	l.min = min(l.min, offset)
	l.max = max(l.max, offset)
}

// layOut chooses for each partition how its offsets are kept.
func (a *analysis) layOut() {
	for rec := range a.flags {
		a.logs[a.h.KeyOf(history.Rec(rec))].records++
	}
	for i := range a.logs {
		l := &a.logs[i]
		switch span := l.max - l.min; {
		case l.max < 0:
		case span < int64(8*l.records)+1024:
			l.slots = make([]uint32, span+1)
		default:
			l.sparse = map[int64]uint32{}
		}
	}
}

// placeAll puts every record where it was seen.
func (a *analysis) placeAll() {
	a.h.EachOf(history.HasSends|history.HasPolls, func(op *history.Op) bool {
		if a.tookEffect(op) {
			for _, s := range op.Sends {
				if op.Type == history.Unknown {
					a.flags[s.Rec] |= proved
				}
				if s.Offset >= 0 {
					a.place(s.Rec, s.Offset, false)
				}
			}
		}
		for _, p := range op.Polled {
			if p.Offset >= 0 {
				a.place(p.Rec, p.Offset, true)
			}
		}
		return true
	})
}

// tookEffect: it succeeded, or its outcome is unknown and one of its records
// was read, which proves all of them, unless it may be another's.
func (a *analysis) tookEffect(op *history.Op) bool {
	if op.Type != history.Unknown {
		return op.Type == history.OK
	}
	for _, s := range op.Sends {
		if a.flags[s.Rec]&(readOK|resent) == readOK {
			return true
		}
	}
	return false
}

func (a *analysis) place(rec history.Rec, offset int64, polled bool) {
	key := a.h.KeyOf(rec)
	switch there := a.logs[key].put(offset, rec); {
	case there == 0 || there == uint32(rec)+1:
	default:
		a.tie(spot{key, offset}, history.Rec(there-1), rec)
	}
	if a.offset[rec] == history.NoOffset {
		a.offset[rec] = offset
	} else if a.offset[rec] != offset || a.flags[rec]&several != 0 {
		a.another(rec, place{offset, polled})
	}
	if polled {
		a.flags[rec] |= polledThere
	}
}

func (a *analysis) tie(at spot, first, rec history.Rec) {
	recs := a.ties[at]
	if recs == nil {
		recs = []history.Rec{first}
		a.flags[first] |= tied
	}
	if there := (tiedRec{at, rec}); !a.tiedRecs[there] {
		a.tiedRecs[there] = true
		a.flags[rec] |= tied
		a.ties[at] = append(recs, rec)
	}
}

func (a *analysis) another(rec history.Rec, p place) {
	places := a.moreOffsets[rec]
	if places == nil {
		places = []place{{a.offset[rec], a.flags[rec]&polledThere != 0}}
		a.flags[rec] |= several
	}
	i := sort.Search(len(places), func(i int) bool { return places[i].offset >= p.offset })
	if i < len(places) && places[i].offset == p.offset {
		places[i].polled = places[i].polled || p.polled
	} else {
		places = append(places, place{})
		copy(places[i+1:], places[i:])
		places[i] = p
	}
	a.moreOffsets[rec] = places
}

// put notes that rec is at offset unless something is; it returns what was.
func (l *keyLog) put(offset int64, rec history.Rec) uint32 {
	if l.sparse != nil {
		there := l.sparse[offset]
		if there == 0 {
			l.sparse[offset] = uint32(rec) + 1
		}
		return there
	}
	slot := &l.slots[offset-l.min]
	there := *slot
	if there == 0 {
		*slot = uint32(rec) + 1
	}
	return there
}

func (a *analysis) finish() {
	for i := range a.logs {
		l := &a.logs[i]
		for offset := range l.sparse {
			l.sorted = append(l.sorted, offset)
		}
		sort.Slice(l.sorted, func(i, j int) bool { return l.sorted[i] < l.sorted[j] })
	}
	for rec, flags := range a.flags {
		if flags&sentOK != 0 {
			a.sends++
			if flags&readOK != 0 {
				a.ackRead++
			}
		}
		if flags&readOK != 0 && a.offset[rec] >= 0 {
			l := &a.logs[a.h.KeyOf(history.Rec(rec))]
			l.bound = max(l.bound, a.first(history.Rec(rec)))
		}
	}
}

// first and last are the lowest and highest offset at which rec was seen.
func (a *analysis) first(rec history.Rec) int64 {
	if a.flags[rec]&several != 0 {
		return a.moreOffsets[rec][0].offset
	}
	return a.offset[rec]
}

func (a *analysis) last(rec history.Rec) int64 {
	if a.flags[rec]&several != 0 {
		places := a.moreOffsets[rec]
		return places[len(places)-1].offset
	}
	return a.offset[rec]
}

// where is the range of offsets at which rec really is: where polls saw it,
// or, if none did, where its acknowledgement says, unless polls saw another
// record there. ok is false if that is not known.
func (a *analysis) where(rec history.Rec) (low, high int64, ok bool) {
	flags := a.flags[rec]
	if a.ranks != nil {
		return a.rank(rec)
	}
	if flags&several == 0 {
		o := a.offset[rec]
		return o, o, o >= 0 && (flags&tied == 0 || flags&polledThere != 0)
	}
	low, high = -1, -1
	for _, p := range a.moreOffsets[rec] {
		if p.polled || flags&polledThere == 0 {
			if low < 0 {
				low = p.offset
			}
			high = p.offset
		}
	}
	return low, high, low >= 0
}

// at is the record at an offset; rec+1, or 0.
func (l *keyLog) at(offset int64) uint32 {
	switch {
	case offset < l.min || offset > l.max:
		return 0
	case l.sparse != nil:
		return l.sparse[offset]
	}
	return l.slots[offset-l.min]
}

// between is the lowest offset known to hold a record above low and below
// high; ok is false if there is none.
func (l *keyLog) between(low, high int64) (offset int64, ok bool) {
	if l.sparse != nil {
		i := sort.Search(len(l.sorted), func(i int) bool { return l.sorted[i] > low })
		if i < len(l.sorted) && l.sorted[i] < high {
			return l.sorted[i], true
		}
		return 0, false
	}
	for o := max(low+1, l.min); o < high && o <= l.max; o++ {
		if l.slots[o-l.min] != 0 {
			return o, true
		}
	}
	return 0, false
}

// each calls fn for every offset known to hold a record, upwards or down.
func (l *keyLog) each(down bool, fn func(offset int64, rec history.Rec)) {
	n := len(l.slots)
	if l.sparse != nil {
		n = len(l.sorted)
	}
	for i := range n {
		if down {
			i = n - 1 - i
		}
		offset := l.min + int64(i)
		if l.sparse != nil {
			offset = l.sorted[i]
		}
		if slot := l.at(offset); slot != 0 {
			fn(offset, history.Rec(slot-1))
		}
	}
}
