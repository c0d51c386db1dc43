package scenarios

import (
	"time"

	"github.com/ktrial/ktrial/faults"
	"github.com/ktrial/ktrial/ledger"
	"github.com/ktrial/ktrial/workloads"
)

// TopicMadeAgain: a topic is deleted, and another one of its name is made ten seconds later, while a
// group is there that has read and committed the first. Its coordinator removes what was committed of a
// topic that is gone (GroupCoordinatorService.onMetadataUpdate), and the members lose its partitions; a
// commit that names the topic by id is refused (UNKNOWN_TOPIC_ID, OffsetCommit v10). So the second is read
// from its start. The coordinator moves in between: the next one must not find the old offsets in
// its log.
//
// auto.create.topics.enable is false: or the metadata that members ask for would make the topic.
var TopicMadeAgain = Scenario{
	Name:     "topic-made-again",
	About:    "a topic is deleted and made again under its group: nothing that was committed of the first applies to the second",
	Cluster:  withConfig(Grouped, map[string]string{"auto.create.topics.enable": "false"}),
	Topics:   []Topic{Orders},
	Workload: workloads.Seasons{GroupConsume: finding(Billing), First: 18 * time.Second},
	Faults: faults.Plan{
		{At: 22 * time.Second, For: 10 * time.Second, Fault: faults.DeleteTopic{Topic: "orders"}},
		{At: 29 * time.Second, Fault: faults.MoveCoordinator{Group: "billing"}},
		{At: 42 * time.Second, For: 3 * time.Second, Fault: faults.Kill{Host: faults.Host("member-1")}},
	},
	Checks: PromisesToGroups,
	Probes: []*ledger.Probe{ProbeTopicDeleted},
}
