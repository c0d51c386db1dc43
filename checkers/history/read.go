package history

import (
	"bufio"
	"compress/gzip"
	"fmt"
	"io"
	"math"
	"os"
	//text:allow finds which format a history file has
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/ktrial/ktrial/checkers/edn"
)

// ReadFile reads a history file: Jepsen's EDN (a vector of operation maps, or
// a map per line) or JSON lines, plain or gzipped. "-" is standard input.
func ReadFile(path string) (*History, error) {
	if path == "-" {
		return Read("standard input", os.Stdin)
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("history: %w", err)
	}
	defer f.Close()
	return Read(path, f)
}

// Read reads a history; name stands in errors.
func Read(name string, in io.Reader) (*History, error) {
	h := New()
	if err := h.ReadFrom(name, in, nil); err != nil {
		return nil, err
	}
	return h, nil
}

// ReadFrom appends what in holds. After each event it calls seen, if not nil,
// and stops when that returns false.
func (h *History) ReadFrom(name string, in io.Reader, seen func() bool) error {
	buffered := bufio.NewReaderSize(in, 64<<10)
	if magic, _ := buffered.Peek(2); len(magic) == 2 && magic[0] == 0x1f && magic[1] == 0x8b {
		plain, err := gzip.NewReader(buffered)
		if err != nil {
			return fmt.Errorf("history: %s: gzip: %w", name, err)
		}
		buffered = bufio.NewReaderSize(plain, 64<<10)
	}
	head := startOfText(buffered)
	r := reader{Scanner: edn.NewScanner(name, buffered), h: h, seen: seen}
	r.JSON = looksLikeJSON(head)
	r.file()
	if r.Err != nil {
		return fmt.Errorf("history: %w", r.Err)
	}
	return nil
}

// looksLikeJSON: the first map, maybe of a vector, begins with a string and a
// colon behind it. EDN may have a keyword behind a string.
var looksLikeJSON = regexp.MustCompile(`^[\s\[]*\{\s*"[^"]*"(:|\s*:[\s"\[{0-9-])`).Match

// startOfText passes over the mark that some editors put before a text.
func startOfText(in *bufio.Reader) []byte {
	if mark, _ := in.Peek(3); string(mark) == "\xef\xbb\xbf" {
		_, _ = in.Discard(3)
	}
	head, _ := in.Peek(4096)
	return head
}

type reader struct {
	*edn.Scanner
	h    *History
	seen func() bool
	// lastTime is that of the last event that told one, in lastLine.
	lastTime int64
	lastLine int
	// odd is why the value of the operation being read is none that checks know.
	// Whether that matters depends on its function, which may come later.
	odd error
	// shapeless is why the value has no micro-operations in it.
	shapeless error
}

// file reads either layout: one vector of maps, or maps without a vector.
func (r *reader) file() {
	closing := edn.EOF
	if r.Next() == edn.Open && r.Text[0] != '{' {
		closing = edn.Close
		r.Next()
	}
	for r.Kind == edn.Open && string(r.Text) == "{" {
		r.event()
		if r.Err != nil || r.seen != nil && !r.seen() {
			return
		}
		r.Next()
	}
	if r.Kind != closing {
		r.Fail("an operation: a map")
		return
	}
	if closing == edn.Close && r.Next() != edn.EOF {
		r.Fail("the end of the file after the operations")
	}
}

