package scenarios

import (
	"time"

	"github.com/ktrial/ktrial/broker/txn"
	"github.com/ktrial/ktrial/faults"
	"github.com/ktrial/ktrial/ledger"
	"github.com/ktrial/ktrial/workloads"
)

// EpochsUsedUp: transactional ids begin a few epochs before the last one, and each transaction takes
// one. So producers are given another producer id again and again: by the end of a transaction, by an
// InitProducerId that aborts one, by a coordinator that is lost just then, and where the answer
// was lost and is asked for again (KAFKA-18660, KAFKA-19367, KAFKA-20310).
var EpochsUsedUp = Scenario{
	Name:     "epochs-used-up",
	About:    "producers use up the epochs of their producer ids, and go on with others, whatever happens just then",
	Cluster:  withConfig(Transactional, map[string]string{"ktrial.transaction.first.epoch": "32764"}),
	Topics:   []Topic{Orders},
	Workload: exhausting(rivalled(many(Ledgers, 5), 2)),
	Faults: faults.Plan{
		{At: 4 * time.Second, For: time.Second, Fault: faults.Kill{Host: faults.Host("producer-1", "producer-2", "producer-3", "producer-4")}},
		{At: 6 * time.Second, For: time.Second, Fault: faults.Kill{Host: faults.Host("producer-3", "producer-5")}},
		{At: 8 * time.Second, For: 3 * time.Second, Fault: faults.Kill{Host: faults.TransactionCoordinator("producer-1")}},
		{At: 13 * time.Second, For: 4 * time.Second, Fault: faults.PingPongTransactionCoordinator{ID: "producer-4", Every: 400 * time.Millisecond}},
		{At: 19 * time.Second, For: 14 * time.Second, Fault: faults.Pause{Host: faults.Host("producer-5")}},
		{At: 22 * time.Second, For: 4 * time.Second, Fault: faults.CutOneWay{From: faults.TransactionCoordinator("producer-2"), To: faults.AllClients}},
		{At: 28 * time.Second, For: time.Second, Fault: faults.Kill{Host: faults.Host("producer-3", "producer-4")}},
		{At: 32 * time.Second, For: 3 * time.Second, Fault: faults.PowerOff{Host: faults.TransactionCoordinator("producer-3")}},
		{At: 38 * time.Second, Fault: faults.LateDelivery{From: faults.AllClients, To: faults.AllBrokers, By: 7 * time.Second}},
		{At: 42 * time.Second, For: 4 * time.Second, Fault: faults.PingPongTransactionCoordinator{ID: "producer-1", Every: 400 * time.Millisecond}},
		{At: 48 * time.Second, For: time.Second, Fault: faults.Kill{Host: faults.Host("producer-3", "producer-4", "producer-5")}},
		{At: 52 * time.Second, For: 3 * time.Second, Fault: faults.Kill{Host: faults.TransactionCoordinator("producer-5")}},
	},
	Checks: PromisesToTransactions,
	Probes: []*ledger.Probe{txn.ProbeExhausted, ProbeTransactionAborted},
}

// exhausting is work of producers that are given up when they have aborted, so that each transactional id is new
// for a few transactions.
func exhausting(w workloads.TransactionalWrites) workloads.TransactionalWrites {
	w.Fresh, w.Records, w.Hold = true, 4, 500*time.Millisecond
	return w
}
