package laws

import (
	"slices"
	"time"
)

// The laws that are asked here.
var (
	StableGroup = declare(51, OfGroup, "a KIP-848 group is Stable only when each member is in its epoch, has all that the target assignment gives it, and has nothing to give up",
		"each time that such a group of up to 64 members becomes Stable", "ValidStableGroupState of Vanlightly's kip-848; ConsumerGroup.maybeUpdateGroupState")
	OneTarget = declare(52, OfGroup, "the target assignment of a KIP-848 group gives a partition to one member; a partition that a member has, or has not given up, is known to be taken, and no other",
		"each time that such a group of up to 64 members comes into another state", "LegalTargetAssignment and partitionEpoch of Vanlightly's kip-848; ConsumerGroup.currentPartitionEpoch, KAFKA-16147")
	ExpelledInTime = declare(55, OfGroup, "a member is removed for its silence only when its coordinator has not heard of it for its session, and of a classic group for missing a rebalance only when that has lasted its rebalance timeout",
		"each member that is removed because a time was over; a tenth less is let pass, because clocks drift", "KIP-62; ClassicGroup.completeClassicGroupHeartbeat, GroupMetadataManager.scheduleConsumerGroupSessionTimeout")
)

// Held is what the log holds of a KIP-848 group.
type Held struct {
	State         string // by Kafka's names
	Epoch, Target int32
	Members       []HeldBy
	Taken         []string // partitions that the coordinator counts as some member's
}

// HeldBy is what it holds of a member. Stable: it waits for nothing.
type HeldBy struct {
	Member             string
	Epoch              int32
	Stable             bool
	Has, Gives, Target []string
}

// Holds: a KIP-848 group comes into another state, and the log holds this of it.
func (g *Coordination) Holds(id string, h Held) {
	g.events++
	g.of(id).forget(h)
	g.target(h)
	g.taken(h)
	if h.State == "Stable" {
		g.stable(h)
	}
}

// forget: members are gone that the log does not hold, and that a coordinator has removed. Another that led in
// between without that record has taken them for members again.
func (x *group) forget(h Held) {
	for _, member := range x.given() {
		if x.gone[member] && !slices.ContainsFunc(h.Members, func(m HeldBy) bool { return m.Member == member }) {
			x.members.leave(member)
		}
	}
}

// target: law 52, of the target assignment.
func (g *Coordination) target(h Held) {
	of := map[string]string{}
	for _, m := range h.Members {
		for _, p := range m.Target {
			if other, twice := of[p]; twice {
				g.fail(OneTarget, NoNode, "the target assignment of epoch %d gives %s to %s and to %s", h.Target, p, other, m.Member)
			}
			of[p] = m.Member
		}
	}
}

// taken: law 52, of what members have.
func (g *Coordination) taken(h Held) {
	of := map[string]string{}
	for _, m := range h.Members {
		for _, p := range slices.Concat(m.Has, m.Gives) {
			switch other, twice := of[p]; {
			case twice:
				g.fail(OneTarget, NoNode, "both %s and %s have %s, or have not given it up", other, m.Member, p)
			case !slices.Contains(h.Taken, p):
				g.fail(OneTarget, NoNode, "%s has %s, or has not given it up, and the coordinator takes it for free", m.Member, p)
			}
			of[p] = m.Member
		}
	}
	for _, p := range h.Taken {
		if _, has := of[p]; !has {
			g.fail(OneTarget, NoNode, "the coordinator counts %s as taken, and no member has it", p)
		}
	}
}

// stable: law 51.
func (g *Coordination) stable(h Held) {
	if h.Target != h.Epoch {
		g.fail(StableGroup, NoNode, "it is Stable in epoch %d, and its target assignment is of epoch %d", h.Epoch, h.Target)
	}
	for _, m := range h.Members {
		switch {
		case m.Epoch != h.Epoch:
			g.fail(StableGroup, NoNode, "it is Stable in epoch %d, and %s is in epoch %d", h.Epoch, m.Member, m.Epoch)
		case !m.Stable || len(m.Gives) > 0:
			g.fail(StableGroup, NoNode, "it is Stable, and %s is not: it has to give up %v", m.Member, m.Gives)
		case !slices.Equal(m.Has, m.Target):
			g.fail(StableGroup, NoNode, "it is Stable, and %s has %v instead of %v", m.Member, m.Has, m.Target)
		}
	}
}

// Heard: the coordinator takes a heartbeat for that of a member, whose session begins anew.
func (g *Coordination) Heard(by Coordinator, id, member string) {
	g.events++
	g.told(by, id).heard[hearing{by, member}] = g.now()
}

// TimedOut: the coordinator decides to remove a member because its session of so long is over or, with
// rebalance, because it has not taken part in one for so long. Left is told when that is in the log.
func (g *Coordination) TimedOut(by Coordinator, id, member string, timeout time.Duration, rebalance bool) {
	g.events++
	x := g.told(by, id)
	from, known := x.heard[hearing{by, member}]
	delete(x.heard, hearing{by, member}) // what is heard from now on is of another session
	what := "it was heard of"
	if rebalance {
		from, known, what = x.rebalancing, x.rebalancing > 0, "the rebalance began"
	}
	at, loaded := g.loadedAt[by]
	if loaded && at > from {
		from = at
	}
	if !known && !loaded || g.Calm == nil {
		return
	}
	const tenth = 10
	if passed := g.now() - from; passed < timeout-timeout/tenth {
		g.fail(ExpelledInTime, NoNode, "%s is removed %v after %s, before its %v are over", member, passed, what, timeout)
	}
}
