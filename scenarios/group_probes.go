package scenarios

import (
	"github.com/ktrial/ktrial/broker/witness"
	"github.com/ktrial/ktrial/ledger"
)

// What a trial of a consumer group must have met, whichever protocol the group has.
var (
	ProbeZombieRefused = ledger.ProbeOn[witness.ConsumerFenced](new(witness.ConsumerFenced).Kind(), "member learned that it was replaced",
		"a coordinator refused what a member believed itself to be", nil)
	ProbeMemberExpelled = ledger.ProbeOn(new(witness.MemberLeft).Kind(), "member removed by its coordinator",
		"a session or a rebalance timeout ended, or another took its place", func(e *witness.MemberLeft) bool { return e.Expelled })
	ProbePartitionsLost = ledger.ProbeOn[witness.PartitionsLost](new(witness.PartitionsLost).Kind(), "member lost its partitions",
		"its listener was told when it was too late to commit", nil)
	ProbeStaticReturned = ledger.ProbeOn(new(witness.MemberFenced).Kind(), "static member replaced by its next life",
		"the life before is refused (KIP-345)", func(e *witness.MemberFenced) bool { return e.Instance != "" })
)
