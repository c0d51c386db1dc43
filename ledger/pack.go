package ledger

import (
	"encoding/binary"
	"slices"
	"time"
)

// Packed is an event of a kind that is told all the time. A ledger keeps it as a
// few bytes, which cost less to write than an event to allocate, and which the
// garbage collector does not look through. So what tells it may use the memory
// of the event again as soon as it is told.
type Packed interface {
	Event
	// Pack gives each field to p, in an order that is always the same. It serves
	// both to pack the event and to unpack it.
	Pack(p *Pack)
}

// Slot is memory for one event of a packed kind.
type Slot[E any] struct{ event E }

// Put is the event in the slot's memory, for as long as it is told.
func (s *Slot[E]) Put(event E) *E {
	s.event = event
	return &s.event
}

// Ref is in a struct to which many events point: a ledger numbers those that it
// has met.
type Ref struct{ number int }

func (r *Ref) ref() *Ref { return r }

// Pack writes or reads the bytes of events.
type Pack struct {
	bytes   []byte
	reading bool

	refs  []any // that events point to, by number
	texts []string
	known map[string]int // the numbers of texts, plus one
	// recent has some of them where a look at three letters finds them.
	recent [256]struct {
		text   string
		number int
	}
}

// Int packs a number.
func Int[T ~int | ~int8 | ~int16 | ~int32 | ~int64](p *Pack, v *T) {
	if p.reading {
		n, size := binary.Varint(p.bytes)
		*v, p.bytes = T(n), p.bytes[size:]
		return
	}
	p.put(uint64(*v)<<1 ^ uint64(int64(*v)>>63))
}

// Bits packs a number that may be any of 64 bits, such as a digest.
func Bits(p *Pack, v *uint64) {
	if p.reading {
		*v, p.bytes = binary.LittleEndian.Uint64(p.bytes), p.bytes[8:]
		return
	}
	p.bytes = binary.LittleEndian.AppendUint64(p.bytes, *v)
}

// Bool packs a truth.
func Bool(p *Pack, v *bool) {
	n := 0
	if *v {
		n = 1
	}
	Int(p, &n)
	*v = n == 1
}

// Text packs a text that other events have, too: such as the name of an API.
func Text(p *Pack, v *string) {
	if p.reading {
		*v = p.texts[p.count()]
		return
	}
	p.putCount(p.number(*v))
}

// List packs each of a list; an empty one is nil when it is unpacked.
func List[E any](p *Pack, v *[]E, each func(*E, *Pack)) {
	n := len(*v)
	Int(p, &n)
	if p.reading {
		*v = nil
		if n > 0 {
			*v = make([]E, n)
		}
	}
	for i := range *v {
		each(&(*v)[i], p)
	}
}

// Pointer packs a pointer to what other events point to as well; it may be nil.
func Pointer[T any, P interface {
	*T
	ref() *Ref
}](p *Pack, v *P) {
	if p.reading {
		if n := p.count(); n > 0 {
			*v = p.refs[n-1].(P)
		}
		return
	}
	if *v == nil {
		p.putCount(0)
		return
	}
	r := (*v).ref()
	if n := r.number; n == 0 || n > len(p.refs) || p.refs[n-1] != any(*v) { // or it is another ledger's number
		p.refs = append(p.refs, *v)
		r.number = len(p.refs)
	}
	p.putCount(r.number)
}

// put writes a number as binary.AppendUvarint does. It stands here because a byte
// at a time moves no pointer, of which the garbage collector would hear.
func (p *Pack) put(n uint64) {
	for n >= 0x80 {
		p.bytes = append(p.bytes, byte(n)|0x80)
		n >>= 7
	}
	p.bytes = append(p.bytes, byte(n))
}

func (p *Pack) putCount(n int) { p.put(uint64(n)) }

func (p *Pack) count() int {
	n, size := binary.Uvarint(p.bytes)
	p.bytes = p.bytes[size:]
	return int(n)
}

// number is that of a text.
func (p *Pack) number(text string) int {
	look := 0
	if n := len(text); n > 0 {
		look = n + 5*int(text[0]) + 11*int(text[n/2]) + 17*int(text[n-1])
	}
	r := &p.recent[look%len(p.recent)]
	if r.text != text || r.number == 0 {
		n := p.known[text]
		if n == 0 {
			if p.known == nil {
				p.known = map[string]int{}
			}
			p.texts = append(p.texts, text)
			n = len(p.texts)
			p.known[text] = n
		}
		r.text, r.number = text, n
	}
	return r.number - 1
}

// archive holds the entries that a ledger keeps.
type archive struct {
	full   [][]byte // of entries; the last ones are in pack
	events []Event  // those that are not packed, in order
	count  int
	last   stamp
	pack   Pack
}

// stamp is what grows from entry to entry.
type stamp struct {
	at   time.Duration
	step uint64
}

// chunkBytes is how much is allocated at a time, mostBytes what one entry takes, about.
const chunkBytes, mostBytes = 1 << 16, 1 << 8

func (a *archive) add(e *Entry) {
	p := &a.pack
	if len(p.bytes) > chunkBytes-mostBytes {
		a.full = append(a.full, p.bytes)
		p.bytes = nil
	}
	if p.bytes == nil {
		p.bytes = make([]byte, 0, chunkBytes)
	}
	at, step, by := e.At-a.last.at, int64(e.Cause.Step-a.last.step), int8(e.Cause.By)
	Int(p, &at)
	Int(p, &step)
	Int(p, &by)
	Text(p, &e.Host)
	Int(p, &e.Life)
	if packed, ok := e.Event.(Packed); ok {
		p.putCount(e.Event.Kind().number)
		packed.Pack(p)
	} else {
		p.putCount(0)
		a.events = append(a.events, e.Event)
	}
	a.count++
	a.last = stamp{e.At, e.Cause.Step}
}

// all yields the entries in order.
func (a *archive) all(yield func(*Entry) bool) {
	a.each(func() *Entry { return new(Entry) }, func(kind *Kind) Event { return kind.zero() }, yield)
}

// passing yields the entries in order, all in the same memory.
func (a *archive) passing(yield func(*Entry) bool) {
	var e Entry
	events := make([]Event, len(byNumber))
	a.each(func() *Entry { return &e }, func(kind *Kind) Event {
		if events[kind.number-1] == nil {
			events[kind.number-1] = kind.zero()
		}
		return events[kind.number-1]
	}, yield)
}

// each yields the entries in order, in memory that it is given for each.
func (a *archive) each(entry func() *Entry, event func(*Kind) Event, yield func(*Entry) bool) {
	var before stamp
	events := a.events
	for _, c := range append(slices.Clone(a.full), a.pack.bytes) {
		p := a.pack
		p.reading, p.bytes = true, c
		for len(p.bytes) > 0 {
			e := entry()
			p.entry(e, &before, &events, event)
			if !yield(e) {
				return
			}
		}
	}
}

// entry reads one.
func (p *Pack) entry(e *Entry, last *stamp, events *[]Event, event func(*Kind) Event) {
	var at, step int64
	var by int8
	Int(p, &at)
	Int(p, &step)
	Int(p, &by)
	last.at, last.step = last.at+time.Duration(at), last.step+uint64(step)
	e.At, e.Cause.Step, e.Cause.By = last.at, last.step, Origin(by)
	Text(p, &e.Host)
	Int(p, &e.Life)
	number := p.count()
	if number == 0 {
		e.Event, *events = (*events)[0], (*events)[1:]
		return
	}
	packed := event(byNumber[number-1]).(Packed)
	packed.Pack(p)
	e.Event = packed
}
