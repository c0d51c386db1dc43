package scenarios

import (
	"time"

	"github.com/ktrial/ktrial/broker/client"
	"github.com/ktrial/ktrial/broker/controller"
	"github.com/ktrial/ktrial/checkers"
	"github.com/ktrial/ktrial/faults"
	"github.com/ktrial/ktrial/ledger"
	"github.com/ktrial/ktrial/workloads"
)

// The design hazards: legal configurations that promise less than one may
// think. Their runs show an anomaly and their reports say which setting never
// promised its absence.

// AcksOne: the leader acknowledges alone. Its followers cannot fetch for a
// while, it serves on, and dies: what it acknowledged meanwhile goes with it.
var AcksOne = Scenario{
	Name:    "acks-one",
	About:   "hazard: with acks=1 a record is acknowledged before another replica has it",
	Cluster: Three,
	Topics:  []Topic{Orders},
	Workload: workloads.ProduceConsume{
		Topic:     "orders",
		Producers: 4, Rate: 200, Acks: client.AcksLeader,
		Consumers: 2,
		Duration:  30 * time.Second,
		Client:    map[string]string{"delivery.timeout.ms": "30000", "request.timeout.ms": "5000"},
	},
	Faults: faults.Plan{
		{At: 5 * time.Second, For: 10 * time.Second, Fault: faults.CutOneWay{From: faults.Followers("orders", 0), To: faults.Leader("orders", 0)}},
		{At: 12 * time.Second, For: 5 * time.Second, Fault: faults.PowerOff{Host: faults.Leader("orders", 0)}},
	},
	Checks: Promises,
	Probes: []*ledger.Probe{controller.ProbeUncleanRestart},
	Danger: checkers.LostWrite,
	Lesson: "acks=1 promises that the leader had the record, not that another replica that may become leader has it. Use acks=all with min.insync.replicas of at least 2.",
}

// UncleanElection: availability before safety.
var UncleanElection = Scenario{
	Name:     "unclean-election",
	About:    "hazard: unclean.leader.election.enable lets a replica lead that lacks acknowledged records",
	Cluster:  Three,
	Topics:   []Topic{{Name: "orders", Partitions: 3, Replicas: 3, MinInsync: 1, Config: map[string]string{"unclean.leader.election.enable": "true"}}},
	Workload: Idempotent,
	Faults: faults.Plan{
		{At: 5 * time.Second, For: 12 * time.Second, Fault: faults.Kill{Host: faults.Host("broker-1", "broker-2")}},
		{At: 16 * time.Second, For: 20 * time.Second, Fault: faults.Kill{Host: faults.Host("broker-3")}},
	},
	Checks: Promises,
	Probes: []*ledger.Probe{controller.ProbeUncleanElection},
	Danger: checkers.InconsistentOffsets,
	Lesson: "unclean.leader.election.enable=true lets a partition go on without the replicas that were in sync. What only they had is gone, acknowledged or not.",
}

// MinISROne: acks=all of an in-sync set of one is acks=1.
var MinISROne = Scenario{
	Name:     "min-isr-one",
	About:    "hazard: acks=all with min.insync.replicas=1 may mean one copy",
	Cluster:  Three,
	Topics:   []Topic{{Name: "orders", Partitions: 3, Replicas: 3, MinInsync: 1}},
	Workload: Idempotent,
	Faults: faults.Plan{
		{At: 5 * time.Second, For: 15 * time.Second, Fault: faults.Kill{Host: faults.Host("broker-1", "broker-2")}},
		{At: 18 * time.Second, For: 5 * time.Second, Fault: faults.Wipe{Host: faults.Host("broker-3")}},
	},
	Checks: Promises,
	Probes: []*ledger.Probe{controller.ProbeLastKnownLeader},
	Danger: checkers.InconsistentOffsets,
	Lesson: "acks=all waits for the replicas in sync, and min.insync.replicas=1 lets one be enough. Its disk was then the only place of what it acknowledged.",
}

// NoIdempotence: a retry whose first attempt was written is a second record.
var NoIdempotence = Scenario{
	Name:    "no-idempotence",
	About:   "hazard: without enable.idempotence a retry may write a record twice, and out of order",
	Cluster: Three,
	Topics:  []Topic{Orders},
	Workload: workloads.ProduceConsume{
		Topic:     "orders",
		Producers: 4, Rate: 200, Acks: client.AcksAll,
		Consumers: 2,
		Duration:  30 * time.Second,
		Client:    map[string]string{"delivery.timeout.ms": "30000", "request.timeout.ms": "3000"},
	},
	Faults: faults.Plan{
		{At: 4 * time.Second, For: 6 * time.Second, Fault: faults.CutOneWay{From: faults.Leader("orders", 0), To: faults.AllClients}},
		{At: 14 * time.Second, For: 6 * time.Second, Fault: faults.Reset{Host: faults.Leader("orders", 1)}},
		{At: 20 * time.Second, For: 5 * time.Second, Fault: faults.LossyLink{PerMille: 100, Host: faults.AnyBroker}},
	},
	Checks: Promises,
	Danger: checkers.Duplicate,
	Lesson: "enable.idempotence=false gives the broker no way to know a retry from a new record: it may be written twice, and with several requests in flight out of order.",
}

// NoFsyncAllLosePower: replication is what Kafka relies on, not fsync; it does
// not help when all replicas fail at once.
var NoFsyncAllLosePower = Scenario{
	Name:     "no-fsync-all-lose-power",
	About:    "hazard: acknowledged records are in page caches; a power cut of all replicas loses them",
	Cluster:  Three,
	Topics:   []Topic{Orders},
	Workload: Idempotent,
	Faults: faults.Plan{
		{At: 15 * time.Second, For: 5 * time.Second, Fault: faults.PowerOff{Host: faults.AllBrokers}},
	},
	Checks: Promises,
	Probes: []*ledger.Probe{controller.ProbeLastKnownLeader},
	Danger: checkers.InconsistentOffsets,
	Lesson: "acks=all promises copies in the memory of min.insync.replicas, and flush.messages has no default that would sync them. Replicas that share one power supply fail as one.",
}
