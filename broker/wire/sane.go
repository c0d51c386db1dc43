package wire

import (
	"fmt"
	"strings"

	"github.com/twmb/franz-go/pkg/kbin"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// kmsg reads as many tags as a structure says that it has, be it four billion
// in a frame of twenty bytes, which takes minutes. So a body of a flexible
// version is walked first, by its grammar.

// sane reports whether what a body says of its lengths can be true.
func sane(req kmsg.Request, body []byte) error {
	if !req.IsFlexible() {
		return nil
	}
	w := walker{kbin.Reader{Src: body}}
	if w.walk(grammarOf(req.Key(), req.GetVersion())); !w.Ok() {
		return fmt.Errorf("%s request v%d: %w: it ends before what it says it holds", kmsg.NameForKey(req.Key()), req.GetVersion(), ErrMalformed)
	}
	return nil
}

// grammarOf is what a request is made of, a letter for each part; empty if it is
// not known. 1, 2, 4, 8 and u (16) are so many bytes, s is a string or bytes, [] an
// array, () a structure that may be null, t tags, r those of a Fetch. It is read
// off kmsg's encoder by a test.
func grammarOf(key, version int16) string {
	of := grammars[key]
	for i := len(of) - 1; i >= 0; i-- {
		if of[i].from <= version {
			return of[i].parts
		}
	}
	return ""
}

type grammar struct {
	from  int16 // the first version that has it
	parts string
}

type walker struct{ kbin.Reader }

func (w *walker) walk(parts string) {
	for i := 0; i < len(parts); i++ {
		switch parts[i] {
		case '1', '2', '4', '8':
			w.Span(int(parts[i] - '0'))
		case 'u':
			w.Span(16)
		case 's':
			if n := w.Uvarint(); n > 1 {
				w.Span(int(n - 1))
			}
		case 't':
			w.tags(false)
		case 'r':
			w.tags(true)
		case '[':
			end := closing(parts, i)
			w.array(parts[i+1 : end])
			i = end
		case '(':
			end := closing(parts, i)
			if w.Int8() >= 0 {
				w.walk(parts[i+1 : end])
			}
			i = end
		}
	}
}

func (w *walker) array(of string) {
	n := int64(w.Uvarint()) - 1
	if n > int64(len(w.Src)) {
		w.Span(int(n)) // there cannot be so many
	}
	for ; n > 0 && w.Ok(); n-- {
		w.walk(of)
	}
}

// tags passes tags. Of those of a Fetch the second has tags of its own, after
// two numbers: who it is that fetches (KIP-903).
func (w *walker) tags(ofFetch bool) {
	for n := w.Uvarint(); n > 0 && w.Ok(); n-- {
		tag := w.Uvarint()
		content := w.Span(int(w.Uvarint()))
		if ofFetch && tag == 1 && len(content) > 12 {
			in := walker{kbin.Reader{Src: content[12:]}}
			if in.tags(false); !in.Ok() {
				w.Span(len(w.Src) + 1)
			}
		}
	}
}

// closing is where the bracket at i is closed.
func closing(parts string, i int) int {
	open := 0
	for ; ; i++ {
		switch {
		case strings.IndexByte("[(", parts[i]) >= 0:
			open++
		case strings.IndexByte("])", parts[i]) >= 0:
			if open--; open == 0 {
				return i
			}
		}
	}
}
