// Package scenarios holds the stories: a cast, a stage, work, trouble, and a
// question at the end. A scenario is a struct literal that reads aloud. The
// rooms below play it: trial.Run plays one seed, hunt.Hunt many.
package scenarios

import (
	"time"

	"github.com/ktrial/ktrial/checkers"
	"github.com/ktrial/ktrial/faults"
	"github.com/ktrial/ktrial/ledger"
	"github.com/ktrial/ktrial/scenarios/cluster"
	"github.com/ktrial/ktrial/workloads"
)

// Scenario is one trial.
type Scenario struct {
	Name  string
	About string // one line

	Cluster  Cluster
	Topics   []Topic
	Workload workloads.Workload
	Faults   faults.Trouble // nil: none
	// Exact: every fault of this plan strikes as it is written, for its author
	// has seen to the budget. The nemesis knows only what the controllers believe, which is
	// wrong under a planted bug.
	Exact bool
	// Checks are promises that the history of the clients must keep, OwnChecks
	// are rules of the application that it must keep, Laws watch the events of
	// the run. The laws of replication and of the quorum are always watched.
	Checks    []Promise
	OwnChecks []checkers.Check
	Laws      []Law
	// Probes must be reached, or the danger was not met and the verdict is
	// inconclusive.
	Probes []*ledger.Probe
	// Lesson is what a design hazard teaches: the configuration never made the
	// promise that the run breaks. Danger is the anomaly that shows it: a run
	// without it is inconclusive.
	Lesson string
	Danger checkers.Anomaly
	// Draw draws from the seed which other scenario is played, and how; nil: this one is.
	Draw func(seed uint64) Drawn
	// Liveness is how long the healed cluster may take to converge; 0: two minutes.
	Liveness time.Duration
}

// Law is something that must hold after each event: a law of another module, or
// of this scenario alone.
type Law struct {
	Name  string // "no order is shipped twice"
	About string
	// Watch is called once for each run. What it returns is called with each event,
	// traffic and operations of clients included. It reports whether it checked
	// anything of it, which the report counts, and what is wrong; empty: nothing. The
	// run ends then. An event that is ledger.Packed is valid only during the call.
	Watch func() func(*ledger.Entry) (checked bool, broken string)
}

// Cluster is the cast of servers, Topic a topic that is created before the work
// begins.
type (
	Cluster = cluster.Shape
	Topic   = cluster.Topic
)

// Three: three brokers and three controllers are the usual cast.
var Three = Cluster{Controllers: 3, Brokers: 3}

// Orders is the usual topic: nothing acknowledged is on fewer than two disks'
// page caches.
var Orders = Topic{Name: "orders", Partitions: 3, Replicas: 3, MinInsync: 2}
