package checkers

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/ktrial/ktrial/checkers/detect"
	"github.com/ktrial/ktrial/checkers/history"
	"github.com/ktrial/ktrial/checkers/permit"
)

// Rules of an application that its configuration declares, so that they are judged of any history: see
// permit.ZeroSum and permit.OneOutput. They are about what is committed, so they are not judged where readers need not
// have been given just that.

// RuleReport is what is said of a rule.
type RuleReport struct {
	Name    string   `json:"name"`
	Verdict Verdict  `json:"verdict"`
	Checked int64    `json:"checked"`
	Broken  []Broken `json:"broken,omitempty"`
}

// rulesOf are the rules that a configuration declares.
func rulesOf(e *Expectations) (rules []Check) {
	for _, p := range e.Pairs(permit.ZeroSum) {
		rules = append(rules, ZeroSum(p[0], p[1]))
	}
	for _, p := range e.Pairs(permit.OneOutput) {
		rules = append(rules, OneOutput(p[0], p[1]))
	}
	return rules
}

// judgeRules adds what the rules say to a judgement, which has its verdict.
func (j *Judgement) judgeRules(h *history.History) {
	for _, rule := range rulesOf(&j.expect) {
		var found Checked
		if why := j.expect.Withholds(); why == "" {
			found = rule.Run(h)
		} else {
			j.Notes = append(j.Notes, fmt.Sprintf("%s is not judged: %s", rule.Config, why))
		}
		j.Rules = append(j.Rules, RuleReport{rule.Name, found.Verdict(), found.Count, found.Broken})
		j.Verdict = Worst(j.Verdict, found.Verdict())
	}
}

// partitionsOf are the partitions of a topic that a history knows: TOPIC/0, TOPIC/1, or TOPIC alone.
func partitionsOf(h *history.History, topic string) map[history.Key]bool {
	of := map[history.Key]bool{}
	for i, name := range h.Keys() {
		//text:allow the name of a partition in a history
		text := strings.TrimPrefix(name.String(), ":")
		//text:allow the name of a partition in a history
		if at := strings.LastIndexByte(text, '/'); at >= 0 {
			text = text[:at]
		}
		of[history.Key(i)] = text == topic
	}
	return of
}

// fromStart follows the processes that read partitions of a topic from their starts. Such a process is given all that
// is committed, in order.
type fromStart struct {
	of    map[history.Key]bool
	views map[int32]*startView
	// farthest is, of each partition, the reading that came farthest, and known the highest offset of which any
	// client knows that it holds a record.
	farthest map[history.Key]*partRead
	known    map[history.Key]int64
}

// startView is what a process has read since it was assigned partitions from their starts.
type startView struct {
	process int32
	parts   map[history.Key]*partRead
	books   view
}

// partRead is what a process has read of a partition.
type partRead struct {
	high int64 // offset of the last record
	sum  int64
	next int // of the entries of the partition, that is not passed
}

func newFromStart(h *history.History, topic string) *fromStart {
	return &fromStart{of: partitionsOf(h, topic), views: map[int32]*startView{}, farthest: map[history.Key]*partRead{}, known: map[history.Key]int64{}}
}

// learn takes in an operation, before its records are read.
func (f *fromStart) learn(h *history.History, op *history.Op) {
	if op.F == history.Assign || op.F == history.Subscribe || op.F == history.Crash {
		delete(f.views, op.ProcessNo)
		if op.F == history.Assign && op.Type == history.OK && op.Seek {
			f.begin(op)
		}
	}
	if op.Type != history.OK {
		return
	}
	for _, s := range op.Sends {
		f.isThere(h.KeyOf(s.Rec), s.Offset)
	}
	for _, p := range op.Polled {
		f.isThere(h.KeyOf(p.Rec), p.Offset)
	}
}

func (f *fromStart) begin(op *history.Op) {
	v := &startView{process: op.ProcessNo, parts: map[history.Key]*partRead{}, books: view{passed: map[*transfer]passage{}}}
	for _, k := range op.Keys {
		if f.of[k] {
			v.parts[k] = &partRead{high: history.NoOffset}
		}
	}
	f.views[op.ProcessNo] = v
}

func (f *fromStart) isThere(key history.Key, offset int64) {
	if before, some := f.known[key]; f.of[key] && (!some || offset > before) {
		f.known[key] = offset
	}
}

