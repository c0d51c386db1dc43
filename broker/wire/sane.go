package wire

import (
	"fmt"
	"maps"
	"math"
	"slices"

	"github.com/twmb/franz-go/pkg/kbin"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// kmsg reads as many tags as a structure says that it has, be it four billion
// in a frame of twenty bytes, which takes minutes. So a body of a flexible
// version is walked first, by its grammar.

// checkLengths refuses a body that cannot hold what it says it holds, or that
// Kafka would not read: there a string is never longer than 32767 bytes, which
// only flexible versions could exceed.
func checkLengths(req kmsg.Request, body []byte) error {
	if !req.IsFlexible() {
		return nil
	}
	w := walker{Reader: kbin.Reader{Src: body}, longest: math.MaxInt16}
	if hasBytes[req.Key()] {
		w.longest = math.MaxInt32
	}
	w.walk(layoutOf(req.Key(), req.GetVersion()))
	switch {
	case w.tooLong > 0:
		return fmt.Errorf("%s request v%d: %w: a string of %d bytes, at most %d expected", kmsg.NameForKey(req.Key()), req.GetVersion(), ErrMalformed, w.tooLong, w.longest)
	case !w.Ok():
		return fmt.Errorf("%s request v%d: %w: it ends before what it says it holds", kmsg.NameForKey(req.Key()), req.GetVersion(), ErrMalformed)
	}
	return nil
}

// hasBytes are the requests with fields of bytes, which a grammar does not say
// from strings: Produce, JoinGroup, SyncGroup.
var hasBytes = map[int16]bool{keyProduce: true, 11: true, 14: true}

// grammar is what a request is made of since a version, a letter for each part.
// 1, 2, 4, 8 and u (16) are so many bytes, s is a string or bytes, [] an array, ()
// a structure that may be null, t tags, r those of a Fetch. It is read off kmsg's
// encoder by a test.
type grammar struct {
	from  int16
	parts string
}

// layout is a grammar that was read, so that a walk need not.
type layout struct {
	from  int16
	parts []part
}

// part is a piece of a body: the letter of its grammar, and what is in it.
type part struct {
	letter byte // 'b': bytes
	bytes  int
	in     []part
}

var layouts = func() (all [96][]layout) {
	for _, key := range slices.Sorted(maps.Keys(grammars)) {
		for _, g := range grammars[key] {
			parts, _ := read(g.parts)
			all[key] = append(all[key], layout{g.from, parts})
		}
	}
	return all
}()

// layoutOf is how a request's body is laid out; nil if that is not known.
func layoutOf(key, version int16) []part {
	of := layouts[key]
	for i := len(of) - 1; i >= 0; i-- {
		if of[i].from <= version {
			return of[i].parts
		}
	}
	return nil
}

// read reads a grammar up to the bracket that closes it.
func read(g string) (parts []part, rest string) {
	for len(g) > 0 {
		letter := g[0]
		g = g[1:]
		switch letter {
		case ']', ')':
			return parts, g
		case '[', '(':
			p := part{letter: letter}
			p.in, g = read(g)
			parts = append(parts, p)
		case '1', '2', '4', '8', 'u':
			n := int(letter - '0')
			if letter == 'u' {
				n = 16
			}
			if last := len(parts) - 1; last >= 0 && parts[last].letter == 'b' {
				parts[last].bytes += n
			} else {
				parts = append(parts, part{letter: 'b', bytes: n})
			}
		default:
			parts = append(parts, part{letter: letter})
		}
	}
	return parts, ""
}

type walker struct {
	kbin.Reader
	longest, tooLong int
}

func (w *walker) walk(parts []part) {
	for i := range parts {
		switch p := &parts[i]; p.letter {
		case 'b':
			w.Span(p.bytes)
		case 's':
			if n := w.Uvarint(); n > 1 {
				if w.Span(int(n - 1)); w.Ok() && int(n-1) > w.longest {
					w.tooLong = int(n - 1)
				}
			}
		case 't':
			w.tags(false)
		case 'r':
			w.tags(true)
		case '[':
			w.array(p.in)
		case '(':
			if w.Int8() >= 0 {
				w.walk(p.in)
			}
		}
	}
}

func (w *walker) array(of []part) {
	n := int64(w.Uvarint()) - 1
	if n > int64(len(w.Src)) {
		w.Span(int(n)) // there cannot be so many
	}
	for ; n > 0 && w.Ok(); n-- {
		w.walk(of)
	}
}

// tags passes tags. Of those of a Fetch the second has tags of its own, after
// two numbers: the broker that fetches (KIP-903).
func (w *walker) tags(ofFetch bool) {
	for n := w.Uvarint(); n > 0 && w.Ok(); n-- {
		tag := w.Uvarint()
		content := w.Span(int(w.Uvarint()))
		if ofFetch && tag == 1 && len(content) > 12 {
			in := walker{Reader: kbin.Reader{Src: content[12:]}}
			if in.tags(false); !in.Ok() {
				w.Span(len(w.Src) + 1)
			}
		}
	}
}
