// Package history is what clients saw of a cluster: each operation, its client,
// its times, and what the answer was. Workloads write it, checkers read it. It
// knows neither a broker nor a simulator, so that the history of any cluster
// can be held in it.
//
// A History is built from events (a client begins; a client learns the
// outcome) and read as operations, each an invocation joined with its
// completion. It keeps them packed: an operation with one record costs about
// 60 bytes, so that ten million fit where a tree of objects would not.
package history

import (
	"hash/maphash"
	"maps"
	"math"
	"slices"
	"time"
)

// Key numbers a partition within a history.
type Key int32

// Rec numbers a record within a history: a value of a partition. Values are
// unique per partition, so a Rec is one record wherever it turns up.
type Rec uint32

// Never is the completion of an operation that has none.
const Never = math.MaxUint32

// History is a sequence of operations, in the order of their invocations.
type History struct {
	rows    column[row]
	details arena
	texts   symbols
	pairs   pairs

	keys      []Value
	keyByCode map[code]Key
	namedLast [16]named

	processes []process
	processOf map[int64]int32 // of those that processBy does not have
	processBy []int32         // by number: where it is, from 1; 0: nowhere
	lastProc  int32

	events   uint32
	headless int           // completions without an invocation
	heard    bool          // some listener was told something
	indexes  column[int64] // of events; empty while it is the event's number

	told  column[Details]
	notes []Note
	raw   raw // being built; then the event added last
	added Op
	enc   []byte

	ignored  map[string]bool // what means nothing here
	byWord   string          // a process that is no integer and did what a client does
	said     [64]said        // texts unpacked last
	saidLast [32]said        // and packed
}

type said struct {
	number uint32
	text   string
}

// row is one operation: what every check asks of it. The rest is in details.
type row struct {
	at            uint64 // of its detail; not while it is open
	invoked, done uint32 // numbers of its events; done may be Never
	process       int32
	f             F
	typ           Type
	bits          uint8
}

// What a row's bits say, beside what Has says of the operation.
const (
	isOpen     = 1 << 6 // its detail is with its process
	isHeadless = 1 << 7 // its invocation was not told
)

// process is a client and the operation that it has open.
type process struct {
	number int64
	client string
	open   bool
	row    int
	start  int64
	asked  []rawMop // by the invocation: to send, commit or delete
	detail []byte   // the operation as it stands if no completion comes
}

// Note is an event that is not a client's.
type Note struct {
	Number int64 // of the event
	Time   time.Duration
	Actor  string
	Type   Type
	F      F
	Name   string
	Fault  FaultKind // of a Fault: what lets a configuration off something
	Keys   []Key
	Txn    string // of a Fault: the transactional id that it hit; empty: not told
	Mops   []NoteMop
	Text   string // what else was said, as it was written
}

// NoteMop is what a Log event tells of one partition.
type NoteMop struct {
	Kind   MopKind
	Key    Key
	Offset int64
}

// New returns an empty history.
func New() *History {
	h := &History{keyByCode: map[code]Key{}, processOf: map[int64]int32{}, lastProc: -1}
	h.texts.seed = maphash.MakeSeed()
	return h
}

// Len is the number of operations.
func (h *History) Len() int { return h.rows.n }

// Headless is how many operations end in the history and begin before it.
func (h *History) Headless() int { return h.headless }

// Listeners reports whether the history has Assigned, Revoked or Lost.
func (h *History) Listeners() bool { return h.heard }

// Events is the number of events: invocations, completions and notes.
func (h *History) Events() int { return int(h.events) }

// Records is the number of distinct records that were sent or delivered.
func (h *History) Records() int { return h.pairs.keys.n }

// Keys names the partitions; a Key is an index into it.
func (h *History) Keys() []Value { return h.keys }

// KeyOf tells in which partition a record is.
func (h *History) KeyOf(r Rec) Key { return *h.pairs.keys.at(int(r)) }

// ValueOf is the value of a record.
func (h *History) ValueOf(r Rec) Value {
	c := *h.pairs.values.at(int(r))
	if c&numberedCode != 0 && c&1 != 0 {
		return c.text(h.keys[h.KeyOf(r)])
	}
	return h.decode(c)
}

// FindRec finds a record by its partition and value.
func (h *History) FindRec(key, value Value) (Rec, bool) {
	k, ok := h.FindKey(key)
	if !ok {
		return 0, false
	}
	before := h.pairs.keys.n
	r := h.pairs.number(k, h.encodeIn(k, value))
	return r, int(r) < before
}

// FindKey finds a partition by its name.
func (h *History) FindKey(name Value) (Key, bool) {
	for i, k := range h.keys {
		if k == name {
			return Key(i), true
		}
	}
	return 0, false
}

// Notes are the events that are not a client's, in order.
func (h *History) Notes() []Note { return h.notes }

// IndexOf is the :index of an event as its file has it: its number, unless
// the file counts otherwise.
func (h *History) IndexOf(event int64) int64 {
	if event >= int64(h.indexes.n) {
		return event
	}
	return *h.indexes.at(int(event))
}

// Ignored names what of a file means nothing here, each once: fields, functions
// ("f=debug-topics") and processes that are words, of what clients do
// ("process=consumer-1").
func (h *History) Ignored() []string {
	return slices.Sorted(maps.Keys(h.ignored))
}

// ClientsByWord names a process that is no integer and did what a client does, which
// counts for nothing; empty: there is none.
func (h *History) ClientsByWord() string { return h.byWord }

// ignoreOf records what is passed over of an event beside its fields: a client's
// function that none of Kafka's is, and a client whose process is a word.
func (h *History) ignoreOf(r *raw) {
	switch {
	case r.client && r.f == Other && r.name != "":
		h.ignore("f=" + r.name)
	case !r.client && r.f.ofClient():
		if h.byWord == "" {
			h.byWord = r.actor
		}
		h.ignore("process=" + r.actor)
	}
}

func (h *History) ignore(field string) {
	const most = 100
	if len(h.ignored) == most || h.ignored[field] {
		return
	}
	if h.ignored == nil {
		h.ignored = map[string]bool{}
	}
	h.ignored[field] = true
}

// setIndex records the :index that a file gives to the event being added.
func (h *History) setIndex(index int64) {
	event := int64(h.events)
	if h.indexes.n == 0 {
		if index == event {
			return
		}
		for i := int64(0); i < event; i++ {
			h.indexes.add(i)
		}
	}
	h.indexes.add(index)
}
