package detect

import (
	"slices"
	"sort"

	"github.com/ktrial/ktrial/checkers/history"
)

// What is known of a record.
const (
	sentOK        = 1 << iota // by an operation that succeeded
	sentFailed                // by one that definitely failed
	sentUnknown               // by one whose outcome is unknown
	begun                     // its send began
	begunAgain                // and another of the same value
	readSomewhere             // by a poll that did not tell the offset
	ended                     // some operation that sent it is over
	claimedThere              // its offset is from an acknowledgement, too
	proved                    // unknown, but a record of the same operation was read
	readOK                    // by a poll that succeeded
	readOther                 // by a poll of a failed or unknown operation
	polledThere               // its offset is from a poll: it was really there
	tied                      // another record was seen at its offset
	several                   // seen at several offsets: see Log.more
	resent                    // by several operations that did not fail
	alsoOlder                 // an older record of the same value was seen, too
)

const (
	attempted = sentOK | sentFailed | sentUnknown
	committed = sentOK | proved
)

// Log is what all observations together tell of the partitions: which record is
// at which offset, its writer, its readers. Offsets come from acknowledgements
// of operations that took effect and from every poll of every operation: a
// consumer must never be handed bad data, whatever becomes of its transaction.
//
// It learns one operation at a time, in any order.
type Log struct {
	H *history.History

	flags  []uint16 // by record, as the rest
	writer []uint32 // row+1 of the operation that sent it; of several, see wrote; 0: none
	offset []int64  // where it was seen first; history.NoOffset: nowhere

	more     map[history.Rec]*positions // of records seen at several offsets
	sends    map[history.Rec]int32      // operations that may have written it, where there are several
	claims   map[claim]int              // row+1 that was acknowledged there, of records that were resent
	parts    []partition
	ties     map[spot][]history.Rec // where several records were seen at one offset
	inDoubt  []int                  // rows of operations of unknown outcome with sends
	starts   *belowStarts           // of readers; set when all is over
	jumps    [][]Jump               // by partition, when it is finished
	coverage []coverage             // by partition: what readers passed over; set by the order of polls
	hasTxn   bool                   // some operation is a transaction of several steps
	mixed    bool                   // some operation sends and polls
	early    bool                   // some record was read before anything was known of its send
	anyGroup bool                   // some operation is of a group
	blind    bool                   // some poll told no offsets
	finished bool
	middle   bool // the history shows that it began in the middle of a cluster\'s life
	// readCommitted: consumers are given only what is committed, and wait for offsets that
	// a transaction has pending.
	readCommitted bool
	members       bool // consumers of which no assignment is told are members of a group
	found         foundAt
	// emptyPolls: a poll that returns nothing is said to show that there is nothing.
	emptyPolls bool
	empties    int // 1: and none of them was wrong; -1: one was; 0: not looked at
	// untold are transactions under way that do not tell yet what they send; those that never
	// do are untoldFrom the event at which the first began. -1: all tell.
	untold     map[int]bool
	untoldFrom int64
	silent     map[string]bool            // groups of transactions that never tell what they commit
	opens      map[history.Key][]openSend // made when it is needed
	passings   map[history.Key][]passing  // and these
	acked      int64                      // records acknowledged
	polled     int64                      // records delivered to polls that succeeded
	ackedRead  int64                      // acknowledged records that were read
	lastOK     int                        // row of the operation that succeeded last; -1
	lastDone   int64
	seeking    map[int32]bool // see seekers
	deletes    bool           // some client asked for records to be deleted

	// FromTheStart: the history began with the cluster, and nothing is older.
	FromTheStart bool

	jepsen bool              // it is reproduced: see jepsen.go
	ranks  []map[int64]int64 // by partition, for its order; else nil
}

// position is an offset at which a record was seen. Polled: by a poll, not only
// claimed by an acknowledgement.
type position struct {
	offset int64
	polled bool
}

// positions are the offsets of one record. New ones come to the end, and are put
// in order now and then, so that n of them cost n log n.
type positions struct {
	list   []position
	sorted int // of list, in order and each once
}

type spot struct {
	key    history.Key
	offset int64
}

