package cluster

import "github.com/ktrial/ktrial/ledger"

// The rare states in which the budget refuses a crash.
var (
	ProbeStillCounted = ledger.NewProbe("budget: an unclean server is counted still",
		"a crash would have cost too much because of a server that ended uncleanly and had not registered since")
	ProbeNotBackInSync = ledger.NewProbe("budget: a server that came back unclean is not in sync yet",
		"a crash would have cost too much because of a replica that was still catching up after an unclean end")
	ProbeVoterForgets = ledger.NewProbe("budget: a voter would forget",
		"a controller kept its power, because its disk has reported as synced what it may not have")
	ProbeLacksStill = ledger.NewProbe("budget: a server that lost writes crashes again before it has caught up",
		"it had registered, and still lacks what the crash does not bring back")
)
