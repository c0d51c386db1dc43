package workloads

import (
	"fmt"

	"github.com/ktrial/ktrial/ledger"
)

// ClientFound: a client has compared what it finds with what it was told before. It is for
// what no history has: administration, positions, committed offsets.
type ClientFound struct {
	What  string `json:"what"`            // what was compared
	Wrong string `json:"wrong,omitempty"` // what differs; empty: nothing
}

var clientFound = ledger.Declare[ClientFound]("client-found", "a client has compared what it finds with what it was told", ledger.Detail)

// Kind is for ledger.Event.
func (e *ClientFound) Kind() *ledger.Kind { return clientFound }

// Sentence is such as: finds a1-topic-3 as it was told; or: was told otherwise: ...
func (e *ClientFound) Sentence() string {
	if e.Wrong != "" {
		return fmt.Sprintf("was told otherwise of %s: %s", e.What, e.Wrong)
	}
	return fmt.Sprintf("finds %s as it was told", e.What)
}
