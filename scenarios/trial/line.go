package trial

import (
	"time"

	"github.com/ktrial/ktrial/ledger"
)

// line is an entry of the ledger in words.
type line struct {
	At         time.Duration
	Host, Text string
}

func lines(l *ledger.Ledger) (out []line) {
	for e := range l.All() {
		out = append(out, line{e.At, e.Host, e.Event.Sentence()})
	}
	return out
}
