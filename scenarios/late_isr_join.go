package scenarios

import (
	"time"

	"github.com/ktrial/ktrial/faults"
)

// LateISRJoin: a leader asks the controller to take a replica into the ISR, and
// the request is long on its way. Meanwhile the replica loses its disk, comes
// back as a new incarnation, and cannot fetch. The request, when it arrives,
// speaks of somebody who is gone (KIP-903).
var LateISRJoin = Scenario{
	Name:     "late-isr-join",
	About:    "a request to take a replica into the ISR arrives when the replica is another",
	Cluster:  three,
	Topics:   []Topic{orders},
	Workload: idempotent,
	Faults: faults.Plan{
		{At: 2 * time.Second, For: 10 * time.Second, Fault: faults.Kill{Host: faults.Host("broker-2")}}, // leaders open their ways to the controller
		{At: 14 * time.Second, For: 10 * time.Second, Fault: faults.Wipe{Host: faults.Host("broker-2")}},
		{At: 20 * time.Second, Fault: faults.LateDelivery{From: faults.Host("broker-1", "broker-3"), To: faults.ActiveController, By: 25 * time.Second}},
		{At: 27 * time.Second, For: 10 * time.Second, Fault: faults.Wipe{Host: faults.Host("broker-2")}},
		{At: 27 * time.Second, For: 23 * time.Second, Fault: faults.CutOneWay{From: faults.Host("broker-1", "broker-3"), To: faults.Host("broker-2")}},
	},
	Checks: Promises,
	Probes: []string{"unclean restart detected"},
}
