package history

import (
	"encoding/binary"
	"time"
)

// raw is an event with its values numbered: what readers fill and add packs.
type raw struct {
	typ     Type
	f       F
	client  bool
	process int64
	// processNo numbers the process; -1: not a client's.
	processNo  int32
	row        int   // of its operation, once it is added
	index      int64 // -1: not told
	time       int64
	actor      string
	name       string
	fault      FaultKind
	clientName string // client's name
	text       string // value of a note
	mops       []rawMop
	polled     []Polled // of all polls, in order
	keys       []Key
	moved      []Key
	seek       bool
	group      string
	gen        int64
	member     string
	instance   string
	txn        string
	session    string
	producer   int64
	epoch      int64
	err        string

	timed  bool    // its time was told
	leader Epoch   // of all its records that tell none of their own, as the rest
	shared Details // attributes
}

// share gives the records what was told of all of them.
func (r *raw) share(h *History) {
	if r.leader == 0 && r.shared == (Details{}) || len(r.mops) == 0 {
		return
	}
	details := uint32(0)
	if r.shared != (Details{}) {
		details = h.addDetails(r.shared)
	}
	give := func(epoch *Epoch, own *uint32) {
		if *epoch == 0 {
			*epoch = r.leader
		}
		if *own == 0 {
			*own = details
		}
	}
	for i := range r.mops {
		if m := &r.mops[i]; m.kind == MopSend {
			give(&m.epoch, &m.details)
		}
	}
	for i := range r.polled {
		give(&r.polled[i].Epoch, &r.polled[i].Details)
	}
}

type rawMop struct {
	kind    MopKind
	n       int32 // records of a poll
	rec     Rec
	key     Key
	offset  int64
	epoch   Epoch
	details uint32
	silent  bool // of the invocation only: the completion did not mention it
}

func (r *raw) reset() {
	*r = raw{index: -1, processNo: -1, mops: r.mops[:0], polled: r.polled[:0], keys: r.keys[:0], moved: r.moved[:0]}
}

// Add appends an event. Its slices are the caller's again when it returns.
func (h *History) Add(e *Event) {
	r := &h.raw
	// Field by field: a store of the whole costs more, for most of its pointers stay nil.
	r.processNo, r.row, r.index, r.timed, r.leader, r.shared = -1, 0, -1, false, 0, Details{}
	r.mops, r.polled, r.keys, r.moved = r.mops[:0], r.polled[:0], r.keys[:0], r.moved[:0]
	r.typ, r.f, r.time = e.Type, e.F, int64(e.Time)
	r.client, r.process, r.actor = e.Process != NoProcess, e.Process, e.Actor
	r.name, r.clientName, r.err, r.text = e.Name, e.Client, e.Error, e.Text
	r.seek, r.group, r.gen, r.txn = e.SeekToBeginning, e.Group, e.Generation, e.Transaction
	r.session, r.fault, r.member, r.instance = e.Session, e.Fault, e.Member, e.Instance
	r.producer, r.epoch = e.Producer, e.ProducerEpoch
	for _, k := range e.Keys {
		r.keys = append(r.keys, h.keyOf(k))
	}
	for _, k := range e.Rebalanced {
		r.moved = append(r.moved, h.keyOf(k))
	}
	for i := range e.Mops {
		h.addMop(r, &e.Mops[i])
	}
	h.add(r)
}

func (h *History) addMop(r *raw, m *Mop) {
	to := rawMop{kind: m.Kind, offset: m.Offset.Or(NoOffset)}
	switch m.Kind {
	case MopPoll:
		to.n = int32(len(m.Records))
		for i := range m.Records {
			rec := &m.Records[i]
			key := h.keyOf(rec.Key)
			n := h.pairs.number(key, h.encodeIn(key, rec.Value))
			r.polled = append(r.polled, Polled{n, rec.Offset.Or(NoOffset), epochOf(rec.LeaderEpoch), h.detailsOf(&rec.Attributes)})
		}
	case MopSend:
		to.key = h.keyOf(m.Key)
		to.rec = h.pairs.number(to.key, h.encodeIn(to.key, m.Value))
		to.epoch, to.details = epochOf(m.LeaderEpoch), h.detailsOf(&m.Attributes)
		if r.typ == Invoke {
			to.offset = NoOffset
		}
	default:
		to.key = h.keyOf(m.Key)
	}
	r.mops = append(r.mops, to)
}

