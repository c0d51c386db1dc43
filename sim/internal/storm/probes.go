package storm

import "github.com/ktrial/ktrial/ledger"

// The rare states that trials must have met.
var (
	probeSyncFails = ledger.NewProbe("sync fails",
		"an fsync returned an error")
	probeFrameForgotten = ledger.NewProbe("a frame is forgotten",
		"an unlucky server dropped a frame")
	probeDialFails = ledger.NewProbe("a dial fails",
		"a connection could not be opened")
)
