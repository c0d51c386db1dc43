package scenarios

import (
	"time"

	"github.com/ktrial/ktrial/checkers"
	"github.com/ktrial/ktrial/faults"
	"github.com/ktrial/ktrial/ledger"
)

// The design hazards of transactions.

// LateEndTxn: an EndTxn is on its way for longer than its producer waits. It sends another
// one, which is carried out, and begins the next transaction; then the first one arrives. In
// transaction.version 1 nothing says which transaction it is to end (KAFKA-17754).
var LateEndTxn = Scenario{
	Name:     "late-endtxn",
	About:    "hazard: before transaction.version 2 a late EndTxn ends the transaction that came after its own",
	Cluster:  withConfig(Transactional, map[string]string{"transaction.version": "1"}),
	Topics:   []Topic{Orders},
	Workload: many(clientsWith(Ledgers, map[string]string{"request.timeout.ms": "1500", "delivery.timeout.ms": "8000"}), 6),
	Faults: faults.Plan{
		{At: 3 * time.Second, Fault: faults.LateDelivery{From: faults.AllClients, To: faults.AllBrokers, By: 4 * time.Second}},
		{At: 9 * time.Second, Fault: faults.LateDelivery{From: faults.AllClients, To: faults.AllBrokers, By: 5 * time.Second}},
		{At: 16 * time.Second, Fault: faults.LateDelivery{From: faults.AllClients, To: faults.AllBrokers, By: 4 * time.Second}},
		{At: 22 * time.Second, Fault: faults.LateDelivery{From: faults.AllClients, To: faults.AllBrokers, By: 6 * time.Second}},
		{At: 30 * time.Second, Fault: faults.LateDelivery{From: faults.AllClients, To: faults.AllBrokers, By: 5 * time.Second}},
		{At: 37 * time.Second, Fault: faults.LateDelivery{From: faults.AllClients, To: faults.AllBrokers, By: 4 * time.Second}},
		{At: 43 * time.Second, Fault: faults.LateDelivery{From: faults.AllClients, To: faults.AllBrokers, By: 5 * time.Second}},
		{At: 50 * time.Second, Fault: faults.LateDelivery{From: faults.AllClients, To: faults.AllBrokers, By: 5 * time.Second}},
	},
	Checks: PromisesToTransactions,
	Danger: checkers.G1a,
	Lesson: "before transaction.version=2 an EndTxn does not say which transaction it ends: one that is late ends the next. Raise transaction.version to 2, with which each transaction has its own epoch (KIP-890).",
}

// ReadUncommitted: to a consumer that does not ask for what is committed, transactions
// mean nothing.
var ReadUncommitted = Scenario{
	Name:     "read-uncommitted",
	About:    "hazard: isolation.level=read_uncommitted, the default, is given what was aborted",
	Cluster:  Transactional,
	Topics:   []Topic{Orders},
	Workload: neverAborting(clientsWith(Ledgers, map[string]string{"isolation.level": "read_uncommitted"})),
	Faults: faults.Plan{
		{At: 5 * time.Second, For: 14 * time.Second, Fault: faults.Pause{Host: faults.Host("producer-1")}},
		{At: 20 * time.Second, For: 14 * time.Second, Fault: faults.Pause{Host: faults.Host("producer-2", "producer-3")}},
		{At: 38 * time.Second, For: 14 * time.Second, Fault: faults.Pause{Host: faults.Host("producer-1", "producer-2")}},
	},
	Checks: PromisesToTransactions,
	Probes: []*ledger.Probe{ProbeTransactionAborted},
	Danger: checkers.G1a,
	Lesson: "isolation.level=read_uncommitted is the default, and a consumer with it is given the records of transactions that are open, and of those that were aborted. Set isolation.level=read_committed where transactions are to mean something.",
}

// TimeoutTooShort: transactions that take longer than transaction.timeout.ms are aborted under
// their producers, which learn it with the next request. No promise is broken:
// transaction.timeout.ms says how long a producer may be silent before its work is thrown
// away, and the report says what that costs.
var TimeoutTooShort = Scenario{
	Name:     "timeout-too-short",
	About:    "a transaction.timeout.ms shorter than the transactions costs work, and now and then a producer",
	Cluster:  Transactional,
	Topics:   []Topic{Orders},
	Workload: clientsWith(Ledgers, map[string]string{"transaction.timeout.ms": "1000"}),
	Faults: faults.Plan{
		{At: 10 * time.Second, For: 3 * time.Second, Fault: faults.Pause{Host: faults.Host("producer-1")}},
		{At: 30 * time.Second, For: 3 * time.Second, Fault: faults.Pause{Host: faults.Host("producer-2", "producer-3")}},
	},
	Checks: PromisesToTransactions,
	Probes: []*ledger.Probe{ProbeTransactionTimedOut, ProbeTransactionAborted},
}

// NoFencingByGeneration: workers send their offsets without the metadata of their group, so
// the coordinator cannot distinguish them from those that were replaced: a zombie commits its
// transaction beside the one of its successor, and the records count twice.
var NoFencingByGeneration = Scenario{
	Name:     "no-fencing-by-generation",
	About:    "hazard: offsets without the group's metadata let a replaced worker commit what its successor has processed",
	Cluster:  Transactional,
	Topics:   []Topic{Orders, Invoices},
	Workload: unfenced(holding(workersWith(Settling, map[string]string{"transaction.timeout.ms": "30000"}), 4*time.Second)),
	Faults: faults.Plan{
		{At: 5 * time.Second, For: 9 * time.Second, Fault: faults.Pause{Host: faults.Host("worker-1")}},
		{At: 16 * time.Second, For: 9 * time.Second, Fault: faults.Pause{Host: faults.Host("worker-2")}},
		{At: 27 * time.Second, For: 9 * time.Second, Fault: faults.Pause{Host: faults.Host("worker-3", "worker-1")}},
		{At: 38 * time.Second, For: 9 * time.Second, Fault: faults.Pause{Host: faults.Host("worker-1", "worker-2")}},
		{At: 49 * time.Second, For: 9 * time.Second, Fault: faults.Pause{Host: faults.Host("worker-2", "worker-3")}},
	},
	Checks: PromisesToPipelines,
	Probes: []*ledger.Probe{ProbeMemberExpelled, ProbePartitionsLost},
	Danger: checkers.DuplicateProcessing,
	Lesson: "sendOffsetsToTransaction without the consumer's group metadata fences by the transactional.id alone, which a worker that was replaced still has. Pass consumer.groupMetadata() (KIP-447).",
}

// withConfig is a cluster with other settings.
func withConfig(c Cluster, settings map[string]string) Cluster {
	c.Config = merged(c.Config, settings)
	return c
}
