package scenarios

import (
	"time"

	"github.com/ktrial/ktrial/broker/controller"
	"github.com/ktrial/ktrial/faults"
	"github.com/ktrial/ktrial/ledger"
)

// LateISRJoin: two ways in which a replica joins the ISR that must not.
//
// First, a leader asks the controller to take a replica in, and the request is
// long on its way. Meanwhile the replica loses its disk, comes back as a new
// incarnation, and cannot fetch. The request, when it arrives, speaks of an
// incarnation that is gone (KIP-903).
//
// Then the replica comes back over slow links: it follows the high watermark at
// a distance and stays out. Leadership moves, and a new leader's own high
// watermark is older still: the replica has reached that, but not the start of
// the new epoch, below which all may have been acknowledged (KAFKA-7128). And a
// leader dies.
var LateISRJoin = Scenario{
	Name:     "late-isr-join",
	About:    "a replica asks its way into the ISR too late, or too early",
	Cluster:  Three,
	Topics:   []Topic{Orders},
	Workload: Idempotent,
	Faults: faults.Plan{
		{At: 2 * time.Second, For: 10 * time.Second, Fault: faults.Kill{Host: faults.Host("broker-2")}}, // leaders open their ways to the controller
		{At: 14 * time.Second, For: 10 * time.Second, Fault: faults.Wipe{Host: faults.Host("broker-2")}},
		{At: 20 * time.Second, Fault: faults.LateDelivery{From: faults.Host("broker-1", "broker-3"), To: faults.ActiveController, By: 25 * time.Second}},
		{At: 27 * time.Second, For: 10 * time.Second, Fault: faults.Wipe{Host: faults.Host("broker-2")}},
		{At: 27 * time.Second, For: 23 * time.Second, Fault: faults.CutOneWay{From: faults.Host("broker-1", "broker-3"), To: faults.Host("broker-2")}},

		{At: 47 * time.Second, For: 13 * time.Second, Fault: faults.SlowLink{From: faults.Host("broker-1", "broker-3"), To: faults.Host("broker-1", "broker-3"), By: 200 * time.Millisecond}},
		{At: 47 * time.Second, For: 13 * time.Second, Fault: faults.SlowLink{From: faults.Host("broker-1", "broker-3"), To: faults.Host("broker-2"), By: time.Second}},
		{At: 53 * time.Second, For: 6 * time.Second, Fault: faults.PingPong{Topic: "orders", Partition: 0, Every: 1100 * time.Millisecond}},
		{At: 53 * time.Second, For: 6 * time.Second, Fault: faults.PingPong{Topic: "orders", Partition: 1, Every: 1300 * time.Millisecond}},
		{At: 53 * time.Second, For: 6 * time.Second, Fault: faults.PingPong{Topic: "orders", Partition: 2, Every: 1500 * time.Millisecond}},
		{At: 56 * time.Second, For: 3 * time.Second, Fault: faults.Kill{Host: faults.Leader("orders", 0)}},
	},
	Checks: Promises,
	Probes: []*ledger.Probe{controller.ProbeUncleanRestart},
}
