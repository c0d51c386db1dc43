package scenarios

import (
	"time"

	"github.com/ktrial/ktrial/checkers"
	"github.com/ktrial/ktrial/faults"
	"github.com/ktrial/ktrial/ledger"
	"github.com/ktrial/ktrial/workloads"
)

// The design hazards of groups: what a member did not ask for it is not promised.

// CommitBeforeProcessing: what a member has committed and not yet processed when it
// dies no member is given again.
var CommitBeforeProcessing = Scenario{
	Name:     "commit-before-processing",
	About:    "hazard: what is committed before it is processed is lost with the member that dies over it",
	Cluster:  Grouped,
	Topics:   []Topic{Orders},
	Workload: working(committing(Billing, workloads.BeforeProcessing), 20*time.Millisecond),
	Faults: faults.Plan{
		{At: 10 * time.Second, For: 2 * time.Second, Fault: faults.Kill{Host: faults.Host("member-1")}},
		{At: 20 * time.Second, For: 2 * time.Second, Fault: faults.Kill{Host: faults.Host("member-2")}},
		{At: 30 * time.Second, For: 2 * time.Second, Fault: faults.Kill{Host: faults.Members("billing")}},
	},
	Checks: PromisesToGroups,
	Probes: []*ledger.Probe{ProbeMemberExpelled},
	Danger: checkers.Unprocessed,
	Lesson: "an offset that is committed before its records are processed promises at most once: nothing gives them to the group again. Commit after processing, and let it be repeatable.",
}

// SessionTooShort: a pause that is shorter than what is called a failure costs a
// rebalance each time, and what was processed and not committed is processed again.
// No promise is broken: session.timeout.ms says how long a member may be silent before
// its work is given to another, and the report says what that costs.
var SessionTooShort = Scenario{
	Name:  "session-too-short",
	About: "a session shorter than the pauses of a member costs rebalances, and work done twice",
	Cluster: Cluster{
		Controllers: 3, Brokers: 3,
		Config: map[string]string{
			"offsets.topic.num.partitions": "3", "min.insync.replicas": "2", "group.initial.rebalance.delay.ms": "1000",
			"group.min.session.timeout.ms": "500",
		},
	},
	Topics:   []Topic{Orders},
	Workload: classic(Billing, map[string]string{"session.timeout.ms": "1000", "heartbeat.interval.ms": "300"}),
	Faults: faults.Plan{
		{At: 8 * time.Second, For: 1500 * time.Millisecond, Fault: faults.Pause{Host: faults.Host("member-1")}},
		{At: 16 * time.Second, For: 1500 * time.Millisecond, Fault: faults.Pause{Host: faults.Host("member-2")}},
		{At: 24 * time.Second, For: 1500 * time.Millisecond, Fault: faults.Pause{Host: faults.Host("member-3")}},
		{At: 32 * time.Second, For: 1500 * time.Millisecond, Fault: faults.Pause{Host: faults.Members("billing")}},
	},
	Checks: PromisesToGroups,
	Probes: []*ledger.Probe{ProbeMemberExpelled, ProbePartitionsLost},
}
