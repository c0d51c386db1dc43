package scenarios

import (
	"time"

	"github.com/ktrial/ktrial/broker/replica"
	"github.com/ktrial/ktrial/faults"
	"github.com/ktrial/ktrial/ledger"
)

// LeadershipPingPong: leadership moves to and fro while no process dies, and
// one replica hears of it late each time. It leads on for a while and has
// records in the end that no other replica has; it must cut them off, and none
// of them may have been acknowledged.
var LeadershipPingPong = Scenario{
	Name:     "leadership-ping-pong",
	About:    "leadership moves between living replicas faster than they can follow",
	Cluster:  Three,
	Topics:   []Topic{Orders},
	Workload: Idempotent,
	Faults: faults.Plan{
		{At: 3 * time.Second, For: 50 * time.Second, Fault: faults.SlowLink{From: faults.AllControllers, To: faults.Leader("orders", 0), By: 60 * time.Millisecond}},
		{At: 4 * time.Second, For: 12 * time.Second, Fault: faults.PingPong{Topic: "orders", Partition: 0, Every: 300 * time.Millisecond}},
		{At: 8 * time.Second, For: 6 * time.Second, Fault: faults.SlowLink{From: faults.AllBrokers, To: faults.Follower("orders", 0), By: 200 * time.Millisecond}},
		{At: 20 * time.Second, For: 15 * time.Second, Fault: faults.PingPong{Topic: "orders", Partition: 1, Every: 1100 * time.Millisecond}},
		{At: 26 * time.Second, For: 4 * time.Second, Fault: faults.Pause{Host: faults.Leader("orders", 1)}},
		{At: 40 * time.Second, For: 12 * time.Second, Fault: faults.PingPong{Topic: "orders", Partition: 2, Every: 150 * time.Millisecond}},
		{At: 45 * time.Second, For: 3 * time.Second, Fault: faults.Kill{Host: faults.Leader("orders", 2)}},
	},
	Checks: Promises,
	Probes: []*ledger.Probe{replica.ProbeFollowerTruncated},
}
