// Package scenarios puts everything together: a cast, a stage, work, trouble,
// and a question at the end. A scenario is a struct literal that reads aloud;
// Run plays it in a world of its own and reports what was seen.
package scenarios

import (
	"fmt"
	"slices"
	"time"

	"github.com/ktrial/ktrial/checkers"
	"github.com/ktrial/ktrial/faults"
	"github.com/ktrial/ktrial/internal/nearest"
	"github.com/ktrial/ktrial/ledger"
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
	Exact  bool
	Checks []Promise
	// Probes must be reached, or the danger was not met and the verdict is
	// inconclusive.
	Probes []*ledger.Probe
	// Lesson is what a design hazard teaches: the configuration never made the
	// promise that the run breaks. Danger is the anomaly that shows it: a run
	// without it is inconclusive.
	Lesson string
	Danger checkers.Anomaly
	// Liveness is how long the healed cluster may take to converge; 0: 90s.
	Liveness time.Duration
}

// Cluster is the cast of servers.
type Cluster struct {
	Controllers int
	Brokers     int
	// Combined nodes are brokers and controllers; they come instead of both.
	Combined int
	// Racks are given to brokers in turn.
	Racks []string
	// Config is broker and controller configuration, by Kafka's names.
	Config map[string]string
}

// Topic is a topic to create before the work begins.
type Topic struct {
	Name       string
	Partitions int32
	Replicas   int16
	MinInsync  int // 0: the broker's default
	Config     map[string]string
}

// Three brokers and three controllers are the usual cast.
var three = Cluster{Controllers: 3, Brokers: 3}

// orders is the usual topic: nothing acknowledged is on fewer than two disks'
// page caches.
var orders = Topic{Name: "orders", Partitions: 3, Replicas: 3, MinInsync: 2}

// All lists every scenario, in the order of `ktrial list`.
func All() []Scenario {
	return []Scenario{
		Standard,
		LeaderLosesPower,
		SplitNetwork,
		LeaderCutFromControllers,
		SlowFollower,
		RollingRestart,
		ControllerStorm,
		RackPowerCut,
		FsyncStall,
		RotOnAMinority,
		ClockTrouble,
		LateRequests,
		LeadershipPingPong,
		ReturnOfTheReplica,
		LateISRJoin,
		LastInSync,
		RetriesAfterRestart,
		VotesInTheDark,
		CombinedRoles,
		AcksOne,
		UncleanElection,
		MinISROne,
		NoIdempotence,
		NoFsyncAllLosePower,
	}
}

// Find returns the scenario of that name, or an error with the nearest.
func Find(name string) (Scenario, error) {
	all := All()
	i := slices.IndexFunc(all, func(s Scenario) bool { return s.Name == name })
	if i >= 0 {
		return all[i], nil
	}
	var names []string
	for _, s := range all {
		names = append(names, s.Name)
	}
	return Scenario{}, fmt.Errorf("%w (see: ktrial list)", nearest.Unknown("scenario", name, names))
}

// Promising lists the scenarios whose configuration promises everything: all
// but the design hazards.
func Promising() []Scenario {
	return slices.DeleteFunc(All(), func(s Scenario) bool { return s.Lesson != "" })
}
