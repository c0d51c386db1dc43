package replica

import (
	"github.com/ktrial/ktrial/broker/witness"
	"github.com/ktrial/ktrial/ledger"
)

// The rare states that trials must have met.
var (
	ProbeDuplicateAcked = ledger.NewProbe("duplicate batch re-acknowledged",
		"a leader answered a retried batch with its first offset")
	ProbeHwHeldBack = ledger.NewProbe("HW held back below min ISR",
		"the high watermark stood still because fewer than min.insync.replicas are in sync (KIP-966)")
	ProbeStraySetAside = ledger.ProbeOn[witness.StrayKept](new(witness.StrayKept).Kind(), "stray log set aside",
		"a broker found a log that the metadata do not assign to it", nil)
	ProbeOldMetadata = ledger.NewProbe("metadata from before the broker's registration left aside",
		"a restarted broker was given metadata older than its registration")
	ProbeSessionLost = ledger.NewProbe("fetch session lost",
		"a fetch named a session that the broker does not know (KIP-227)")
	ProbeFetchDiverged = ledger.NewProbe("fetch diverged",
		"a leader told a follower that their logs differ (KIP-595)")
	ProbeIsrExpanded = ledger.ProbeOn(new(witness.ISRChanged).Kind(), "ISR expanded",
		"a follower caught up and joined the in-sync replicas", func(e *witness.ISRChanged) bool { return e.Expands })
	ProbeIsrShrank = ledger.ProbeOn(new(witness.ISRChanged).Kind(), "ISR shrank",
		"a follower was taken out of the in-sync replicas", func(e *witness.ISRChanged) bool { return !e.Expands })
	ProbeIsrRefused = ledger.ProbeOn(new(witness.ISRRefused).Kind(), "ISR change refused",
		"the controller refused an AlterPartition request", func(e *witness.ISRRefused) bool { return e.Certain })
	ProbeFollowerTruncated = ledger.ProbeOn[witness.Truncated](new(witness.Truncated).Kind(), "follower truncated after epoch change",
		"a follower dropped records that its new leader does not have (KIP-101)", nil)
	ProbeFollowerRestarted = ledger.ProbeOn[witness.Restarted](new(witness.Restarted).Kind(), "follower began anew at the leader's log start",
		"a follower was behind the start of its leader's log", nil)
	ProbeEpochUnknown = ledger.NewProbe("leader named an epoch that the follower does not have",
		"a follower had to ask again for a smaller epoch (KIP-279)")
	ProbeEpochImpossible = ledger.ProbeOn[witness.EpochImpossible](new(witness.EpochImpossible).Kind(), "follower dropped an epoch that cannot be",
		"a follower had records of a later epoch than its leader", nil)
	ProbeMetadataFaster = ledger.NewProbe("ISR change read from the metadata before it was answered",
		"the metadata log named a leader the ISR that it had proposed before the controller's answer did")
	ProbeMarkPassedOn = ledger.NewProbe("mark of a clean shutdown passed on",
		"a broker was stopped in order before it was registered, and so was the process before it")
	ProbeAnswerOfBefore = ledger.NewProbe("a fetch is answered in the epoch of before",
		"a partition left a leader and came back to it while a follower's fetch waited there")
	ProbeEndNotYet = ledger.NewProbe("end offset not available yet",
		"a leader had not committed in its epoch when a client asked for the end of the log (KIP-207)")
)