// event reads one map, from its opening bracket.
func (r *reader) event() {
	raw := &r.h.raw
	raw.reset()
	r.odd, r.shapeless = nil, nil
	line, column := r.Line, r.Column
	hasType, hasProcess := false, false
	for r.Next() != edn.Close {
		if r.Kind != edn.Keyword && r.Kind != edn.String && r.Kind != edn.Symbol {
			if r.Kind == edn.Open || r.Kind == edn.Int || r.Kind == edn.Number || r.Kind == edn.Char {
				if r.Skip(); !r.unknown() {
					return
				}
				continue
			}
			r.Fail("a key, such as :type or :process")
			return
		}
		switch string(r.Text) {
		case "type":
			hasType = r.typ(raw)
		case "process":
			hasProcess = r.process(raw)
		case "f":
			r.function(raw)
		case "value":
			r.value(raw)
		case "index":
			raw.index = r.int("an integer, the operation's index")
		case "time":
			raw.time, raw.timed = r.time()
		case "rebalance-log", "rebalance_log":
			r.rebalanced(raw)
		case "rebalanced":
			r.Next()
			raw.moved = r.keyList(raw.moved)
		case "seek-to-beginning?", "seek_to_beginning", "seek":
			r.Next()
			raw.seek = r.Kind == edn.Bool && r.Int == 1
			r.Skip()
		case "client":
			raw.clientName = r.text()
		case "group":
			raw.group = r.text()
		case "generation":
			raw.gen = r.int("an integer, the group's generation")
		case "member":
			raw.member = r.text()
		case "instance":
			raw.instance = r.text()
		case "txn":
			raw.txn = r.text()
		case "session":
			raw.session = r.text()
		case "producer":
			raw.producer = r.int("an integer, the producer id")
		case "epoch":
			raw.epoch = r.int("an integer, the producer epoch")
		case "name":
			raw.name = r.text()
		case "error":
			raw.err = r.text()
		default:
			if field := string(r.Text); !r.attribute(field, &raw.leader, &raw.shared) {
				r.h.ignore(field)
				if !r.unknown() {
					return
				}
			}
		}
		if r.Err != nil {
			return
		}
	}
	switch {
	case r.Err != nil:
	case !hasType:
		r.Line, r.Column, r.Kind, r.Text = line, column, edn.Open, []byte("{")
		r.Fail("an operation with a :type")
	case !hasProcess:
		r.Line, r.Column, r.Kind, r.Text = line, column, edn.Open, []byte("{")
		r.Fail("an operation with a :process")
	case r.odd != nil && raw.client && (raw.f != Other || raw.name == ""):
		r.Err = r.odd
	case r.shapeless != nil && raw.needsSteps():
		r.Err = r.shapeless
	case !r.inTime(raw, line) || !r.inTurn(raw, line):
	default:
		raw.share(r.h)
		r.h.ignoreOf(raw)
		r.h.add(raw)
	}
}

// needsSteps: without its micro-operations the event would claim what it does not
// say, that a poll found nothing or that nothing was sent.
func (r *raw) needsSteps() bool {
	switch {
	case !r.client || len(r.mops) > 0:
		return false
	case r.typ == Invoke:
		return r.f == Send || r.f == Txn
	}
	return r.typ == OK && r.f.toldBySteps()
}

// inTurn: a process does one thing at a time. A completion that tells of none of the
// records that its invocation asked to send is that of another operation.
func (r *reader) inTurn(raw *raw, line int) bool {
	asked, told, ok := r.h.mistaken(raw)
	if ok {
		r.Err = fmt.Errorf("%s:%d: found that process %d sent %v, but what it has under way sends %v, expected a process to do one thing at a time, and values as they were asked for: give each operation that is under way a process of its own",
			r.File(), line, raw.process, told, asked)
	}
	return !ok
}

// inTime: events are in the order of time, which their proofs speak of.
func (r *reader) inTime(raw *raw, line int) bool {
	if !raw.timed {
		return true
	}
	if r.lastLine > 0 && raw.time < r.lastTime {
		r.Err = fmt.Errorf("%s:%d: found an event at %v behind one at %v in line %d, expected events in the order of time: sort the lines by their time, if one clock made all of them",
			r.File(), line, time.Duration(raw.time), time.Duration(r.lastTime), r.lastLine)
		return false
	}
	r.lastTime, r.lastLine = raw.time, line
	return true
}

// unknown passes over the value of a key that means nothing to us.
func (r *reader) unknown() bool {
	if kind := r.Next(); kind == edn.Close || kind == edn.EOF {
		r.Fail("a value for the key before")
		return false
	}
	return r.Skip()
}

func (r *reader) typ(raw *raw) bool {
	r.Next()
	//text:allow a word of a history file
	switch strings.TrimPrefix(string(r.Text), ":") {
	case "invoke":
		raw.typ = Invoke
	case "ok":
		raw.typ = OK
	case "fail", "failed":
		raw.typ = Failed
	case "info", "unknown":
		raw.typ = Unknown
	default:
		r.Fail(":invoke, :ok, :fail or :info")
		return false
	}
	return true
}

func (r *reader) process(raw *raw) bool {
	switch r.Next() {
	case edn.Int:
		raw.client, raw.process = true, r.Int
		if r.Int < 0 {
			raw.client, raw.actor = false, strconv.FormatInt(r.Int, 10)
		}
	case edn.Keyword, edn.Symbol, edn.String:
		//text:allow a word of a history file
		raw.actor = strings.TrimPrefix(string(r.Text), ":")
	default:
		r.Fail("a process: an integer, or a name such as :nemesis")
		return false
	}
	return true
}

