package ledger

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"time"
)

// TraceFormat names what a trace is, and its version. docs/trace.md describes it.
const TraceFormat = "ktrial-trace/1"

// Header is the first line of a trace: which run it is of.
type Header struct {
	Format   string `json:"format"`
	Scenario string `json:"scenario,omitempty"`
	Seed     uint64 `json:"seed"`
	Hash     string `json:"trace_hash,omitempty"`
}

// line is what each further line of a trace begins with, before the fields of
// its event.
type line struct {
	T     int64  `json:"t"` // nanoseconds
	Host  string `json:"host,omitempty"`
	Life  int    `json:"life,omitempty"`
	Step  uint64 `json:"step"`
	By    string `json:"by"`
	Event string `json:"event"`
	Say   string `json:"say"`
}

// WriteTrace writes entries as JSON lines: the header, then an event a line.
func WriteTrace(w io.Writer, h Header, entries iter.Seq[*Entry]) error {
	h.Format = TraceFormat
	out := bufio.NewWriterSize(w, 1<<16)
	var text bytes.Buffer
	enc := json.NewEncoder(&text)
	enc.SetEscapeHTML(false)
	put := func(v any) error {
		text.Reset()
		if err := enc.Encode(v); err != nil {
			return err
		}
		text.Truncate(text.Len() - 1) // the newline
		return nil
	}
	if err := put(h); err != nil {
		return err
	}
	out.Write(text.Bytes())
	out.WriteByte('\n')
	for e := range entries {
		kind := e.Event.Kind()
		if err := put(line{int64(e.At), e.Host, e.Life, e.Cause.Step, e.Cause.By.String(), kind.Name, e.Event.Sentence()}); err != nil {
			return fmt.Errorf("trace: event %s at %v: %w", kind.Name, e.At, err)
		}
		out.Write(text.Bytes()[:text.Len()-1]) // without the brace
		if err := put(e.Event); err != nil {
			return fmt.Errorf("trace: event %s at %v: %w", kind.Name, e.At, err)
		}
		if text.Len() > len("{}") {
			out.WriteByte(',')
		}
		out.Write(text.Bytes()[1:])
		if err := out.WriteByte('\n'); err != nil {
			return err
		}
	}
	return out.Flush()
}

// WriteTraceFile writes a trace, compressed if the name ends in .gz. The same
// entries give the same bytes.
func WriteTraceFile(name string, h Header, entries iter.Seq[*Entry]) error {
	f, err := os.Create(name)
	if err != nil {
		return err
	}
	if filepath.Ext(name) != ".gz" {
		return errors.Join(WriteTrace(f, h, entries), f.Close())
	}
	z, _ := gzip.NewWriterLevel(f, gzip.BestSpeed)
	return errors.Join(WriteTrace(z, h, entries), z.Close(), f.Close())
}

// Foreign is an event of a kind that this program does not know, such as one
// of another module.
type Foreign struct {
	kind *Kind
	say  string
	// fields is a JSON object with what stands behind "say" in the line.
	fields []byte
}

// Kind has the name that the trace gives.
func (e *Foreign) Kind() *Kind { return e.kind }

// Sentence is that of the trace.
func (e *Foreign) Sentence() string { return e.say }

// MarshalJSON passes on the fields that the trace has beside those of a line.
func (e *Foreign) MarshalJSON() ([]byte, error) { return e.fields, nil }

// ReadTrace reads a trace and calls f with each entry, until f returns false.
// An error names the line.
func ReadTrace(r io.Reader, f func(*Entry) bool) (Header, error) {
	var h Header
	in := bufio.NewScanner(r)
	in.Buffer(make([]byte, 1<<16), 1<<26)
	number := 0
	for in.Scan() {
		number++
		if number == 1 {
			if err := json.Unmarshal(in.Bytes(), &h); err != nil {
				return h, fmt.Errorf("trace: line 1: %w", err)
			}
			if h.Format != TraceFormat {
				return h, fmt.Errorf("trace: line 1: found format %q, expected %q", h.Format, TraceFormat)
			}
			continue
		}
		e, err := readEntry(in.Bytes())
		if err != nil {
			return h, fmt.Errorf("trace: line %d: %w", number, err)
		}
		if !f(e) {
			return h, nil
		}
	}
	if err := in.Err(); err != nil {
		return h, fmt.Errorf("trace: line %d: %w", number+1, err)
	}
	if number == 0 {
		return h, fmt.Errorf("trace: found no line, expected a header with format %q", TraceFormat)
	}
	return h, nil
}

func readEntry(text []byte) (*Entry, error) {
	var l line
	if err := json.Unmarshal(text, &l); err != nil {
		return nil, err
	}
	e := &Entry{At: time.Duration(l.T), Host: l.Host, Life: l.Life, Cause: Cause{Step: l.Step}}
	for i, name := range originNames {
		if name == l.By {
			e.Cause.By = Origin(i)
		}
	}
	kind := kinds[l.Event]
	if kind == nil {
		e.Event = &Foreign{&Kind{Name: l.Event}, l.Say, ownFields(text)}
		return e, nil
	}
	var err error
	if e.Event, err = kind.decode(text); err != nil {
		return nil, fmt.Errorf("event %s: %w", l.Event, err)
	}
	return e, nil
}

// ownFields is a line without what every line has. The order of the others is
// kept, so that a trace that is written again is the same.
func ownFields(text []byte) []byte {
	dec := json.NewDecoder(bytes.NewReader(text)) // of an object: it was read as a line before
	_, _ = dec.Token()
	out := []byte{'{'}
	for dec.More() {
		name, _ := dec.Token()
		var value json.RawMessage
		_ = dec.Decode(&value)
		if slices.Contains(ofEveryLine, name.(string)) {
			continue
		}
		if len(out) > 1 {
			out = append(out, ',')
		}
		quoted, _ := json.Marshal(name)
		out = append(append(append(out, quoted...), ':'), value...)
	}
	return append(out, '}')
}

var ofEveryLine = []string{"t", "host", "life", "step", "by", "event", "say"}

// ReadTraceFile reads a trace from a file, compressed or not.
func ReadTraceFile(name string, f func(*Entry) bool) (Header, error) {
	file, err := os.Open(name)
	if err != nil {
		return Header{}, err
	}
	defer file.Close()
	in := bufio.NewReader(file)
	var r io.Reader = in
	if magic, _ := in.Peek(2); bytes.Equal(magic, []byte{0x1f, 0x8b}) {
		if r, err = gzip.NewReader(in); err != nil {
			return Header{}, fmt.Errorf("%s: %w", name, err)
		}
	}
	h, err := ReadTrace(r, f)
	if err != nil {
		err = fmt.Errorf("%s: %w", name, err)
	}
	return h, err
}
