package server

import "github.com/ktrial/ktrial/ledger"

// The rare states that trials must have met.
var ProbeGaveUp = ledger.NewProbe("broker gave up registering",
	"a broker could not register within initial.broker.registration.timeout.ms, and closed its logs before it ended")
