package scenarios

import (
	"time"

	"github.com/ktrial/ktrial/broker/kafka"
	"github.com/ktrial/ktrial/broker/server"
	"github.com/ktrial/ktrial/faults"
	"github.com/ktrial/ktrial/ledger"
)

// LateProduce: records of a transaction are on their way for longer than their producer
// waits. It gives them up, aborts, and goes on; then they arrive. A leader that took them
// would open a transaction that no coordinator knows, or put them into the next one. It
// asks the coordinator first, and refuses them (KIP-890).
//
// Transactions are those of transaction.version 1, in which nothing else protects against it:
// one and the next have the same epoch. Only brokers that coordinate no transaction are slow to be
// reached, for an EndTxn that is late is another danger, which leaders cannot avert: see
// LateEndTxn.
var LateProduce = Scenario{
	Name:     "late-produce",
	About:    "records arrive when their transaction is aborted already; leaders ask its coordinator, and refuse them",
	Cluster:  withConfig(Transactional, map[string]string{"transaction.version": "1", "transaction.state.log.num.partitions": "1"}),
	Topics:   []Topic{{Name: "orders", Partitions: 12, Replicas: 3, MinInsync: 2}},
	Workload: many(clientsWith(Ledgers, map[string]string{"request.timeout.ms": "1500", "delivery.timeout.ms": "1505"}), 6),
	Faults: faults.Plan{
		{At: 3 * time.Second, Fault: lateToLeaders(2 * time.Second)},
		{At: 8 * time.Second, Fault: lateToLeaders(3 * time.Second)},
		{At: 14 * time.Second, Fault: lateToLeaders(2 * time.Second)},
		{At: 20 * time.Second, Fault: lateToLeaders(4 * time.Second)},
		{At: 27 * time.Second, Fault: lateToLeaders(2 * time.Second)},
		{At: 32 * time.Second, For: 2 * time.Second, Fault: faults.Kill{Host: faults.Leader("orders", 0)}},
		{At: 38 * time.Second, Fault: lateToLeaders(2 * time.Second)},
		{At: 43 * time.Second, Fault: lateToLeaders(3 * time.Second)},
		{At: 48 * time.Second, Fault: lateToLeaders(5 * time.Second)},
		{At: 55 * time.Second, Fault: lateToLeaders(2 * time.Second)},
	},
	Checks: PromisesToTransactions,
	Probes: []*ledger.Probe{server.ProbeVerificationFailed, ProbeTransactionAborted},
}

// lateToLeaders is late delivery to a broker that leads partitions, and coordinates no
// transaction: where there is one partition of __transaction_state, all its followers are such.
func lateToLeaders(by time.Duration) faults.Fault {
	return faults.LateDelivery{From: faults.AllClients, To: faults.Follower(kafka.TransactionsTopic, 0), By: by}
}
