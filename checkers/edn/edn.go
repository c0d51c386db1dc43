// Package edn reads Clojure's data notation token by token, and JSON, which is
// the same thing with fewer words. It holds one window of the input, never the
// whole, and knows at which line and column it stands.
//
// Comments, discards (#_), metadata and tags are dropped: of a tagged literal
// its value remains, so a record prints as the map that it is.
package edn

import (
	"fmt"
	"io"
	"unicode/utf8"
)

// Kind is what a token is.
type Kind uint8

const (
	// EOF: the input ended, and nothing is open. Bad: see Scanner.Err.
	EOF Kind = iota
	Bad
	// Open and Close are brackets: Text is one of ( [ { #{ ) ] }.
	Open
	Close
	Nil
	Bool
	Int // Scanner.Int; an integer that fits
	Number
	Keyword // Text is without the colon
	Symbol
	String // Text is unescaped
	Char
)

var kindNames = [...]string{"the end of the file", "something broken", "an opening bracket", "a closing bracket",
	"nil", "a boolean", "an integer", "a number", "a keyword", "a symbol", "a string", "a character"}

func (k Kind) String() string { return kindNames[k] }

// Error tells where the input broke: what was found, what was expected.
type Error struct {
	File         string
	Line, Column int
	Found        string
	Expected     string
}

func (e *Error) Error() string {
	return fmt.Sprintf("%s:%d:%d: found %s, expected %s", e.File, e.Line, e.Column, e.Found, e.Expected)
}

// Scanner cuts an input into tokens. After Next, its fields describe the token.
type Scanner struct {
	Kind         Kind
	Text         []byte // valid until the next call of Next
	Int          int64
	Line, Column int // where the token begins, from 1
	Err          error
	JSON         bool // and nothing of EDN but what is JSON, too

	file                 string
	in                   io.Reader
	buf                  []byte
	pos, end             int   // the window's unread part is buf[pos:end]
	base                 int64 // offset in the input of buf[0]
	line                 int
	lineStart            int64
	over                 bool // in has ended
	unescaped            []byte
	open                 []bracket
	drops                int  // forms to come that count for nothing
	passing              bool // over one of them
	dropLine, dropColumn int  // where the first was asked for
	separator            byte // in JSON, between the token before and the next; 0: none
}

type bracket struct {
	close        byte
	text         string
	line, column int
	forms        int // in it, so far
}

// NewScanner reads in, whose name in errors is file.
func NewScanner(file string, in io.Reader) *Scanner {
	return &Scanner{file: file, in: in, buf: make([]byte, firstWindow), line: 1}
}

// The window grows with the input: one may be a line, read for itself.
const (
	firstWindow = 4 << 10
	window      = 256 << 10
)

// File is the name of the input, as it stands in errors.
func (s *Scanner) File() string { return s.file }

// Depth is how many brackets are open.
func (s *Scanner) Depth() int { return len(s.open) }

// Fail breaks the scan at the present token, which is not what was expected.
func (s *Scanner) Fail(expected string) Kind {
	return s.failAt(s.Line, s.Column, s.found(), expected)
}

// Wrong is the error with which Fail would break the scan.
func (s *Scanner) Wrong(expected string) error {
	return &Error{s.file, s.Line, s.Column, s.found(), expected}
}

func (s *Scanner) failAt(line, column int, found, expected string) Kind {
	if s.Err == nil {
		s.Err = &Error{s.file, line, column, found, expected}
	}
	s.Kind, s.Text = Bad, nil
	return Bad
}

func (s *Scanner) found() string {
	text := s.Text
	if len(text) > 40 {
		text = text[:40]
	}
	switch s.Kind {
	case EOF, Nil:
		return s.Kind.String()
	case Keyword:
		return ":" + string(text)
	case String:
		return fmt.Sprintf("%q", text)
	case Int:
		return fmt.Sprint(s.Int)
	}
	return string(text)
}

// delimiter is true for bytes that end an atom.
var delimiter = func() (d [256]bool) {
	for _, c := range []byte(" \t\r\n\f\v,()[]{}\";") {
		d[c] = true
	}
	return d
}()

// more slides the window so that it begins at keep, and reads on. It reports
// whether bytes were added.
func (s *Scanner) more(keep *int) bool {
	if s.over {
		return false
	}
	if *keep > 0 {
		to := s.buf
		if len(to) < window {
			to = make([]byte, 2*len(to))
		}
		n := copy(to, s.buf[*keep:s.end])
		s.buf = to
		s.base += int64(*keep)
		s.pos -= *keep
		s.end = n
		*keep = 0
	} else if s.end == len(s.buf) {
		if len(s.buf) >= mostBytes {
			s.failAt(s.Line, s.Column, fmt.Sprintf("a token of more than %d MiB", mostBytes>>20), "a shorter one")
			return false
		}
		s.buf = append(s.buf, make([]byte, len(s.buf))...)
	}
	for {
		n, err := s.in.Read(s.buf[s.end:])
		s.end += n
		if err != nil {
			s.over = true
			if err != io.EOF {
				s.failAt(s.line, s.column(s.pos), err.Error(), "to read on")
			}
		}
		if n > 0 || err != nil {
			return n > 0
		}
	}
}

