// Package ledger holds what happens in a trial. Each thing that happens is said
// once, as one small typed event, by the part to which it happens: a node
// becomes leader, a process is killed, a fault strikes, a client's operation
// ends. Everything else is derived from these events and from nothing else: the
// story in words, laws, probes, excuses, the timeline, the report.
//
// An event is a struct of its own with the fields that it needs:
//
//	// Truncated: the replica's log was cut; it ends at To now.
//	type Truncated struct {
//		*Replica
//		From kafka.Offset `json:"from"`
//		To   kafka.Offset `json:"to"`
//	}
//
//	var truncated = ledger.Declare[Truncated]("truncated", "a replica cut the end off its log", ledger.Notable)
//
//	func (e *Truncated) Kind() *ledger.Kind { return truncated }
//	func (e *Truncated) Sentence() string   { return fmt.Sprintf("truncates %v from %d to %d", e.Partition, e.From, e.To) }
//
// The package knows no Kafka and no simulator. It imports nothing of this
// module, so that every other package may tell and read events.
package ledger

import (
	"iter"
	"slices"
	"time"
)

// Event is one thing that happened. Its exported fields, by their JSON names,
// are what the trace keeps of it. An event belongs to the ledger once it was
// told: it must not be changed any more.
type Event interface {
	// Kind describes the type of the event. All events of one Go type have the
	// same Kind, which Declare made.
	Kind() *Kind
	// Sentence says in words what happened, in the present tense and without
	// the host: "becomes leader of orders/0, epoch 7". It must not depend on
	// anything but the event, and never on a pointer or on a map's order.
	Sentence() string
}

// Subject is an event about something with a name, such as a partition
// (orders/0). Stories and reports select events by it.
type Subject interface {
	Subject() string
}

// Weight says how often events of a kind happen, and so where they appear.
type Weight uint8

const (
	// Notable events are rare. They make up the story, and their sentences are
	// part of the hash of a run.
	Notable Weight = iota
	// Detail events are frequent: appends, high watermarks that move. Laws read
	// them always. They are kept, and part of a story, only if asked for.
	Detail
	// Traffic events are so frequent that they are told only while the whole
	// ledger is kept, or read (see env.Host.Traced): requests, answers, and the
	// operations of clients.
	Traffic
)

// Entry is an event, with when and where it happened and what set it off.
type Entry struct {
	At    time.Duration // virtual time since the world began
	Host  string        // empty: the world itself
	Life  int           // which process of the host, counted from 1; 0: none
	Cause Cause
	Event Event
}

// Cause is the step of the world in which something happened. In each step one
// message arrives or one timer fires, and every task that this wakes runs to
// its next wait. Entries of one step therefore have one cause.
type Cause struct {
	Step uint64 // counted from 1
	By   Origin
}

// Origin says what a step began with.
type Origin uint8

const (
	// ByWorld: a call that the world scheduled, such as a fault.
	ByWorld Origin = iota
	// ByMessage: bytes arrived from the network.
	ByMessage
	// ByTimer: a timer of the process fired.
	ByTimer
	// ByWait: the time that a task wanted to sleep or to wait at most was over.
	ByWait
	// ByDisk: an operation of a disk ended.
	ByDisk
)

var originNames = [...]string{"world", "message", "timer", "wait", "disk"}

// String is the origin as the trace names it.
func (o Origin) String() string { return originNames[o] }

// Keep says how much a ledger keeps for later.
type Keep uint8

const (
	// KeepStory keeps the notable events.
	KeepStory Keep = iota
	// KeepNothing is for worlds that live for days.
	KeepNothing
	// KeepAll keeps every event, traffic included.
	KeepAll
)

// Ledger passes each event on to its readers, in the order in which things
// happened, and keeps what it was asked to keep. It is for one thread.
type Ledger struct {
	keep    Keep
	traced  int // readers that want events of weight Traffic
	readers []reader
	notable []*Entry // that were kept
	kept    archive  // all, with KeepAll
	reached []int64  // by the number of the probe
	now     Entry    // being read: readers get its address
	reading bool
	waiting []Entry // told by a reader meanwhile
}

