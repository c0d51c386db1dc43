package scenarios

import (
	"time"

	"github.com/ktrial/ktrial/checkers"
	"github.com/ktrial/ktrial/faults"
	"github.com/ktrial/ktrial/ledger"
	"github.com/ktrial/ktrial/workloads"
)

// membersComeAndGo is trouble for a group whose members must not mix up what they process.
var membersComeAndGo = faults.Plan{
	{At: 8 * time.Second, For: 12 * time.Second, Fault: faults.RollingRestart{Hosts: faults.Members("billing"), Down: time.Second}},
	{At: 24 * time.Second, For: 9 * time.Second, Fault: faults.Kill{Host: faults.Host("member-2")}},
	{At: 36 * time.Second, For: 4 * time.Second, Fault: faults.Stop{Host: faults.Leader("orders", 0)}},
	{At: 46 * time.Second, For: 3 * time.Second, Fault: faults.Kill{Host: faults.Host("member-1", "member-3")}},
}

// OrderOfKeys: the events of an order have its number as their key, and so are on one
// partition. However members come and go, the group is given them as they were sent.
var OrderOfKeys = Scenario{
	Name:     "order-of-keys",
	About:    "the events of an order are given to a group as they were sent, however members come and go",
	Cluster:  Grouped,
	Topics:   []Topic{{Name: "orders", Partitions: 6, Replicas: 3, MinInsync: 2}},
	Workload: workloads.OrderEvents{GroupConsume: Billing},
	Faults:   membersComeAndGo,
	Checks:   PromisesToGroups,
	Probes:   []*ledger.Probe{ProbeMemberExpelled},
}

// UnkeyedOrder: the same events, on partitions in turn. A member that is given an update
// knows nothing of the order that another is still to be given.
var UnkeyedOrder = Scenario{
	Name:     "unkeyed-order",
	About:    "hazard: events of one order on several partitions are given to a group in any order",
	Cluster:  Grouped,
	Topics:   []Topic{{Name: "orders", Partitions: 6, Replicas: 3, MinInsync: 2}},
	Workload: workloads.OrderEvents{GroupConsume: Billing, Unkeyed: true},
	Faults:   membersComeAndGo,
	Checks:   PromisesToGroups,
	Probes:   []*ledger.Probe{ProbeMemberExpelled},
	Danger:   checkers.KeyOrder,
	Lesson:   "Kafka keeps the order of a partition, not of a topic. Give records that belong together one key, and let the partitioner see it (partitioner.ignore.keys=false): one partition has them all.",
}
