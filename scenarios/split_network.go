package scenarios

import (
	"time"

	"github.com/ktrial/ktrial/faults"
)

// SplitNetwork: the leader's side of a network partition keeps its clients but
// may acknowledge nothing that the other side would not know.
var SplitNetwork = Scenario{
	Name:     "split-network",
	About:    "leaders on the small side of a split acknowledge nothing that the other side loses",
	Cluster:  three,
	Topics:   []Topic{orders},
	Workload: idempotent,
	Faults: faults.Plan{
		{At: 5 * time.Second, For: 14 * time.Second, Fault: faults.Isolate{Host: faults.Leader("orders", 0)}},
		{At: 24 * time.Second, For: 12 * time.Second, Fault: faults.Bridge{Bridge: faults.Leader("orders", 1)}},
		{At: 42 * time.Second, For: 10 * time.Second, Fault: faults.Split{Side: faults.Brokers(2)}},
	},
	Checks: Promises,
	Probes: []string{"broker fenced", "fetch diverged"},
}
