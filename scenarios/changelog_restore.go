package scenarios

import (
	"fmt"
	"time"

	"github.com/ktrial/ktrial/broker/log"
	"github.com/ktrial/ktrial/checkers"
	"github.com/ktrial/ktrial/faults"
	"github.com/ktrial/ktrial/ledger"
	"github.com/ktrial/ktrial/workloads"
)

// ChangelogRestore: workers keep counts in memory and a changelog of them in a compacted topic, as
// Kafka Streams does. They die and are expelled in the middle of transactions; brokers that
// compact the changelog are lost. A worker that goes on with a partition restores the counts first, and
// they must be those of exactly the inputs that the group has committed.
var ChangelogRestore = Scenario{
	Name:  "changelog-restore",
	About: "workers restore their state from a compacted changelog after a crash; it is that of what was committed",
	Cluster: withConfig(Transactional, map[string]string{
		"log.cleaner.backoff.ms": "1000", "log.cleaner.dedupe.buffer.size": "2097152", "log.cleaner.io.buffer.load.factor": "0.0003",
		"log.cleaner.io.buffer.size": "4096",
	}),
	Topics: []Topic{Orders, {Name: "counts", Partitions: 3, Replicas: 3, MinInsync: 2, Config: map[string]string{
		"cleanup.policy": "compact", "segment.bytes": "8192", "min.cleanable.dirty.ratio": "0.1", "delete.retention.ms": "5000", "file.delete.delay.ms": "2000",
	}}},
	Workload: Counted,
	Faults: faults.Plan{
		{At: 6 * time.Second, For: 2 * time.Second, Fault: faults.Kill{Host: faults.Host("worker-1")}},
		{At: 12 * time.Second, For: 3 * time.Second, Fault: faults.Kill{Host: faults.Leader("counts", 0)}},
		{At: 16 * time.Second, For: 9 * time.Second, Fault: faults.Pause{Host: faults.Host("worker-2")}},
		{At: 19 * time.Second, For: time.Second, Fault: faults.Kill{Host: faults.Host("worker-3")}},
		{At: 27 * time.Second, For: 3 * time.Second, Fault: faults.PowerOff{Host: faults.Leader("counts", 1)}},
		{At: 28 * time.Second, For: time.Second, Fault: faults.Kill{Host: faults.Host("worker-1", "worker-2")}},
		// Markers come late to the changelog, and the offsets are committed already.
		{At: 33 * time.Second, For: 8 * time.Second, Fault: faults.CutOneWay{From: faults.TransactionCoordinator("worker-1"), To: faults.Leader("counts", 0)}},
		{At: 34 * time.Second, For: time.Second, Fault: faults.Kill{Host: faults.Members(workloads.Step(1))}},
		{At: 42 * time.Second, For: 8 * time.Second, Fault: faults.CutOneWay{From: faults.TransactionCoordinator("worker-2"), To: faults.Leader("counts", 2)}},
		{At: 43 * time.Second, For: time.Second, Fault: faults.Kill{Host: faults.Members(workloads.Step(1))}},
		{At: 50 * time.Second, For: 3 * time.Second, Fault: faults.Kill{Host: faults.Coordinator(workloads.Step(1))}},
	},
	Checks:    PromisesToPipelines,
	OwnChecks: []checkers.Check{TableIsKept},
	Laws:      []Law{CountsAreRight},
	Probes:    []*ledger.Probe{ProbeStateRestored, ProbeTransactionAborted, log.ProbeSegmentsReplaced},
}

// Counted is the usual work of workers with a state.
var Counted = workloads.Counting{Pipeline: withTopics(holding(Settling, time.Second), "counts")}

// withTopics is a pipeline whose steps write to other topics.
func withTopics(w workloads.Pipeline, topics ...string) workloads.Pipeline {
	w.Topics = topics
	return w
}

// CountsAreRight: what a worker counts of what it has committed is what a model counts, which is made of the
// inputs alone.
var CountsAreRight = Law{
	Name:  "counts are those of what was committed",
	About: "the counts of a worker, behind a transaction that it knows to be committed, and those restored in the end, are those of the inputs below the committed offset",
	Watch: func() func(*ledger.Entry) (bool, string) {
		return func(e *ledger.Entry) (checked bool, broken string) {
			c, ok := e.Event.(*workloads.CountsCompared)
			if !ok || c.Difference == "" {
				return ok, ""
			}
			return true, fmt.Sprintf("%s, of %v below offset %d: %s", e.Host, c.Partition, c.Next, c.Difference)
		}
	},
}
