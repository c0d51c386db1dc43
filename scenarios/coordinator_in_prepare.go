package scenarios

import (
	"time"

	"github.com/ktrial/ktrial/broker/txn"
	"github.com/ktrial/ktrial/faults"
	"github.com/ktrial/ktrial/ledger"
)

// CoordinatorInPrepare: the end of a transaction is decided, and one of its partitions
// cannot be told: its leader stands still. Then the coordinator dies, or moves. The
// next one finds the decision in the log and carries it out: what was promised to be
// committed is, and nothing is left open.
var CoordinatorInPrepare = Scenario{
	Name:     "coordinator-in-prepare",
	About:    "the coordinator dies between the decision and the last marker; the next one carries it out",
	Cluster:  Transactional,
	Topics:   []Topic{Orders},
	Workload: many(Ledgers, 9),
	Faults: faults.Plan{
		{At: 6 * time.Second, For: 7 * time.Second, Fault: faults.CutOneWay{From: faults.TransactionCoordinator("producer-1"), To: faults.AllBrokers}},
		{At: 9 * time.Second, For: 4 * time.Second, Fault: faults.Kill{Host: faults.TransactionCoordinator("producer-1")}},
		{At: 17 * time.Second, For: 4 * time.Second, Fault: faults.Pause{Host: faults.Leader("orders", 0)}},
		{At: 18500 * time.Millisecond, Fault: faults.MoveTransactionCoordinator{ID: "producer-1"}},
		{At: 18500 * time.Millisecond, Fault: faults.MoveTransactionCoordinator{ID: "producer-2"}},
		{At: 18500 * time.Millisecond, Fault: faults.MoveTransactionCoordinator{ID: "producer-3"}},
		{At: 27 * time.Second, For: 4 * time.Second, Fault: faults.Pause{Host: faults.Leader("orders", 1)}},
		{At: 28500 * time.Millisecond, For: 2 * time.Second, Fault: faults.PingPongTransactionCoordinator{ID: "producer-1", Every: 300 * time.Millisecond}},
		{At: 28500 * time.Millisecond, Fault: faults.MoveTransactionCoordinator{ID: "producer-2"}},
		{At: 28500 * time.Millisecond, Fault: faults.MoveTransactionCoordinator{ID: "producer-3"}},
		{At: 37 * time.Second, For: 4 * time.Second, Fault: faults.Pause{Host: faults.Leader("orders", 2)}},
		{At: 38500 * time.Millisecond, For: 3 * time.Second, Fault: faults.PowerOff{Host: faults.TransactionCoordinator("producer-2")}},
		{At: 38500 * time.Millisecond, Fault: faults.MoveTransactionCoordinator{ID: "producer-3"}},
		{At: 47 * time.Second, For: 3 * time.Second, Fault: faults.SlowFsync{Host: faults.AllBrokers, By: 500 * time.Millisecond}},
		{At: 48 * time.Second, For: 3 * time.Second, Fault: faults.Kill{Host: faults.TransactionCoordinator("producer-3")}},
	},
	Checks: PromisesToTransactions,
	Probes: []*ledger.Probe{txn.ProbePreparedLoaded, txn.ProbeConcurrent},
}
