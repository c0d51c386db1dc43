package group

import (
	"github.com/ktrial/ktrial/broker/witness"
	"github.com/ktrial/ktrial/ledger"
)

// The rare states that trials must have met.
var (
	ProbeGeneration = ledger.ProbeOn(new(witness.GenerationCompleted).Kind(), "group: several members in a generation",
		"a classic group completed a generation of more than one member", func(e *witness.GenerationCompleted) bool { return len(e.Members) > 1 })
	ProbeSessionEnded = ledger.NewProbe("group: session ended",
		"a member of a classic group was removed because it sent no heartbeats")
	ProbeMissedJoin = ledger.NewProbe("group: rebalance missed",
		"a dynamic member was removed because it did not join within the rebalance timeout")
	ProbeStaticAbsent = ledger.NewProbe("group: static member absent from a generation",
		"a static member stayed in its group though it did not join (KIP-345)")
	ProbeStaticReplaced = ledger.NewProbe("group: static member replaced without a rebalance",
		"another process took the place of a static member (KIP-345)")
	ProbeNoSync = ledger.NewProbe("group: SyncGroup missing",
		"a member was removed because it did not ask for its assignment in time (KAFKA-12890)")
	ProbeNotWritten = ledger.NewProbe("group: assignment not written",
		"the assignment of a generation was refused by the log, or not committed in time")
	ProbeExpired = ledger.ProbeOn[witness.OffsetsExpired](new(witness.OffsetsExpired).Kind(), "group: offsets removed",
		"committed offsets were removed by their retention, or with their topic", nil)
	ProbeLaterCommitKept = ledger.NewProbe("group: commit later than a transaction's kept",
		"a transaction committed an offset that was older in the log than the committed one (KAFKA-9777)")
)