type claim struct {
	rec    history.Rec
	offset int64
}

// partition is where records of one partition were seen, in pages.
type partition struct {
	pages    map[int64]*page
	at       int64 // number of the page used last
	last     *page
	numbers  []int64 // of the pages, in order; rebuilt when outgrown
	min, max int64   // of the offsets seen; max < min: none
	bound    int64   // largest first offset of a record that a successful poll read
	oldest   int64   // lowest offset that was acknowledged; below it may lie what is older than the history
}

const (
	pageBits = 6
	pageLen  = 1 << pageBits
)

type page [pageLen]uint32 // rec+1, or 0

// NewLog is a log of which nothing is known yet.
func NewLog(h *history.History) *Log {
	n := h.Records()
	return &Log{
		H: h, more: map[history.Rec]*positions{}, sends: map[history.Rec]int32{}, claims: map[claim]int{},
		ties: map[spot][]history.Rec{}, lastOK: -1, lastDone: -1, untold: map[int]bool{}, untoldFrom: -1, silent: map[string]bool{},
		flags: make([]uint16, 0, n), writer: make([]uint32, 0, n), offset: make([]int64, 0, n),
	}
}

// grow makes room for what the history has numbered by now.
func (l *Log) grow() {
	for n := l.H.Records(); len(l.flags) < n; {
		l.flags = append(l.flags, 0)
		l.writer = append(l.writer, 0)
		l.offset = append(l.offset, history.NoOffset)
	}
	for n := len(l.H.Keys()); len(l.parts) < n; {
		l.parts = append(l.parts, partition{pages: map[int64]*page{}, min: 1<<63 - 1, max: -1, bound: -1, oldest: unacked})
	}
}

// Begin takes in the beginning of an operation. Only judging while the history
// is recorded needs it.
func (l *Log) Begin(op *history.Op) {
	l.grow()
	l.deletes = l.deletes || op.F == history.DeleteRecords
	if op.F == history.Txn && len(op.Sends) == 0 {
		l.untold[op.Row] = true
	}
	for _, s := range op.Sends {
		if l.flags[s.Rec]&(begun|attempted) != 0 {
			l.flags[s.Rec] |= begunAgain
		}
		l.flags[s.Rec] |= begun
		if l.writer[s.Rec] == 0 {
			l.writer[s.Rec] = uint32(op.Row + 1)
		}
	}
}

// Deletes reports whether some client has asked for records to be deleted by now.
func (l *Log) Deletes() bool { return l.deletes }

// Learn takes in an operation that is over, or will never be.
func (l *Log) Learn(op *history.Op) {
	l.grow()
	flag := uint16(sentUnknown)
	switch op.Type {
	case history.OK:
		flag = sentOK
		if op.Completed != history.Never && op.Completed > l.lastDone {
			l.lastDone, l.lastOK = op.Completed, op.Row
		}
	case history.Failed:
		flag = sentFailed
	default:
		if len(op.Sends) > 0 {
			l.inDoubt = append(l.inDoubt, op.Row)
		}
	}
	delete(l.untold, op.Row)
	if op.F == history.Txn && op.Completed == history.Never && len(op.Sends) == 0 && (l.untoldFrom < 0 || op.Invoked < l.untoldFrom) {
		l.untoldFrom = op.Invoked
	}
	if op.F == history.Txn && op.Completed == history.Never && op.Group != "" && !commits(op) {
		l.silent[op.Group] = true
	}
	l.anyGroup = l.anyGroup || op.Group != ""
	l.hasTxn = l.hasTxn || op.F == history.Txn
	for _, s := range op.Sends {
		l.wrote(s.Rec, op)
		if s.Silent && op.Type == history.OK {
			l.flags[s.Rec] |= sentUnknown
		} else {
			l.flags[s.Rec] |= flag
		}
		if s.Offset >= 0 && op.Type == history.OK {
			l.seenAt(s.Rec, s.Offset, false)
			l.claimed(s, op.Row)
		}
	}
	flag = readOther
	if op.Type == history.OK {
		flag = readOK
		l.polled += int64(len(op.Polled))
	}
	l.mixed = l.mixed || len(op.Sends) > 0 && len(op.Polled) > 0
	for _, p := range op.Polled {
		if now := l.flags[p.Rec]; now&(sentOK|sentUnknown) == 0 && (now&begun == 0 || now&sentFailed != 0) {
			l.early = true
		}
		l.flags[p.Rec] |= flag
		if p.Offset >= 0 {
			l.seenAt(p.Rec, p.Offset, true)
		} else {
			l.blind = true
			l.flags[p.Rec] |= readSomewhere
		}
	}
}

