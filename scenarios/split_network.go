package scenarios

import (
	"time"

	"github.com/ktrial/ktrial/broker/controller"
	"github.com/ktrial/ktrial/broker/replica"
	"github.com/ktrial/ktrial/faults"
	"github.com/ktrial/ktrial/ledger"
)

// SplitNetwork: a leader on the small side of a network partition keeps some of
// its clients, and takes their records, but may acknowledge none of them: the
// other side does not know them, and goes on without.
var SplitNetwork = Scenario{
	Name:     "split-network",
	About:    "leaders on the small side of a split acknowledge nothing that the other side loses",
	Cluster:  Three,
	Topics:   []Topic{Orders},
	Workload: Idempotent,
	Faults: faults.Plan{
		{At: 5 * time.Second, For: 14 * time.Second, Fault: faults.Split{Side: faults.Host("broker-1", "producer-1", "producer-2", "consumer-1")}},
		{At: 24 * time.Second, For: 12 * time.Second, Fault: faults.Bridge{Bridge: faults.Leader("orders", 1)}},
		{At: 42 * time.Second, For: 10 * time.Second, Fault: faults.Split{Side: faults.Brokers(2)}},
	},
	Checks: Promises,
	Probes: []*ledger.Probe{controller.ProbeBrokerFenced, replica.ProbeFetchDiverged, replica.ProbeFollowerTruncated},
}
