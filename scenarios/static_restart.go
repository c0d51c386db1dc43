package scenarios

import (
	"fmt"
	"time"

	"github.com/ktrial/ktrial/broker/witness"
	"github.com/ktrial/ktrial/faults"
	"github.com/ktrial/ktrial/ledger"
	"github.com/ktrial/ktrial/workloads"
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

// StaticRestart848 is the same in a KIP-848 group. A member that stops in order says that it comes back
// (epoch -2), and nothing is moved while it is away. One that is killed says nothing: until its
// session has ended its next life is refused with UNRELEASED_INSTANCE_ID, which ends a consumer, and
// the service is started again and again; then its partitions are moved, as without
// group.instance.id.
var StaticRestart848 = Scenario{
	Name:     "static-restart-848",
	About:    "static members of a KIP-848 group are restarted in turn and nothing is rebalanced; those that are killed are refused until their sessions end",
	Cluster:  Grouped,
	Topics:   []Topic{Orders},
	Workload: modern(static(Billing)),
	Faults: faults.Plan{
		{At: 8 * time.Second, For: 16 * time.Second, Fault: faults.RollingRestart{Hosts: faults.Members("billing"), Down: 2 * time.Second}},
		{At: 26 * time.Second, Fault: faults.MoveCoordinator{Group: "billing"}},
		{At: 32 * time.Second, For: time.Second, Fault: faults.Kill{Host: faults.Host("member-2")}},
		{At: 44 * time.Second, For: time.Second, Fault: faults.Kill{Host: faults.Members("billing")}},
	},
	Checks: PromisesToGroups,
	Laws:   []Law{{Name: "restarts of static members move nothing", About: "no rebalance begins while each stops in order and is back within its session", Watch: nothingMovesInOrder}},
	Probes: []*ledger.Probe{ProbeMemberExpelled, workloads.ProbeRefusedForGood},
}

// nothingMovesInOrder is nothingMoves until a member is killed.
func nothingMovesInOrder() func(*ledger.Entry) (checked bool, broken string) {
	moves, killed := nothingMoves(), false
	return func(e *ledger.Entry) (checked bool, broken string) {
		if x, strikes := e.Event.(*faults.Struck); strikes {
			_, kills := x.Fault.(faults.Kill)
			killed = killed || kills
		}
		if killed {
			return false, ""
		}
		return moves(e)
	}
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