// wrote records that op sent rec. Of several that did, one that succeeded says
// most of it, and one that failed nothing.
func (l *Log) wrote(rec history.Rec, op *history.Op) {
	w, flags := &l.writer[rec], l.flags[rec]
	if flags&ended == 0 { // the first that is over
		l.flags[rec] |= ended
		*w = uint32(op.Row + 1)
		return
	}
	if flags&(sentOK|sentUnknown) != 0 && op.Type != history.Failed {
		if flags&resent == 0 {
			l.flags[rec] |= resent
			l.sends[rec] = 1
			l.claimFirst(rec, int(*w)-1)
		}
		l.sends[rec]++
	}
	before := l.H.Brief(int(*w) - 1).Type
	if before != history.OK && (op.Type == history.OK || before == history.Failed) {
		*w = uint32(op.Row + 1)
	}
}

// claimFirst records where the first of several sends of a record was told that it
// lies.
func (l *Log) claimFirst(rec history.Rec, row int) {
	var op history.Op
	l.H.Read(row, &op)
	for _, s := range op.Sends {
		if s.Rec == rec && s.Offset >= 0 && op.Type == history.OK {
			l.claims[claim{rec, s.Offset}] = row + 1
		}
	}
}

func (l *Log) claimed(s history.Sent, row int) {
	if l.flags[s.Rec]&resent != 0 {
		l.claims[claim{s.Rec, s.Offset}] = row + 1
	}
}

func (l *Log) seenAt(rec history.Rec, offset int64, polled bool) {
	key := l.H.KeyOf(rec)
	switch there := l.parts[key].put(offset, rec); {
	case there == 0 || there == uint32(rec)+1:
	default:
		l.tie(spot{key, offset}, history.Rec(there-1), rec)
	}
	if l.offset[rec] == history.NoOffset {
		l.offset[rec] = offset
	} else if l.offset[rec] != offset || l.flags[rec]&several != 0 {
		l.another(rec, position{offset, polled})
	}
	if polled {
		l.flags[rec] |= polledThere
	}
	if !polled {
		l.flags[rec] |= claimedThere
		l.parts[key].oldest = min(l.parts[key].oldest, offset)
	}
}

func (l *Log) tie(at spot, first, rec history.Rec) {
	recs := l.ties[at]
	if recs == nil {
		recs = []history.Rec{first}
		l.flags[first] |= tied
	}
	if l.flags[rec]&tied == 0 || !slices.Contains(recs, rec) {
		l.flags[rec] |= tied
		l.ties[at] = append(recs, rec)
	}
}

func (l *Log) another(rec history.Rec, p position) {
	all := l.more[rec]
	if all == nil {
		all = &positions{list: []position{{l.offset[rec], l.flags[rec]&polledThere != 0}}, sorted: 1}
		l.more[rec] = all
		l.flags[rec] |= several
	}
	if all.list = append(all.list, p); len(all.list) > 2*all.sorted+16 {
		all.inOrder()
	}
}

// inOrder are the offsets, each once.
func (p *positions) inOrder() []position {
	if p.sorted == len(p.list) {
		return p.list
	}
	slices.SortStableFunc(p.list, func(a, b position) int { return compare(a.offset, b.offset) })
	kept := p.list[:0]
	for _, at := range p.list {
		if n := len(kept); n > 0 && kept[n-1].offset == at.offset {
			kept[n-1].polled = kept[n-1].polled || at.polled
			continue
		}
		kept = append(kept, at)
	}
	p.list, p.sorted = kept, len(kept)
	return kept
}

func compare(a, b int64) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

