package history

import (
	"bufio"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Format is how a history is written.
type Format uint8

const (
	// JSON is one object per line.
	JSON Format = iota
	// EDN is one map per line, as Jepsen's store has it.
	EDN
)

// WriteFile writes h to a file, in the format that its name asks for: .edn or
// .jsonl, and .gz for gzip.
func (h *History) WriteFile(path string) error {
	f, err := os.Create(path)
	if err != nil {
		return fmt.Errorf("history: %w", err)
	}
	var out io.Writer = f
	var zip *gzip.Writer
	//text:allow the name of a file
	name, zipped := strings.CutSuffix(path, ".gz")
	if zipped {
		zip = gzip.NewWriter(f)
		out = zip
	}
	format := JSON
	//text:allow the name of a file
	if strings.HasSuffix(name, ".edn") {
		format = EDN
	}
	err = h.Write(out, format)
	if zip != nil && err == nil {
		err = zip.Close()
	}
	if closing := f.Close(); err == nil {
		err = closing
	}
	return err
}

// Write writes h event by event.
func (h *History) Write(out io.Writer, format Format) error {
	w := writer{out: bufio.NewWriterSize(out, 64<<10), json: format == JSON, h: h}
	events := make([]uint32, h.events) // row+1; a note is 0
	for i := range h.rows.n {
		r := h.rows.at(i)
		if r.bits&isHeadless == 0 {
			events[r.invoked] = uint32(i + 1)
		}
		if r.done != Never {
			events[r.done] = uint32(i + 1)
		}
	}
	notes := h.notes
	for number, row := range events {
		w.line = w.line[:0]
		if row == 0 {
			w.note(&notes[0])
			notes = notes[1:]
		} else {
			h.Read(int(row-1), &w.op)
			w.event(int64(number))
		}
		if _, err := w.out.Write(append(w.line, '\n')); err != nil {
			return fmt.Errorf("history: write: %w", err)
		}
	}
	if err := w.out.Flush(); err != nil {
		return fmt.Errorf("history: write: %w", err)
	}
	return nil
}

type writer struct {
	out  *bufio.Writer
	json bool
	h    *History
	op   Op
	line []byte
	some bool  // a field was written before
	base int64 // :index of the first event
}

// head writes what all events have; process is called to write the process.
func (w *writer) head(number int64, typ Type, process func(), f F, name string) {
	w.some = false
	w.line = append(w.line, '{')
	w.field("index")
	w.line = strconv.AppendInt(w.line, w.base+w.h.IndexOf(number), 10)
	w.word("type", typ.String())
	process()
	if f != Other && name == "" {
		name = f.String()
	}
	if f == Fault {
		w.word("f", "fault")
		w.word("name", name)
		return
	}
	w.word("f", name)
}

func (w *writer) event(number int64) {
	op := &w.op
	invoke := number == op.Invoked && number != op.Completed
	typ, at := op.Type, op.End
	if invoke {
		typ, at = Invoke, op.Start
	}
	w.head(number, typ, func() { w.number("process", op.Process) }, op.F, op.Name)
	if name := w.h.processes[op.ProcessNo].client; name != "" {
		w.text("client", name)
	}
	w.value(invoke)
	w.number("time", int64(at))
	if op.Seek {
		w.field("seek-to-beginning?")
		w.line = append(w.line, "true"...)
	}
	if op.Group != "" {
		w.text("group", op.Group)
	}
	if op.Member != "" {
		w.text("member", op.Member)
	}
	if op.Instance != "" {
		w.text("instance", op.Instance)
	}
	if op.Txn != "" {
		w.text("txn", op.Txn)
	}
	if op.Session != "" {
		w.text("session", op.Session)
	}
	if invoke && op.Completed != int64(Never) { // the completion says the rest
		w.line = append(w.line, '}')
		return
	}
	if op.Generation != 0 {
		w.number("generation", op.Generation)
	}
	if op.Producer != 0 || op.ProducerEpoch != 0 {
		w.number("producer", op.Producer)
		w.number("epoch", op.ProducerEpoch)
	}
	if len(op.Rebalanced) > 0 {
		w.field("rebalanced")
		w.keys(op.Rebalanced)
	}
	if op.Error != "" {
		w.text("error", op.Error)
	}
	w.line = append(w.line, '}')
}

func (w *writer) note(n *Note) {
	w.head(n.Number, n.Type, func() { w.word("process", n.Actor) }, n.F, n.Name)
	w.field("value")
	switch {
	case len(n.Mops) > 0:
		w.line = append(w.line, '[')
		for i, m := range n.Mops {
			w.space(i)
			w.open(m.Kind)
			w.between()
			w.scalar(w.h.keys[m.Key])
			w.at(m.Offset)
			w.line = append(w.line, ']')
		}
		w.line = append(w.line, ']')
	case len(n.Keys) > 0:
		w.keys(n.Keys)
	case n.Text != "":
		w.string(n.Text)
	default:
		w.null()
	}
	w.number("time", int64(n.Time))
	if n.Txn != "" {
		w.text("txn", n.Txn)
	}
	w.line = append(w.line, '}')
}

// value writes what was asked (an invocation) or what was told.
func (w *writer) value(asked bool) {
	op := &w.op
	w.field("value")
	if len(op.Shape) == 0 {
		if len(op.Keys) > 0 || op.F == Assign || op.F == Subscribe || op.F == Seek || op.F.OfListener() {
			w.keys(op.Keys)
		} else if op.F == Send || op.F == Poll || op.F == Txn {
			w.line = append(w.line, "[]"...)
		} else {
			w.null()
		}
		return
	}
	w.line = append(w.line, '[')
	sends, polled, offsets := op.Sends, op.Polled, op.Offsets
	some := 0
	for _, step := range op.Shape {
		switch step.Kind {
		case MopSend:
			if asked || !sends[0].Silent {
				w.space(some)
				some++
				w.send(sends[0], asked)
			}
			sends = sends[1:]
		case MopPoll:
			w.space(some)
			some++
			w.poll(polled[:step.N], asked && (step.N == 0 || op.Completed != int64(Never)))
			polled = polled[step.N:]
		default:
			m := offsets[0]
			offsets = offsets[1:]
			if m.Silent && !asked {
				continue
			}
			w.space(some)
			some++
			w.open(m.Kind)
			w.between()
			w.scalar(w.h.keys[m.Key])
			if !asked || m.Kind.asked() {
				w.at(m.Offset)
			}
			w.line = append(w.line, ']')
		}
	}
	w.line = append(w.line, ']')
}

func (w *writer) send(s Sent, asked bool) {
	w.open(MopSend)
	w.between()
	w.scalar(w.h.keys[w.h.KeyOf(s.Rec)])
	w.between()
	value := w.h.ValueOf(s.Rec)
	if asked {
		w.scalar(value)
		if s.Details != 0 {
			w.between()
			w.attributes(0, s.Details)
		}
	} else {
		w.pair(s.Offset, value, s.Epoch, s.Details)
	}
	w.line = append(w.line, ']')
}

func (w *writer) poll(polled []Polled, asked bool) {
	w.open(MopPoll)
	if asked {
		w.line = append(w.line, ']')
		return
	}
	w.between()
	w.line = append(w.line, '{')
	// A map has each key once: what came of it in between others is gathered.
	var keys []Key
	for i := range polled {
		key := w.h.KeyOf(polled[i].Rec)
		if i > 0 && key == w.h.KeyOf(polled[i-1].Rec) || holds(keys, key) {
			continue
		}
		keys = append(keys, key)
		if i > 0 {
			w.line = append(w.line, ',')
		}
		w.records(polled[i:], key)
	}
	w.line = append(w.line, "}]"...)
}

func (w *writer) records(polled []Polled, key Key) {
	w.name(w.h.keys[key])
	w.line = append(w.line, '[')
	n := 0
	for _, p := range polled {
		if w.h.KeyOf(p.Rec) == key {
			w.space(n)
			w.pair(p.Offset, w.h.ValueOf(p.Rec), p.Epoch, p.Details)
			n++
		}
	}
	w.line = append(w.line, ']')
}

func holds(keys []Key, key Key) bool {
	for _, k := range keys {
		if k == key {
			return true
		}
	}
	return false
}

func (w *writer) pair(offset int64, value Value, epoch Epoch, details uint32) {
	w.line = append(w.line, '[')
	w.offset(offset)
	w.between()
	w.scalar(value)
	if epoch != 0 || details != 0 {
		w.between()
		w.attributes(epoch, details)
	}
	w.line = append(w.line, ']')
}

// attributes writes what else was told of a record, as a map.
func (w *writer) attributes(epoch Epoch, details uint32) {
	before := w.some
	w.some = false
	w.line = append(w.line, '{')
	if epoch != 0 {
		w.number("leader-epoch", int64(epoch)-1)
	}
	if details != 0 {
		a := w.h.Attributes(w.h.Details(details))
		if a.RecordKey != (Value{}) {
			w.field("key")
			w.scalar(a.RecordKey)
		}
		if a.Headers != nil {
			w.headers(a.Headers)
		}
		if at, told := a.Timestamp.Told(); told {
			w.number("timestamp", at)
		}
	}
	w.line = append(w.line, '}')
	w.some = before
}

func (w *writer) headers(headers []Header) {
	w.field("headers")
	w.line = append(w.line, '[')
	for i, h := range headers {
		w.space(i)
		w.line = append(w.line, '[')
		w.string(h.Key)
		w.between()
		w.string(h.Value)
		w.line = append(w.line, ']')
	}
	w.line = append(w.line, ']')
}

func (w *writer) offset(offset int64) {
	if offset < 0 {
		w.null()
		return
	}
	w.line = strconv.AppendInt(w.line, offset, 10)
}

func (w *writer) at(offset int64) {
	w.between()
	w.offset(offset)
}

func (w *writer) keys(keys []Key) {
	w.line = append(w.line, '[')
	for i, k := range keys {
		w.space(i)
		w.scalar(w.h.keys[k])
	}
	w.line = append(w.line, ']')
}

func (w *writer) null() {
	if w.json {
		w.line = append(w.line, "null"...)
	} else {
		w.line = append(w.line, "nil"...)
	}
}

// between separates two elements.
func (w *writer) between() {
	if w.json {
		w.line = append(w.line, ',')
	} else {
		w.line = append(w.line, ' ')
	}
}

func (w *writer) space(i int) {
	if i > 0 {
		w.between()
	}
}

func (w *writer) open(kind MopKind) {
	if w.json {
		w.line = append(append(append(w.line, `["`...), kind.String()...), '"')
	} else {
		w.line = append(append(w.line, "[:"...), kind.String()...)
	}
}

func (w *writer) field(name string) {
	switch {
	case w.json && w.some:
		w.line = append(w.line, `,"`...)
	case w.json:
		w.line = append(w.line, '"')
	case w.some:
		w.line = append(w.line, ", :"...)
	default:
		w.line = append(w.line, ':')
	}
	w.some = true
	w.line = append(w.line, name...)
	if w.json {
		w.line = append(w.line, `":`...)
	} else {
		w.line = append(w.line, ' ')
	}
}

func (w *writer) number(name string, n int64) {
	w.field(name)
	w.line = strconv.AppendInt(w.line, n, 10)
}

// word is a name that we chose: a keyword in EDN.
func (w *writer) word(name, word string) {
	w.field(name)
	if w.json {
		w.string(word)
	} else {
		w.line = append(append(w.line, ':'), strings.ReplaceAll(word, " ", "-")...)
	}
}

func (w *writer) text(name, text string) {
	w.field(name)
	w.string(text)
}

func (w *writer) scalar(v Value) {
	switch {
	case v.text == "":
		w.line = strconv.AppendInt(w.line, v.num, 10)
	case v.IsNull():
		w.null()
	case v.text[0] == '"':
		w.string(v.text[1:])
	case w.json:
		w.string(v.text)
	default:
		w.line = append(w.line, v.text...)
	}
}

// name writes a key of a map, which JSON wants to be a string.
func (w *writer) name(v Value) {
	if w.json {
		w.string(v.String())
		w.line = append(w.line, ':')
		return
	}
	w.scalar(v)
	w.line = append(w.line, ' ')
}

func (w *writer) string(s string) {
	for i := range len(s) {
		if c := s[i]; c < ' ' || c == '"' || c == '\\' || c >= utf8.RuneSelf || c == 0x7f {
			quoted, _ := json.Marshal(s)
			w.line = append(w.line, quoted...)
			return
		}
	}
	w.line = append(w.line, '"')
	w.line = append(w.line, s...)
	w.line = append(w.line, '"')
}
