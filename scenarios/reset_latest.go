package scenarios

import (
	"time"

	"github.com/ktrial/ktrial/checkers"
	"github.com/ktrial/ktrial/faults"
	"github.com/ktrial/ktrial/ledger"
	"github.com/ktrial/ktrial/workloads"
)

// ResetLatest: all members of a new group die before they have committed for the first
// time. When they come back the group has no offsets, and begins where
// auto.offset.reset says: behind all that was sent while it was away, and what it was given
// before is not given to it again. With earliest it would process everything:
//
//	--set auto.offset.reset=earliest
var ResetLatest = Scenario{
	Name:    "reset-latest",
	About:   "hazard: a group that has no committed offset begins at the end, and misses what was sent before",
	Cluster: Grouped,
	Topics:  []Topic{Orders},
	Workload: workloads.GroupConsume{
		Input: Billing.Input, Group: "billing", Members: 3, Classic: Classic, Commit: workloads.Auto,
		Own: map[string]string{"auto.offset.reset": "latest", "auto.commit.interval.ms": "5000"},
	},
	Faults: faults.Plan{
		{At: 4 * time.Second, For: 10 * time.Second, Fault: faults.Kill{Host: faults.Members("billing")}},
	},
	Checks: PromisesToGroups,
	Probes: []*ledger.Probe{ProbeMemberExpelled},
	Danger: checkers.GroupSkip,
	Lesson: "auto.offset.reset is not only for the first start of a group: it decides whenever there is no committed offset, as before the first commit, or after offsets.retention.minutes. With latest, the default, what was sent before is not processed. Set earliest where each record counts.",
}
