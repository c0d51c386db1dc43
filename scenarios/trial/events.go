package trial

import (
	"strings"

	"github.com/ktrial/ktrial/ledger"
)

// What a trial itself does.
type (
	// WorkBegan: clients begin to work, and the times of a plan begin to count.
	WorkBegan struct{}
	// HealingBegan: the liveness phase begins, and all faults are healed.
	HealingBegan struct{}
	// CoreChosen: these hosts stay cut off; the others must become well.
	CoreChosen struct {
		Without []string `json:"without"`
	}
	// CoreRejoined: the hosts that were left out are healed too.
	CoreRejoined struct {
		Hosts []string `json:"hosts"`
		Why   string   `json:"why"`
	}
	// PromiseBroken: a law or a check has found what ends the run.
	PromiseBroken struct {
		Promise string `json:"promise"`
		Message string `json:"message"`
	}
)

var (
	workBegan     = ledger.Declare[WorkBegan]("work-began", "clients begin to work, and the times of a plan begin to count", ledger.Notable)
	healingBegan  = ledger.Declare[HealingBegan]("healing-began", "the liveness phase begins: all faults are healed", ledger.Notable)
	coreChosen    = ledger.Declare[CoreChosen]("core-chosen", "some hosts stay cut off; the others must become well", ledger.Notable)
	coreRejoined  = ledger.Declare[CoreRejoined]("core-rejoined", "the hosts that were left out are healed too", ledger.Notable)
	promiseBroken = ledger.Declare[PromiseBroken]("promise-broken", "a law or a check has found what ends the run", ledger.Notable)
)

func (e *WorkBegan) Kind() *ledger.Kind     { return workBegan }
func (e *HealingBegan) Kind() *ledger.Kind  { return healingBegan }
func (e *CoreChosen) Kind() *ledger.Kind    { return coreChosen }
func (e *CoreRejoined) Kind() *ledger.Kind  { return coreRejoined }
func (e *PromiseBroken) Kind() *ledger.Kind { return promiseBroken }

// LeftOut are the hosts that stay cut off.
func (e *CoreChosen) LeftOut() []string { return e.Without }

func (e *WorkBegan) Sentence() string    { return "work begins" }
func (e *HealingBegan) Sentence() string { return "all faults heal" }
func (e *CoreChosen) Sentence() string   { return "without " + strings.Join(e.Without, " and ") }
func (e *CoreRejoined) Sentence() string {
	return strings.Join(e.Hosts, " and ") + " heal, too: " + e.Why
}
func (e *PromiseBroken) Sentence() string { return e.Promise + ": " + e.Message }
