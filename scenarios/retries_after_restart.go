package scenarios

import (
	"time"

	"github.com/ktrial/ktrial/broker/controller"
	"github.com/ktrial/ktrial/broker/replica"
	"github.com/ktrial/ktrial/faults"
	"github.com/ktrial/ktrial/ledger"
)

// RetriesAfterRestart: clients get no answers for a while, so that producers
// have all the batches in doubt that they may. Every broker is restarted in
// order meanwhile. Then the batches come again, all of them, to leaders that
// know of them only what they kept on disk.
var RetriesAfterRestart = Scenario{
	Name:     "retries-after-restart",
	About:    "brokers restart in order while producers have several batches in doubt",
	Cluster:  Three,
	Topics:   []Topic{Orders},
	Workload: Idempotent,
	Faults: faults.Plan{
		{At: 10 * time.Second, For: 12 * time.Second, Fault: faults.CutOneWay{From: faults.AllBrokers, To: faults.AllClients}},
		{At: 12 * time.Second, Fault: faults.RollingRestart{Hosts: faults.AllBrokers, Down: time.Second}},
		{At: 40 * time.Second, For: 9 * time.Second, Fault: faults.CutOneWay{From: faults.AllBrokers, To: faults.AllClients}},
		{At: 41 * time.Second, Fault: faults.RollingRestart{Hosts: faults.AllBrokers, Down: time.Second}},
	},
	Checks: Promises,
	Probes: []*ledger.Probe{controller.ProbeCleanRestart, replica.ProbeDuplicateAcked},
}
