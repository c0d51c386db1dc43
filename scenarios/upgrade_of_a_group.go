package scenarios

import (
	"time"

	"github.com/ktrial/ktrial/broker/group"
	"github.com/ktrial/ktrial/faults"
	"github.com/ktrial/ktrial/ledger"
	"github.com/ktrial/ktrial/workloads"
)

// UpgradeOfAGroup: the members of a classic group are restarted one by one with
// group.protocol=consumer, and later one by one without it. The group is converted when the
// first of the new kind joins, and back when the last of them leaves
// (group.consumer.migration.policy=bidirectional); between, both kinds work in it. Nothing
// that it committed may be lost, and the coordinator dies on the way.
var UpgradeOfAGroup = Scenario{
	Name:     "upgrade-of-a-group",
	About:    "members of a group are restarted one by one with KIP-848, and later without it, while it works",
	Cluster:  Grouped,
	Topics:   []Topic{{Name: "orders", Partitions: 6, Replicas: 3, MinInsync: 2}},
	Workload: workloads.Upgrade{GroupConsume: Billing},
	Faults: faults.Plan{
		{At: 8 * time.Second, For: 16 * time.Second, Fault: faults.RollingRestart{Hosts: faults.Members("billing"), Down: time.Second}},
		{At: 13 * time.Second, For: 3 * time.Second, Fault: faults.Stop{Host: faults.Coordinator("billing")}},
		{At: 34 * time.Second, For: 16 * time.Second, Fault: faults.RollingRestart{Hosts: faults.Members("billing"), Down: time.Second}},
		{At: 39 * time.Second, Fault: faults.MoveCoordinator{Group: "billing"}},
	},
	Checks: PromisesToGroups,
	Probes: []*ledger.Probe{group.ProbeUpgraded, group.ProbeDowngraded},
}