var functions = func() map[string]F {
	m := map[string]F{}
	for f, name := range fNames {
		if name != "" {
			m[name] = F(f)
		}
	}
	return m
}()

func (r *reader) function(raw *raw) {
	switch r.Next() {
	case edn.Keyword, edn.Symbol, edn.String:
		text := r.Text
		if len(text) > 0 && text[0] == ':' {
			text = text[1:]
		}
		if f, ok := functions[string(text)]; ok {
			raw.f = f
			return
		}
		raw.f, raw.name = Other, string(text)
	case edn.Nil:
	default:
		r.Fail("a function, such as :send, :poll or :txn")
	}
}

func (r *reader) int(expected string) int64 {
	switch r.Next() {
	case edn.Int:
		return r.Int
	case edn.Nil:
		return 0
	}
	r.Fail(expected)
	return 0
}

func (r *reader) time() (at int64, told bool) {
	switch r.Next() {
	case edn.Int:
		return r.Int, true
	case edn.Nil:
		return 0, false
	case edn.Number:
		//text:allow a word of a history file
		if f, err := strconv.ParseFloat(strings.TrimSuffix(string(r.Text), "N"), 64); err == nil && math.Abs(f) < 1<<62 {
			return int64(f), true
		}
	}
	r.Fail("a time in nanoseconds")
	return 0, false
}

// text reads a value of any shape as it is written.
func (r *reader) text() string {
	r.Next()
	return r.thisText()
}

func (r *reader) thisText() string {
	switch r.Kind {
	case edn.String, edn.Symbol, edn.Number:
		return string(r.Text)
	case edn.Nil:
		return ""
	case edn.Close, edn.EOF:
		r.Fail("a value for the key before")
		return ""
	}
	return r.form(200)
}

// form is the present form as text, cut off where it gets longer than enough.
func (r *reader) form(enough int) string {
	depth := r.Depth()
	if r.Kind == edn.Open {
		depth--
	}
	var b strings.Builder
	for glue := true; ; {
		if b.Len() < enough {
			if !glue && r.Kind != edn.Close {
				b.WriteByte(' ')
			}
			r.token(&b)
			glue = r.Kind == edn.Open
		}
		if r.Depth() <= depth || r.Next() == edn.Bad {
			return b.String()
		}
	}
}

func (r *reader) token(b *strings.Builder) {
	switch r.Kind {
	case edn.Keyword:
		b.WriteByte(':')
		b.Write(r.Text)
	case edn.String:
		b.WriteString(strconv.Quote(string(r.Text)))
	case edn.Nil:
		b.WriteString("nil")
	case edn.Char:
		b.WriteByte('\\')
		b.Write(r.Text)
	default:
		b.Write(r.Text)
	}
}

// rebalanced reads [{:type :revoked, :keys [1]} ...].
func (r *reader) rebalanced(raw *raw) {
	if r.Next(); r.Kind == edn.Nil {
		return
	}
	if r.Kind != edn.Open {
		r.Fail("a vector of what moved")
		return
	}
	for r.Next() == edn.Open {
		for r.Next() != edn.Close && r.Err == nil {
			if string(r.Text) != "keys" {
				if !r.Skip() || !r.unknown() {
					return
				}
				continue
			}
			r.Next()
			raw.moved = r.keyList(raw.moved)
		}
	}
	if r.Kind != edn.Close {
		r.Fail("a map, such as {:type :revoked, :keys [1]}")
	}
}

// keyList reads the keys of a collection whose first token is the present one.
func (r *reader) keyList(keys []Key) []Key {
	if r.Kind == edn.Nil {
		return keys
	}
	if r.Kind != edn.Open {
		r.Fail("a vector of keys")
		return keys
	}
	for r.Next() != edn.Close && r.Err == nil {
		keys = append(keys, r.key())
	}
	return keys
}

// key reads a partition's name from the present token. JSON has only strings
// as keys of an object, so there "1" is the integer 1.
func (r *reader) key() Key {
	if r.JSON && r.Kind == edn.String && len(r.Text) > 0 && r.Text[0] <= '9' {
		n, err := strconv.ParseInt(string(r.Text), 10, 64)
		if err == nil && strconv.FormatInt(n, 10) == string(r.Text) {
			return r.h.keyNumber(r.h.encode(Int(n)))
		}
	}
	return r.h.keyNumber(r.scalar("a key"))
}

// scalar reads a key or value from the present token.
func (r *reader) scalar(expected string) code {
	if n, isInt := r.spell(expected); isInt {
		return n
	}
	if r.Err != nil {
		return 0
	}
	return codeOfText(r.h.texts.number(r.h.enc))
}

