package scenarios

import (
	"time"

	"github.com/ktrial/ktrial/faults"
	"github.com/ktrial/ktrial/ledger"
)

// ZombieMember: a member stands still for longer than its session, and its
// partitions go to the others. When it wakes up it believes that it still owns them,
// and commits; that must be refused.
var ZombieMember = Scenario{
	Name:     "zombie-member",
	About:    "a member that was replaced wakes up and commits",
	Cluster:  Grouped,
	Topics:   []Topic{Orders},
	Workload: Billing,
	Faults: faults.Plan{
		{At: 6 * time.Second, For: 9 * time.Second, Fault: faults.Pause{Host: faults.Host("member-1")}},
		{At: 24 * time.Second, For: 14 * time.Second, Fault: faults.Pause{Host: faults.Host("member-1", "member-2")}},
		{At: 44 * time.Second, For: 8 * time.Second, Fault: faults.Isolate{Host: faults.Member("billing")}},
	},
	Checks: PromisesToGroups,
	Probes: []*ledger.Probe{ProbeMemberExpelled, ProbeZombieRefused, ProbePartitionsLost},
}
