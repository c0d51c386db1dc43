package faults

import (
	"fmt"

	"github.com/ktrial/ktrial/ledger"
)

type (
	// Struck: a fault strikes now. It is told just before it is injected.
	Struck struct {
		Number int `json:"number"` // counts the strikes of a run, from 1
		// Plan is the line of a plan that strikes the same hosts at the same time.
		Plan  string `json:"plan"`
		Text  string `json:"fault"`
		Group Group  `json:"group"` // what it hurts: process, network, disk, clock, leadership
		Fault Fault  `json:"-"`     // with its targets resolved; nil if it was read from a trace
		// Momentary: it is over as soon as it has struck.
		Momentary bool `json:"momentary,omitempty"`
	}
	// Healed: what a fault did was taken back, or is over.
	Healed struct {
		Number int    `json:"number"`
		Plan   string `json:"plan"`
	}
	// Skipped: a fault does not strike as it was planned.
	Skipped struct {
		Text   string `json:"fault"`
		Reason string `json:"reason"`
	}
)

var (
	struck  = ledger.Declare[Struck]("fault-struck", "a fault strikes", ledger.Notable)
	healed  = ledger.Declare[Healed]("fault-healed", "what a fault did was taken back", ledger.Notable)
	skipped = ledger.Declare[Skipped]("fault-skipped", "a fault does not strike as it was planned", ledger.Notable)
)

func (e *Struck) Kind() *ledger.Kind  { return struck }
func (e *Healed) Kind() *ledger.Kind  { return healed }
func (e *Skipped) Kind() *ledger.Kind { return skipped }

func (e *Struck) Sentence() string { return "fault: " + e.Text }
func (e *Healed) Sentence() string { return "healed: " + e.Plan }
func (e *Skipped) Sentence() string {
	return fmt.Sprintf("fault does not strike: %s: %s", e.Text, e.Reason)
}
