package server

import "github.com/ktrial/ktrial/ledger"

// The rare states that trials must have met.
var (
	ProbeGaveUp = ledger.NewProbe("broker gave up registering",
		"a broker could not register within initial.broker.registration.timeout.ms, and closed its logs before it ended")
	ProbeMarkerNotNeeded = ledger.NewProbe("txn: marker for a deleted topic",
		"a transaction ended that has a partition of a topic that is gone")
	ProbeMarkerUnanswered = ledger.NewProbe("txn: markers in doubt",
		"a coordinator had no answer to the markers that it sent, and sends them again")
	ProbeMarkerAgain = ledger.NewProbe("txn: marker sent again",
		"a leader could not write a marker just then, or does not lead any more")
	ProbeVerificationFailed = ledger.NewProbe("txn: records refused unverified",
		"a leader refused records of a transaction of which the coordinator does not know, or could not be asked (KIP-890)")
	ProbeAddRetried = ledger.NewProbe("txn: leader waits for the transaction before",
		"a leader asked again to add a partition, as the producer's last transaction was not over yet")
)
