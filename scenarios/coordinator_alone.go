package scenarios

import (
	"time"

	"github.com/ktrial/ktrial/broker/coordinator"
	"github.com/ktrial/ktrial/faults"
	"github.com/ktrial/ktrial/ledger"
)

// CoordinatorAlone: the coordinator is cut off from all other servers, and not from the
// members of its group, while one of them comes and goes. What it decides then it cannot
// replicate, so that it may answer none of it: another broker is elected that knows nothing of
// it, and decides for itself.
var CoordinatorAlone = Scenario{
	Name:     "coordinator-alone",
	About:    "the coordinator reaches the members of its group and no other server, while the group rebalances",
	Cluster:  Grouped,
	Topics:   []Topic{Orders},
	Workload: Billing,
	Faults: faults.Plan{
		{At: 8 * time.Second, For: 16 * time.Second, Fault: faults.CutOneWay{From: faults.Coordinator("billing"), To: faults.AllBrokers}},
		{At: 8 * time.Second, For: 16 * time.Second, Fault: faults.CutOneWay{From: faults.AllBrokers, To: faults.Coordinator("billing")}},
		{At: 8 * time.Second, For: 16 * time.Second, Fault: faults.CutFromControllers{Host: faults.Coordinator("billing")}},
		{At: 9 * time.Second, For: time.Second, Fault: faults.Stop{Host: faults.Host("member-1")}},
		{At: 34 * time.Second, For: 14 * time.Second, Fault: faults.CutOneWay{From: faults.Coordinator("billing"), To: faults.AllBrokers}},
		{At: 34 * time.Second, For: 14 * time.Second, Fault: faults.CutOneWay{From: faults.AllBrokers, To: faults.Coordinator("billing")}},
		{At: 34 * time.Second, For: 14 * time.Second, Fault: faults.CutFromControllers{Host: faults.Coordinator("billing")}},
		{At: 35 * time.Second, For: time.Second, Fault: faults.Kill{Host: faults.Host("member-2", "member-3")}},
	},
	Checks: PromisesToGroups,
	Probes: []*ledger.Probe{coordinator.ProbeLoadedRecords, coordinator.ProbeWriteTimedOut},
}