// New makes an empty ledger.
func New(keep Keep) *Ledger { return &Ledger{keep: keep, reached: make([]int64, len(probes))} }

// Traced reports whether events of weight Traffic are told: they are kept, or read.
func (l *Ledger) Traced() bool { return l.traced > 0 || l.keep == KeepAll }

// reader is called with entries: of weight Traffic or not.
type reader struct {
	f              func(*Entry)
	traffic, other bool
}

// ReadAll is Read of events of weight Traffic, too.
func (l *Ledger) ReadAll(f func(*Entry)) {
	l.traced++
	l.readers = append(l.readers, reader{f, true, true})
}

// ReadTraffic has f called with each entry of weight Traffic while that is switched on,
// and no other; at first it is off. To tell them costs: what looks at a part of a run
// only has them told in that part.
func (l *Ledger) ReadTraffic(f func(*Entry)) (on func(bool)) {
	at := len(l.readers)
	l.readers = append(l.readers, reader{f: f})
	return func(on bool) {
		if r := &l.readers[at]; r.traffic != on {
			r.traffic = on
			l.traced += map[bool]int{true: 1, false: -1}[on]
		}
	}
}

// Read has f called with each entry from now on, but for those of weight Traffic. The entry is valid during the call, and so is an
// event that is Packed; others may be kept. f must not block. What it tells itself is
// read next.
func (l *Ledger) Read(f func(*Entry)) { l.readers = append(l.readers, reader{f: f, other: true}) }

// Add tells that something happened.
func (l *Ledger) Add(e Entry) {
	kind := e.Event.Kind()
	for _, p := range kind.probes {
		if p.met(e.Event) {
			l.Reach(p)
		}
	}
	if kind.Weight == Notable && l.keep != KeepNothing {
		one := e
		l.notable = append(l.notable, &one)
	}
	if l.keep == KeepAll {
		l.kept.add(&e)
	}
	if len(l.readers) == 0 {
		return
	}
	if l.reading {
		if packed, ok := e.Event.(Packed); ok {
			e.Event = l.copyOf(packed)
		}
		l.waiting = append(l.waiting, e)
		return
	}
	l.reading = true
	l.read(e)
	for len(l.waiting) > 0 {
		next := l.waiting[0]
		l.waiting = l.waiting[1:]
		l.read(next)
	}
	l.reading = false
}

func (l *Ledger) read(e Entry) {
	l.now = e
	traffic := e.Event.Kind().Weight == Traffic
	for i := range l.readers {
		if r := &l.readers[i]; traffic && r.traffic || !traffic && r.other {
			r.f(&l.now)
		}
	}
}

// copyOf is an event in memory of its own.
func (l *Ledger) copyOf(e Packed) Event {
	var one archive
	one.add(&Entry{Event: e})
	one.all(func(c *Entry) bool {
		e = c.Event.(Packed)
		return true
	})
	return e
}

// Reach counts that a probe was reached.
func (l *Ledger) Reach(p *Probe) {
	for p.number >= len(l.reached) { // declared after the ledger was made
		l.reached = append(l.reached, 0)
	}
	l.reached[p.number]++
}

// Reached says how often each probe was reached, of those that were.
func (l *Ledger) Reached() map[*Probe]int64 {
	out := map[*Probe]int64{}
	for _, p := range probes {
		if p.number < len(l.reached) && l.reached[p.number] > 0 {
			out[p] = l.reached[p.number]
		}
	}
	return out
}

// Len is the number of entries that were kept.
func (l *Ledger) Len() int {
	if l.keep == KeepAll {
		return l.kept.count
	}
	return len(l.notable)
}

// Notable are the notable entries that were kept, in order.
func (l *Ledger) Notable() iter.Seq[*Entry] { return slices.Values(l.notable) }

// Passing are the entries that were kept, in order. An entry, and an event that is
// Packed, are valid only until the next: to read them all costs half of what All does.
func (l *Ledger) Passing() iter.Seq[*Entry] {
	if l.keep == KeepAll {
		return l.kept.passing
	}
	return l.Notable()
}

// All are the entries that were kept, in order.
func (l *Ledger) All() iter.Seq[*Entry] {
	if l.keep == KeepAll {
		return l.kept.all
	}
	return l.Notable()
}
