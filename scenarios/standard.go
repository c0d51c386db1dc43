package scenarios

import (
	"time"

	"github.com/ktrial/ktrial/broker/client"
	"github.com/ktrial/ktrial/faults"
	"github.com/ktrial/ktrial/workloads"
)

// Standard is the everyday trial: a small cluster with safe settings, steady
// work, and whatever trouble the seed draws.
var Standard = Scenario{
	Name:     "standard",
	About:    "a safe configuration under whatever trouble the seed draws",
	Cluster:  Three,
	Topics:   []Topic{Orders},
	Workload: Idempotent,
	Faults:   faults.Swarm{Topic: "orders", Partitions: 3},
	Checks:   Promises,
}

// Idempotent is the usual work: four producers at 50 records a second that
// want every replica in sync to hold a record, and two consumers.
var Idempotent = workloads.ProduceConsume{
	Topic:     "orders",
	Producers: 4, Acks: client.AcksAll, Idempotent: true,
	Consumers: 2,
	Duration:  time.Minute,
	Client:    map[string]string{"delivery.timeout.ms": "45000", "request.timeout.ms": "10000"},
}
