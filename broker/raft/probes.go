package raft

import (
	"github.com/ktrial/ktrial/broker/witness"
	"github.com/ktrial/ktrial/ledger"
)

// The rare states that trials must have met.
var (
	ProbeSnapshotOvertaken = ledger.NewProbe("raft: a snapshot was overtaken",
		"a snapshot was ready when the log no longer reached back to its end")
	ProbeCutBehindSnapshot = ledger.NewProbe("raft: the log was cut behind a snapshot",
		"a snapshot replaced the part of the metadata log that it covers (KIP-630)")
	ProbeSnapshotFetched = ledger.NewProbe("raft: a snapshot was fetched",
		"a follower was too far behind for the log, and fetched a snapshot (KIP-630)")
	ProbeSnapshotBeforeCut = ledger.NewProbe("raft: a snapshot was stored and the log not yet cut",
		"a process died between these two steps")
	ProbeMarkAhead = ledger.NewProbe("raft: high watermark ahead of the log",
		"the state on the disk was folded anew while the core knew of a high watermark whose records were not written yet")
	ProbeDiverged = ledger.ProbeOn[witness.QuorumTruncating](new(witness.QuorumTruncating).Kind(), "raft: truncated after a divergence",
		"a follower dropped metadata records that the quorum leader does not have (KIP-595)", nil)
)
