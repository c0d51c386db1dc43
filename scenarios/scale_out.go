package scenarios

import (
	"time"

	"github.com/ktrial/ktrial/broker/client"
	"github.com/ktrial/ktrial/faults"
	"github.com/ktrial/ktrial/workloads"
)

// ScaleOut: two members cannot keep up, and lag grows; four more join while they
// work, and one of the first is killed on the way.
var ScaleOut = Scenario{
	Name:    "scale-out",
	About:   "members are added to a group whose lag grows",
	Cluster: Grouped,
	Topics:  []Topic{{Name: "orders", Partitions: 12, Replicas: 3, MinInsync: 2}},
	Workload: workloads.GroupConsume{
		Input: workloads.ProduceConsume{
			Topic:     "orders",
			Producers: 3, Rate: 30, Acks: client.AcksAll, Idempotent: true,
			Duration: time.Minute,
			Client:   Impatient,
		},
		Group: "billing", Members: 2, Late: 4, Work: 30 * time.Millisecond, Classic: Classic,
	},
	Faults: faults.Plan{
		{At: 21 * time.Second, For: 8 * time.Second, Fault: faults.Kill{Host: faults.Host("member-1")}},
		{At: 40 * time.Second, For: 3 * time.Second, Fault: faults.Stop{Host: faults.Coordinator("billing")}},
	},
	Checks: PromisesToGroups,
}