// reading is where a process takes a record in; nil: it did not begin at the start, or has read the record before.
func (f *fromStart) reading(op *history.Op, key history.Key, offset int64) (*startView, *partRead) {
	v := f.views[op.ProcessNo]
	if v == nil || op.Type != history.OK || v.parts[key] == nil || offset <= v.parts[key].high {
		return nil, nil
	}
	p := v.parts[key]
	p.high = offset
	if best := f.farthest[key]; best == nil || offset > best.high {
		f.farthest[key] = p
	}
	return v, p
}

// whole reports whether in the end some process has read each partition from its start to its end.
func (f *fromStart) whole(h *history.History) bool {
	ends := detect.LogEnds(h)
	some := false
	for key, ours := range f.of {
		if !ours {
			continue
		}
		some = true
		end, told := ends[key]
		if !told || end.Drained < end.End {
			return false
		}
		last, any := f.known[key]
		if best := f.farthest[key]; any && (best == nil || best.high < last) {
			return false
		}
	}
	return some
}

// ZeroSum is the rule of double entry: of the records of a topic a header has a number, and in each transaction the
// numbers add up to 0. So they do over what a reader of committed records was given, where that is the whole of each
// transaction, or nothing of it: when it has passed all records of every transaction that it has read of, and over the
// whole topic in the end.
//
// Of a transfer one half may be read before the other: in between nothing is owed.
func ZeroSum(topic, header string) Check {
	return Check{
		Name:   fmt.Sprintf("%s of %s adds up to 0", header, topic),
		About:  fmt.Sprintf("the header %s of all records of %s that were read whole transactions of adds up to 0", header, topic),
		Config: fmt.Sprintf("zero-sum=%s:%s", topic, header),
		Run: func(h *history.History) Checked {
			b := &books{h: h, topic: topic, header: header, fromStart: newFromStart(h, topic), entries: map[history.Key][]entry{}, of: map[history.Rec]*transfer{}, failed: map[history.Rec]int{}}
			h.EachOf(history.HasSends, b.sent)
			for _, entries := range b.entries {
				slices.SortFunc(entries, func(a, b entry) int { return int(min(1, max(-1, a.offset-b.offset))) })
			}
			h.Each(b.read)
			return b.conclude()
		},
	}
}

// books are those of a topic.
type books struct {
	h             *history.History
	topic, header string
	*fromStart
	entries map[history.Key][]entry // of transactions of which each record's offset is told, by offset
	of      map[history.Rec]*transfer
	failed  map[history.Rec]int // operation that failed, and sent the record
	untold  bool                // of some record the number is not told
	found   Checked
}

// entry is a record of which it is told where it is.
type entry struct {
	offset int64
	rec    history.Rec
	of     *transfer
}

// transfer is the records of a topic that one transaction sent, which may have committed.
type transfer struct {
	row     int
	records int
	told    bool // where each is
	again   bool // some of them were sent by another one, too
}

// view is what a reader has of the transfers.
type view struct {
	passed map[*transfer]passage // those that it is in the middle of
	open   int
	sum    int64
	read   int64
	// blind: there are records among them that no client has sent, or several.
	blind bool
	wrong int // row+1 of the operation whose records do not add up
	over  bool
}

// passage is how far a reader is in a transfer.
type passage struct {
	records int
	sum     int64
}

func (b *books) sent(op *history.Op) bool {
	var one *transfer
	for _, s := range op.Sends {
		key := b.h.KeyOf(s.Rec)
		switch {
		case !b.fromStart.of[key]:
			continue
		case op.Type == history.Failed:
			b.failed[s.Rec] = op.Row
			continue
		case one == nil || op.F != history.Txn:
			one = &transfer{row: op.Row, told: op.Type == history.OK}
		}
		one.records++
		one.told = one.told && s.Offset >= 0
		if before := b.of[s.Rec]; before != nil {
			before.again, one.again = true, true
		}
		b.of[s.Rec] = one
	}
	for _, s := range op.Sends {
		if t := b.of[s.Rec]; t != nil && t.row == op.Row && t.told {
			key := b.h.KeyOf(s.Rec)
			b.entries[key] = append(b.entries[key], entry{s.Offset, s.Rec, t})
		}
	}
	return true
}

