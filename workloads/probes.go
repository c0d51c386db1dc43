package workloads

import "github.com/ktrial/ktrial/ledger"

// What trials of services must have met.
var (
	ProbeRefusedForGood = ledger.NewProbe("consumer was refused for good and started again",
		"FENCED_INSTANCE_ID or UNRELEASED_INSTANCE_ID ends a consumer; its service comes back until the session of the life before has ended")
	ProbeResubscribed = ledger.NewProbe("member changed its subscription",
		"it subscribed to other topics while it was a member of its group")
)
