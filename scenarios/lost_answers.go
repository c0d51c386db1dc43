package scenarios

import (
	"time"

	"github.com/ktrial/ktrial/broker/client"
	"github.com/ktrial/ktrial/broker/group"
	"github.com/ktrial/ktrial/faults"
	"github.com/ktrial/ktrial/ledger"
	"github.com/ktrial/ktrial/workloads"
)

// LostAnswers: answers to the heartbeats of a KIP-848 group are lost, again and again,
// while members come and go. What an answer assigned the coordinator says once: a member
// that has missed one must tell all of itself again to be told again.
var LostAnswers = Scenario{
	Name:    "lost-answers",
	About:   "answers to heartbeats of a KIP-848 group are lost while members come and go",
	Cluster: Grouped,
	Topics:  []Topic{{Name: "orders", Partitions: 6, Replicas: 3, MinInsync: 2}},
	Workload: workloads.GroupConsume{
		Input: workloads.ProduceConsume{
			Topic:     "orders",
			Producers: 3, Rate: 30, Acks: client.AcksAll, Idempotent: true,
			Duration: time.Minute,
			Client:   merged(Impatient, map[string]string{"group.protocol": "consumer", "request.timeout.ms": "3000"}),
		},
		Group: "billing", Members: 4,
	},
	Faults: faults.Plan{
		{At: 6 * time.Second, For: 500 * time.Millisecond, Fault: faults.Stop{Host: faults.Host("member-1")}},
		{At: 6800 * time.Millisecond, For: 4 * time.Second, Fault: faults.CutOneWay{From: faults.Coordinator("billing"), To: faults.Members("billing")}},
		{At: 18 * time.Second, For: 14 * time.Second, Fault: faults.RollingRestart{Hosts: faults.Members("billing"), Down: time.Second}},
		{At: 19500 * time.Millisecond, For: 4 * time.Second, Fault: faults.CutOneWay{From: faults.Coordinator("billing"), To: faults.Members("billing")}},
		{At: 27 * time.Second, For: 4 * time.Second, Fault: faults.CutOneWay{From: faults.Coordinator("billing"), To: faults.Members("billing")}},
		{At: 36 * time.Second, For: time.Second, Fault: faults.Kill{Host: faults.Host("member-2", "member-3")}},
		// No member comes or goes after this one, so that nothing else is assigned.
		{At: 44 * time.Second, For: 5 * time.Second, Fault: faults.Stop{Host: faults.Host("member-4")}},
		{At: 49200 * time.Millisecond, For: 4 * time.Second, Fault: faults.CutOneWay{From: faults.Coordinator("billing"), To: faults.Host("member-4")}},
	},
	Checks: PromisesToGroups,
	Probes: []*ledger.Probe{group.ProbeLostAnswer},
}
