package wasi

import (
	"fmt"

	"github.com/ktrial/ktrial/ledger"
)

// The streams of a program's lines.
const (
	Stdout = "stdout"
	Stderr = "stderr"
)

// Line: a program wrote a line to its standard output or error.
type Line struct {
	Program string `json:"program"` // its name
	Stream  string `json:"stream"`  // stdout or stderr
	Text    string `json:"text"`    // the line
}

var line = ledger.Declare[Line]("program-line", "a program wrote a line to its standard output or error", ledger.Notable)

// Kind implements ledger.Event.
func (e *Line) Kind() *ledger.Kind { return line }

// Sentence implements ledger.Event.
func (e *Line) Sentence() string { return fmt.Sprintf("%s: %s", e.Stream, e.Text) }