// spell puts the present token into h.enc as a Value has it; an integer that fits
// is a code of its own.
func (r *reader) spell(expected string) (n code, isInt bool) {
	h := r.h
	switch r.Kind {
	case edn.Int:
		return h.encode(Int(r.Int)), true
	case edn.Keyword:
		h.enc = append(append(h.enc[:0], ':'), r.Text...)
	case edn.String:
		if r.JSON && len(r.Text) > 1 && r.Text[0] == ':' {
			h.enc = append(h.enc[:0], r.Text...)
			break
		}
		h.enc = append(append(h.enc[:0], '"'), r.Text...)
	case edn.Symbol, edn.Number, edn.Bool:
		h.enc = append(h.enc[:0], r.Text...)
	case edn.Open, edn.Char:
		h.enc = append(h.enc[:0], r.form(math.MaxInt)...) // two that only begin alike are two
	default:
		r.Fail(expected)
	}
	return 0, false
}

// recordValue reads what a record carries from the present token: nothing is a
// value, too.
func (r *reader) recordValue(key Key, expected string) code {
	if r.Kind == edn.Nil {
		return codeOfText(r.h.texts.number([]byte(nullText)))
	}
	if n, isInt := r.spell(expected); isInt {
		return n
	}
	if r.Err != nil {
		return 0
	}
	return r.h.textIn(key, r.h.enc)
}

// attributes reads what else is told of a record, from the opening bracket of
// its map.
func (r *reader) attributes() (epoch Epoch, details uint32) {
	var d Details
	for r.Next() != edn.Close && r.Err == nil {
		field := string(r.Text)
		if !r.attribute(field, &epoch, &d) {
			r.h.ignore(field)
			if !r.unknown() {
				return 0, 0
			}
		}
	}
	if d == (Details{}) {
		return epoch, 0
	}
	return epoch, r.h.addDetails(d)
}

// attribute reads the value of an attribute's field; false: it is none.
func (r *reader) attribute(field string, epoch *Epoch, d *Details) bool {
	switch field {
	case "leader-epoch":
		if n := r.int("an integer, the leader epoch, or nil"); r.Kind == edn.Int {
			*epoch = epochOf(At(n))
		}
	case "timestamp":
		if n := r.int("a timestamp in milliseconds, or nil"); r.Kind == edn.Int {
			d.Timestamp = At(n).plus
		}
	case "key":
		r.Next()
		d.key = r.recordKey() + 1
	case "headers":
		if headers := r.headers(); headers != nil {
			d.headers = r.h.texts.number(writeHeaders(nil, headers)) + 1
		}
	default:
		return false
	}
	return true
}

// recordKey numbers a record's own key: of Kafka's it is bytes, so a number is
// its digits.
func (r *reader) recordKey() uint32 {
	switch r.Kind {
	case edn.Nil:
		return r.h.texts.number([]byte(nullText))
	case edn.Int:
		return r.h.texts.number(strconv.AppendInt([]byte{'"'}, r.Int, 10))
	}
	return uint32(r.scalar("a record's key") >> 1)
}

// headers reads [["name" "value"] ...], or a map of them.
func (r *reader) headers() []Header {
	if r.Next() == edn.Nil {
		return nil
	}
	if r.Kind != edn.Open {
		r.Fail("a vector of headers: [[name value] ...]")
		return nil
	}
	isMap := r.Text[0] == '{'
	headers := []Header{}
	for r.Next() != edn.Close && r.Err == nil {
		if isMap {
			name := r.thisText()
			headers = append(headers, Header{name, r.text()})
			continue
		}
		if r.Kind != edn.Open {
			r.Fail("a header: [name value]")
			return nil
		}
		name := r.text()
		headers = append(headers, Header{name, r.text()})
		r.closing()
	}
	if isMap { // which has no order
		slices.SortFunc(headers, func(a, b Header) int { return strings.Compare(a.Key, b.Key) })
	}
	return headers
}

// value reads what an operation asked or was told: micro-operations, or the
// keys of an assign. Anything else means nothing to checks.
func (r *reader) value(raw *raw) {
	if r.Next() != edn.Open || string(r.Text) == "{" {
		if r.Kind != edn.Nil {
			r.shape()
		}
		raw.text = r.thisText()
		return
	}
	for r.Next() != edn.Close && r.Err == nil {
		if r.Kind == edn.Open && string(r.Text) != "{" && string(r.Text) != "#{" {
			r.mop(raw)
			continue
		}
		if r.Kind != edn.Nil {
			r.shape()
		}
		if r.Kind == edn.Nil || r.Kind == edn.Open {
			r.Skip()
			continue
		}
		raw.keys = append(raw.keys, r.key())
	}
}

