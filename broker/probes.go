package broker

import "github.com/ktrial/ktrial/ledger"

// The rare states that trials must have met.
var ProbeShutdownTwice = ledger.NewProbe("shutdown asked for twice",
	"a node that was shutting down was told to shut down again")
