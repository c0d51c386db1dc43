package group

import (
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/ktrial/ktrial/broker/coordinator"
	"github.com/ktrial/ktrial/broker/coordinator/timeline"
	"github.com/ktrial/ktrial/broker/planted"
	"github.com/ktrial/ktrial/broker/witness"
)

// Heartbeat decides a classic member's heartbeat. The error is what the answer
// carries; REBALANCE_IN_PROGRESS is that of a member in good standing.
func (m *Machine) Heartbeat(req *kmsg.HeartbeatRequest) (coordinator.Decision, error) {
	g := m.group(req.Group, timeline.Written)
	switch {
	case req.Group == "":
		return coordinator.Decision{}, kerr.InvalidGroupID
	case g == nil:
		return coordinator.Decision{}, kerr.UnknownMemberID
	case g.kind() == Consumer:
		return m.heartbeatConsumerGroup(g, req)
	}
	return coordinator.Decision{}, g.(*classicGroup).heartbeat(req)
}

func (g *classicGroup) heartbeat(req *kmsg.HeartbeatRequest) error {
	mb, err := g.checkGeneration(req.MemberID, req.InstanceID, req.Generation)
	if err != nil {
		return err
	}
	if g.at == Empty {
		return kerr.UnknownMemberID
	}
	// Members send heartbeats from the answer of JoinGroup on, so they are legal in
	// CompletingRebalance too (KAFKA-10122).
	g.m.env.Tell(&witness.MemberHeard{Group: g.id, Member: mb.id})
	if bugs := g.m.env.Bugs(); bugs.On(planted.NoSessionInRebalance) && g.at == PreparingRebalance {
		bugs.Infected(planted.NoSessionInRebalance, true)
		return kerr.RebalanceInProgress
	}
	g.scheduleSession(mb.id, mb.sessionTimeout)
	if g.at == PreparingRebalance {
		return kerr.RebalanceInProgress
	}
	return nil
}

// commitKeepsSession: a member that commits is there.
func (m *Machine) commitKeepsSession(group, id string) {
	g := m.classic[group]
	if g == nil || g.at != Stable && g.at != PreparingRebalance {
		return
	}
	if mb := g.members[id]; mb != nil {
		g.scheduleSession(id, mb.sessionTimeout)
	}
}
