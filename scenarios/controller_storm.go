package scenarios

import (
	"time"

	"github.com/ktrial/ktrial/broker/controller"
	"github.com/ktrial/ktrial/faults"
	"github.com/ktrial/ktrial/ledger"
)

// ControllerStorm: the active controller dies again and again while brokers
// come and go. What was committed of the metadata must not be lost, and no two
// controllers may act in one epoch.
var ControllerStorm = Scenario{
	Name:     "controller-storm",
	About:    "active controllers fall one after another while leadership of partitions must move",
	Cluster:  Three,
	Topics:   []Topic{Orders},
	Workload: Idempotent,
	Faults: faults.Plan{
		{At: 4 * time.Second, For: 3 * time.Second, Fault: faults.PowerOff{Host: faults.ActiveController}},
		{At: 9 * time.Second, For: 4 * time.Second, Fault: faults.Kill{Host: faults.Leader("orders", 0)}},
		{At: 9500 * time.Millisecond, For: 4 * time.Second, Fault: faults.Isolate{Host: faults.ActiveController}},
		{At: 18 * time.Second, Fault: faults.ResignController{}},
		{At: 22 * time.Second, For: 6 * time.Second, Fault: faults.Swizzle{Hosts: faults.AllControllers}},
		{At: 33 * time.Second, For: 2 * time.Second, Fault: faults.PowerOff{Host: faults.AllControllers}},
		{At: 42 * time.Second, For: 5 * time.Second, Fault: faults.Pause{Host: faults.ActiveController}},
		{At: 44 * time.Second, For: 5 * time.Second, Fault: faults.PowerOff{Host: faults.Leader("orders", 1)}},
	},
	Checks: Promises,
	Probes: []*ledger.Probe{controller.ProbeFailover},
}
