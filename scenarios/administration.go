package scenarios

import (
	"slices"
	"time"

	"github.com/ktrial/ktrial/broker/client"
	"github.com/ktrial/ktrial/broker/witness"
	"github.com/ktrial/ktrial/faults"
	"github.com/ktrial/ktrial/ledger"
	"github.com/ktrial/ktrial/workloads"
)

// Administration: administrators make topics, fill and read them, grow, configure, trim,
// move and delete them, and make some once more by the same name. Of the topic that others
// use they move replicas and leaders. Its producers give up in a hurry, and beside a consumer
// that reads on there is one that seeks, pauses, commits and goes on from there.
var Administration = Scenario{
	Name:  "administration",
	About: "topics are made, grown, configured, trimmed, moved and deleted under whatever trouble the seed draws",
	Cluster: Cluster{Controllers: 3, Brokers: 4, Config: map[string]string{
		"offsets.topic.num.partitions": "3", "min.insync.replicas": "2", "auto.create.topics.enable": "false",
	}},
	Topics: []Topic{Orders},
	Workload: workloads.ProduceConsume{
		Topic:     "orders",
		Producers: 2, Rate: 20, Acks: client.AcksAll, Idempotent: true,
		Consumers: 1, Restless: 1, Admins: 2,
		Duration: time.Minute,
		Client:   map[string]string{"delivery.timeout.ms": "8000", "request.timeout.ms": "2000"},
	},
	Faults: faults.Swarm{Topic: "orders", Partitions: 3, Families: append(slices.Clone(faults.EveryFamily), faults.Outages)},
	Checks: Promises,
}

// ProbeTopicDeleted is of what administrators do last with a topic.
var ProbeTopicDeleted = ledger.ProbeOn[witness.TopicDeleted](new(witness.TopicDeleted).Kind(), "topic deleted",
	"the end of a topic is committed in the metadata", nil)
