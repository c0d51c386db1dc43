package scenarios

import (
	"time"

	"github.com/ktrial/ktrial/broker/controller"
	"github.com/ktrial/ktrial/faults"
	"github.com/ktrial/ktrial/ledger"
)

// LastInSync: the others are fenced one after the other, and then the last
// replica in sync loses power and what it had not synced. The replica that was
// fenced last was in sync as long as anything was committed, and must lead
// (KIP-966).
var LastInSync = Scenario{
	Name:     "last-in-sync",
	About:    "the last replica in sync loses power; an eligible one that has everything must lead",
	Cluster:  Three,
	Topics:   []Topic{Orders},
	Workload: Idempotent,
	Faults: faults.Plan{
		{At: 5 * time.Second, For: 27 * time.Second, Fault: faults.CutFromControllers{Host: faults.Host("broker-2")}},
		{At: 8 * time.Second, For: 24 * time.Second, Fault: faults.CutFromControllers{Host: faults.Host("broker-3")}},
		{At: 20 * time.Second, For: time.Second, Fault: faults.PowerOff{Host: faults.Host("broker-1")}},
	},
	Exact:  true,
	Checks: Promises,
	Probes: []*ledger.Probe{controller.ProbeBrokerFenced, controller.ProbeUncleanRestart, controller.ProbeElectedFromELR},
}
