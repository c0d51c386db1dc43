package scenarios

import (
	"time"

	"github.com/ktrial/ktrial/broker/controller"
	"github.com/ktrial/ktrial/faults"
	"github.com/ktrial/ktrial/ledger"
)

// RackPowerCut: replicas are spread over racks, so a rack may lose its power
// and take one copy of each partition at most.
var RackPowerCut = Scenario{
	Name:     "rack-power-cut",
	About:    "a whole rack loses power; no partition has two replicas there",
	Cluster:  Cluster{Controllers: 3, Brokers: 6, Racks: []string{"a", "b", "c"}},
	Topics:   []Topic{{Name: "orders", Partitions: 6, Replicas: 3, MinInsync: 2}},
	Workload: Idempotent,
	Faults: faults.Plan{
		{At: 8 * time.Second, For: 4 * time.Second, Fault: faults.PowerOff{Host: faults.Rack("a")}},
		{At: 30 * time.Second, For: 6 * time.Second, Fault: faults.PowerOff{Host: faults.Rack("b")}},
	},
	Checks: Promises,
	Probes: []*ledger.Probe{controller.ProbeUncleanRestart},
}
