package scenarios

import (
	"time"

	"github.com/ktrial/ktrial/broker/server"
	"github.com/ktrial/ktrial/broker/txn"
	"github.com/ktrial/ktrial/faults"
	"github.com/ktrial/ktrial/ledger"
)

// LateMarkers: what brokers send each other comes late, markers among it. Their coordinator
// gives them up and sends them again, or another coordinator does; the transaction is over and the
// next one open when the first ones arrive, and when they are answered. They must end nothing, and their
// answers must count for nothing (KIP-1228, KAFKA-19446, KAFKA-17877).
//
// Replicas that cannot keep up leave the ISR soon, so that the coordinators go on meanwhile.
var LateMarkers = Scenario{
	Name:  "late-markers",
	About: "markers, and the answers to them, arrive when the next transaction is open; they count for nothing",
	Cluster: withConfig(Transactional, map[string]string{
		"request.timeout.ms": "1500", "replica.lag.time.max.ms": "1200", "replica.fetch.wait.max.ms": "300",
	}),
	Topics:   []Topic{Orders},
	Workload: brief(many(Ledgers, 6)),
	Faults: faults.Plan{
		{At: 4 * time.Second, Fault: markersLate("producer-1", 6*time.Second)},
		{At: 12 * time.Second, Fault: answersLate("producer-1", 2800*time.Millisecond)},
		{At: 13500 * time.Millisecond, Fault: faults.MoveTransactionCoordinator{ID: "producer-1"}},
		{At: 14 * time.Second, Fault: faults.MoveTransactionCoordinator{ID: "producer-1"}},
		{At: 20 * time.Second, Fault: markersLate("producer-2", 5*time.Second)},
		{At: 22 * time.Second, For: 3 * time.Second, Fault: faults.Pause{Host: faults.Host("producer-5")}},
		{At: 28 * time.Second, Fault: answersLate("producer-2", 2900*time.Millisecond)},
		{At: 29500 * time.Millisecond, Fault: faults.MoveTransactionCoordinator{ID: "producer-2"}},
		{At: 30100 * time.Millisecond, Fault: faults.MoveTransactionCoordinator{ID: "producer-2"}},
		{At: 36 * time.Second, Fault: markersLate("producer-3", 6*time.Second)},
		{At: 44 * time.Second, Fault: answersLate("producer-3", 2700*time.Millisecond)},
		{At: 45400 * time.Millisecond, Fault: faults.MoveTransactionCoordinator{ID: "producer-3"}},
		{At: 45900 * time.Millisecond, Fault: faults.MoveTransactionCoordinator{ID: "producer-3"}},
		{At: 51 * time.Second, Fault: markersLate("producer-1", 6*time.Second)},
	},
	Checks: PromisesToTransactions,
	Probes: []*ledger.Probe{server.ProbeMarkerUnanswered, txn.ProbeConcurrent, ProbeTransactionAborted},
}

// markersLate: what the coordinator of a transactional id sends to another broker comes late.
func markersLate(id string, by time.Duration) faults.Fault {
	return faults.LateDelivery{From: faults.TransactionCoordinator(id), To: faults.Brokers(1), By: by}
}

// answersLate: what another broker sends to the coordinator of a transactional id comes late.
func answersLate(id string, by time.Duration) faults.Fault {
	return faults.LateDelivery{From: faults.Brokers(1), To: faults.TransactionCoordinator(id), By: by}
}
