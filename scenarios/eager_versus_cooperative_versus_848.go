package scenarios

import (
	"time"

	"github.com/ktrial/ktrial/faults"
	"github.com/ktrial/ktrial/ledger"
)

// EagerVersusCooperativeVersus848: the same members come and go in each of the ways
// in which a group can be rebalanced. As it stands it is eager: all stand still while
// one comes or goes. With the same seed,
//
//	--set partition.assignment.strategy=cooperative-sticky
//	--set group.protocol=consumer
//
// what stays need not stop (KIP-429), and the coordinator moves the rest member by
// member (KIP-848). The report says how long each partition stood still.
var EagerVersusCooperativeVersus848 = Scenario{
	Name:     "eager-versus-cooperative-versus-848",
	About:    "members come and go; the ways to rebalance are compared by how long partitions stand still",
	Cluster:  Grouped,
	Topics:   []Topic{{Name: "orders", Partitions: 12, Replicas: 3, MinInsync: 2}},
	Workload: with(Billing, 4),
	Faults: faults.Plan{
		{At: 8 * time.Second, For: 20 * time.Second, Fault: faults.RollingRestart{Hosts: faults.Members("billing"), Down: 2 * time.Second}},
		{At: 32 * time.Second, For: 10 * time.Second, Fault: faults.Kill{Host: faults.Host("member-2")}},
		{At: 48 * time.Second, For: 4 * time.Second, Fault: faults.Stop{Host: faults.Host("member-3", "member-4")}},
	},
	Checks: PromisesToGroups,
	Probes: []*ledger.Probe{ProbeMemberExpelled},
}
