package kernel

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
)

// Recorded is what luck has decided in a run that is over.
type Recorded struct {
	Draws map[string][]uint64 // by the name of the series
	Texts map[string]string
}

// Recorded is what was decided so far.
func (d *Decisions) Recorded() *Recorded {
	r := &Recorded{Draws: make(map[string][]uint64, len(d.series)), Texts: maps.Clone(d.texts)}
	for name, s := range d.series { //det:allow a map is filled
		if len(s.kept) > 0 {
			r.Draws[name] = s.kept
		}
	}
	return r
}

// Count is how many decisions there are.
func (r *Recorded) Count() (n uint64) {
	for _, draws := range r.Draws { //det:allow a sum
		n += uint64(len(draws))
	}
	return n + uint64(len(r.Texts))
}

// recordedFormat begins a file of decisions, and says its version.
const recordedFormat = "ktrial-decisions/1\n"

// mostName bounds a name or a text that is read.
const mostName = 1 << 20

// Write writes the decisions: the format, the texts and the series, each with its count, in
// the order of their names. A text is its length and its bytes, a draw eight bytes, little-endian.
func (r *Recorded) Write(w io.Writer) error {
	out := bufio.NewWriterSize(w, 1<<16)
	buf := []byte(recordedFormat)
	buf = binary.AppendUvarint(buf, uint64(len(r.Texts)))
	for _, name := range slices.Sorted(maps.Keys(r.Texts)) {
		buf = appendText(appendText(buf, name), r.Texts[name])
	}
	buf = binary.AppendUvarint(buf, uint64(len(r.Draws)))
	for _, name := range slices.Sorted(maps.Keys(r.Draws)) {
		buf = binary.AppendUvarint(appendText(buf, name), uint64(len(r.Draws[name])))
		for _, draw := range r.Draws[name] {
			buf = binary.LittleEndian.AppendUint64(buf, draw)
		}
		out.Write(buf) // an error stays, and Flush returns it
		buf = buf[:0]
	}
	out.Write(buf)
	return out.Flush()
}

func appendText(buf []byte, text string) []byte {
	return append(binary.AppendUvarint(buf, uint64(len(text))), text...)
}

// ReadRecorded reads what Write has written.
func ReadRecorded(in io.Reader) (*Recorded, error) {
	r := &Recorded{Draws: map[string][]uint64{}, Texts: map[string]string{}}
	f := reader{in: bufio.NewReaderSize(in, 1<<16)}
	format := make([]byte, len(recordedFormat))
	if f.read(format); f.err == nil && string(format) != recordedFormat {
		return nil, fmt.Errorf("found format %q, expected %q", format, recordedFormat)
	}
	for n := f.number(); n > 0 && f.err == nil; n-- {
		name := f.text()
		r.Texts[name] = f.text()
	}
	for n := f.number(); n > 0 && f.err == nil; n-- {
		name := f.text()
		var draws []uint64
		for count := f.number(); count > 0 && f.err == nil; count-- {
			var word [8]byte
			f.read(word[:])
			draws = append(draws, binary.LittleEndian.Uint64(word[:]))
		}
		r.Draws[name] = draws
	}
	if f.err != nil {
		return nil, fmt.Errorf("decisions: %w", f.err)
	}
	return r, nil
}

// reader keeps the first error.
type reader struct {
	in  *bufio.Reader
	err error
}

func (f *reader) read(into []byte) {
	if f.err == nil {
		_, f.err = io.ReadFull(f.in, into)
	}
}

func (f *reader) number() (n uint64) {
	if f.err == nil {
		n, f.err = binary.ReadUvarint(f.in)
	}
	return n
}

func (f *reader) text() string {
	n := f.number()
	if n > mostName && f.err == nil {
		f.err = errors.New("found a text of more than a million bytes")
	}
	if f.err != nil {
		return ""
	}
	text := make([]byte, n)
	f.read(text)
	return string(text)
}
