package ledger

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
)

// Filter picks entries for a story. The zero value picks the notable ones.
type Filter struct {
	// Only are hosts and subjects (orders/0, broker-2); empty: all. With it,
	// events of every weight are picked.
	Only []string
	// From and To are virtual times, both included; To 0: to the end.
	From, To time.Duration
	// Detail picks events of every weight.
	Detail bool
}

// Picks reports whether the story has e.
func (f *Filter) Picks(e *Entry) bool {
	if e.At < f.From || f.To > 0 && e.At > f.To {
		return false
	}
	if len(f.Only) == 0 {
		return f.Detail || e.Event.Kind().Weight == Notable
	}
	if slices.Contains(f.Only, e.Host) {
		return true
	}
	s, ok := e.Event.(Subject)
	return ok && slices.Contains(f.Only, s.Subject())
}

// WriteStory writes the entries that were kept and that f picks, a line each.
func (l *Ledger) WriteStory(w io.Writer, f Filter) {
	for e := range l.All() {
		if f.Picks(e) {
			e.WriteLine(w)
		}
	}
}

// Story is WriteStory as a text.
func (l *Ledger) Story(f Filter) string {
	var b strings.Builder
	l.WriteStory(&b, f)
	return b.String()
}

// WriteLine writes an entry as a line of a story: time, host, sentence.
func (e *Entry) WriteLine(w io.Writer) {
	fmt.Fprintf(w, "%12s  %-13s %s\n", e.At.Round(time.Microsecond), e.Host, e.Event.Sentence())
}
