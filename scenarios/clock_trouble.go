package scenarios

import (
	"time"

	"github.com/ktrial/ktrial/broker/controller"
	"github.com/ktrial/ktrial/faults"
	"github.com/ktrial/ktrial/ledger"
)

// ClockTrouble: clocks jump by hours and run fast or slow. Timestamps may be
// odd; order and leadership do not depend on the time of day.
var ClockTrouble = Scenario{
	Name:     "clock-trouble",
	About:    "clocks jump by hours and drift while leaders change",
	Cluster:  Three,
	Topics:   []Topic{Orders},
	Workload: Idempotent,
	Faults: faults.Plan{
		{At: 3 * time.Second, For: 50 * time.Second, Fault: faults.DriftClock{Host: faults.AnyBroker, PPM: 50_000}},
		{At: 6 * time.Second, For: 10 * time.Second, Fault: faults.StepClock{Host: faults.ActiveController, By: 2 * time.Hour}},
		{At: 12 * time.Second, For: 20 * time.Second, Fault: faults.StepClock{Host: faults.Leader("orders", 0), By: -3 * time.Hour}},
		{At: 20 * time.Second, For: 3 * time.Second, Fault: faults.Kill{Host: faults.Leader("orders", 0)}},
		{At: 40 * time.Second, For: 10 * time.Second, Fault: faults.StepClock{Host: faults.AllBrokers, By: 24 * time.Hour}},
	},
	Checks: Promises,
	Probes: []*ledger.Probe{controller.ProbeBrokerFenced, controller.ProbeUncleanRestart},
}
