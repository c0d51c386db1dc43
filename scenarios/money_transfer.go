package scenarios

import (
	"fmt"
	"slices"
	"time"

	"github.com/ktrial/ktrial/broker/client"
	"github.com/ktrial/ktrial/checkers"
	"github.com/ktrial/ktrial/faults"
	"github.com/ktrial/ktrial/ledger"
	"github.com/ktrial/ktrial/workloads"
)

// Accounts is the topic of Transfers.
var Accounts = Topic{Name: "accounts", Partitions: 4, Replicas: 3, MinInsync: 2}

// Transfers is work of a bank: tellers move money between accounts on any two
// partitions, and change their minds now and then.
var Transfers = workloads.MoneyTransfer{TransactionalWrites: workloads.TransactionalWrites{
	ProduceConsume: workloads.ProduceConsume{
		Topic:     "accounts",
		Producers: 3, Rate: 20, Acks: client.AcksAll, Idempotent: true,
		Consumers: 2,
		Duration:  time.Minute,
		Client:    Decided,
	},
	Aborts: 8,
}}

// MoneyTransfer: money is moved between accounts on different partitions while tellers
// die and stand still in the middle of it, and leaders and coordinators are lost. Readers
// keep the balances, and whenever no transfer is under way all accounts together hold
// what they held at the start.
var MoneyTransfer = Scenario{
	Name:     "money-transfer",
	About:    "money is moved between partitions in transactions, and none is made or lost",
	Cluster:  Transactional,
	Topics:   []Topic{Accounts},
	Workload: Transfers,
	Faults: faults.Plan{
		{At: 6 * time.Second, For: 2 * time.Second, Fault: faults.Kill{Host: faults.Host("teller-1")}},
		{At: 12 * time.Second, For: 4 * time.Second, Fault: faults.Kill{Host: faults.TransactionCoordinator("teller-2")}},
		{At: 20 * time.Second, For: 15 * time.Second, Fault: faults.Pause{Host: faults.Host("teller-3")}},
		{At: 24 * time.Second, For: 3 * time.Second, Fault: faults.PowerOff{Host: faults.Leader("accounts", 0)}},
		{At: 32 * time.Second, For: 6 * time.Second, Fault: faults.Isolate{Host: faults.TransactionCoordinator("teller-1")}},
		{At: 42 * time.Second, For: 2 * time.Second, Fault: faults.Kill{Host: faults.Host("teller-1", "teller-2")}},
		{At: 48 * time.Second, Fault: faults.MoveTransactionCoordinator{ID: "teller-3"}},
	},
	Checks:    slices.Concat(Promises, TransactionPromises),
	OwnChecks: []checkers.Check{checkers.ZeroSum(Accounts.Name, workloads.Amount)},
	Laws:      []Law{MoneyStays},
	Probes:    []*ledger.Probe{ProbeTransactionAborted, ProbeStockTaken},
}

// MoneyStays: all accounts together hold what they held at the start, which is nothing.
var MoneyStays = Law{
	Name:  "no money is made or lost",
	About: "a reader that has read all there is, while no transfer is under way, finds that all accounts together hold what they held at the start",
	Watch: func() func(*ledger.Entry) (bool, string) {
		return func(e *ledger.Entry) (checked bool, broken string) {
			s, ok := e.Event.(*workloads.StockTaken)
			if !ok || s.Sum == 0 {
				return ok, ""
			}
			return true, fmt.Sprintf("%s finds that all accounts hold %d by %d records, expected 0", e.Host, s.Sum, s.Records)
		}
	},
}
