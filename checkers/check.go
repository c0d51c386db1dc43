package checkers

import (
	"time"

	"github.com/ktrial/ktrial/checkers/history"
)

// Check looks at a history for something that no promise is about: a rule of
// the application, such as that each order is invoiced once. It is a pure
// function of the history.
type Check struct {
	Name  string
	About string // in a line
	// Config declares the check as --config does, and a history's configuration: it is judged there, too. Empty: only the
	// program that has it can ask for it.
	Config string
	Run    func(h *history.History) Checked
}

// Checked is what a check has looked at, and what is wrong. A check that looked
// at nothing proves nothing.
type Checked struct {
	Count  int64
	Broken []Broken
}

// Broken is one thing that is wrong, with the fewest operations that prove it.
type Broken struct {
	Message string  `json:"message"`
	Ops     []int64 `json:"ops"` // by History.Index
	// Values are those of the records that it is about: reports tell of these.
	Values []string      `json:"values,omitempty"`
	At     time.Duration `json:"at"`
}

// Verdict is violated, holds or inconclusive.
func (f Checked) Verdict() Verdict {
	switch {
	case len(f.Broken) > 0:
		return Violated
	case f.Count == 0:
		return Inconclusive
	}
	return Holds
}
