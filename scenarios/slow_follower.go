package scenarios

import (
	"time"

	"github.com/ktrial/ktrial/broker/replica"
	"github.com/ktrial/ktrial/faults"
	"github.com/ktrial/ktrial/ledger"
)

// SlowFollower: a follower that lags leaves the ISR after
// replica.lag.time.max.ms and comes back when it has caught up; meanwhile
// acknowledgements wait for it no longer.
var SlowFollower = Scenario{
	Name:     "slow-follower",
	About:    "a follower falls behind, leaves the in-sync replicas, and comes back",
	Cluster:  Cluster{Controllers: 3, Brokers: 3, Config: map[string]string{"replica.lag.time.max.ms": "5000"}},
	Topics:   []Topic{Orders},
	Workload: Idempotent,
	Faults: faults.Plan{
		{At: 5 * time.Second, For: 15 * time.Second, Fault: faults.Pause{Host: faults.Follower("orders", 0)}},
		{At: 30 * time.Second, For: 15 * time.Second, Fault: faults.SlowLink{From: faults.Leader("orders", 1), To: faults.Followers("orders", 1), By: 6 * time.Second}},
	},
	Checks: Promises,
	Probes: []*ledger.Probe{replica.ProbeIsrShrank, replica.ProbeIsrExpanded},
}
