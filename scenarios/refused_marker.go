package scenarios

import (
	"slices"
	"time"

	"github.com/ktrial/ktrial/broker/coordinator"
	"github.com/ktrial/ktrial/broker/server"
	"github.com/ktrial/ktrial/checkers"
	"github.com/ktrial/ktrial/faults"
	"github.com/ktrial/ktrial/ledger"
	"github.com/ktrial/ktrial/workloads"
)

// RefusedMarker: a broker is sent the markers of a transaction for two partitions. The one it refuses, for it loads the group
// still that it has begun to coordinate; the other it appends, and has yet to replicate. Then it loses that partition. It may
// answer only when it knows what became of both (KAFKA-9777): told that all is written, the coordinator of the transaction would
// not send the marker to the next leader, and the transaction would stay open there.
//
// What clients send takes long, so that at any time some transaction has its offsets handed in and its end on the way.
var RefusedMarker = Scenario{
	Name:  "refused-marker",
	About: "a broker refuses one marker of a request, and loses the partition of the other before that is replicated",
	Cluster: withConfig(Transactional, map[string]string{
		"offsets.load.buffer.size": "512", "ktrial.coordinator.load.delay.ms": "25",
	}),
	Topics:   []Topic{six(Orders), six(Invoices)},
	Workload: Settling,
	Faults: slices.Concat(
		faults.Plan{{At: 3 * time.Second, For: 53 * time.Second, Fault: faults.SlowLink{From: faults.AllClients, To: faults.AllBrokers, By: 250 * time.Millisecond}}},
		losesBoth(8*time.Second), losesBoth(15*time.Second), losesBoth(22*time.Second), losesBoth(29*time.Second),
		losesBoth(36*time.Second), losesBoth(43*time.Second), losesBoth(50*time.Second),
	),
	Checks:    PromisesToPipelines,
	OwnChecks: []checkers.Check{checkers.OneOutput(Orders.Name, Invoices.Name)},
	Probes:    []*ledger.Probe{server.ProbeMarkerAgain, coordinator.ProbeAskedWhileLoading},
}

// six is a topic of six partitions, so that each worker writes to several brokers.
func six(t Topic) Topic {
	t.Partitions = 6
	return t
}

// losesBoth: another broker begins to coordinate the group, what it sends to the others is slow, and leadership of the output
// moves to and fro.
func losesBoth(at time.Duration) faults.Plan {
	group := workloads.Step(1)
	plan := faults.Plan{
		{At: at, Fault: faults.MoveCoordinator{Group: group}},
		{At: at + 90*time.Millisecond, For: 1500 * time.Millisecond, Fault: faults.SlowLink{From: faults.Coordinator(group), To: faults.AllBrokers, By: 300 * time.Millisecond}},
	}
	for p := range six(Invoices).Partitions {
		plan = append(plan, faults.Timed{At: at + 450*time.Millisecond, For: time.Second, Fault: faults.PingPong{Topic: "invoices", Partition: p, Every: 600 * time.Millisecond}})
	}
	return plan
}
