package trial

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ktrial/ktrial/broker/witness"
	"github.com/ktrial/ktrial/ledger"
	"github.com/ktrial/ktrial/scenarios"
	"github.com/ktrial/ktrial/sim/env"
)

// Clients that are not done may be excused only where all of them wait for a group that
// has no target because of a clock, as long as it has none, or whose static leader came
// back to a topic that has grown.
func TestAGroupMayWait(t *testing.T) {
	returned := &witness.LeaderReturned{Membership: &witness.Membership{Group: "billing"}}
	completed := &witness.GenerationCompleted{Group: "billing"}
	postponed := &witness.TargetPostponed{Group: "billing", Epoch: 7, Behind: time.Hour}
	for _, c := range []struct {
		name   string
		events []ledger.Event
		done   bool // the clients that are no members, and wait for none
		grown  bool // a topic has more partitions than before
		want   bool
	}{
		{"the group waits", []ledger.Event{postponed}, true, false, true},
		{"no group does", nil, true, false, false},
		{"another group does", []ledger.Event{&witness.TargetPostponed{Group: "shipping"}}, true, false, false},
		{"it has its target by now", []ledger.Event{postponed, &witness.GroupState{Group: "billing", From: "Assigning", To: "Reconciling"}}, true, false, false},
		{"it has changed once more", []ledger.Event{postponed, &witness.GroupState{Group: "billing", From: "Stable", To: "Assigning"}}, true, false, true},
		{"its static leader came back", []ledger.Event{completed, returned}, true, true, true},
		{"to what it had assigned", []ledger.Event{completed, returned}, true, false, false},
		{"and has assigned since", []ledger.Event{returned, completed}, true, true, false},
		{"a producer is not done either", []ledger.Event{postponed}, false, false, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			r, err := prepare(scenarios.StandardGroups, Options{Seed: 1})
			require.NoError(t, err)
			defer r.w.Close()
			r.grown = c.grown
			for _, e := range c.events {
				r.w.TellOf("broker-1", e)
			}
			for _, client := range r.clients {
				if c.done && client.Awaits() == "" {
					client.Main = func(env.Host) {}
					r.stage.Main(client)(nil)
				}
			}
			assert.Equal(t, c.want, r.excusesWaits())
			assert.Equal(t, c.want, len(r.allowed) == 1, r.allowed)
		})
	}
}
