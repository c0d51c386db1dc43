package scenarios

import (
	"time"

	"github.com/ktrial/ktrial/broker/controller"
	"github.com/ktrial/ktrial/faults"
	"github.com/ktrial/ktrial/ledger"
)

// ReturnOfTheReplica: a replica comes back with an empty disk, or without its
// tail. It is a new incarnation, and nothing that its former self fetched may
// count for it.
var ReturnOfTheReplica = Scenario{
	Name:     "return-of-the-replica",
	About:    "replicas come back without their disk or their tail and must not count as the replicas that they were",
	Cluster:  Three,
	Topics:   []Topic{Orders},
	Workload: Idempotent,
	Faults: faults.Plan{
		{At: 5 * time.Second, For: 3 * time.Second, Fault: faults.Wipe{Host: faults.Follower("orders", 0)}},
		{At: 20 * time.Second, For: time.Second, Fault: faults.PowerOff{Host: faults.Follower("orders", 1)}},
		{At: 21 * time.Second, Fault: faults.LateDelivery{From: faults.AllBrokers, To: faults.ActiveController, By: 9 * time.Second}},
		{At: 22 * time.Second, For: 2 * time.Second, Fault: faults.PowerOff{Host: faults.Follower("orders", 1)}},
		{At: 40 * time.Second, For: 2 * time.Second, Fault: faults.Wipe{Host: faults.Leader("orders", 2)}},
	},
	Checks: Promises,
	Probes: []*ledger.Probe{controller.ProbeUncleanRestart},
}
