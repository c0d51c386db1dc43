package scenarios

import (
	"time"

	"github.com/ktrial/ktrial/broker/controller"
	"github.com/ktrial/ktrial/faults"
	"github.com/ktrial/ktrial/ledger"
)

// FsyncStall: disks that take seconds to sync hold up the quorum, which may
// not answer before it has synced, and hardly the brokers, which need not. The
// quorum must choose another leader for it, and fence a broker all the same.
var FsyncStall = Scenario{
	Name:     "fsync-stall",
	About:    "disks take seconds to sync: the quorum waits for them, the partitions do not",
	Cluster:  Three,
	Topics:   []Topic{Orders},
	Workload: Idempotent,
	Faults: faults.Plan{
		{At: 4 * time.Second, For: 12 * time.Second, Fault: faults.SlowFsync{Host: faults.AllBrokers, By: 3 * time.Second}},
		{At: 18 * time.Second, For: 12 * time.Second, Fault: faults.SlowFsync{Host: faults.ActiveController, By: 2 * time.Second}},
		{At: 32 * time.Second, For: 14 * time.Second, Fault: faults.SlowFsync{Host: faults.AllControllers, By: 700 * time.Millisecond}},
		{At: 36 * time.Second, For: 3 * time.Second, Fault: faults.Kill{Host: faults.Leader("orders", 0)}},
	},
	Checks: Promises,
	Probes: []*ledger.Probe{controller.ProbeFailover, controller.ProbeBrokerFenced},
}
