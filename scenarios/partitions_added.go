package scenarios

import (
	"time"

	"github.com/ktrial/ktrial/checkers"
	"github.com/ktrial/ktrial/faults"
	"github.com/ktrial/ktrial/ledger"
	"github.com/ktrial/ktrial/workloads"
)

// ProbeAddedOwned is reached when a member owns a partition that was added since the work began.
var ProbeAddedOwned = ledger.NewProbe("member owns a partition that was added",
	"the topic was given more partitions under its group, and the group has found them")

// PartitionsAdded: a topic is given more partitions while a group consumes it. Its members find them,
// those of a classic group when their leader's metadata have aged, and those of a KIP-848 group with
// the next heartbeat, and read each from its start: producers may have found it first. On the
// way the coordinator moves, a member dies, and the controller is gone when it is asked for more.
var PartitionsAdded = Scenario{
	Name:     "partitions-added",
	About:    "a topic is given more partitions under its group: each is found, and read from its start",
	Cluster:  Grouped,
	Topics:   []Topic{Orders},
	Workload: finding(Billing),
	Faults: faults.Plan{
		{At: 8 * time.Second, Fault: faults.AddPartitions{Count: 2, Topic: "orders"}},
		{At: 20 * time.Second, Fault: faults.AddPartitions{Count: 1, Topic: "orders"}},
		{At: 20500 * time.Millisecond, Fault: faults.MoveCoordinator{Group: "billing"}},
		{At: 30 * time.Second, For: 8 * time.Second, Fault: faults.Kill{Host: faults.Host("member-1")}},
		{At: 31 * time.Second, Fault: faults.AddPartitions{Count: 2, Topic: "orders"}},
		{At: 42 * time.Second, For: 4 * time.Second, Fault: faults.Kill{Host: faults.ActiveController}},
		{At: 42500 * time.Millisecond, Fault: faults.AddPartitions{Count: 1, Topic: "orders"}},
	},
	Checks: PromisesToGroups,
	Probes: []*ledger.Probe{ProbeAddedOwned},
}

// PartitionsAddedUnseen: the same, with auto.offset.reset=latest. A producer finds a partition before the
// group does, and what it sends there meanwhile no member is given: the group has committed
// nothing of the partition, and begins at its end (KAFKA-20539). With earliest it is given all,
// and with by_duration:PT1H (KIP-1106) what is not older than the group can have been late:
//
//	--set auto.offset.reset=by_duration:PT1H
var PartitionsAddedUnseen = Scenario{
	Name:     "partitions-added-unseen",
	About:    "hazard: what is sent to a new partition before a group finds it is passed over with auto.offset.reset=latest",
	Cluster:  Grouped,
	Topics:   []Topic{Orders},
	Workload: resetting(finding(Billing), "latest"),
	Faults: faults.Plan{
		{At: 15 * time.Second, Fault: faults.AddPartitions{Count: 2, Topic: "orders"}},
		{At: 30 * time.Second, Fault: faults.AddPartitions{Count: 2, Topic: "orders"}},
	},
	Checks: PromisesToGroups,
	Probes: []*ledger.Probe{ProbeAddedOwned},
	Danger: checkers.GroupJump,
	Lesson: "partitions that are added are found by producers and by a group at different times. With auto.offset.reset=latest a group begins them at their end, and what was sent before is not processed. Set earliest, or by_duration with more than metadata.max.age.ms, where each record counts.",
}

// finding is work whose clients ask for metadata every few seconds.
func finding(w workloads.GroupConsume) workloads.GroupConsume {
	w.Input.Client = merged(w.Input.Client, map[string]string{"metadata.max.age.ms": "5000"})
	return w
}

// resetting is work whose members begin elsewhere where nothing is committed.
func resetting(w workloads.GroupConsume, policy string) workloads.GroupConsume {
	w.Own = map[string]string{"auto.offset.reset": policy}
	return w
}
