package scenarios

import (
	"time"

	"github.com/ktrial/ktrial/broker/client"
	"github.com/ktrial/ktrial/faults"
	"github.com/ktrial/ktrial/ledger"
	"github.com/ktrial/ktrial/scenarios/inspector"
	"github.com/ktrial/ktrial/workloads"
)

// CalmAfterTrouble: brokers, a controller and a member go through some trouble, and a
// minute after the last of it the cluster must be as calm as one that had none: no change
// of leaders or of the ISR, no session that expires, no request that fails again and
// again, and no task that wakes for nothing. There is little work, so that what should
// not happen shows.
var CalmAfterTrouble = Scenario{
	Name:    "calm-after-trouble",
	About:   "a minute after some trouble a cluster is as calm as before it: nothing is elected, fails again and again, or wakes for nothing",
	Cluster: Grouped,
	Topics:  []Topic{Orders},
	Workload: workloads.GroupConsume{
		Input: workloads.ProduceConsume{
			Topic:     "orders",
			Producers: 2, Rate: 5, Acks: client.AcksAll, Idempotent: true,
			Duration: 2 * time.Minute,
			Client:   Impatient,
		},
		Group: "billing", Members: 2, Classic: Classic,
	},
	Faults: faults.Plan{
		{At: 4 * time.Second, For: 3 * time.Second, Fault: faults.Kill{Host: faults.Leader("orders", 0)}},
		{At: 9 * time.Second, For: 4 * time.Second, Fault: faults.Isolate{Host: faults.ActiveController}},
		{At: 15 * time.Second, For: 2 * time.Second, Fault: faults.PowerOff{Host: faults.Leader("orders", 1)}},
		{At: 20 * time.Second, For: 3 * time.Second, Fault: faults.Stop{Host: faults.Host("member-1")}},
		{At: 24 * time.Second, For: 6 * time.Second, Fault: faults.Isolate{Host: faults.Coordinator("billing")}},
	},
	Checks: PromisesToGroups,
	Probes: []*ledger.Probe{inspector.ProbeCalmAgain},
}
