package scenarios

import (
	"time"

	"github.com/ktrial/ktrial/broker/client"
	"github.com/ktrial/ktrial/checkers"
	"github.com/ktrial/ktrial/faults"
	"github.com/ktrial/ktrial/ledger"
)

// RebalanceInsideTransaction: workers hold their transactions open while others of the group
// leave, die and come back. One that stood still for longer than its session, and less than its
// transaction may take, wakes up in a transaction with records that another worker has been given
// meanwhile: the group refuses its offsets, and it must abort (KIP-447).
var RebalanceInsideTransaction = Scenario{
	Name:     "rebalance-inside-transaction",
	About:    "a group is rebalanced while its members have transactions open",
	Cluster:  Transactional,
	Topics:   []Topic{Orders, Invoices},
	Workload: holding(Settling, 2*time.Second),
	Faults: faults.Plan{
		{At: 6 * time.Second, For: 3 * time.Second, Fault: faults.Stop{Host: faults.Host("worker-1")}},
		{At: 12 * time.Second, For: 8 * time.Second, Fault: faults.Pause{Host: faults.Host("worker-2")}},
		{At: 22 * time.Second, For: 8 * time.Second, Fault: faults.Pause{Host: faults.Host("worker-3")}},
		{At: 33 * time.Second, For: 8500 * time.Millisecond, Fault: faults.Pause{Host: faults.Host("worker-1")}},
		{At: 34 * time.Second, For: 2 * time.Second, Fault: faults.Kill{Host: faults.Host("worker-2")}},
		{At: 46 * time.Second, For: 8 * time.Second, Fault: faults.Pause{Host: faults.Host("worker-2", "worker-3")}},
	},
	Checks:    PromisesToPipelines,
	OwnChecks: []checkers.Check{checkers.OneOutput(Orders.Name, Invoices.Name)},
	Probes:    []*ledger.Probe{client.ProbeOffsetsRefused, ProbeMemberExpelled, ProbePartitionsLost},
}
