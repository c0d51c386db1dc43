package scenarios

import (
	"slices"
	"time"

	"github.com/ktrial/ktrial/broker/client"
	"github.com/ktrial/ktrial/faults"
	"github.com/ktrial/ktrial/workloads"
)

// Grouped is the usual cast with a coordinator: few partitions of
// __consumer_offsets, so that each is led by another broker, on as many disks as
// what groups commit is promised to be.
var Grouped = Cluster{
	Controllers: 3, Brokers: 3,
	Config: map[string]string{
		"offsets.topic.num.partitions":     "3",
		"min.insync.replicas":              "2",
		"group.initial.rebalance.delay.ms": "1000",
		// Of KIP-848 members.
		"group.consumer.min.session.timeout.ms": "6000", "group.consumer.session.timeout.ms": "6000",
		"group.consumer.min.heartbeat.interval.ms": "1500", "group.consumer.heartbeat.interval.ms": "1500",
	},
}

// Classic are sessions of classic members that are short enough for a dead one to be
// noticed within a run.
var Classic = map[string]string{"session.timeout.ms": "6000", "heartbeat.interval.ms": "1500"}

// Impatient is how the clients of groups are configured otherwise.
var Impatient = map[string]string{
	"max.poll.interval.ms": "15000",
	"delivery.timeout.ms":  "45000", "request.timeout.ms": "10000", "default.api.timeout.ms": "20000",
}

// Billing is the usual work of a group: what three producers send, three members
// process and commit.
var Billing = workloads.GroupConsume{
	Input: workloads.ProduceConsume{
		Topic:     "orders",
		Producers: 3, Rate: 30, Acks: client.AcksAll, Idempotent: true,
		Duration: time.Minute,
		Client:   Impatient,
	},
	Group: "billing", Members: 3, Classic: Classic,
}

// PromisesToGroups are those about records, and what a cluster owes a consumer group.
var PromisesToGroups = slices.Concat(Promises, GroupPromises)

// StandardGroups is the everyday trial of a consumer group in the classic protocol:
// steady work, and whatever trouble the seed draws, of its members and coordinator
// too.
var StandardGroups = Scenario{
	Name:     "standard-groups",
	About:    "a consumer group under whatever trouble the seed draws",
	Cluster:  Grouped,
	Topics:   []Topic{Orders},
	Workload: Billing,
	Faults:   faults.Swarm{Topic: "orders", Partitions: 3, Group: "billing", Grows: true},
	Checks:   PromisesToGroups,
}
