package scenarios

import (
	"fmt"
	"time"

	"github.com/ktrial/ktrial/broker/client"
	"github.com/ktrial/ktrial/broker/group"
	"github.com/ktrial/ktrial/broker/witness"
	"github.com/ktrial/ktrial/faults"
	"github.com/ktrial/ktrial/ledger"
	"github.com/ktrial/ktrial/workloads"
)

// SlowToGiveUp: members of a KIP-848 group give up what they lose only when they have
// processed what they were given, which takes them seconds, while others come and go. A
// partition must not be given to another before its member says that it is done with it,
// though it may be given back to it.
var SlowToGiveUp = Scenario{
	Name:  "slow-to-give-up",
	About: "members of a KIP-848 group take seconds to give up partitions while others come and go",
	Cluster: Cluster{
		Controllers: 3, Brokers: 3,
		Config: map[string]string{
			"offsets.topic.num.partitions": "3", "min.insync.replicas": "2",
			"group.consumer.min.session.timeout.ms": "4000", "group.consumer.session.timeout.ms": "4000",
			"group.consumer.min.heartbeat.interval.ms": "400", "group.consumer.heartbeat.interval.ms": "400",
			"group.consumer.assignment.interval.ms": "0",
		},
	},
	Topics: []Topic{{Name: "orders", Partitions: 4, Replicas: 3, MinInsync: 2}},
	Workload: working(workloads.GroupConsume{
		Input: workloads.ProduceConsume{
			Topic:     "orders",
			Producers: 2, Rate: 12, Acks: client.AcksAll, Idempotent: true,
			Duration: time.Minute,
			Client: merged(Impatient, map[string]string{
				"group.protocol": "consumer", "group.remote.assignor": "range", "max.poll.records": "12",
			}),
		},
		Group: "billing", Members: 5,
	}, 120*time.Millisecond),
	Faults: faults.Plan{
		{At: 6 * time.Second, For: 14 * time.Second, Fault: faults.RollingRestart{Hosts: faults.Members("billing"), Down: 900 * time.Millisecond}},
		{At: 22 * time.Second, For: 2 * time.Second, Fault: faults.Stop{Host: faults.Host("member-4", "member-5")}},
		{At: 26 * time.Second, For: 600 * time.Millisecond, Fault: faults.Stop{Host: faults.Member("billing")}},
		{At: 29 * time.Second, For: 500 * time.Millisecond, Fault: faults.Stop{Host: faults.Member("billing")}},
		{At: 32 * time.Second, For: 700 * time.Millisecond, Fault: faults.Stop{Host: faults.Host("member-1", "member-2")}},
		{At: 36 * time.Second, For: 14 * time.Second, Fault: faults.RollingRestart{Hosts: faults.Members("billing"), Down: 400 * time.Millisecond}},
	},
	Checks: PromisesToGroups,
	Laws:   []Law{{Name: "members give up in time what they are to", About: "none is removed, for each is alive and done within its rebalance timeout", Watch: noneIsRemoved}},
	Probes: []*ledger.Probe{group.ProbeWaits},
}

// noneIsRemoved reports a member that its coordinator removes before the members end.
func noneIsRemoved() func(*ledger.Entry) (checked bool, broken string) {
	over := false
	return func(e *ledger.Entry) (checked bool, broken string) {
		over = over || e.Event.Kind().Name == healed
		left, ok := e.Event.(*witness.MemberLeft)
		if !ok || over {
			return false, ""
		}
		if left.Expelled {
			return true, fmt.Sprintf("group %s removes %s: %s", left.Group, left.Member, left.Reason)
		}
		return true, ""
	}
}
