package scenarios

import (
	"time"

	"github.com/ktrial/ktrial/broker/client"
	"github.com/ktrial/ktrial/checkers"
	"github.com/ktrial/ktrial/faults"
	"github.com/ktrial/ktrial/ledger"
	"github.com/ktrial/ktrial/workloads"
)

// UpgradeOfTransactions: transaction.version is raised from 1 to 2, lowered, and raised again while
// workers have transactions open, one of which is a client that knows only version 1. The
// others learn of it when they connect to a broker, as they do in a rolling restart, each at
// its own time; by which version a transaction goes is said by each request (KIP-890).
var UpgradeOfTransactions = Scenario{
	Name:  "upgrade-of-transactions",
	About: "transaction.version is raised and lowered under load, with old clients and new ones; each input has one output",
	Cluster: withConfig(Transactional, map[string]string{
		"transaction.version": "1", "broker.session.timeout.ms": "3000", "broker.heartbeat.interval.ms": "500", // for restarts that take little
	}),
	Topics:   []Topic{Orders, Invoices},
	Workload: partlyOld(holding(Settling, time.Second), 1),
	Faults: faults.Plan{
		{At: 5 * time.Second, Fault: faults.SetFeature{Feature: transactionVersion, Level: 2}},
		{At: 7 * time.Second, Fault: faults.RollingRestart{Hosts: faults.AllBrokers, Down: time.Second}},
		{At: 20 * time.Second, For: 3 * time.Second, Fault: faults.Kill{Host: faults.TransactionCoordinator("worker-2")}},
		{At: 25 * time.Second, Fault: faults.SetFeature{Feature: transactionVersion, Level: 1}},
		{At: 25500 * time.Millisecond, Fault: faults.Reset{Host: faults.AllBrokers}},
		{At: 27 * time.Second, For: 13 * time.Second, Fault: faults.Pause{Host: faults.Host("worker-3")}},
		{At: 30 * time.Second, For: time.Second, Fault: faults.Kill{Host: faults.Host("worker-1")}},
		{At: 34 * time.Second, Fault: faults.SetFeature{Feature: transactionVersion, Level: 2}},
		{At: 34200 * time.Millisecond, Fault: faults.MoveTransactionCoordinator{ID: "worker-1"}},
		{At: 36 * time.Second, Fault: faults.Reset{Host: faults.AllBrokers}},
		{At: 43 * time.Second, Fault: faults.SetFeature{Feature: transactionVersion, Level: 1}},
		{At: 43100 * time.Millisecond, For: 3 * time.Second, Fault: faults.PowerOff{Host: faults.TransactionCoordinator("worker-1")}},
		{At: 48 * time.Second, Fault: faults.Reset{Host: faults.AllBrokers}},
		{At: 52 * time.Second, Fault: faults.SetFeature{Feature: transactionVersion, Level: 2}},
	},
	Checks:    PromisesToPipelines,
	OwnChecks: []checkers.Check{checkers.OneOutput(Orders.Name, Invoices.Name)},
	Probes:    []*ledger.Probe{client.ProbeTransactionsUpgraded, client.ProbeTransactionsDowngraded, ProbeTransactionAborted},
}

// transactionVersion is the feature.
const transactionVersion = "transaction.version"

// partlyOld is a pipeline of which so many workers of each step are clients from before KIP-890.
func partlyOld(w workloads.Pipeline, workers int) workloads.Pipeline {
	w.Old = workers
	return w
}
