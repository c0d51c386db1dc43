package scenarios

import (
	"time"

	"github.com/ktrial/ktrial/faults"
	"github.com/ktrial/ktrial/ledger"
	"github.com/ktrial/ktrial/workloads"
)

// HangingTransaction: leaders do not ask the coordinator before they take the first record of
// a transaction, as before KIP-890. A record that arrives when its transaction is aborted, and
// its producer gone, opens one that no coordinator knows: the last stable offset stands still, and
// consumers with it. An administrator finds it and aborts it (KIP-664).
//
// A producer that has aborted is not used again: its next transaction would end the one that hangs,
// with what is in it.
var HangingTransaction = Scenario{
	Name:  "hanging-transaction",
	About: "a late record opens a transaction that no coordinator knows; consumers wait until an administrator has found and aborted it",
	Cluster: withConfig(Transactional, map[string]string{
		"transaction.version": "1", "transaction.partition.verification.enable": "false",
		"transaction.state.log.num.partitions": "1", "transaction.max.timeout.ms": "10000",
	}),
	Topics:   []Topic{{Name: "orders", Partitions: 12, Replicas: 3, MinInsync: 2}},
	Workload: administered(many(clientsWith(Ledgers, map[string]string{"request.timeout.ms": "1500", "delivery.timeout.ms": "1505"}), 6), 5*time.Second),
	Faults: faults.Plan{
		{At: 3 * time.Second, Fault: lateToLeaders(3 * time.Second)},
		{At: 8 * time.Second, Fault: lateToLeaders(4 * time.Second)},
		{At: 14 * time.Second, Fault: lateToLeaders(3 * time.Second)},
		{At: 18 * time.Second, For: 3 * time.Second, Fault: faults.Kill{Host: faults.Leader("orders", 0)}},
		{At: 23 * time.Second, Fault: lateToLeaders(4 * time.Second)},
		{At: 29 * time.Second, For: 4 * time.Second, Fault: faults.PowerOff{Host: faults.Leader("orders", 1)}},
		{At: 35 * time.Second, Fault: lateToLeaders(3 * time.Second)},
		{At: 40 * time.Second, Fault: faults.MoveLeader{Topic: "orders", Partition: 2}},
		{At: 45 * time.Second, Fault: lateToLeaders(4 * time.Second)},
		{At: 52 * time.Second, Fault: lateToLeaders(3 * time.Second)},
	},
	Checks: PromisesToTransactions,
	Probes: []*ledger.Probe{ProbeTransactionAborted, ProbeHangingAborted},
}

// administered is work of producers that are given up when they have aborted, beside an administrator that
// looks for hanging transactions so often.
func administered(w workloads.TransactionalWrites, every time.Duration) workloads.TransactionalWrites {
	w.Fresh, w.LooksForHanging = true, every
	return w
}
