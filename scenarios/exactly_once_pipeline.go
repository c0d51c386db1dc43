package scenarios

import (
	"time"

	"github.com/ktrial/ktrial/checkers"
	"github.com/ktrial/ktrial/faults"
	"github.com/ktrial/ktrial/ledger"
	"github.com/ktrial/ktrial/workloads"
)

// Receipts is the topic of the second step.
var Receipts = Topic{Name: "receipts", Partitions: 3, Replicas: 3, MinInsync: 2}

// ExactlyOncePipeline: two steps, each a group of workers that consume, transform and
// produce in transactions. Workers die and stand still in the middle of one, both kinds of
// coordinators and the leaders of input, output and offsets are lost. At the end each order has one
// invoice, and each invoice one receipt.
var ExactlyOncePipeline = Scenario{
	Name:     "exactly-once-pipeline",
	About:    "two steps of workers that consume and produce in transactions; each input has one output",
	Cluster:  Transactional,
	Topics:   []Topic{Orders, Invoices, Receipts},
	Workload: holding(then(Settling, "receipts"), time.Second),
	Faults: faults.Plan{
		{At: 6 * time.Second, For: 2 * time.Second, Fault: faults.Kill{Host: faults.Host("worker-1")}},
		{At: 12 * time.Second, For: 4 * time.Second, Fault: faults.Kill{Host: faults.TransactionCoordinator("worker-2")}},
		{At: 20 * time.Second, For: 14 * time.Second, Fault: faults.Pause{Host: faults.Host("worker-2", "worker-5")}},
		{At: 26 * time.Second, For: 3 * time.Second, Fault: faults.PowerOff{Host: faults.Leader("invoices", 0)}},
		{At: 34 * time.Second, For: 5 * time.Second, Fault: faults.Kill{Host: faults.Coordinator(workloads.Step(1))}},
		{At: 44 * time.Second, For: 2 * time.Second, Fault: faults.Kill{Host: faults.Members(workloads.Step(2))}},
		{At: 50 * time.Second, Fault: faults.MoveCoordinator{Group: workloads.Step(2)}},
	},
	Checks:    PromisesToPipelines,
	OwnChecks: []checkers.Check{checkers.OneOutput(Orders.Name, Invoices.Name), checkers.OneOutput(Invoices.Name, Receipts.Name)},
	Probes:    []*ledger.Probe{ProbeTransactionAborted},
}
