package scenarios

import (
	"time"

	"github.com/ktrial/ktrial/broker/client"
	"github.com/ktrial/ktrial/broker/replica"
	"github.com/ktrial/ktrial/faults"
	"github.com/ktrial/ktrial/ledger"
	"github.com/ktrial/ktrial/workloads"
)

// TricklingFollower: a follower that fetches all the while, and less than is written, is no
// better than one that is silent. It leaves the ISR, and comes back when it has caught up.
var TricklingFollower = Scenario{
	Name:  "trickling-follower",
	About: "a follower fetches all the while, but less than is written; it leaves the in-sync replicas, and comes back",
	Cluster: Cluster{Controllers: 3, Brokers: 3, Config: map[string]string{
		"replica.lag.time.max.ms":          "1000",
		"replica.fetch.max.bytes":          "1", // a fetch brings one batch
		"replica.fetch.response.max.bytes": "1",
	}},
	Topics: []Topic{Orders},
	Workload: workloads.ProduceConsume{
		Topic:     "orders",
		Producers: 12, Rate: 15, Acks: client.AcksAll, Idempotent: true,
		Consumers: 2,
		Client:    map[string]string{"batch.size": "1"}, // a batch is one record
	},
	Faults: faults.Plan{
		{At: 5 * time.Second, For: 25 * time.Second, Fault: faults.SlowLink{From: faults.Leader("orders", 0), To: faults.Follower("orders", 0), By: 600 * time.Millisecond}},
		{At: 40 * time.Second, For: 15 * time.Second, Fault: faults.SlowLink{From: faults.Leader("orders", 1), To: faults.Followers("orders", 1), By: 600 * time.Millisecond}},
	},
	Checks: Promises,
	Probes: []*ledger.Probe{replica.ProbeIsrShrank, replica.ProbeIsrExpanded},
}
