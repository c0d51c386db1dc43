package scenarios

import (
	"time"

	"github.com/ktrial/ktrial/broker/controller"
	"github.com/ktrial/ktrial/faults"
	"github.com/ktrial/ktrial/ledger"
)

// LeaderCutFromControllers: a leader that the controllers cannot hear is
// fenced and replaced while it still serves clients and followers. Its epoch
// is what keeps it from doing harm.
var LeaderCutFromControllers = Scenario{
	Name:     "leader-cut-from-controllers",
	About:    "a leader that does not know it was replaced does no harm",
	Cluster:  Three,
	Topics:   []Topic{Orders},
	Workload: Idempotent,
	Faults: faults.Plan{
		{At: 5 * time.Second, For: 20 * time.Second, Fault: faults.CutFromControllers{Host: faults.Leader("orders", 0)}},
		{At: 35 * time.Second, For: 15 * time.Second, Fault: faults.CutFromControllers{Host: faults.Brokers(2)}},
	},
	Checks: Promises,
	Probes: []*ledger.Probe{controller.ProbeBrokerFenced},
}