// shape records that the present token is no list of micro-operations.
func (r *reader) shape() {
	if r.shapeless == nil {
		r.shapeless = r.Wrong("a list of micro-operations, such as [[:poll {partition [[offset value]]}]]")
	}
}

var mopKinds = func() map[string]MopKind {
	m := map[string]MopKind{}
	for k, name := range mopNames {
		m[name] = MopKind(k)
	}
	return m
}()

// mop reads one micro-operation, from its opening bracket.
func (r *reader) mop(raw *raw) {
	depth := r.Depth() - 1
	r.Next()
	//text:allow a word of a history file
	kind, ok := mopKinds[strings.TrimPrefix(string(r.Text), ":")]
	if !ok || r.Kind == edn.Open || r.Kind == edn.Close {
		if r.Err == nil && r.odd == nil {
			r.odd = r.foreignMop()
		}
		r.skipTo(depth)
		return
	}
	m := rawMop{kind: kind, offset: NoOffset}
	switch kind {
	case MopPoll:
		before := len(raw.polled)
		if r.Next() != edn.Close {
			r.polled(raw)
		}
		m.n = int32(len(raw.polled) - before)
	case MopSend:
		r.Next()
		m.key = r.key()
		pair := r.Next() == edn.Open && r.Text[0] != '{' && string(r.Text) != "#{" // which is a value
		if pair {
			m.offset = r.offset()
			r.Next()
		}
		m.rec = r.h.pairs.number(m.key, r.recordValue(m.key, "a value, or [offset value]"))
		if r.Next() == edn.Open && string(r.Text) == "{" {
			m.epoch, m.details = r.attributes()
			r.Next()
		}
		if pair && r.Kind != edn.Close {
			r.closing()
		}
	default:
		r.Next()
		m.key = r.key()
		if r.Next() != edn.Close {
			m.offset = r.thisOffset()
		}
	}
	if r.Err == nil {
		raw.mops = append(raw.mops, m)
		r.skipTo(depth)
	}
}

// foreignMop says what is wrong with a micro-operation that is not Kafka's.
func (r *reader) foreignMop() error {
	const known = "a micro-operation: :send, :poll, :commit, :committed, :start, :end, :stable, :delete or :position"
	//text:allow a word of a history file
	switch strings.TrimPrefix(string(r.Text), ":") {
	case "append", "r", "w":
		return r.Wrong(known + ": this is a list-append or read-write history, as Elle judges, and has no offsets")
	}
	return r.Wrong(known)
}

// skipTo passes over the rest of what is open beyond depth.
func (r *reader) skipTo(depth int) {
	for r.Depth() > depth && r.Next() != edn.Bad {
	}
}

func (r *reader) closing() { r.skipTo(r.Depth() - 1) }

func (r *reader) offset() int64 {
	r.Next()
	return r.thisOffset()
}

func (r *reader) thisOffset() int64 {
	switch {
	case r.Kind == edn.Int && r.Int >= 0:
		return r.Int
	case r.Kind == edn.Int && r.Int == NoOffset, r.Kind == edn.Nil:
		return NoOffset
	}
	r.Fail("an offset, or nil")
	return NoOffset
}

// polled reads {key [[offset value] ...] ...}, the answer of a poll.
func (r *reader) polled(raw *raw) {
	if r.Kind == edn.Nil {
		return
	}
	if r.Kind != edn.Open || r.Text[0] != '{' {
		r.Fail("a map of keys to records")
		return
	}
	for r.Next() != edn.Close && r.Err == nil {
		key := r.key()
		if r.Next() == edn.Nil {
			continue
		}
		if r.Kind != edn.Open {
			r.Fail("the key's records: [[offset value] ...]")
			return
		}
		for r.Next() == edn.Open {
			offset := r.offset()
			r.Next()
			p := Polled{Rec: r.h.pairs.number(key, r.recordValue(key, "a value")), Offset: offset}
			if r.Next() == edn.Open && string(r.Text) == "{" {
				p.Epoch, p.Details = r.attributes()
				r.Next()
			}
			raw.polled = append(raw.polled, p)
			if r.Kind != edn.Close {
				r.closing()
			}
		}
		if r.Kind != edn.Close {
			r.Fail("a record: [offset value]")
			return
		}
	}
}
