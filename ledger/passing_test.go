package ledger

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
)

// What is read in the memory of one entry is what is read in memory of its own.
func TestPassing_IsAll(t *testing.T) {
	l := New(KeepAll)
	for i := range 5000 {
		at := Entry{At: time.Duration(i), Host: fmt.Sprintf("host-%d", i%3), Cause: Cause{Step: uint64(i), By: ByTimer}}
		if i%2 == 0 {
			at.Event = Say("%d", i)
		} else {
			at.Event = &grew{By: i, Words: []word{{fmt.Sprint(i)}}}
		}
		l.Add(at)
	}
	text := func(e *Entry) string { return fmt.Sprint(e.At, e.Host, e.Cause, e.Event.Sentence()) }
	var all, passing []string
	for e := range l.All() {
		all = append(all, text(e))
	}
	events := map[Event]bool{}
	for e := range l.Passing() {
		passing = append(passing, text(e))
		if _, packed := e.Event.(Packed); packed {
			events[e.Event] = true
		}
	}
	assert.Len(t, all, 5000)
	assert.Equal(t, all, passing)
	assert.Len(t, events, 1, "one piece of memory serves all")
}

// grew is an event that is packed.
type grew struct {
	By    int
	Words []word
}

type word struct{ text string }

var grewKind = Declare[grew]("grew-in-a-test", "something grew", Detail)

func (e *grew) Kind() *Kind      { return grewKind }
func (e *grew) Sentence() string { return fmt.Sprint("grows by ", e.By, e.Words) }
func (e *grew) Pack(p *Pack) {
	Int(p, &e.By)
	List(p, &e.Words, func(w *word, p *Pack) { Text(p, &w.text) })
}
