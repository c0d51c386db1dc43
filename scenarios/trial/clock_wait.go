package trial

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/ktrial/ktrial/broker/witness"
	"github.com/ktrial/ktrial/ledger"
	"github.com/ktrial/ktrial/reports"
)

// clockWaits are the groups whose coordinator computes no new target assignment because its
// clock is behind the time of the last one (KIP-1263), with what it said of it. In Apache
// Kafka 4.4 (GroupMetadataManager.canComputeNextTargetAssignment) such a group waits
// until the clock has caught up, which after a step by an hour is an hour.
type clockWaits map[string]*witness.TargetPostponed

func (w clockWaits) read(e *ledger.Entry) {
	switch x := e.Event.(type) {
	case *witness.TargetPostponed:
		w[x.Group] = x
	case *witness.GroupState:
		if x.From == "Assigning" { // it has a target, or no members
			delete(w, x.Group)
		}
	}
}

// waitsForClock reports whether all clients that are not done wait for such a group, and
// allows that.
func (r *run) waitsForClock() bool {
	var waiting []string
	for _, c := range r.clients {
		switch {
		case r.stage.Done(c.Host):
		case r.clocks[c.Awaits()] == nil:
			return false
		default:
			waiting = append(waiting, c.Host)
		}
	}
	for _, group := range slices.Sorted(maps.Keys(r.clocks)) {
		r.allowed = append(r.allowed, reports.Permitted{
			Anomaly: progress, Count: 1,
			Reason:  "KIP-1263: a group waits with its next target assignment until the clock of its coordinator is past the time of the last one, and a clock was wrong",
			Message: fmt.Sprintf("%s; %s wait", r.clocks[group].Sentence(), strings.Join(waiting, ", ")),
		})
	}
	return true
}