func (b *books) read(op *history.Op) bool {
	b.learn(b.h, op)
	var v *startView
	for _, p := range op.Polled {
		by, part := b.reading(op, b.h.KeyOf(p.Rec), p.Offset)
		if by == nil {
			continue
		}
		v = by
		amount, told := b.amount(p.Details)
		b.untold = b.untold || !told
		part.sum += amount
		v.books.sum += amount
		v.books.read++
		b.pass(&v.books, part, p, amount)
	}
	if v != nil {
		b.weigh(v, op)
	}
	return !b.untold
}

// amount is the number in the header of a record.
func (b *books) amount(details uint32) (amount int64, told bool) {
	if details == 0 || !b.h.Details(details).HasHeaders() {
		return 0, false
	}
	for _, h := range b.h.Attributes(b.h.Details(details)).Headers {
		if h.Key == b.header {
			amount, err := strconv.ParseInt(h.Value, 10, 64)
			return amount, err == nil
		}
	}
	return 0, false
}

// pass has a reader pass the records up to one that it was given.
func (b *books) pass(v *view, part *partRead, p history.Polled, amount int64) {
	t, entries := b.of[p.Rec], b.entries[b.h.KeyOf(p.Rec)]
	for ; part.next < len(entries) && entries[part.next].offset <= p.Offset; part.next++ {
		e := &entries[part.next]
		if e.rec == p.Rec {
			v.pass(e.of, amount)
		} else {
			v.pass(e.of, 0)
		}
	}
	switch row, failed := b.failed[p.Rec]; {
	case t != nil && !t.told:
		v.pass(t, amount)
	case t == nil && failed:
		v.wrong = row + 1
	case t == nil:
		v.blind = true
	}
}

func (v *view) pass(t *transfer, amount int64) {
	v.blind = v.blind || t.again
	at, begun := v.passed[t]
	at.records++
	at.sum += amount
	if !begun {
		v.open++
	}
	v.passed[t] = at
	if at.records < t.records {
		return
	}
	v.open--
	delete(v.passed, t)
	if at.sum != 0 && v.wrong == 0 {
		v.wrong = t.row + 1
	}
}

// weigh judges what a reader has, if that is of whole transactions.
func (b *books) weigh(v *startView, op *history.Op) {
	if v.books.open > 0 || v.books.blind || v.books.over || b.untold {
		return
	}
	b.found.Count++
	if v.books.sum == 0 {
		return
	}
	v.books.over = true
	b.broken(v.books.wrong, op, "%s has read %d records of %s, of each transaction all or nothing, and %s adds up to %d, expected 0",
		b.h.Client(v.process), v.books.read, b.topic, b.header, v.books.sum)
}

// broken adds a violation; wrong is the row+1 of the operation that is at fault, op that which shows it.
func (b *books) broken(wrong int, op *history.Op, format string, args ...any) {
	x := Broken{Message: fmt.Sprintf(format, args...)}
	if wrong > 0 {
		var sender history.Op
		b.h.Read(wrong-1, &sender)
		x.Ops = append(x.Ops, b.h.Index(wrong-1))
		x.Message += fmt.Sprintf("; what was read of a transaction of %s does not", b.h.Client(sender.ProcessNo))
		for _, s := range sender.Sends {
			x.Values = append(x.Values, b.h.ValueOf(s.Rec).String())
		}
	}
	if op != nil {
		x.Ops, x.At = append(x.Ops, b.h.Index(op.Row)), op.End
	}
	b.found.Broken = append(b.found.Broken, x)
}

// conclude judges the whole topic, if it was read to its end.
func (b *books) conclude() Checked {
	if b.untold {
		return Checked{}
	}
	if !b.whole(b.h) {
		return b.found
	}
	b.found.Count++
	sum := int64(0)
	for _, part := range b.farthest {
		sum += part.sum
	}
	if sum != 0 && len(b.found.Broken) == 0 {
		b.broken(b.unbalanced(), nil, "in the end %s of all records of %s adds up to %d, expected 0", b.header, b.topic, sum)
	}
	return b.found
}

// unbalanced is the first transaction in the middle of which readers are in the end, and whose records that they read do not
// add up: row+1; 0: there is none.
func (b *books) unbalanced() int {
	first := math.MaxInt
	for _, v := range b.views {
		for t, at := range v.books.passed {
			if at.sum != 0 {
				first = min(first, t.row+1)
			}
		}
	}
	if first == math.MaxInt {
		return 0
	}
	return first
}
