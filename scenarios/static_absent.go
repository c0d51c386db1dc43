package scenarios

import (
	"time"

	"github.com/ktrial/ktrial/broker/group"
	"github.com/ktrial/ktrial/faults"
	"github.com/ktrial/ktrial/ledger"
)

// StaticAbsent: a static member (KIP-345) is cut off for longer than the group waits for
// it in a rebalance, and for less than its session. It stays a member of a generation of
// which it knows nothing: its partitions may be another's when it comes back, and its
// first heartbeat must tell it so.
var StaticAbsent = Scenario{
	Name:     "static-absent",
	About:    "a static member misses a rebalance within its session, and comes back to another assignment",
	Cluster:  Grouped,
	Topics:   []Topic{{Name: "orders", Partitions: 6, Replicas: 3, MinInsync: 2}},
	Workload: static(late(classic(Billing, map[string]string{"session.timeout.ms": "40000", "heartbeat.interval.ms": "1500", "max.poll.interval.ms": "8000"}), 1)),
	Faults: faults.Plan{
		{At: 18 * time.Second, For: 22 * time.Second, Fault: faults.Isolate{Host: faults.Host("member-1")}},
	},
	Checks: PromisesToGroups,
	Probes: []*ledger.Probe{group.ProbeStaticAbsent},
}