func (s *Scanner) column(pos int) int { return int(s.base+int64(pos)-s.lineStart) + 1 }

// What a file may have at most, so that none can use up memory.
const (
	mostOpen  = 1000     // brackets within each other
	mostBytes = 16 << 20 // in one token
)

// Next moves to the next token.
func (s *Scanner) Next() Kind {
	kind := s.token()
	if s.drops == 0 {
		return kind
	}
	return s.pastDrops(kind)
}

// pastDrops moves on to the first token that counts.
func (s *Scanner) pastDrops(kind Kind) Kind {
	for s.drops > 0 {
		switch kind {
		case Bad:
			return Bad
		case EOF:
			return s.failAt(s.dropLine, s.dropColumn, "nothing behind it", "a form to drop")
		case Close:
			return s.failAt(s.Line, s.Column, string(s.Text), "a form to drop")
		case Open:
			if !s.passOver() {
				return Bad
			}
		}
		s.drops--
		kind = s.token()
	}
	return kind
}

// passOver passes over what the bracket opens that is the present token. What is
// dropped within it needs no counting.
func (s *Scanner) passOver() bool {
	s.passing = true
	for depth := len(s.open) - 1; len(s.open) > depth; {
		if s.token() == Bad {
			return false
		}
	}
	s.passing = false
	return true
}

// drop records that the next form counts for nothing.
func (s *Scanner) drop() {
	if s.passing {
		return
	}
	if s.drops == 0 {
		s.dropLine, s.dropColumn = s.Line, s.Column
	}
	s.drops++
}

// token moves to the next token, or records what is to be dropped.
func (s *Scanner) token() Kind {
	if s.Err != nil {
		return s.failAt(0, 0, "", "")
	}
	for {
		if s.pos == s.end && !s.more(&s.pos) {
			return s.ended()
		}
		c := s.buf[s.pos]
		switch c {
		case '\n':
			s.pos++
			s.line++
			s.lineStart = s.base + int64(s.pos)
			continue
		case ' ', '\t', '\r', '\f', '\v':
			s.pos++
			continue
		case ',', ':':
			if !s.JSON && c == ':' {
				break
			}
			if s.JSON && !s.separates(c) {
				return Bad
			}
			s.pos++
			continue
		case ';':
			if !s.JSON {
				s.comment()
				continue
			}
		}
		s.Line, s.Column = s.line, s.column(s.pos)
		if s.JSON {
			return s.json(c)
		}
		switch c {
		case '(', '[', '{':
			return s.opening(1)
		case ')', ']', '}':
			return s.closing(c)
		case '"':
			return s.text()
		case '\\':
			return s.char()
		case '^':
			s.pos++
			s.drop()
		case '#':
			if kind, done := s.dispatch(); done {
				return kind
			}
		default:
			if c < ' ' {
				return s.failAt(s.Line, s.Column, fmt.Sprintf("byte %#02x", c), "text")
			}
			return s.atom()
		}
	}
}

// separates takes a comma or a colon of JSON.
func (s *Scanner) separates(c byte) bool {
	if s.separator != 0 {
		s.failAt(s.line, s.column(s.pos), string(c), "a value after the "+string(s.separator))
		return false
	}
	s.separator = c
	return true
}

// json reads a token of JSON that begins with c. Between lines a comma does no
// harm.
func (s *Scanner) json(c byte) Kind {
	separator := s.separator
	s.separator = 0
	if n := len(s.open); n > 0 {
		if wrong := s.open[n-1].before(separator, c); wrong != "" {
			s.Kind, s.Text = Symbol, s.buf[s.pos:s.pos+1]
			return s.Fail(wrong)
		}
		s.open[n-1].forms++
	}
	switch c {
	case '[', '{':
		return s.opening(1)
	case ']', '}':
		return s.closing(c)
	case '"':
		return s.text()
	}
	if kind := s.atom(); kind == Symbol || kind == Keyword || s.Kind == Nil && len(s.Text) == 3 {
		s.Kind = Symbol
		return s.Fail("JSON: an object, an array, a string, a number, true, false or null")
	}
	return s.Kind
}

