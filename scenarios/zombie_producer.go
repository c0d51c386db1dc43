package scenarios

import (
	"slices"
	"time"

	"github.com/ktrial/ktrial/broker/client"
	"github.com/ktrial/ktrial/faults"
	"github.com/ktrial/ktrial/ledger"
	"github.com/ktrial/ktrial/workloads"
)

// Ledgers is the usual work of producers with transactions and no group: each is left
// open for a while before its end, and one in six is aborted.
var Ledgers = workloads.TransactionalWrites{
	ProduceConsume: workloads.ProduceConsume{
		Topic:     "orders",
		Producers: 3, Rate: 20, Acks: client.AcksAll, Idempotent: true,
		Consumers: 2,
		Duration:  time.Minute,
		Client:    Decided,
	},
	Aborts: 6, Hold: 2 * time.Second,
}

// PromisesToTransactions are all that a cluster owes producers with transactions.
var PromisesToTransactions = slices.Concat(Promises, TransactionPromises)

// ZombieProducer: producers stand still in the middle of a transaction until the
// coordinator has aborted it, or until another process has taken their transactional.id
// over, and go on when they wake up: they send, and commit. Nothing of that may be seen.
var ZombieProducer = Scenario{
	Name:     "zombie-producer",
	About:    "a producer that timed out or was replaced wakes up inside its transaction and goes on",
	Cluster:  Transactional,
	Topics:   []Topic{Orders},
	Workload: rivalled(Ledgers, 2),
	Faults: faults.Plan{
		{At: 5 * time.Second, For: 14 * time.Second, Fault: faults.Pause{Host: faults.Host("producer-1")}},
		{At: 8 * time.Second, For: 15 * time.Second, Fault: faults.Pause{Host: faults.Host("producer-3")}},
		{At: 22 * time.Second, For: 6 * time.Second, Fault: faults.Pause{Host: faults.Host("producer-2")}},
		{At: 28 * time.Second, For: 14 * time.Second, Fault: faults.Isolate{Host: faults.Host("producer-3")}},
		{At: 34 * time.Second, For: 16 * time.Second, Fault: faults.Pause{Host: faults.Host("producer-1", "producer-2")}},
	},
	Checks: PromisesToTransactions,
	Probes: []*ledger.Probe{ProbeTransactionTimedOut, ProbeProducerFenced, ProbeTransactionAborted},
}
