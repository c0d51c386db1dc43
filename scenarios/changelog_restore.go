package scenarios

import (
	"fmt"
	"slices"
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
		"replica.lag.time.max.ms":    "1200", "replica.fetch.wait.max.ms": "300", // brokers that are slow to each other go on alone
	}),
	Topics: []Topic{Orders, {Name: "counts", Partitions: 3, Replicas: 3, MinInsync: 2, Config: map[string]string{
		"cleanup.policy": "compact", "segment.bytes": "8192", "min.cleanable.dirty.ratio": "0.1", "delete.retention.ms": "5000", "file.delete.delay.ms": "2000",
	}}},
	Workload: Counted,
	Faults: slices.Concat(
		handedOver(4*time.Second, "worker-1", 0), handedOver(9*time.Second, "worker-2", 1), handedOver(14*time.Second, "worker-3", 2),
		faults.Plan{
			{At: 20 * time.Second, For: 2 * time.Second, Fault: faults.Kill{Host: faults.Host("worker-1")}},
			{At: 26 * time.Second, For: 3 * time.Second, Fault: faults.Kill{Host: faults.Leader("counts", 0)}},
			{At: 30 * time.Second, For: 9 * time.Second, Fault: faults.Pause{Host: faults.Host("worker-2")}},
			{At: 33 * time.Second, For: time.Second, Fault: faults.Kill{Host: faults.Host("worker-3")}},
			{At: 41 * time.Second, For: 3 * time.Second, Fault: faults.PowerOff{Host: faults.Leader("counts", 1)}},
			{At: 42 * time.Second, For: time.Second, Fault: faults.Kill{Host: faults.Host("worker-1", "worker-2")}},
			{At: 50 * time.Second, For: 3 * time.Second, Fault: faults.Kill{Host: faults.Coordinator(workloads.Step(1))}},
		},
	),
	Checks:    PromisesToPipelines,
	OwnChecks: []checkers.Check{TableIsKept},
	Laws:      []Law{CountsAreRight},
	Probes:    []*ledger.Probe{ProbeStateRestored, ProbeTransactionAborted, log.ProbeSegmentsReplaced},
}

// handedOver has the markers of a worker's transactions come late to its partition of the changelog, and stops the worker: the
// offsets are committed by then, and another worker goes on behind them at once.
func handedOver(at time.Duration, worker string, partition int32) faults.Plan {
	return faults.Plan{
		{At: at, For: 4500 * time.Millisecond, Fault: faults.SlowLink{From: faults.TransactionCoordinator(worker), To: faults.Leader("counts", partition), By: 3 * time.Second}},
		{At: at + 1800*time.Millisecond, For: time.Second, Fault: faults.Stop{Host: faults.Host(worker)}},
	}
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
