package scenarios

import (
	"time"

	"github.com/ktrial/ktrial/faults"
	"github.com/ktrial/ktrial/ledger"
	"github.com/ktrial/ktrial/workloads"
)

// StaticTwin: a static member is started a second time on another host, while the first
// process stands still and the coordinator moves. Only one of them may be the member: the
// first wakes up, and must be told so with whatever it asks.
var StaticTwin = Scenario{
	Name:     "static-twin",
	About:    "two processes have one group.instance.id: the one that was replaced must be refused by each coordinator",
	Cluster:  Grouped,
	Topics:   []Topic{Orders},
	Workload: workloads.Twins{GroupConsume: Billing, After: 12 * time.Second},
	Faults: faults.Plan{
		{At: 11 * time.Second, For: 4 * time.Second, Fault: faults.Pause{Host: faults.Host("member-1")}},
		{At: 13500 * time.Millisecond, Fault: faults.MoveCoordinator{Group: "billing"}},
		{At: 26 * time.Second, For: 3 * time.Second, Fault: faults.Kill{Host: faults.Host("member-2")}},
		{At: 36 * time.Second, For: 3 * time.Second, Fault: faults.Kill{Host: faults.Coordinator("billing")}},
	},
	Checks: PromisesToGroups,
	Probes: []*ledger.Probe{ProbeStaticReturned, ProbeZombieRefused},
}
