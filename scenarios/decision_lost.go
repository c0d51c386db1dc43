package scenarios

import (
	"time"

	"github.com/ktrial/ktrial/broker/kafka"
	"github.com/ktrial/ktrial/faults"
	"github.com/ktrial/ktrial/ledger"
)

// DecisionLost: the end of transactions is decided, and in the logs of two brokers of three. The coordinator
// moves to the second of them, which finds the decisions and has not the third to commit them with; then both
// die, and the third goes on, without what was decided. Producers stand still meanwhile, and their
// transactions time out: they are aborted. No marker may have told otherwise.
//
// Kafka sends markers as soon as it has loaded a decision.
var DecisionLost = Scenario{
	Name:     "decision-lost",
	About:    "a decision that two coordinators had is lost with them before it was committed; another one is made, and no marker tells the first",
	Cluster:  withConfig(Transactional, map[string]string{"transaction.state.log.num.partitions": "1"}),
	Topics:   []Topic{Orders},
	Workload: many(Ledgers, 12),
	Faults: faults.Plan{
		{At: 10 * time.Second, Fault: faults.LateDelivery{From: faults.Host("broker-3"), To: faults.Host("broker-1", "broker-2"), By: 15 * time.Second}},
		{At: 11 * time.Second, For: 25 * time.Second, Fault: faults.Pause{Host: faults.AllClients}},
		{At: 11200 * time.Millisecond, Fault: faults.MoveLeader{Topic: kafka.TransactionsTopic}},
		{At: 12 * time.Second, For: 15 * time.Second, Fault: faults.Kill{Host: faults.Host("broker-1", "broker-2")}},
	},
	Exact:  true,
	Checks: PromisesToTransactions,
	Probes: []*ledger.Probe{ProbeTransactionTimedOut},
}
