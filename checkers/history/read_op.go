package history

import (
	"encoding/binary"
	"fmt"
	"time"
)

// Op is one operation as checks read it. It and its slices are valid until
// the next operation is read into it.
type Op struct {
	Row       int   // its index among the operations
	Invoked   int64 // number of its invocation; 0 if the history begins without it
	Completed int64 // number of its completion, or Never
	Process   int64
	ProcessNo int32 // the process, numbered from 0
	F         F
	Type      Type // OK, Failed or Unknown
	Start     time.Duration
	End       time.Duration // as Start, if it has no completion

	Sends   []Sent   // in order
	Polled  []Polled // all its polls, in the order of delivery
	Offsets []OffsetMop
	Shape   []Step // the micro-operations in their order

	Keys          []Key // of Assign, Subscribe, Seek, Assigned, Revoked and Lost
	Rebalanced    []Key
	Seek          bool
	Group         string
	Generation    int64
	Member        string
	Instance      string
	Txn           string
	Session       string
	Producer      int64
	ProducerEpoch int64
	Name          string
	Error         string

	rest bool // something from Keys on is told
}

// Sent is a record that the operation sent. Silent: only the invocation said so.
type Sent struct {
	Rec     Rec
	Offset  int64
	Silent  bool
	Epoch   Epoch
	Details uint32 // what else was told: see History.Details; 0: nothing
}

// Epoch is a leader epoch plus one; 0: not told.
type Epoch int32

// Polled is a record that a poll delivered.
type Polled struct {
	Rec     Rec
	Offset  int64
	Epoch   Epoch
	Details uint32
}

// OffsetMop is a micro-operation on offsets: a commit, an end, a position, a record
// that was processed.
type OffsetMop struct {
	Kind   MopKind
	Key    Key
	Offset int64
	Silent bool // only the invocation said so
}

// Step is a micro-operation's position: N records of a poll, or one of the rest.
type Step struct {
	Kind MopKind
	N    int
}

// Each reads the operations in the order of their invocations, all into one
// Op, until fn returns false.
func (h *History) Each(fn func(op *Op) bool) {
	var op Op
	for i := 0; i < h.rows.n; i++ {
		h.Read(i, &op)
		if !fn(&op) {
			return
		}
	}
}

// What an operation may be about, for EachOf.
const (
	HasSends = 1 << iota
	HasPolls // which delivered something
	HasKeys  // Assign, Subscribe, Crash or Seek
	HasFacts // offsets, epochs, generations, ownership
)

// EachOf is Each for the operations that are about any of what bits say. The
// others are not even unpacked.
func (h *History) EachOf(bits uint8, fn func(op *Op) bool) {
	var op Op
	for i := 0; i < h.rows.n; i++ {
		if h.rows.at(i).bits&bits == 0 {
			continue
		}
		h.Read(i, &op)
		if !fn(&op) {
			return
		}
	}
}

// Brief is what can be had of an operation without unpacking it.
type Brief struct {
	Invoked, Completed uint32
	ProcessNo          int32
	F                  F
	Type               Type
}

// Brief tells the outline of operation i.
func (h *History) Brief(i int) Brief {
	r := h.rows.at(i)
	return Brief{r.began(), r.done, r.process, r.f, r.typ}
}

// began is the operation's first event; 0, the beginning of all, if not told.
func (r *row) began() uint32 {
	if r.bits&isHeadless != 0 {
		return 0
	}
	return r.invoked
}

// Index is the :index by which operation i is known: that of its completion,
// or of its invocation if it has none.
func (h *History) Index(i int) int64 {
	r := h.rows.at(i)
	if r.done == Never {
		return h.IndexOf(int64(r.invoked))
	}
	return h.IndexOf(int64(r.done))
}

// Processes is how many there were; Op.ProcessNo is below it.
func (h *History) Processes() int { return len(h.processes) }

// Client names a process as reports do.
func (h *History) Client(processNo int32) string {
	p := &h.processes[processNo]
	if p.client != "" {
		return p.client
	}
	return fmt.Sprintf("process %d", p.number)
}

