package scenarios

import (
	"time"

	"github.com/ktrial/ktrial/faults"
	"github.com/ktrial/ktrial/ledger"
	"github.com/ktrial/ktrial/workloads"
)

// SubscriptionChanges: members of a group change which topics they are subscribed to while it works. What
// one is no longer subscribed to goes to those that are, and nothing of it is given to it any
// more (KAFKA-19431). One member reads both topics always; it dies on the way, and then the rest must
// take over what is left.
var SubscriptionChanges = Scenario{
	Name:     "subscription-changes",
	About:    "members change which topics they are subscribed to while their group works",
	Cluster:  Grouped,
	Topics:   []Topic{Orders, {Name: "returns", Partitions: 2, Replicas: 3, MinInsync: 2}},
	Workload: workloads.Resubscribing{GroupConsume: with(Billing, 4), Also: "returns", Every: 7 * time.Second},
	Faults: faults.Plan{
		{At: 12 * time.Second, Fault: faults.MoveCoordinator{Group: "billing"}},
		{At: 24 * time.Second, For: 9 * time.Second, Fault: faults.Kill{Host: faults.Host("member-2")}},
		{At: 38 * time.Second, For: 3 * time.Second, Fault: faults.Kill{Host: faults.Coordinator("billing")}},
		{At: 47 * time.Second, For: 5 * time.Second, Fault: faults.Isolate{Host: faults.Host("member-3")}},
	},
	Checks: PromisesToGroups,
	Probes: []*ledger.Probe{workloads.ProbeResubscribed, ProbeMemberExpelled},
}
