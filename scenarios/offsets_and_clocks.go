package scenarios

import (
	"time"

	"github.com/ktrial/ktrial/broker/client"
	"github.com/ktrial/ktrial/faults"
	"github.com/ktrial/ktrial/workloads"
)

// OffsetsAndClocks: committed offsets are kept for ten minutes, and the clock of their
// coordinator jumps ahead by hours, again and again. They are of a group with members,
// whose offsets do not expire however old they look.
var OffsetsAndClocks = Scenario{
	Name:  "offsets-and-clocks",
	About: "the clock of a coordinator jumps ahead by more than offsets are kept; those of a group with members stay",
	Cluster: Cluster{
		Controllers: 3, Brokers: 3,
		Config: map[string]string{
			"offsets.topic.num.partitions": "3", "min.insync.replicas": "2", "group.initial.rebalance.delay.ms": "1000",
			"offsets.retention.minutes": "10", "offsets.retention.check.interval.ms": "1000",
			"group.consumer.min.session.timeout.ms": "6000", "group.consumer.session.timeout.ms": "6000",
			"group.consumer.min.heartbeat.interval.ms": "1500", "group.consumer.heartbeat.interval.ms": "1500",
			"group.consumer.assignment.interval.ms": "0", // else the group waits for the clock (KIP-1263)
		},
	},
	Topics: []Topic{{Name: "orders", Partitions: 12, Replicas: 3, MinInsync: 2, Config: map[string]string{"message.timestamp.after.max.ms": forever}}},
	// So little is sent that the offset of a partition stands for seconds.
	Workload: workloads.GroupConsume{
		Input: workloads.ProduceConsume{
			Topic:     "orders",
			Producers: 1, Rate: 2, Acks: client.AcksAll, Idempotent: true,
			Duration: time.Minute,
			Client:   Impatient,
		},
		Group: "billing", Members: 3, Classic: Classic,
	},
	Faults: faults.Plan{
		{At: 10 * time.Second, For: 6 * time.Second, Fault: faults.StepClock{Host: faults.Coordinator("billing"), By: 3 * time.Hour}},
		{At: 12 * time.Second, For: 2 * time.Second, Fault: faults.Stop{Host: faults.Host("member-1")}},
		{At: 24 * time.Second, Fault: faults.MoveCoordinator{Group: "billing"}},
		{At: 30 * time.Second, For: 8 * time.Second, Fault: faults.StepClock{Host: faults.AllBrokers, By: time.Hour}},
		{At: 32 * time.Second, For: 3 * time.Second, Fault: faults.Kill{Host: faults.Host("member-2")}},
	},
	Checks: PromisesToGroups,
}

// forever is the largest time that a configuration may say.
const forever = "9223372036854775807"
