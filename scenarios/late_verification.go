package scenarios

import (
	"time"

	"github.com/ktrial/ktrial/broker/kafka"
	"github.com/ktrial/ktrial/broker/log"
	"github.com/ktrial/ktrial/faults"
	"github.com/ktrial/ktrial/ledger"
	"github.com/ktrial/ktrial/workloads"
)

// LateVerification: a leader has asked whether the records that it was given are of an open transaction, and the
// coordinator's yes is on its way for long. The producer gives the records up and aborts meanwhile, and the marker of the
// abort, over another connection, comes before the yes. The leader must look once more before it appends: the yes was good
// only until the marker came (KIP-890, KAFKA-14884).
//
// All connections break just before, so that there is none for markers yet when those that there are become slow. Replicas
// that cannot keep up leave the ISR soon, so that the coordinator goes on meanwhile. Transactions are those of
// transaction.version 1: with version 2 the late records have an epoch that is over.
var LateVerification = Scenario{
	Name:  "late-verification",
	About: "the coordinator's yes to a leader is late, and the transaction that it was about is aborted meanwhile",
	Cluster: withConfig(Transactional, map[string]string{
		"transaction.version": "1", "transaction.state.log.num.partitions": "1",
		"replica.lag.time.max.ms": "1000", "replica.fetch.wait.max.ms": "300", "replica.fetch.backoff.ms": "50",
	}),
	Topics:   []Topic{{Name: "orders", Partitions: 48, Replicas: 3, MinInsync: 2}},
	Workload: wordy(many(LateProduce.Workload.(workloads.TransactionalWrites), 4)),
	Faults:   lateAnswers(3*time.Second, 57*time.Second),
	Checks:   PromisesToTransactions,
	Probes:   []*ledger.Probe{log.ProbeVerifiedTooLate, ProbeTransactionAborted},
}

// wordy is work whose transactions have many records, and end soon after the last.
func wordy(w workloads.TransactionalWrites) workloads.TransactionalWrites {
	w.Records, w.Hold = 80, 300*time.Millisecond
	return w
}

// lateAnswers has what the coordinator sends to one broker that leads partitions, and coordinates no transaction, come late
// every six seconds or so: not in step with transactions that go on when it is over, which would have a connection for
// markers again and again.
func lateAnswers(from, to time.Duration) (plan faults.Plan) {
	for at := from; at < to; at += 5*time.Second + time.Duration(len(plan))*100*time.Millisecond {
		plan = append(plan,
			faults.Timed{At: at, Fault: faults.Reset{Host: faults.AllBrokers}},
			faults.Timed{At: at + 250*time.Millisecond, Fault: faults.LateDelivery{
				From: faults.TransactionCoordinator("producer-1"), To: faults.Follower(kafka.TransactionsTopic, 0), By: 3500 * time.Millisecond,
			}})
	}
	return plan
}