// epochOf is a leader epoch plus one; 0: not told.
func epochOf(n Number) Epoch { return Epoch(n.plus) }

// add joins the event to its operation.
func (h *History) add(r *raw) {
	if r.index >= 0 || h.indexes.n > 0 {
		if r.index < 0 {
			r.index = int64(h.events)
		}
		h.setIndex(r.index)
	}
	number := h.events
	h.events++
	if !r.client {
		h.note(r, int64(number))
		return
	}
	pi := h.processNumber(r.process)
	r.processNo = pi
	p := &h.processes[pi]
	if r.clientName != "" {
		p.client = r.clientName
	}
	if r.typ == Invoke {
		h.invoke(r, pi, number)
		return
	}
	h.heard = h.heard || r.f.OfListener()
	if r.f.OfListener() && !(p.open && h.rows.at(p.row).f == r.f) {
		h.addByItself(r, number)
		return
	}
	if !p.open {
		// A completion whose beginning is not told may have begun at any time.
		h.rows.add(row{process: pi, invoked: number, bits: isHeadless})
		h.headless++
		p.row, p.start, p.asked = h.rows.n-1, r.time, p.asked[:0]
	}
	p.open, r.row = false, p.row
	p.fillIn(r)
	at := h.rows.at(p.row)
	at.f, at.typ, at.done = r.f, r.typ, number
	at.bits = at.bits&isHeadless | r.has()
	h.enc = pack(h.enc[:0], r, p.start, r.time, h)
	at.at = h.details.put(h.enc)
}

// addByItself adds an operation of one event, beside the one that its process may
// have under way.
func (h *History) addByItself(r *raw, number uint32) {
	r.row = h.rows.n
	h.enc = pack(h.enc[:0], r, r.time, r.time, h)
	h.rows.add(row{at: h.details.put(h.enc), process: r.processNo, invoked: number, done: number, f: r.f, typ: r.typ, bits: r.has()})
}

func (h *History) invoke(r *raw, pi int32, number uint32) {
	p := &h.processes[pi]
	if p.open { // it will never be told how that one ended
		at := h.rows.at(p.row)
		at.bits &^= isOpen
		at.at = h.details.put(p.detail)
	}
	p.open, p.row, p.start = true, h.rows.n, r.time
	r.row = p.row
	p.asked = p.asked[:0]
	for _, m := range r.mops {
		if m.kind.asked() {
			p.asked = append(p.asked, m)
		}
	}
	p.detail = pack(p.detail[:0], r, r.time, r.time, h)
	h.rows.add(row{process: pi, invoked: number, done: Never, f: r.f, typ: Unknown, bits: r.has() | isOpen})
}

// has says what kinds of things an operation is about.
func (r *raw) has() (bits uint8) {
	for i := range r.mops {
		switch r.mops[i].kind {
		case MopSend:
			bits |= HasSends
		case MopPoll:
			if r.mops[i].n > 0 {
				bits |= HasPolls
			}
		default:
			bits |= HasFacts
		}
	}
	if r.f == Assign || r.f == Subscribe || r.f == Crash || r.f == Seek {
		bits |= HasKeys
	}
	if r.f == InitProducer || r.f == Join || r.f.OfListener() || r.producer != 0 || r.epoch != 0 {
		bits |= HasFacts
	}
	return bits
}

