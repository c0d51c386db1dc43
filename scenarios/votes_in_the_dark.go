package scenarios

import (
	"time"

	"github.com/ktrial/ktrial/broker/controller"
	"github.com/ktrial/ktrial/faults"
	"github.com/ktrial/ktrial/ledger"
)

// VotesInTheDark: controllers lose power while an election is under way. Slow
// links keep the time long between a vote and the news of the winner, which is
// all that could remind a voter of its vote if it was not on the disk.
var VotesInTheDark = Scenario{
	Name:     "votes-in-the-dark",
	About:    "controllers lose power between their vote and the news of the result",
	Cluster:  Three,
	Topics:   []Topic{Orders},
	Workload: Idempotent,
	Faults: faults.Plan{
		{At: 3 * time.Second, For: 40 * time.Second, Fault: faults.SlowLink{From: faults.AllControllers, To: faults.AllControllers, By: 250 * time.Millisecond}},
		{At: 5 * time.Second, Fault: faults.ResignController{}},
		{At: 6100 * time.Millisecond, For: 100 * time.Millisecond, Fault: faults.PowerOff{Host: faults.AnyController}},
		{At: 12 * time.Second, Fault: faults.ResignController{}},
		{At: 13300 * time.Millisecond, For: 100 * time.Millisecond, Fault: faults.PowerOff{Host: faults.AnyController}},
		{At: 19 * time.Second, Fault: faults.ResignController{}},
		{At: 20500 * time.Millisecond, For: 100 * time.Millisecond, Fault: faults.PowerOff{Host: faults.AnyController}},
		{At: 26 * time.Second, Fault: faults.ResignController{}},
		{At: 27700 * time.Millisecond, For: 100 * time.Millisecond, Fault: faults.PowerOff{Host: faults.AnyController}},
		{At: 33 * time.Second, Fault: faults.ResignController{}},
		{At: 34900 * time.Millisecond, For: 100 * time.Millisecond, Fault: faults.PowerOff{Host: faults.AnyController}},
	},
	Checks: Promises,
	Probes: []*ledger.Probe{controller.ProbeFailover},
}
