package scenarios

import (
	"time"

	"github.com/ktrial/ktrial/broker/log"
	"github.com/ktrial/ktrial/faults"
	"github.com/ktrial/ktrial/ledger"
	"github.com/ktrial/ktrial/workloads"
)

// LongTransactionAndRetention: two producers have transactions that are longer than what their
// topic retains. Segments with the beginning of one are deleted while it is open; what
// is left of it is committed or aborted as a whole, on each leader, also one that has restarted
// from a snapshot of its producers. Consumers that were held up by it begin anew where the log
// starts, and miss no more than was deleted.
var LongTransactionAndRetention = Scenario{
	Name:  "long-transaction-and-retention",
	About: "retention deletes the beginning of a transaction that is still open; the rest is committed or aborted as a whole",
	Cluster: withConfig(Transactional, map[string]string{
		"log.retention.check.interval.ms": "1000", "log.segment.delete.delay.ms": "1000",
	}),
	Topics: []Topic{{Name: "orders", Partitions: 3, Replicas: 3, MinInsync: 2, Config: map[string]string{
		"cleanup.policy": "delete", "segment.bytes": "8192", "retention.bytes": "24576",
	}}},
	Workload: long(clientsWith(Ledgers, map[string]string{"transaction.timeout.ms": "25000"}), 2, 400),
	Faults: faults.Plan{
		{At: 8 * time.Second, For: 3 * time.Second, Fault: faults.Kill{Host: faults.Leader("orders", 0)}},
		{At: 16 * time.Second, For: 3 * time.Second, Fault: faults.PowerOff{Host: faults.Leader("orders", 1)}},
		{At: 24 * time.Second, For: 2 * time.Second, Fault: faults.Stop{Host: faults.Leader("orders", 2)}},
		{At: 30 * time.Second, For: 2 * time.Second, Fault: faults.Kill{Host: faults.Host("producer-1")}},
		{At: 36 * time.Second, Fault: faults.MoveLeader{Topic: "orders", Partition: 0}},
		{At: 42 * time.Second, For: 2 * time.Second, Fault: faults.Kill{Host: faults.TransactionCoordinator("producer-2")}},
		{At: 48 * time.Second, Fault: faults.RollingRestart{Hosts: faults.AllBrokers, Down: time.Second}},
	},
	Checks: PromisesToTransactions,
	Probes: []*ledger.Probe{log.ProbeRetentionInTransaction, ProbeTransactionAborted},
}

// long is work of producers of which so many have transactions of so many records, at most.
func long(w workloads.TransactionalWrites, producers, records int) workloads.TransactionalWrites {
	w.Producers, w.Size = producers+3, 200
	w.Long, w.LongRecords = producers, records
	return w
}
