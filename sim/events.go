package sim

import (
	"fmt"
	"time"

	"github.com/ktrial/ktrial/ledger"
)

// What happens to a host and the processes on it. Started, Killed, PoweredOff,
// Paused and Resumed are told by the world, Exited by the process itself.
type (
	// Started: a process begins to run.
	Started struct{}
	// Killed: the process ended at once; the page cache is kept.
	Killed struct{}
	// PoweredOff: the host stopped, and what was not synced may be lost.
	PoweredOff struct{}
	// PowerLoss: what the loss of power has taken from one file or name.
	PowerLoss struct {
		Path string `json:"path"`
		Lost string `json:"lost"`
	}
	// Paused: the process stands still, its connections live.
	Paused struct{}
	// Resumed: one pause was taken back.
	Resumed struct{}
	// ClockStepped: the host's wall clock was moved.
	ClockStepped struct {
		By time.Duration `json:"moved_ns"`
	}
	// ClockDrifts: the clocks of the host run faster (slower, if negative) by
	// PPM millionths now.
	ClockDrifts struct {
		PPM int64 `json:"ppm"`
	}
	// Exited: the process ended itself.
	Exited struct {
		Reason string `json:"reason"`
	}
)

var (
	started      = ledger.Declare[Started]("process-started", "a process begins to run", ledger.Notable)
	killed       = ledger.Declare[Killed]("process-killed", "a process ended at once; the page cache is kept", ledger.Notable)
	poweredOff   = ledger.Declare[PoweredOff]("power-lost", "a host stopped, and what was not synced may be lost", ledger.Notable)
	powerLoss    = ledger.Declare[PowerLoss]("write-lost", "what a loss of power has taken from one file or name", ledger.Detail)
	paused       = ledger.Declare[Paused]("process-paused", "a process stands still, its connections live", ledger.Notable)
	resumed      = ledger.Declare[Resumed]("process-resumed", "a pause was taken back", ledger.Notable)
	clockStepped = ledger.Declare[ClockStepped]("clock-stepped", "a host's wall clock was moved", ledger.Notable)
	clockDrifts  = ledger.Declare[ClockDrifts]("clock-drifts", "a host's clocks run faster or slower now", ledger.Notable)
	exited       = ledger.Declare[Exited]("process-exited", "a process ended itself", ledger.Notable)
)

func (e *Started) Kind() *ledger.Kind      { return started }
func (e *Killed) Kind() *ledger.Kind       { return killed }
func (e *PoweredOff) Kind() *ledger.Kind   { return poweredOff }
func (e *PowerLoss) Kind() *ledger.Kind    { return powerLoss }
func (e *Paused) Kind() *ledger.Kind       { return paused }
func (e *Resumed) Kind() *ledger.Kind      { return resumed }
func (e *ClockStepped) Kind() *ledger.Kind { return clockStepped }
func (e *ClockDrifts) Kind() *ledger.Kind  { return clockDrifts }
func (e *Exited) Kind() *ledger.Kind       { return exited }

func (e *Started) Sentence() string      { return "starts" }
func (e *Killed) Sentence() string       { return "is killed" }
func (e *PoweredOff) Sentence() string   { return "loses power" }
func (e *PowerLoss) Sentence() string    { return "has lost of " + e.Path + ": " + e.Lost }
func (e *Paused) Sentence() string       { return "is paused" }
func (e *Resumed) Sentence() string      { return "is resumed" }
func (e *ClockStepped) Sentence() string { return fmt.Sprintf("has its wall clock moved by %v", e.By) }
func (e *ClockDrifts) Sentence() string  { return fmt.Sprintf("has clocks that run %d ppm fast", e.PPM) }
func (e *Exited) Sentence() string       { return "exits: " + e.Reason }
