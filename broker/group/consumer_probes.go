package group

import (
	"github.com/ktrial/ktrial/broker/witness"
	"github.com/ktrial/ktrial/ledger"
)

// The rare states of KIP-848 groups that trials must have met.
var (
	ProbeNotRevoked = ledger.NewProbe("group: partitions not revoked in time",
		"a member of a KIP-848 group was removed because it held up others for its rebalance timeout")
	ProbeComesBack = ledger.NewProbe("group: partition comes back",
		"a member of a KIP-848 group was given what it was still to revoke (KAFKA-16147)")
	ProbeWaits = ledger.NewProbe("group: partition not released yet",
		"a member of a KIP-848 group waits for a partition that another one has")
	ProbeLostAnswer = ledger.NewProbe("group: answer of a heartbeat lost",
		"a member of a KIP-848 group repeats itself with its previous epoch")
	ProbeRejoined = ledger.NewProbe("group: member joins with what it has",
		"a live member of a KIP-848 group joins with epoch 0 (KAFKA-19233)")
	ProbeTargetPostponed = ledger.ProbeOn[witness.TargetPostponed](new(witness.TargetPostponed).Kind(), "group: target waits for the clock",
		"a KIP-848 group changed, and the clock of its coordinator was behind the time of its last target assignment (KIP-1263)", nil)
	ProbeUpgraded = ledger.NewProbe("group: upgraded to KIP-848",
		"a classic group with members became a KIP-848 group")
	ProbeDowngraded = ledger.NewProbe("group: downgraded from KIP-848",
		"a KIP-848 group with members became a classic group")
)
