package scenarios

import (
	"slices"
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
	Faults: slices.Concat(
		faults.Plan{
			{At: 6 * time.Second, For: 7 * time.Second, Fault: faults.CutOneWay{From: faults.TransactionCoordinator("producer-1"), To: faults.AllBrokers}},
			{At: 9 * time.Second, For: 4 * time.Second, Fault: faults.Kill{Host: faults.TransactionCoordinator("producer-1")}},
		},
		movedInPrepare(15*time.Second, 5),
		faults.Plan{
			{At: 40 * time.Second, For: 3 * time.Second, Fault: faults.Pause{Host: faults.Leader("orders", 2)}},
			{At: 41 * time.Second, For: 3 * time.Second, Fault: faults.PowerOff{Host: faults.TransactionCoordinator("producer-2")}},
			{At: 49 * time.Second, For: 3 * time.Second, Fault: faults.SlowFsync{Host: faults.AllBrokers, By: 500 * time.Millisecond}},
			{At: 50 * time.Second, For: 3 * time.Second, Fault: faults.Kill{Host: faults.TransactionCoordinator("producer-3")}},
		},
	),
	Checks: PromisesToTransactions,
	Probes: []*ledger.Probe{txn.ProbePreparedLoaded, txn.ProbeConcurrent},
}

// movedInPrepare has the leaders of the partitions stand still one after another, and all coordinators move meanwhile,
// one of them to and fro, so many times.
func movedInPrepare(from time.Duration, times int) (plan faults.Plan) {
	for i := range times {
		at := from + time.Duration(i)*5*time.Second
		plan = append(plan,
			faults.Timed{At: at, For: 3 * time.Second, Fault: faults.Pause{Host: faults.Leader("orders", int32(i%3))}},
			faults.Timed{At: at + 1200*time.Millisecond, For: time.Second, Fault: faults.PingPongTransactionCoordinator{ID: "producer-1", Every: 300 * time.Millisecond}},
			faults.Timed{At: at + 1200*time.Millisecond, Fault: faults.MoveTransactionCoordinator{ID: "producer-2"}},
			faults.Timed{At: at + 1200*time.Millisecond, Fault: faults.MoveTransactionCoordinator{ID: "producer-3"}})
	}
	return plan
}
