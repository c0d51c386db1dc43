package scenarios

import (
	"time"

	"github.com/ktrial/ktrial/broker/coordinator"
	"github.com/ktrial/ktrial/faults"
	"github.com/ktrial/ktrial/ledger"
)

// CoordinatorLoss: the coordinator of a group dies in the middle of a rebalance, is
// cut off in the middle of commits, and moves while members join. Another broker
// loads the group each time, and goes on where the log says.
var CoordinatorLoss = Scenario{
	Name:     "coordinator-loss",
	About:    "the coordinator of a group dies, is cut off, or moves in the middle of rebalances and commits",
	Cluster:  Grouped,
	Topics:   []Topic{Orders},
	Workload: Billing,
	Faults: faults.Plan{
		{At: 5 * time.Second, For: 3 * time.Second, Fault: faults.Stop{Host: faults.Host("member-1")}},
		{At: 5300 * time.Millisecond, For: 4 * time.Second, Fault: faults.Kill{Host: faults.Coordinator("billing")}},
		{At: 20 * time.Second, For: 12 * time.Second, Fault: faults.Isolate{Host: faults.Coordinator("billing")}},
		{At: 38 * time.Second, For: 6 * time.Second, Fault: faults.RollingRestart{Hosts: faults.Members("billing"), Down: time.Second}},
		{At: 39 * time.Second, Fault: faults.MoveCoordinator{Group: "billing"}},
		{At: 48 * time.Second, For: 4 * time.Second, Fault: faults.PowerOff{Host: faults.Coordinator("billing")}},
	},
	Checks: PromisesToGroups,
	Probes: []*ledger.Probe{coordinator.ProbeLoadedRecords},
}
