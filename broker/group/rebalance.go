package group

import (
	"maps"
	"slices"
	"time"

	"github.com/ktrial/ktrial/broker/coordinator"
	"github.com/ktrial/ktrial/broker/witness"

	"github.com/twmb/franz-go/pkg/kerr"
)

// The rounds of a classic group: members join until all are there or their time is
// over; then they are told of a new generation, and wait for their leader's
// assignment.

// rebalanceOrComplete begins a rebalance, or ends the join phase of one that goes on.
func (g *classicGroup) rebalanceOrComplete() coordinator.Decision {
	if g.at == PreparingRebalance {
		return g.completeJoinIfAll()
	}
	return g.prepareRebalance()
}

// prepareRebalance begins a join phase. A group that was empty waits a little for
// more members, so that not each of them causes a rebalance of its own (KIP-134).
func (g *classicGroup) prepareRebalance() coordinator.Decision {
	if g.at == CompletingRebalance {
		g.resetAssignments(kerr.RebalanceInProgress)
	}
	g.m.env.CancelTimer(g.timer("sync"))
	clear(g.unsynced)
	initial := g.at == Empty
	g.transition(PreparingRebalance)
	if initial {
		g.another = false
		delay := g.m.cfg.InitialRebalanceDelay
		g.scheduleInitial(delay, max(g.rebalanceTimeout()-delay, 0))
		return coordinator.Decision{}
	}
	if g.allJoined() {
		return g.completeJoin()
	}
	g.scheduleJoin(0)
	return coordinator.Decision{}
}

// scheduleInitial ends the first join phase after a delay, or extends it by another
// if a member has come meanwhile, until the rebalance timeout is used up.
func (g *classicGroup) scheduleInitial(delay, remaining time.Duration) {
	g.schedule(g.timer("join"), delay, func() coordinator.Decision {
		if !g.another || remaining == 0 {
			return g.completeJoin()
		}
		g.another = false
		next := min(g.m.cfg.InitialRebalanceDelay, remaining)
		g.scheduleInitial(next, max(remaining-next, 0))
		return coordinator.Decision{}
	})
}

// leastJoinRetry is how long a join phase to which no member has come goes on, at
// least. Members may name a rebalance timeout of 0, and would keep their coordinator
// busy until their sessions end.
const leastJoinRetry = 10 * time.Millisecond

func (g *classicGroup) scheduleJoin(least time.Duration) {
	g.joinTime = max(g.rebalanceTimeout(), least)
	g.schedule(g.timer("join"), g.joinTime, g.completeJoin)
}

// allJoined reports whether every member waits, and every id that was given away is
// used (KIP-394).
func (g *classicGroup) allJoined() bool { return g.waiting == len(g.members) && len(g.pending) == 0 }

// completeJoinIfAll ends the join phase early if all are there; not the first one.
func (g *classicGroup) completeJoinIfAll() coordinator.Decision {
	if g.at == PreparingRebalance && g.before != Empty && g.allJoined() {
		return g.completeJoin()
	}
	return coordinator.Decision{}
}

// completeJoin ends the join phase. Dynamic members that have not come are removed;
// static ones stay until their session ends, so that they may restart (KIP-345).
func (g *classicGroup) completeJoin() coordinator.Decision {
	g.m.env.CancelTimer(g.timer("join"))
	for mb := g.order.First(); mb != nil; {
		next := mb.link.Next()
		switch {
		case mb.join != nil:
		case mb.instance != nil:
			g.m.env.Reached(ProbeStaticAbsent)
		default:
			g.m.env.Reached(ProbeMissedJoin)
			g.tellTimedOut(mb.id, g.joinTime, true)
			g.remove(mb.id, witness.MemberLeft{Reason: "it did not join within the rebalance timeout", Expelled: true})
		}
		mb = next
	}
	if len(g.members) > 0 && !g.electLeader() {
		g.scheduleJoin(leastJoinRetry) // none has come; sessions will end
		return coordinator.Decision{}
	}
	g.generation++
	if len(g.members) == 0 {
		g.protocol, g.leader = nil, ""
		g.learnTopics()
		g.transition(Empty)
		// If this cannot be written, the last generation of the log may become active
		// again after a fail-over, until its members' sessions end.
		return coordinator.Decision{Records: []coordinator.Record{g.record(nil)}}
	}
	name := g.elect()
	g.protocol = &name
	g.learnTopics()
	g.transition(CompletingRebalance)
	g.answerJoins()
	g.scheduleSync()
	return coordinator.Decision{}
}

// electLeader keeps the leader if it has come, else takes the first that has.
func (g *classicGroup) electLeader() bool {
	if leader := g.members[g.leader]; leader != nil && leader.join != nil {
		return true
	}
	for mb := g.order.First(); mb != nil; mb = mb.link.Next() {
		if mb.join != nil {
			g.leader = mb.id
			return true
		}
	}
	return false
}

// answerJoins tells all members of the generation. Their sessions begin anew.
func (g *classicGroup) answerJoins() {
	told := &witness.GenerationCompleted{Group: g.id, Generation: g.generation, Protocol: *g.protocol, Leader: g.leader}
	g.unsynced = make(map[string]bool, len(g.members))
	for mb := g.order.First(); mb != nil; mb = mb.link.Next() {
		told.Members = append(told.Members, mb.id)
		if mb.join == nil {
			told.Absent = append(told.Absent, mb.id)
		}
	}
	g.m.env.Tell(told)
	for mb := g.order.First(); mb != nil; mb = mb.link.Next() {
		if mb.join != nil {
			g.answerJoin(mb, g.joined(mb))
		}
		mb.isNew = false
		g.unsynced[mb.id] = true
		g.scheduleSession(mb.id, mb.sessionTimeout)
	}
}

