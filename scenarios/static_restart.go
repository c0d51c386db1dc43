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

// nothingMoves reports a rebalance that begins when the group was stable once, and
// before the members end.
func nothingMoves() func(*ledger.Entry) (checked bool, broken string) {
	stable, over := false, false
	return func(e *ledger.Entry) (checked bool, broken string) {
		over = over || e.Event.Kind().Name == healed
		g, ok := e.Event.(*witness.GroupState)
		if !ok || over {
			return false, ""
		}
		if stable && g.From == "Stable" && g.To != "Stable" {
			return true, fmt.Sprintf("group %s begins a rebalance, generation %d", g.Group, g.Generation)
		}
		stable = stable || g.To == "Stable"
		return true, ""
	}
}

// healed is the kind of event with which the work is over: members leave then, or
// their sessions end.
const healed = "healing-began"
