package coordinator

import (
	"time"

	"github.com/ktrial/ktrial/ledger"
)

// The rare states that trials must have met.
var (
	ProbeLoadedRecords = ledger.NewProbe("coordinator loaded a log that was not empty",
		"a coordinator took over groups from its partition's log")
	ProbeAskedWhileLoading = ledger.NewProbe("coordinator asked while it loads",
		"a request came to a coordinator whose log was not folded yet")
	ProbeOldResignation = ledger.NewProbe("coordinator told late that it does not lead",
		"a coordinator learned of the end of an older leadership than its own")
	ProbeAnswerHeldBack = ledger.NewProbe("coordinator's answer held back",
		"an event that wrote nothing had seen what was not committed, and waited for it")
	ProbeWriteTimedOut = ledger.NewProbe("coordinator's write in doubt",
		"records of a coordinator were not committed in time, and stayed in its log")
	ProbeTimerRetried = ledger.NewProbe("coordinator's timer fired again",
		"the event of a timer could not be written")
	ProbeReloaded = ledger.NewProbe("coordinator reloaded",
		"a coordinator's append was not where its log ended")
)

// lateUnload is how late the planted bug unloads a shard.
const lateUnload = 3 * time.Second