// scheduleSync removes members that send no SyncGroup within the rebalance timeout:
// their heartbeats alone would keep them (KAFKA-12890, KAFKA-10122).
func (g *classicGroup) scheduleSync() {
	generation, timeout := g.generation, g.rebalanceTimeout()
	g.schedule(g.timer("sync"), timeout, func() coordinator.Decision {
		if g.generation != generation || g.at != CompletingRebalance && g.at != Stable || len(g.unsynced) == 0 {
			return coordinator.Decision{}
		}
		g.m.env.Reached(ProbeNoSync)
		for _, id := range slices.Sorted(maps.Keys(g.unsynced)) {
			g.tellTimedOut(id, timeout, true)
			g.remove(id, witness.MemberLeft{Reason: "it sent no SyncGroup within the rebalance timeout", Expelled: true})
		}
		return g.prepareRebalance()
	})
}

// loaded starts the sessions of a group that was folded from the log.
func (g *classicGroup) loaded() {
	for mb := g.order.First(); mb != nil; mb = mb.link.Next() {
		g.scheduleSession(mb.id, mb.sessionTimeout)
	}
	if len(g.members) > g.m.cfg.MaxSize {
		g.prepareRebalance() // group.max.size has changed
	}
}

// unloaded answers what waits: this broker does not coordinate the group any more.
// To Kafka such a group is Dead; nothing asks for its state again.
func (g *classicGroup) unloaded() {
	g.at = Dead
	g.answerAll(kerr.NotCoordinator)
}

// answerAll refuses all that waits.
func (g *classicGroup) answerAll(why error) {
	for mb := g.order.First(); mb != nil; mb = mb.link.Next() {
		g.answerJoin(mb, refuseJoin(mb.id, why))
		g.answerSync(mb, why)
	}
}

// drop forgets the soft state: the log has no such group any more.
func (g *classicGroup) drop(why error) {
	g.answerAll(why)
	g.m.env.CancelTimer(g.timer("join"))
	g.m.env.CancelTimer(g.timer("sync"))
	for _, id := range slices.Sorted(maps.Keys(g.pending)) {
		g.m.env.CancelTimer(g.sessionTimer(id))
	}
	for mb := g.order.First(); mb != nil; mb = mb.link.Next() {
		g.m.env.CancelTimer(g.sessionTimer(mb.id))
	}
	delete(g.m.classic, g.id)
	g.transition(Dead)
}

// restore brings back what drop forgot: the record that removed the group was not
// written. Of what the log says of an emptied group, members may be left that are gone
// since; so it is not asked. Those that waited were refused, and come again. It is in
// its state since then, in ms.
func (g *classicGroup) restore(since int64) {
	g.m.classic[g.id] = g
	g.transition(g.before)
	g.since = since
	for _, id := range slices.Sorted(maps.Keys(g.pending)) {
		g.scheduleSession(id, g.pending[id])
	}
	for mb := g.order.First(); mb != nil; mb = mb.link.Next() {
		g.scheduleSession(mb.id, mb.sessionTimeout)
	}
	switch g.at {
	case PreparingRebalance:
		g.scheduleJoin(leastJoinRetry)
	case CompletingRebalance:
		g.scheduleSync()
	}
}

// timer is the name of one of the group's timers.
func (g *classicGroup) timer(name string) string { return name + "\x00" + g.id }

// sessionTimer is the name of the timer of a member's session.
func (g *classicGroup) sessionTimer(id string) string { return "session\x00" + g.id + "\x00" + id }

// schedule has event run if the group's soft state is still this one.
func (g *classicGroup) schedule(key string, after time.Duration, event func() coordinator.Decision) {
	g.m.env.Timer(key, after, 0, func() coordinator.Decision {
		if g.m.classic[g.id] != g {
			return coordinator.Decision{}
		}
		return event()
	})
}

// scheduleSession ends a member's session after so long.
func (g *classicGroup) scheduleSession(id string, after time.Duration) {
	g.schedule(g.sessionTimer(id), after, func() coordinator.Decision { return g.expire(id, after) })
}

// expire removes a member whose session, of so long, has ended. One that waits for an answer is
// there, unless it is new: it cannot send heartbeats yet, and its client may be gone
// (KAFKA-9752).
func (g *classicGroup) expire(id string, session time.Duration) coordinator.Decision {
	mb := g.members[id]
	switch {
	case mb == nil && !g.isPending(id):
		return coordinator.Decision{}
	case mb != nil && !mb.isNew && (mb.join != nil || mb.sync != nil):
		return coordinator.Decision{}
	}
	if mb != nil {
		g.m.env.Reached(ProbeSessionEnded)
	}
	g.tellTimedOut(id, session, false)
	g.remove(id, witness.MemberLeft{Reason: "its session ended", Expelled: true})
	switch {
	case mb != nil && (g.at == Stable || g.at == CompletingRebalance):
		return g.rebalanceOrComplete()
	case g.at == PreparingRebalance && g.allJoined():
		return g.completeJoin()
	}
	return coordinator.Decision{}
}

func (g *classicGroup) tellTimedOut(member string, timeout time.Duration, rebalance bool) {
	g.m.env.Tell(&witness.MemberTimedOut{Group: g.id, Member: member, Timeout: timeout, Rebalance: rebalance})
}