// Finish is called once when all operations were learned: an operation of
// unknown outcome of which a record was read took effect.
func (l *Log) Finish() {
	if l.finished {
		return
	}
	l.finished = true
	l.grow()
	l.setApart()
	var op history.Op
	for _, row := range l.inDoubt {
		l.H.Read(row, &op)
		if !l.tookEffect(&op) {
			continue
		}
		for _, s := range op.Sends {
			l.flags[s.Rec] |= proved
			if s.Offset >= 0 {
				l.seenAt(s.Rec, s.Offset, false)
				l.claimed(s, row)
			}
		}
	}
	for rec, flags := range l.flags {
		if flags&sentOK != 0 {
			l.acked++
			if flags&readOK != 0 {
				l.ackedRead++
			}
		}
		if flags&readOK != 0 && l.offset[rec] >= 0 {
			p := &l.parts[l.H.KeyOf(history.Rec(rec))]
			p.bound = max(p.bound, l.first(history.Rec(rec)))
		}
	}
}

// tookEffect: one of the records of an operation of unknown outcome was read,
// which proves all of them, unless it may be another's.
func (l *Log) tookEffect(op *history.Op) bool {
	for _, s := range op.Sends {
		if l.flags[s.Rec]&(readOK|resent) == readOK {
			return true
		}
	}
	return false
}

// put records that rec is at offset unless something is; it returns what was.
func (p *partition) put(offset int64, rec history.Rec) uint32 {
	p.min, p.max = min(p.min, offset), max(p.max, offset)
	number := offset >> pageBits
	if p.last == nil || p.at != number {
		at := p.pages[number]
		if at == nil {
			at = new(page)
			p.pages[number] = at
		}
		p.at, p.last = number, at
	}
	slot := &p.last[offset&(pageLen-1)]
	there := *slot
	if there == 0 {
		*slot = uint32(rec) + 1
	}
	return there
}

// get is the record at an offset; rec+1, or 0.
func (p *partition) get(offset int64) uint32 {
	if offset < p.min || offset > p.max {
		return 0
	}
	if number := offset >> pageBits; p.last == nil || p.at != number {
		at := p.pages[number]
		if at == nil {
			return 0
		}
		p.at, p.last = number, at
	}
	return p.last[offset&(pageLen-1)]
}

// inOrder are the numbers of the pages.
func (p *partition) inOrder() []int64 {
	if len(p.numbers) != len(p.pages) {
		p.numbers = p.numbers[:0]
		for number := range p.pages {
			p.numbers = append(p.numbers, number)
		}
		slices.Sort(p.numbers)
	}
	return p.numbers
}

// next is the lowest offset from low on, and below high, that such a record
// lies at.
func (p *partition) next(low, high int64, such func(offset int64, rec history.Rec) bool) (offset int64, ok bool) {
	low, high = max(low, p.min), min(high, p.max+1)
	if low >= high {
		return 0, false
	}
	look := func(number int64) bool {
		from := max(low, number<<pageBits)
		for offset = from; offset < high && offset>>pageBits == number; offset++ {
			if slot := p.get(offset); slot != 0 && such(offset, history.Rec(slot-1)) {
				return true
			}
			if offset == 1<<63-1 {
				return false
			}
		}
		return false
	}
	first, last := low>>pageBits, (high-1)>>pageBits
	if last-first < 16 {
		for number := first; number <= last; number++ {
			if look(number) {
				return offset, true
			}
		}
		return 0, false
	}
	numbers := p.inOrder()
	for i := sort.Search(len(numbers), func(i int) bool { return numbers[i] >= first }); i < len(numbers) && numbers[i] <= last; i++ {
		if look(numbers[i]) {
			return offset, true
		}
	}
	return 0, false
}

// each calls fn for every offset known to hold a record, upwards or down.
func (p *partition) each(down bool, fn func(offset int64, rec history.Rec)) {
	numbers := p.inOrder()
	for i := range numbers {
		if down {
			i = len(numbers) - 1 - i
		}
		at := p.pages[numbers[i]]
		for j := range at {
			if down {
				j = pageLen - 1 - j
			}
			if slot := at[j]; slot != 0 {
				fn(numbers[i]<<pageBits+int64(j), history.Rec(slot-1))
			}
		}
	}
}
