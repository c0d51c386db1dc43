package scenarios

import (
	"time"

	"github.com/ktrial/ktrial/broker/replica"
	"github.com/ktrial/ktrial/faults"
	"github.com/ktrial/ktrial/ledger"
)

// FirstBatches: producers begin again and again, each with a producer id that no leader knows, while leadership moves and what
// they send takes long to arrive. A first batch comes to a broker that does not lead yet, and is refused; the one behind it would
// find the leader there, which takes any batch of a producer that it does not know. So the first must go alone
// (KAFKA-14359, KAFKA-15591).
var FirstBatches = Scenario{
	Name:     "first-batches",
	About:    "producers begin while leadership moves: no batch gets in before the first one of its producer id",
	Cluster:  Three,
	Topics:   []Topic{Orders},
	Workload: Idempotent,
	Faults: append(faults.Plan{
		{At: 2 * time.Second, For: 54 * time.Second, Fault: faults.SlowLink{From: faults.AllClients, To: faults.AllBrokers, By: 150 * time.Millisecond}},
		{At: 2 * time.Second, For: 54 * time.Second, Fault: faults.SlowLink{From: faults.AllControllers, To: faults.Follower("orders", 0), By: 80 * time.Millisecond}},
		{At: 2 * time.Second, For: 54 * time.Second, Fault: faults.PingPong{Topic: "orders", Partition: 0, Every: 350 * time.Millisecond}},
		{At: 2 * time.Second, For: 54 * time.Second, Fault: faults.PingPong{Topic: "orders", Partition: 1, Every: 470 * time.Millisecond}},
	}, beginAgain(4*time.Second, 52*time.Second)...),
	Checks: Promises,
	Probes: []*ledger.Probe{replica.ProbeFollowerTruncated},
}

// beginAgain has all producers die and begin again every three seconds.
func beginAgain(from, to time.Duration) (plan faults.Plan) {
	for at := from; at < to; at += 3 * time.Second {
		plan = append(plan, faults.Timed{At: at, For: 200 * time.Millisecond, Fault: faults.Kill{Host: faults.Host("producer-1", "producer-2", "producer-3", "producer-4")}})
	}
	return plan
}
