package scenarios

import "github.com/ktrial/ktrial/faults"

// CombinedRoles: three nodes are brokers and controllers in one process. What
// takes a broker away takes a vote away with it.
var CombinedRoles = Scenario{
	Name:     "combined-roles",
	About:    "three nodes that are brokers and controllers at once, under whatever the seed draws",
	Cluster:  Cluster{Combined: 3},
	Topics:   []Topic{Orders},
	Workload: Idempotent,
	Faults:   faults.Swarm{Topic: "orders", Partitions: 3},
	Checks:   Promises,
}