// before says what should stand instead of c, which begins a form or closes the
// bracket, behind this separator. Empty: nothing.
func (b *bracket) before(separator, c byte) string {
	needs, name := byte(','), "a comma"
	isValue := b.close == '}' && b.forms%2 == 1
	if isValue {
		needs, name = ':', "a colon"
	}
	switch closes := c == ']' || c == '}'; {
	case closes && isValue, closes && separator != 0:
		return "a value"
	case closes && c != b.close:
		return fmt.Sprintf("%c for the %s at %d:%d", b.close, b.text, b.line, b.column)
	case closes:
		return ""
	case b.forms == 0 && separator != 0:
		return "a value, and no " + string(separator) + " before it"
	case b.forms > 0 && separator != needs:
		return name + " before it"
	case b.close == '}' && !isValue && c != '"':
		return "the name of a field: a string"
	}
	return ""
}

func (s *Scanner) ended() Kind {
	if s.Err != nil {
		return Bad
	}
	s.Line, s.Column = s.line, s.column(s.pos)
	s.Kind, s.Text = EOF, nil
	if n := len(s.open); n > 0 {
		b := s.open[n-1]
		return s.Fail(fmt.Sprintf("%c for the %s at %d:%d", b.close, b.text, b.line, b.column))
	}
	return EOF
}

func (s *Scanner) comment() {
	for {
		if s.pos == s.end && !s.more(&s.pos) {
			return
		}
		if s.buf[s.pos] == '\n' {
			return
		}
		s.pos++
	}
}

func (s *Scanner) opening(n int) Kind {
	s.Kind, s.Text = Open, s.buf[s.pos:s.pos+n]
	b := bracket{line: s.Line, column: s.Column}
	switch s.buf[s.pos+n-1] {
	case '(':
		b.text, b.close = "(", ')'
	case '[':
		b.text, b.close = "[", ']'
	default:
		b.text, b.close = "{", '}'
	}
	if len(s.open) == mostOpen {
		return s.failAt(s.Line, s.Column, fmt.Sprintf("a bracket within %d others", mostOpen), "fewer")
	}
	s.open = append(s.open, b)
	s.pos += n
	return Open
}

func (s *Scanner) closing(c byte) Kind {
	s.Kind, s.Text = Close, s.buf[s.pos:s.pos+1]
	s.pos++
	n := len(s.open)
	if n == 0 {
		return s.Fail("nothing to be closed, for nothing is open")
	}
	b := s.open[n-1]
	if b.close != c {
		return s.Fail(fmt.Sprintf("%c for the %s at %d:%d", b.close, b.text, b.line, b.column))
	}
	s.open = s.open[:n-1]
	return Close
}

// dispatch reads what follows a #. Tags and discards are dropped: not done.
func (s *Scanner) dispatch() (kind Kind, done bool) {
	if s.pos+1 == s.end {
		s.more(&s.pos)
		if s.Err != nil {
			return Bad, true
		}
	}
	if s.pos+1 == s.end {
		return s.failAt(s.Line, s.Column, "# at the end of the file", "a tag, a set or a discard"), true
	}
	switch s.buf[s.pos+1] {
	case '_':
		s.pos += 2
		s.drop()
		return 0, false
	case '{', '(':
		return s.opening(2), true
	case '"':
		s.pos++
		return s.text(), true
	case '#':
		kind = s.atom()
		if kind != Bad {
			kind, s.Kind = Number, Number // ##Inf, ##NaN
		}
		return kind, true
	}
	kind = s.atom() // the tag; what follows is its value
	return kind, kind == Bad
}

// Skip passes over the form whose first token is the present one.
func (s *Scanner) Skip() bool {
	if s.Kind != Open {
		return s.Kind != Bad
	}
	return s.skipTo(len(s.open) - 1)
}

func (s *Scanner) skipTo(depth int) bool {
	for len(s.open) > depth {
		if s.Next() == Bad {
			return false
		}
	}
	return true
}

// atom reads to the next delimiter: a number, keyword or symbol.
func (s *Scanner) atom() Kind {
	start, i := s.pos, s.pos+1
	for {
		for i < s.end && !delimiter[s.buf[i]] {
			i++
		}
		if i < s.end {
			break
		}
		n := i - start
		if !s.more(&start) {
			if s.Err != nil {
				return Bad
			}
			i = start + n
			break
		}
		i = start + n
	}
	s.pos = i
	return s.classify(s.buf[start:i])
}