// fillIn appends what the invocation asked for and the completion does not
// mention: an error often carries no value at all. What was to be committed or
// deleted the invocation knows, if the completion does not.
func (p *process) fillIn(r *raw) {
	if p.mentionedInOrder(r) {
		return
	}
	told := map[Rec]int{}
	for i := range r.mops {
		if r.mops[i].kind == MopSend {
			told[r.mops[i].rec]++
		}
	}
	for _, m := range p.asked {
		if m.kind != MopSend {
			p.fillInMove(r, m)
		} else if told[m.rec]--; told[m.rec] < 0 {
			m.offset, m.silent = NoOffset, true
			r.mops = append(r.mops, m)
		}
	}
}

// mentionedInOrder: the completion has just what the invocation asked for, as
// most do. Key, headers and timestamp the invocation knows, if the completion does not.
func (p *process) mentionedInOrder(r *raw) bool {
	n := 0
	for i := range r.mops {
		m := &r.mops[i]
		if !m.kind.asked() {
			continue
		}
		if n >= len(p.asked) || p.asked[n].kind != m.kind || p.asked[n].rec != m.rec || p.asked[n].key != m.key ||
			m.kind != MopSend && m.offset == NoOffset || m.kind == MopProcessed && m.offset != p.asked[n].offset {
			return false
		}
		if m.details == 0 {
			m.details = p.asked[n].details
		}
		n++
	}
	return n == len(p.asked)
}

// mistaken tells of a completion that it is not that of the operation under way: both
// name records to send, and none of them the same. They are the first of each.
func (h *History) mistaken(r *raw) (asked, told Value, is bool) {
	i := int32(-1)
	if r.client && r.typ != Invoke && !r.f.OfListener() {
		i = h.processAt(r.process)
	}
	if i < 0 || !h.processes[i].open {
		return asked, told, false
	}
	open := h.processes[i].asked
	first, other := -1, -1
	for k := range r.mops {
		if r.mops[k].kind != MopSend {
			continue
		}
		first = max(first, k)
		for n := range open {
			if open[n].kind != MopSend {
				continue
			}
			if open[n].rec == r.mops[k].rec {
				return asked, told, false
			}
			other = n
		}
	}
	if first < 0 || other < 0 {
		return asked, told, false
	}
	return h.ValueOf(open[other].rec), h.ValueOf(r.mops[first].rec), true
}

func (p *process) fillInMove(r *raw, move rawMop) {
	for i := range r.mops {
		m := &r.mops[i]
		if m.kind == move.kind && m.key == move.key && (m.kind != MopProcessed || m.offset == move.offset) {
			if m.offset == NoOffset {
				m.offset = move.offset
			}
			return
		}
	}
	move.silent = true
	r.mops = append(r.mops, move)
}

func (h *History) note(r *raw, number int64) {
	if r.f == Fault && r.name == "" {
		r.name = r.fault.String()
	}
	n := Note{Number: number, Time: time.Duration(r.time), Actor: r.actor, Type: r.typ, F: r.f, Name: r.name, Text: r.text}
	if r.f == Fault {
		n.Fault, n.Txn = FaultNamed(r.name), r.txn
	}
	n.Keys = append(n.Keys, r.keys...)
	for _, m := range r.mops {
		n.Mops = append(n.Mops, NoteMop{m.kind, m.key, m.offset})
	}
	h.notes = append(h.notes, n)
}

// What an operation's detail holds beside times and micro-operations.
const (
	hasKeys = 1 << iota
	hasMoved
	hasSeek
	hasGroup
	hasTxn
	hasProducer
	hasName
	hasError
	hasSession
	hasMember
	hasInstance
)

// Bits of a micro-operation's kind: only the invocation told of it; its records
// have epochs or details.
const (
	silentBit = 0x80
	moreBit   = 0x40
)

func (m *rawMop) tellsMore(polled []Polled) bool {
	if m.kind == MopPoll {
		for i := range polled[:m.n] {
			if polled[i].Epoch != 0 || polled[i].Details != 0 {
				return true
			}
		}
	}
	return m.epoch != 0 || m.details != 0
}

func appendMore(b []byte, epoch Epoch, details uint32, last *Epoch) []byte {
	b = binary.AppendVarint(b, int64(epoch)-int64(*last))
	*last = epoch
	return binary.AppendUvarint(b, uint64(details))
}

