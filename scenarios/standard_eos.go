package scenarios

import (
	"slices"
	"time"

	"github.com/ktrial/ktrial/broker/client"
	"github.com/ktrial/ktrial/checkers"
	"github.com/ktrial/ktrial/faults"
	"github.com/ktrial/ktrial/workloads"
)

// Transactional is the usual cast with transactions: few partitions of
// __transaction_state, so that each is led by another broker, and a transaction that is
// open for too long is aborted soon after.
var Transactional = Cluster{
	Controllers: 3, Brokers: 3,
	Config: map[string]string{
		"offsets.topic.num.partitions":                                "3",
		"transaction.state.log.num.partitions":                        "3",
		"min.insync.replicas":                                         "2",
		"group.initial.rebalance.delay.ms":                            "1000",
		"transaction.abort.timed.out.transaction.cleanup.interval.ms": "2000",
		// Of KIP-848 members.
		"group.consumer.min.session.timeout.ms": "6000", "group.consumer.session.timeout.ms": "6000",
		"group.consumer.min.heartbeat.interval.ms": "1500", "group.consumer.heartbeat.interval.ms": "1500",
	},
}

// Decided is how clients of transactions are configured otherwise: what one leaves open
// is aborted within a run.
var Decided = map[string]string{
	"transaction.timeout.ms": "10000", "max.block.ms": "10000",
	"delivery.timeout.ms": "30000", "request.timeout.ms": "6000", "default.api.timeout.ms": "20000",
	"max.poll.interval.ms": "30000", "max.poll.records": "50",
}

// Invoices is the topic that Settling writes to.
var Invoices = Topic{Name: "invoices", Partitions: 3, Replicas: 3, MinInsync: 2}

// Settling is the usual pipeline: three workers make an invoice of each order, in
// transactions of which one in ten is aborted.
var Settling = workloads.Pipeline{
	Input: workloads.ProduceConsume{
		Topic:     "orders",
		Producers: 2, Rate: 20, Acks: client.AcksAll, Idempotent: true,
		Consumers: 2,
		Duration:  time.Minute,
		Client:    Decided,
	},
	Topics: []string{"invoices"}, Workers: 3, Aborts: 10, Classic: Classic,
}

// TransactionPromises are those that a workload with transactions asks for as well.
var TransactionPromises = []Promise{checkers.AtomicTransactions, checkers.EpochsGrow, checkers.NoHangingTransactions}

// PromisesToPipelines are all that a cluster owes a pipeline with transactions.
var PromisesToPipelines = slices.Concat(Promises, GroupPromises, []Promise{checkers.AtomicTransactions, checkers.ExactlyOnce, checkers.NoHangingTransactions})

// StandardEOS is the everyday trial of exactly-once semantics: a pipeline whose transactions
// are committed and aborted, and whatever trouble the seed draws, of its workers and
// both coordinators too.
var StandardEOS = Scenario{
	Name:      "standard-eos",
	About:     "an exactly-once pipeline under whatever trouble the seed draws",
	Cluster:   Transactional,
	Topics:    []Topic{Orders, Invoices},
	Workload:  Settling,
	OwnChecks: []checkers.Check{checkers.OneOutput(Orders.Name, Invoices.Name)},
	Faults:    faults.Swarm{Topic: "invoices", Partitions: 3, Group: workloads.Step(1), TransactionalID: "worker-1"},
	Checks:    PromisesToPipelines,
	// What is under way when a broker falls silent waits for a request to time out (30 s), then for its
	// transaction to, then for a rebalance (max.poll.interval.ms); and the core may lack a broker then.
	Liveness: 4 * time.Minute,
}
