package scenarios

import (
	"time"

	"github.com/ktrial/ktrial/broker/controller"
	"github.com/ktrial/ktrial/faults"
	"github.com/ktrial/ktrial/ledger"
)

// RollingRestart: an upgrade. Each broker hands its leaderships over, stops,
// and comes back; clients notice nothing but a pause.
var RollingRestart = Scenario{
	Name:     "rolling-restart",
	About:    "brokers and controllers are restarted in turn, as in an upgrade",
	Cluster:  Three,
	Topics:   []Topic{Orders},
	Workload: Idempotent,
	Faults: faults.Plan{
		{At: 5 * time.Second, For: 30 * time.Second, Fault: faults.RollingRestart{Hosts: faults.AllBrokers, Down: 3 * time.Second}},
		{At: 36 * time.Second, For: 20 * time.Second, Fault: faults.RollingRestart{Hosts: faults.AllControllers, Down: 2 * time.Second}},
	},
	Checks: Promises,
	Probes: []*ledger.Probe{controller.ProbeControlledShutdown, controller.ProbeCleanRestart},
}