// pack writes an operation's detail; unpack reads it. Records and offsets are
// written as differences, since one mostly follows the other.
func pack(b []byte, r *raw, start, end int64, h *History) []byte {
	b = binary.AppendVarint(b, start)
	b = binary.AppendVarint(b, end-start)
	b = binary.AppendUvarint(b, uint64(len(r.mops)))
	var rec, offset int64
	var epoch Epoch
	polled := r.polled
	for i := range r.mops {
		m := &r.mops[i]
		kind := byte(m.kind)
		if m.silent {
			kind |= silentBit
		}
		if m.tellsMore(polled) {
			kind |= moreBit
		}
		b = append(b, kind)
		switch m.kind {
		case MopSend:
			b = binary.AppendVarint(b, int64(m.rec)-rec)
			b = appendOffset(b, m.offset, &offset)
			rec = int64(m.rec)
			if kind&moreBit != 0 {
				b = appendMore(b, m.epoch, m.details, &epoch)
			}
		case MopPoll:
			b = binary.AppendUvarint(b, uint64(m.n))
			for _, p := range polled[:m.n] {
				b = binary.AppendVarint(b, int64(p.Rec)-rec)
				b = appendOffset(b, p.Offset, &offset)
				rec = int64(p.Rec)
				if kind&moreBit != 0 {
					b = appendMore(b, p.Epoch, p.Details, &epoch)
				}
			}
			polled = polled[m.n:]
		default:
			b = binary.AppendUvarint(b, uint64(m.key))
			b = appendOffset(b, m.offset, &offset)
		}
	}
	return packRest(b, r, h)
}

// appendOffset writes 0 for none, else the zigzag difference plus one.
func appendOffset(b []byte, offset int64, last *int64) []byte {
	if offset < 0 {
		return append(b, 0)
	}
	d := offset - *last
	*last = offset
	return binary.AppendUvarint(b, uint64(d)<<1^uint64(d>>63)+1)
}

func packRest(b []byte, r *raw, h *History) []byte {
	has := 0
	bit := func(yes bool, flag int) {
		if yes {
			has |= flag
		}
	}
	bit(len(r.keys) > 0, hasKeys)
	bit(len(r.moved) > 0, hasMoved)
	bit(r.seek, hasSeek)
	bit(r.group != "" || r.gen != 0, hasGroup)
	bit(r.txn != "", hasTxn)
	bit(r.producer != 0 || r.epoch != 0, hasProducer)
	bit(r.name != "", hasName)
	bit(r.err != "", hasError)
	bit(r.session != "", hasSession)
	bit(r.member != "", hasMember)
	bit(r.instance != "", hasInstance)
	b = binary.AppendUvarint(b, uint64(has))
	if has == 0 {
		return b
	}
	text := func(s string) {
		b = binary.AppendUvarint(b, uint64(h.textNumber(s)))
	}
	keys := func(ks []Key) {
		b = binary.AppendUvarint(b, uint64(len(ks)))
		for _, k := range ks {
			b = binary.AppendUvarint(b, uint64(k))
		}
	}
	if has&hasKeys != 0 {
		keys(r.keys)
	}
	if has&hasMoved != 0 {
		keys(r.moved)
	}
	if has&hasGroup != 0 {
		text(r.group)
		b = binary.AppendVarint(b, r.gen)
	}
	if has&hasTxn != 0 {
		text(r.txn)
	}
	if has&hasProducer != 0 {
		b = binary.AppendVarint(b, r.producer)
		b = binary.AppendVarint(b, r.epoch)
	}
	if has&hasName != 0 {
		text(r.name)
	}
	if has&hasError != 0 {
		text(r.err)
	}
	if has&hasSession != 0 {
		text(r.session)
	}
	if has&hasMember != 0 {
		text(r.member)
	}
	if has&hasInstance != 0 {
		text(r.instance)
	}
	return b
}
