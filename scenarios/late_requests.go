package scenarios

import (
	"time"

	"github.com/ktrial/ktrial/broker/replica"
	"github.com/ktrial/ktrial/faults"
	"github.com/ktrial/ktrial/ledger"
)

// LateRequests: requests that their sender has given up arrive seconds later,
// on connections that are no longer used, and are executed.
var LateRequests = Scenario{
	Name:     "late-requests",
	About:    "requests whose sender has given up still arrive, after younger ones",
	Cluster:  Three,
	Topics:   []Topic{Orders},
	Workload: Idempotent,
	Faults: faults.Plan{
		{At: 4 * time.Second, Fault: faults.LateDelivery{From: faults.AllClients, To: faults.Leader("orders", 0), By: 14 * time.Second}},
		{At: 10 * time.Second, Fault: faults.LateDelivery{From: faults.AllBrokers, To: faults.ActiveController, By: 12 * time.Second}},
		{At: 11 * time.Second, For: 3 * time.Second, Fault: faults.PowerOff{Host: faults.Follower("orders", 0)}},
		{At: 24 * time.Second, Fault: faults.LateDelivery{From: faults.Leader("orders", 1), To: faults.AllClients, By: 15 * time.Second}},
		{At: 40 * time.Second, For: 6 * time.Second, Fault: faults.PingPong{Topic: "orders", Partition: 2, Every: 400 * time.Millisecond}},
		{At: 42 * time.Second, Fault: faults.LateDelivery{From: faults.AllClients, To: faults.AllBrokers, By: 12 * time.Second}},
	},
	Checks: Promises,
	Probes: []*ledger.Probe{replica.ProbeDuplicateAcked, replica.ProbeFetchDiverged},
}