// Read unpacks operation i into op.
func (h *History) Read(i int, op *Op) {
	r := h.rows.at(i)
	p := &h.processes[r.process]
	if op.rest { // most operations have nothing of it
		*op = Op{Sends: op.Sends, Polled: op.Polled, Offsets: op.Offsets, Shape: op.Shape, Keys: op.Keys, Rebalanced: op.Rebalanced}
	}
	op.Row, op.Invoked, op.Completed = i, int64(r.began()), int64(r.done)
	op.Process, op.ProcessNo, op.F, op.Type = p.number, r.process, r.f, r.typ
	op.Sends, op.Polled, op.Offsets, op.Shape = op.Sends[:0], op.Polled[:0], op.Offsets[:0], op.Shape[:0]
	op.Keys, op.Rebalanced = op.Keys[:0], op.Rebalanced[:0]
	b := p.detail
	if r.bits&isOpen == 0 {
		b = h.details.from(r.at)
	}
	h.unpack(b, op)
}

type unpacker struct{ b []byte }

func (u *unpacker) uvarint() uint64 {
	if v := u.b[0]; v < 0x80 {
		u.b = u.b[1:]
		return uint64(v)
	}
	v, n := binary.Uvarint(u.b)
	u.b = u.b[n:]
	return v
}

func (u *unpacker) varint() int64 {
	v := u.uvarint()
	return int64(v>>1) ^ -int64(v&1)
}

func (u *unpacker) offset(last *int64) int64 {
	v := u.uvarint()
	if v == 0 {
		return NoOffset
	}
	v--
	*last += int64(v>>1) ^ -int64(v&1)
	return *last
}

func (u *unpacker) more(last *Epoch) (Epoch, uint32) {
	*last += Epoch(u.varint())
	return *last, uint32(u.uvarint())
}

func (h *History) unpack(b []byte, op *Op) {
	u := unpacker{b}
	op.Start = time.Duration(u.varint())
	op.End = op.Start + time.Duration(u.varint())
	var rec, offset int64
	var epoch Epoch
	for n := u.uvarint(); n > 0; n-- {
		kind := u.b[0]
		u.b = u.b[1:]
		more := kind&moreBit != 0
		step := Step{MopKind(kind &^ (silentBit | moreBit)), 1}
		switch step.Kind {
		case MopSend:
			rec += u.varint()
			s := Sent{Rec: Rec(rec), Offset: u.offset(&offset), Silent: kind&silentBit != 0}
			if more {
				s.Epoch, s.Details = u.more(&epoch)
			}
			op.Sends = append(op.Sends, s)
		case MopPoll:
			step.N = int(u.uvarint())
			for range step.N {
				rec += u.varint()
				p := Polled{Rec: Rec(rec), Offset: u.offset(&offset)}
				if more {
					p.Epoch, p.Details = u.more(&epoch)
				}
				op.Polled = append(op.Polled, p)
			}
		default:
			key := Key(u.uvarint())
			op.Offsets = append(op.Offsets, OffsetMop{step.Kind, key, u.offset(&offset), kind&silentBit != 0})
		}
		op.Shape = append(op.Shape, step)
	}
	has := u.uvarint()
	if op.rest = has != 0; op.rest {
		h.unpackRest(&u, int(has), op)
	}
}

func (h *History) unpackRest(u *unpacker, has int, op *Op) {
	text := func() string { return h.say(uint32(u.uvarint())) }
	keys := func(ks []Key) []Key {
		for n := u.uvarint(); n > 0; n-- {
			ks = append(ks, Key(u.uvarint()))
		}
		return ks
	}
	op.Seek = has&hasSeek != 0
	if has&hasKeys != 0 {
		op.Keys = keys(op.Keys)
	}
	if has&hasMoved != 0 {
		op.Rebalanced = keys(op.Rebalanced)
	}
	if has&hasGroup != 0 {
		op.Group, op.Generation = text(), u.varint()
	}
	if has&hasTxn != 0 {
		op.Txn = text()
	}
	if has&hasProducer != 0 {
		op.Producer, op.ProducerEpoch = u.varint(), u.varint()
	}
	if has&hasName != 0 {
		op.Name = text()
	}
	if has&hasError != 0 {
		op.Error = text()
	}
	if has&hasSession != 0 {
		op.Session = text()
	}
	if has&hasMember != 0 {
		op.Member = text()
	}
	if has&hasInstance != 0 {
		op.Instance = text()
	}
}

// say is a text by its number; the same few turn up in operation after operation.
func (h *History) say(number uint32) string {
	s := &h.said[number%uint32(len(h.said))]
	if s.number != number+1 {
		*s = said{number + 1, string(h.texts.text(number))}
	}
	return s.text
}
