package cmd

import (
	"io"

	"github.com/ktrial/ktrial/ledger"
)

// storyTo writes the events that a filter picks to w, a line each, as they
// happen.
func storyTo(w io.Writer, f ledger.Filter) func(*ledger.Entry) {
	return func(e *ledger.Entry) {
		if f.Picks(e) {
			e.WriteLine(w)
		}
	}
}
