package scenarios

import (
	"time"

	"github.com/ktrial/ktrial/broker/controller"
	"github.com/ktrial/ktrial/broker/log"
	"github.com/ktrial/ktrial/faults"
	"github.com/ktrial/ktrial/ledger"
)

// RotOnAMinority: bits flip on the disk of one broker while it is down. When
// it comes back it finds the damage by checksum, cuts it off and fetches the
// records again from those that have them.
var RotOnAMinority = Scenario{
	Name:     "rot-on-a-minority",
	About:    "bits flip on one broker's disk while it is down; it must notice, and no consumer may read them",
	Cluster:  Three,
	Topics:   []Topic{Orders},
	Workload: Idempotent,
	Faults: faults.Plan{
		{At: 10 * time.Second, For: 6 * time.Second, Fault: faults.PowerOff{Host: faults.Host("broker-2")}},
		{At: 12 * time.Second, Fault: faults.Rot{Bytes: 40, Host: faults.Host("broker-2")}},
		{At: 35 * time.Second, For: 6 * time.Second, Fault: faults.PowerOff{Host: faults.Host("broker-3")}},
		{At: 37 * time.Second, Fault: faults.Rot{Bytes: 3, Host: faults.Host("broker-3")}},
	},
	Checks: Promises,
	Probes: []*ledger.Probe{controller.ProbeUncleanRestart, log.ProbeDamagedBatch},
}
