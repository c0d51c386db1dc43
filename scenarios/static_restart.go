package scenarios

import (
	"fmt"
	"time"

	"github.com/ktrial/ktrial/broker/witness"
	"github.com/ktrial/ktrial/faults"
	"github.com/ktrial/ktrial/ledger"
)

// StaticRestart: an upgrade of static members (KIP-345). Each comes back as the same
// group.instance.id before its session ends, so that nothing is rebalanced: its
// partitions stand still, the others' go on. Members that crash come back alike.
var StaticRestart = Scenario{
	Name:     "static-restart",
	About:    "static members are restarted in turn, in order and by crashes, and nothing is rebalanced",
	Cluster:  Grouped,
	Topics:   []Topic{Orders},
	Workload: static(Billing),
	Faults: faults.Plan{
		{At: 8 * time.Second, For: 16 * time.Second, Fault: faults.RollingRestart{Hosts: faults.Members("billing"), Down: 2 * time.Second}},
		{At: 30 * time.Second, For: 3 * time.Second, Fault: faults.Kill{Host: faults.Host("member-2")}},
		{At: 40 * time.Second, For: 2 * time.Second, Fault: faults.Kill{Host: faults.Members("billing")}},
	},
	Checks: PromisesToGroups,
	Laws:   []Law{{Name: "restarts of static members move nothing", About: "no rebalance begins while each is back within its session", Watch: nothingMoves}},
}

// nothingMoves reports a rebalance that begins after the first fault, when all members
// have joined, and before they end: a classic group prepares one, a KIP-848 group is in a
// new epoch. That a static member is away for a while is none.
func nothingMoves() func(*ledger.Entry) (checked bool, broken string) {
	struck, over := false, false
	generation := int32(0) // before the first fault
	return func(e *ledger.Entry) (checked bool, broken string) {
		_, strikes := e.Event.(*faults.Struck)
		struck, over = struck || strikes, over || e.Event.Kind().Name == healed
		g, ok := e.Event.(*witness.GroupState)
		if !ok || over {
			return false, ""
		}
		if struck && (g.To == "PreparingRebalance" || g.Generation > generation) {
			return true, fmt.Sprintf("group %s begins a rebalance, generation %d", g.Group, g.Generation)
		}
		generation = max(generation, g.Generation)
		return true, ""
	}
}

// healed is the kind of event with which the work is over: members leave then, or
// their sessions end.
const healed = "healing-began"
