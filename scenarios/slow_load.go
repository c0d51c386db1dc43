package scenarios

import (
	"time"

	"github.com/ktrial/ktrial/broker/coordinator"
	"github.com/ktrial/ktrial/faults"
	"github.com/ktrial/ktrial/ledger"
	"github.com/ktrial/ktrial/workloads"
)

// SlowLoad: the partition of a group moves to and fro between brokers that take long
// to load it, because its log is read in small pieces. Members ask meanwhile; none may be
// answered from half of a log.
var SlowLoad = Scenario{
	Name:  "slow-load",
	About: "the offsets of a group move to and fro between coordinators that take long to load them",
	Cluster: Cluster{
		Controllers: 3, Brokers: 3,
		Config: map[string]string{
			"offsets.topic.num.partitions": "1", "min.insync.replicas": "2", "group.initial.rebalance.delay.ms": "1000",
			"offsets.load.buffer.size": "2048", "ktrial.coordinator.load.delay.ms": "25",
		},
	},
	Topics:   []Topic{Orders},
	Workload: committing(Billing, workloads.PerRecord),
	Faults: faults.Plan{
		{At: 6 * time.Second, For: 12 * time.Second, Fault: faults.PingPongCoordinator{Group: "billing", Every: 2 * time.Second}},
		{At: 22 * time.Second, For: 3 * time.Second, Fault: faults.Stop{Host: faults.Host("member-1")}},
		{At: 22 * time.Second, For: 14 * time.Second, Fault: faults.PingPongCoordinator{Group: "billing", Every: 700 * time.Millisecond}},
		{At: 40 * time.Second, For: 3 * time.Second, Fault: faults.Kill{Host: faults.Coordinator("billing")}},
		{At: 48 * time.Second, For: 8 * time.Second, Fault: faults.PingPongCoordinator{Group: "billing", Every: 400 * time.Millisecond}},
	},
	Checks: PromisesToGroups,
	Probes: []*ledger.Probe{coordinator.ProbeLoadedRecords, coordinator.ProbeAskedWhileLoading},
}
