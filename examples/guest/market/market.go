// Package market is a guest of ktrial: a scenario with a workload, a fault, a
// check, a law and a probe of its own, in a module of its own.
//
// Shops place orders. A clerk reads every order and writes an invoice for it.
// The clerk keeps nothing on disk: started again, it must find out from the
// invoices which orders it has dealt with already.
package market

import (
	"time"

	"github.com/ktrial/ktrial/checkers"
	"github.com/ktrial/ktrial/faults"
	"github.com/ktrial/ktrial/ledger"
	"github.com/ktrial/ktrial/scenarios"
)

// Invoices asks whether each order is invoiced once, though the clerk crashes.
var Invoices = scenarios.Scenario{
	Name:    "invoices",
	About:   "each order is invoiced once, though the clerk that writes the invoices crashes",
	Cluster: scenarios.Three,
	Topics: []scenarios.Topic{
		{Name: "orders", Partitions: 2, Replicas: 3, MinInsync: 2},
		{Name: "invoices", Partitions: 2, Replicas: 3, MinInsync: 2},
	},
	Workload: Market{Shops: 3, Orders: 60, Pace: 100 * time.Millisecond},
	Faults: faults.Plan{
		{At: 4 * time.Second, For: 3 * time.Second, Fault: CrashTwice{Host: faults.Host("clerk"), Apart: time.Second}},
		{At: 6 * time.Second, For: 2 * time.Second, Fault: faults.Isolate{Host: faults.Leader("invoices", 0)}},
	},
	Checks: []checkers.Promise{
		checkers.NoLostRecords, checkers.EverythingIsRead, checkers.NoDuplicates, checkers.NoPhantoms, checkers.ConsumersInOrder,
	},
	OwnChecks: []checkers.Check{InvoicedOnce},
	Laws:      []scenarios.Law{EpochsGrowByOne},
	Probes:    []*ledger.Probe{Remembered},
}

// Remembered is the danger that the scenario is about: without it, the clerk had
// nothing to remember.
var Remembered = ledger.NewProbe("clerk: an order was invoiced in an earlier life",
	"the clerk was started again and met an order that it had invoiced before it crashed")

func init() {
	scenarios.Declare(Invoices)
	faults.Declare("crash {Host} twice within {Apart}", CrashTwice{}, "the process dies, is started again, and dies once more")
}
