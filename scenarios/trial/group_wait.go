package trial

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/ktrial/ktrial/broker/witness"
	"github.com/ktrial/ktrial/ledger"
	"github.com/ktrial/ktrial/reports"
	"github.com/ktrial/ktrial/workloads"
)

// groupWaits are the groups that leave something unread without an end that a trial waits for, as in
// Apache Kafka 4.4.
type groupWaits struct {
	// clocks: the coordinator computes no new target assignment because its clock is behind
	// the time of the last one (KIP-1263), and this is what it said of it. Such a group waits
	// (GroupMetadataManager.canComputeNextTargetAssignment) until the clock has caught up,
	// which after a step by an hour is an hour.
	clocks map[string]*witness.TargetPostponed
	// leaders: the static leader of a classic group has come back since it assigned last. It
	// takes the topics as they are now for what it had assigned (KIP-814;
	// ConsumerCoordinator.onLeaderElected), so partitions that were added in between get an
	// owner only with a rebalance that something else begins.
	leaders map[string]*witness.LeaderReturned
}

func newGroupWaits() groupWaits {
	return groupWaits{map[string]*witness.TargetPostponed{}, map[string]*witness.LeaderReturned{}}
}

func (w groupWaits) read(e *ledger.Entry) {
	switch x := e.Event.(type) {
	case *witness.TargetPostponed:
		w.clocks[x.Group] = x
	case *witness.GroupState:
		if x.From == "Assigning" { // it has a target, or no members
			delete(w.clocks, x.Group)
		}
	case *witness.LeaderReturned:
		w.leaders[x.Group] = x
	case *witness.GenerationCompleted:
		delete(w.leaders, x.Group)
	}
}

// mayWait reports whether a client waits for such a group.
func (r *run) mayWait(c workloads.Client) bool {
	group := c.Awaits()
	return r.waits.clocks[group] != nil || r.waits.leaders[group] != nil && r.grown
}

// excusesWaits reports whether all clients that are not done wait for such a group, and
// allows that.
func (r *run) excusesWaits() bool {
	waiting := map[string][]string{}
	for _, c := range r.clients {
		if r.stage.Done(c.Host) {
			continue
		}
		if !r.mayWait(c) {
			return false
		}
		group := c.Awaits()
		waiting[group] = append(waiting[group], c.Host)
	}
	for _, group := range slices.Sorted(maps.Keys(waiting)) {
		p := reports.Permitted{Anomaly: progress, Count: 1}
		var told string
		if clock := r.waits.clocks[group]; clock != nil {
			told = clock.Sentence()
			p.Reason = "KIP-1263: a group waits with its next target assignment until the clock of its coordinator is past the time of the last one, and a clock was wrong"
		} else {
			told = r.waits.leaders[group].Sentence()
			p.Reason = "KIP-814: a static leader that comes back takes the topics as they are for what it had assigned, and partitions that were added before wait for the next rebalance"
		}
		p.Message = fmt.Sprintf("%s; %s wait", told, strings.Join(waiting[group], ", "))
		r.allowed = append(r.allowed, p)
	}
	return true
}
