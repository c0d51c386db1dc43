package scenarios

import (
	"time"

	"github.com/ktrial/ktrial/broker/controller"
	"github.com/ktrial/ktrial/broker/replica"
	"github.com/ktrial/ktrial/faults"
	"github.com/ktrial/ktrial/ledger"
)

// LeaderLosesPower: a leader that loses power just after acknowledging must
// not take the records with it. acks=all promises that min.insync.replicas
// hold them, not that any has synced them to disk.
var LeaderLosesPower = Scenario{
	Name:     "leader-loses-power",
	About:    "acknowledged records outlive the power of their leader, though no broker synced them",
	Cluster:  Three,
	Topics:   []Topic{Orders},
	Workload: Idempotent,
	Faults: faults.Plan{
		{At: 5 * time.Second, For: 2 * time.Second, Fault: faults.PowerOff{Host: faults.Leader("orders", 0)}},
		{At: 22 * time.Second, For: 5 * time.Second, Fault: faults.Isolate{Host: faults.Leader("orders", 1)}},
		{At: 32 * time.Second, For: 3 * time.Second, Fault: faults.PowerOff{Host: faults.Leader("orders", 2)}},
		{At: 48 * time.Second, For: 500 * time.Millisecond, Fault: faults.PowerOff{Host: faults.Leader("orders", 0)}},
	},
	Checks: Promises,
	Probes: []*ledger.Probe{controller.ProbeUncleanRestart, replica.ProbeIsrExpanded},
}
