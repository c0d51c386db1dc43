package disk

import (
	"fmt"

	"github.com/ktrial/ktrial/ledger"
)

// Damaged: a fault made a file differ from what was written to it.
type Damaged struct {
	Path string `json:"path"`
	Off  int64  `json:"offset"`
	N    int64  `json:"bytes"`
	Why  string `json:"why"` // a Flaw
}

var damaged = ledger.Declare[Damaged]("file-damaged", "a fault made a file differ from what was written to it", ledger.Detail)

func (e *Damaged) Kind() *ledger.Kind { return damaged }
func (e *Damaged) Sentence() string {
	return fmt.Sprintf("has %d bytes of %s at byte %d damaged: %s", e.N, e.Path, e.Off, e.Why)
}
