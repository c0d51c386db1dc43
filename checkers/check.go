package checkers

import (
	"fmt"
	"time"

	"github.com/ktrial/ktrial/checkers/history"
)

// A Check is one promise, and how to see it broken.
type Check struct {
	Name  string
	About string
	Run   func(h *history.History) Verdict
}

// Outcome is how a check ended.
type Outcome uint8

const (
	// Inconclusive: it looked at nothing, which proves nothing.
	Inconclusive Outcome = iota
	// Holds: it looked, and found nothing wrong.
	Holds
	// Violated: it found evidence.
	Violated
)

var outcomeNames = [...]string{"inconclusive", "holds", "violated"}

// String is holds, violated or inconclusive.
func (o Outcome) String() string { return outcomeNames[o] }

// MarshalText writes the outcome as its name.
func (o Outcome) MarshalText() ([]byte, error) { return []byte(o.String()), nil }

// Verdict is what a check says of a history. A check adds to Checked whatever
// it compared, and calls Violated for what it found.
type Verdict struct {
	Checked    int64
	Violations []Violation
	Allowed    []Allowed // what it found and the configuration permits
}

// Violation is a broken promise with its evidence.
type Violation struct {
	Message string        `json:"message"`
	Ops     []int64       `json:"ops"` // index of the fewest operations that prove it
	At      time.Duration `json:"at"`  // virtual time at which it could be known
}

// Outcome is violated with evidence, inconclusive if nothing was examined.
func (v Verdict) Outcome() Outcome {
	switch {
	case len(v.Violations) > 0:
		return Violated
	case v.Checked == 0:
		return Inconclusive
	}
	return Holds
}

// Violated adds a violation, proved by the operations with these indexes.
func (v *Verdict) Violated(at time.Duration, ops []int64, format string, args ...any) {
	v.Violations = append(v.Violations, Violation{fmt.Sprintf(format, args...), ops, at})
}
