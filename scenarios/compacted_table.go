package scenarios

import (
	"time"

	"github.com/ktrial/ktrial/broker/client"
	"github.com/ktrial/ktrial/broker/log"
	"github.com/ktrial/ktrial/checkers"
	"github.com/ktrial/ktrial/faults"
	"github.com/ktrial/ktrial/ledger"
	"github.com/ktrial/ktrial/workloads"
)

// CompactedTable: a table is kept in a compacted topic, whose small segments each
// broker compacts all the time, by itself, with a map that is too small for one pass.
// Meanwhile leaders go and replicas fall behind, though never by delete.retention.ms:
// then they would miss deletions.
var CompactedTable = Scenario{
	Name:  "compacted-table",
	About: "a table in a compacted topic: the last value of each key stays, what is deleted stays deleted",
	Cluster: Cluster{Controllers: 3, Brokers: 3, Config: map[string]string{
		"log.cleaner.backoff.ms": "1000",
		// A map of 26 keys.
		"log.cleaner.dedupe.buffer.size": "2097152", "log.cleaner.io.buffer.load.factor": "0.0003",
		"log.cleaner.io.buffer.size": "4096",
	}},
	Topics: []Topic{{Name: "table", Partitions: 3, Replicas: 3, MinInsync: 2, Config: map[string]string{
		"cleanup.policy": "compact", "segment.bytes": "16384", "min.cleanable.dirty.ratio": "0.1",
		"delete.retention.ms": "45000", "file.delete.delay.ms": "5000",
	}}},
	Workload: workloads.Table{
		ProduceConsume: workloads.ProduceConsume{
			Topic: "table", Producers: 4, Acks: client.AcksAll, Idempotent: true, Consumers: 2, Size: 64,
			Duration: 2 * time.Minute,
			Client:   map[string]string{"delivery.timeout.ms": "45000", "request.timeout.ms": "10000"},
		},
		Keys: 150, Deletes: 6, Rest: 15 * time.Second,
	},
	Faults: faults.Plan{
		{At: 8 * time.Second, For: 4 * time.Second, Fault: faults.Kill{Host: faults.Leader("table", 0)}},
		{At: 16 * time.Second, For: 5 * time.Second, Fault: faults.PowerOff{Host: faults.Follower("table", 1)}},
		{At: 30 * time.Second, For: 4 * time.Second, Fault: faults.Isolate{Host: faults.Leader("table", 2)}},
		{At: 44 * time.Second, For: 3 * time.Second, Fault: faults.PowerOff{Host: faults.Leader("table", 1)}},
		{At: 54 * time.Second, For: 8 * time.Second, Fault: faults.SlowFsync{Host: faults.AnyBroker, By: 20 * time.Millisecond}},
		{At: 58 * time.Second, For: time.Second, Fault: faults.Kill{Host: faults.Follower("table", 0)}},
		{At: 72 * time.Second, For: time.Second, Fault: faults.Wipe{Host: faults.Follower("table", 2)}},
		{At: 81 * time.Second, Fault: faults.RollingRestart{Hosts: faults.AllBrokers, Down: time.Second}},
		{At: 95 * time.Second, For: 2 * time.Second, Fault: faults.PowerOff{Host: faults.Leader("table", 0)}},
		{At: 108 * time.Second, For: 8 * time.Second, Fault: faults.PingPong{Topic: "table", Partition: 1, Every: 2 * time.Second}},
	},
	Checks:    Promises,
	OwnChecks: []checkers.Check{TableIsKept},
	Probes:    []*ledger.Probe{log.ProbeSegmentsReplaced, log.ProbeKeyMapFull, log.ProbeTombstoneRemoved},
}
