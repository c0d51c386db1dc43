package cluster

import "github.com/ktrial/ktrial/ledger"

type (
	// ShutdownFailed: a controlled shutdown did not go to its end.
	ShutdownFailed struct {
		Reason string `json:"reason"`
	}
	// StopRefused: a server is not stopped, because that would cost too much.
	StopRefused struct {
		Server string `json:"server"`
	}
)

var (
	shutdownFailed = ledger.Declare[ShutdownFailed]("shutdown-failed", "a controlled shutdown did not go to its end", ledger.Notable)
	stopRefused    = ledger.Declare[StopRefused]("stop-refused", "a server is not stopped, because that would cost too much", ledger.Notable)
)

func (e *ShutdownFailed) Kind() *ledger.Kind { return shutdownFailed }
func (e *StopRefused) Kind() *ledger.Kind    { return stopRefused }

func (e *ShutdownFailed) Sentence() string { return "shutdown: " + e.Reason }
func (e *StopRefused) Sentence() string {
	return e.Server + " is not stopped: it has not registered yet, and would count as lost"
}