func (s *Scanner) classify(text []byte) Kind {
	s.Text = text
	c := text[0]
	switch {
	case c >= '0' && c <= '9', (c == '-' || c == '+') && len(text) > 1 && text[1] >= '0' && text[1] <= '9':
		s.Kind = s.number(text)
	case c == ':':
		s.Kind, s.Text = Keyword, text[1:]
		if len(text) == 1 {
			return s.failAt(s.Line, s.Column, ":", "a keyword")
		}
	case string(text) == "nil" || string(text) == "null" && s.JSON:
		s.Kind = Nil
	case string(text) == "true":
		s.Kind, s.Int = Bool, 1
	case string(text) == "false":
		s.Kind, s.Int = Bool, 0
	default:
		s.Kind = Symbol
	}
	return s.Kind
}

// number parses an integer; a ratio, a decimal and what does not fit into 64
// bits stay text.
func (s *Scanner) number(text []byte) Kind {
	digits := text
	if text[0] == '-' || text[0] == '+' {
		digits = text[1:]
	}
	if n := len(digits); n > 1 && digits[n-1] == 'N' {
		digits = digits[:n-1]
	}
	if len(digits) > 19 {
		return Number
	}
	n := int64(0)
	for _, c := range digits {
		if c < '0' || c > '9' {
			return Number
		}
		n = n*10 + int64(c-'0')
	}
	if n < 0 { // of nineteen digits not all fit
		return Number
	}
	if text[0] == '-' {
		n = -n
	}
	s.Int = n
	return Int
}

func (s *Scanner) char() Kind {
	s.pos++
	if s.pos == s.end && !s.more(&s.pos) {
		return s.failAt(s.Line, s.Column, "\\ at the end of the file", "a character")
	}
	if kind := s.atom(); kind == Bad {
		return Bad
	}
	s.Kind = Char
	return Char
}

// text reads a string, from its opening quote.
func (s *Scanner) text() Kind {
	s.Kind = String
	s.pos++
	start, i := s.pos, s.pos
	escaped := false
	for {
		for i < s.end && s.buf[i] != '"' && s.buf[i] != '\\' && s.buf[i] != '\n' {
			i++
		}
		if i+1 >= s.end { // also keeps the byte after a backslash at hand
			n := i - start
			added := s.more(&start)
			i = start + n
			if added {
				continue
			}
			if s.Err != nil {
				return Bad
			}
			if i >= s.end {
				s.pos = s.end
				return s.failAt(s.Line, s.Column, "a string without end", `its closing "`)
			}
		}
		switch s.buf[i] {
		case '"':
			s.pos = i + 1
			s.Text = s.buf[start:i]
			if escaped {
				return s.unescape(s.Text)
			}
			return String
		case '\\':
			escaped = true
			i += 2
			if i > s.end {
				i = s.end
			}
		case '\n':
			if s.JSON {
				return s.failAt(s.Line, s.Column, "a string broken by the end of the line", `its closing "`)
			}
			i++
			s.line++
			s.lineStart = s.base + int64(i)
		}
	}
}

func (s *Scanner) unescape(text []byte) Kind {
	out := s.unescaped[:0]
	for i := 0; i < len(text); i++ {
		c := text[i]
		if c != '\\' {
			out = append(out, c)
			continue
		}
		i++
		switch text[i] {
		case 'n':
			out = append(out, '\n')
		case 't':
			out = append(out, '\t')
		case 'r':
			out = append(out, '\r')
		case 'b':
			out = append(out, '\b')
		case 'f':
			out = append(out, '\f')
		case '"', '\\', '/', '\'':
			out = append(out, text[i])
		case 'u':
			r, ok := hex4(text[i+1:])
			if !ok {
				return s.failAt(s.Line, s.Column, `\u without four hexadecimal digits in a string`, "them")
			}
			i += 4
			if r >= 0xd800 && r < 0xdc00 && len(text) > i+6 && text[i+1] == '\\' && text[i+2] == 'u' {
				if low, ok := hex4(text[i+3:]); ok && low >= 0xdc00 && low < 0xe000 {
					r = (r-0xd800)<<10 + (low - 0xdc00) + 0x10000
					i += 6
				}
			}
			out = utf8.AppendRune(out, r)
		default:
			return s.failAt(s.Line, s.Column, fmt.Sprintf(`\%c in a string`, text[i]), `one of \n \t \r \b \f \" \\ \uXXXX`)
		}
	}
	s.unescaped, s.Text = out, out
	return String
}

func hex4(text []byte) (r rune, ok bool) {
	if len(text) < 4 {
		return 0, false
	}
	for _, c := range text[:4] {
		switch {
		case c >= '0' && c <= '9':
			c -= '0'
		case c >= 'a' && c <= 'f':
			c -= 'a' - 10
		case c >= 'A' && c <= 'F':
			c -= 'A' - 10
		default:
			return 0, false
		}
		r = r<<4 | rune(c)
	}
	return r, true
}
