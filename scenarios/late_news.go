package scenarios

import (
	"time"

	"github.com/ktrial/ktrial/broker/controller"
	"github.com/ktrial/ktrial/faults"
	"github.com/ktrial/ktrial/ledger"
)

// LateNews: the metadata reaches a broker late while another one is stopped in order. That one
// must stay until all brokers know the next leaders: clients ask any of them.
var LateNews = Scenario{
	Name:     "late-news",
	About:    "a broker is stopped in order while another one hears of the metadata late; it stays until all know that it leaves",
	Cluster:  Three,
	Topics:   []Topic{Orders},
	Workload: Idempotent,
	Faults: faults.Plan{
		{At: 5 * time.Second, For: 15 * time.Second, Fault: faults.SlowLink{From: faults.AllControllers, To: faults.Follower("orders", 0), By: 1500 * time.Millisecond}},
		{At: 10 * time.Second, For: 4 * time.Second, Fault: faults.Stop{Host: faults.Leader("orders", 0)}},
		{At: 30 * time.Second, For: 25 * time.Second, Fault: faults.SlowLink{From: faults.AllControllers, To: faults.Leader("orders", 2), By: 2500 * time.Millisecond}},
		{At: 36 * time.Second, For: 5 * time.Second, Fault: faults.Stop{Host: faults.Leader("orders", 1)}},
	},
	Checks: Promises,
	Probes: []*ledger.Probe{controller.ProbeLeftUnknown},
}
