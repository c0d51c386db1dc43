package why

import (
	"fmt"
	"slices"
	"time"

	"github.com/ktrial/ktrial/broker/kafka"
	"github.com/ktrial/ktrial/broker/witness"
	"github.com/ktrial/ktrial/reports"
)

// holds: what the log holds of a KIP-848 group, as its coordinator tells.
type holds struct {
	moment
	host string
	witness.GroupHolds
}

type (
	// heard: a coordinator takes the heartbeat of a member.
	heard struct {
		moment
		host, group, member string
	}
	// received: a member is told what it is to have.
	received struct {
		moment
		host string
		witness.TargetReceived
	}
)

// of is what a group holds of a member; nil: it is none.
func (h *holds) of(member string) *witness.MemberHolds {
	i := slices.IndexFunc(h.Members, func(m witness.MemberHolds) bool { return m.Member == member })
	if i < 0 {
		return nil
	}
	return &h.Members[i]
}

// takenForFree explains that a coordinator takes a partition for free that a member has.
func (g *groups) takenForFree() *reports.Why {
	h := &g.holds[len(g.holds)-1]
	for i := range h.Members {
		m := &h.Members[i]
		for _, tp := range slices.Concat(m.Has, m.Gives) {
			if !slices.Contains(h.Taken, tp) {
				return g.explainFree(h, m, tp)
			}
		}
	}
	return nil
}

// explainFree is about a partition that was a member's and known to be taken, and is still that member's.
func (g *groups) explainFree(h *holds, m *witness.MemberHolds, tp kafka.TopicPartition) *reports.Why {
	var known *holds // when it was counted as taken last
	for i := range g.holds {
		if x := &g.holds[i]; x.Group == h.Group && x.before(h.moment) && slices.Contains(x.Taken, tp) {
			known = x
		}
	}
	if known == nil {
		return nil
	}
	s := &story{g: g, partition: tp.String()}
	name := g.nameOf(m.Member)
	if had := known.of(m.Member); had != nil && slices.Contains(slices.Concat(had.Has, had.Gives), tp) {
		s.add(known.step(known.host, reports.Assigned, onGroup, fmt.Sprintf("counts %s as taken: %s has it, in epoch %d, and is to have %s", tp, name, had.Epoch, listed(had.Target))))
	}
	because := s.givenBack(known, h, m.Member, tp)
	s.add(h.step(h.host, reports.Broke, onGroup, fmt.Sprintf("counts %s as taken, and %s has %s", listed(h.Taken), name, tp)))
	what := fmt.Sprintf("%s has %s of group %s, and the coordinator takes it for free: the next member that is to have it would be given it at once", name, tp, h.Group)
	why := s.conclude(reports.TakenForFree, h.Group, what, because)
	why.Remarks = append(why.Remarks, reports.Remark{At: reports.Seconds(h.at), Host: h.host, Text: fmt.Sprintf("%s is free", tp)})
	return why
}

// givenBack says that a member was to give up a partition, and was given it again before another had it.
func (s *story) givenBack(known, until *holds, member string, tp kafka.TopicPartition) string {
	var without, again *given
	for i := range s.g.given {
		x := &s.g.given[i]
		if x.Group != until.Group || !known.before(x.moment) || !x.before(until.moment) {
			continue
		}
		has := slices.Contains(x.Partitions, tp)
		switch {
		case x.Member != member && has:
			return "" // another one was given it meanwhile
		case x.Member != member:
		case !has:
			without, again = x, nil
		case without != nil && again == nil:
			again = x
		}
	}
	if without == nil || again == nil {
		return ""
	}
	name := s.g.nameOf(member)
	s.add(without.answer(s.g, reports.GroupMoved))
	for _, o := range s.g.owned {
		if o.member == member && o.partition == tp.String() && without.before(o.to) && o.to.before(until.moment) {
			s.add(o.to.step(o.host, reports.GaveUp, onGroup, o.ended))
		}
	}
	for _, t := range s.g.told {
		if t.group == until.Group && known.before(t.moment) && t.before(again.moment) && t.state == "" {
			s.add(t.step(t.host, t.kind, onGroup, t.text))
		}
	}
	s.add(again.answer(s.g, reports.Assigned))
	return fmt.Sprintf("%s was to give %s up, and got it back in epoch %d. When the record of a member changes, all that it had and was to give up must be struck off what is taken before what it has now is added: in another order a partition that goes from the one to the other is lost (KAFKA-16147).",
		name, tp, again.Generation)
}

// notGivenUp explains that a member was removed, for it did not give up in time what it was to.
func (g *groups) notGivenUp(left *witness.MemberLeft) *reports.Why {
	var kept *owned
	var asked *given
	for _, o := range g.owned {
		if o.group == left.Group && o.member == left.Member && o.to.seq == 0 {
			if a := g.askedFor(o); a != nil && (asked == nil || a.before(asked.moment)) {
				kept, asked = o, a
			}
		}
	}
	if asked == nil {
		return nil
	}
	s := &story{g: g, partition: kept.partition}
	s.add(kept.from.step(kept.host, reports.Assigned, onGroup, fmt.Sprintf("is assigned %s, generation %d", kept.partition, kept.generation)))
	s.add(asked.answer(g, reports.GroupMoved))
	because := s.whyKept(kept, asked)
	for _, p := range slices.Backward(g.polls) {
		if p.client == kept.host && p.partition == kept.partition && asked.before(p.moment) {
			s.add(p.step(kept.host, reports.Read, onClient, fmt.Sprintf("still reads %s, up to offset %d", kept.partition, p.last)).of(p.op))
			break
		}
	}
	removed := g.told[len(g.told)-1]
	s.add(removed.step(removed.host, reports.Broke, onGroup, fmt.Sprintf("removes %s from group %s, which did not revoke in time", kept.host, left.Group)))
	what := fmt.Sprintf("%s was removed from group %s: it was to give up %s, and still had it %s later", kept.host, left.Group, kept.partition, reports.Lasting(removed.at-asked.at))
	why := s.conclude(reports.NotGivenUp, left.Group, what, because)
	why.Remarks = append(why.Remarks, reports.Remark{At: reports.Seconds(asked.at), Host: kept.host, Text: fmt.Sprintf("is to give %s up", kept.partition)})
	return why
}

// askedFor is the first answer to a member after which it was never again to have what it owns.
func (g *groups) askedFor(o *owned) (asked *given) {
	for i := range g.given {
		x := &g.given[i]
		switch {
		case x.Group != o.group || x.Member != o.member || !o.from.before(x.moment):
		case slices.ContainsFunc(x.Partitions, func(tp kafka.TopicPartition) bool { return tp.String() == o.partition }):
			asked = nil
		case asked == nil:
			asked = x
		}
	}
	return asked
}

// whyKept says what a member was told, and that it ran meanwhile.
func (s *story) whyKept(o *owned, asked *given) string {
	var told *received
	for i := range s.g.got {
		if x := &s.g.got[i]; x.host == o.host && x.Membership.Member == o.member && asked.before(x.moment) && !slices.ContainsFunc(x.Partitions, func(tp kafka.TopicPartition) bool { return tp.String() == o.partition }) {
			told = x
			break
		}
	}
	down := slices.ContainsFunc(s.g.downs, func(l life) bool { return l.host == o.host && asked.before(l.moment) })
	if told == nil || down || told.Total != len(told.Partitions) {
		return ""
	}
	s.add(told.step(told.host, reports.Answered, onClient, fmt.Sprintf("is told that it is to have %s", listed(told.Partitions))))
	times := 0
	for _, h := range s.g.heard {
		if h.member == o.member && told.before(h.moment) {
			times++
		}
	}
	because := fmt.Sprintf("%s was told at %s that it is to have %s. It did not give up %s, though it ran, and %d heartbeats of it came since.", o.host, reports.Seconds(told.at), listed(told.Partitions), o.partition, times)
	if told.Total == 0 {
		because += " An assignment that is empty says that a member is to have nothing; only where there is none (null) does nothing change (KIP-848)."
	}
	return because
}

// removedEarly explains that a member of a classic group was removed for its silence when it had been heard of within
// its session.
func (g *groups) removedEarly(over *witness.MemberTimedOut) *reports.Why {
	removed := &g.told[len(g.told)-1]
	var last, counted *heard // the last heartbeat, and the one from which the session was counted
	for i := range g.heard {
		h := &g.heard[i]
		if h.group != over.Group || h.member != over.Member || h.host != removed.host {
			continue
		}
		last = h
		if d := removed.at - h.at - over.Timeout; -countsAs < d && d < countsAs {
			counted = h
		}
	}
	if last == nil || removed.at-last.at >= over.Timeout {
		return nil
	}
	name := g.nameOf(over.Member)
	s := &story{g: g}
	s.add(last.step(last.host, reports.Answered, onGroup, fmt.Sprintf("takes a heartbeat of %s", name)))
	s.add(removed.step(removed.host, reports.Broke, onGroup, fmt.Sprintf("removes %s: its session of %s is over", name, reports.Lasting(over.Timeout))))
	what := fmt.Sprintf("%s was removed from group %s as silent, %s after its last heartbeat; its session lasts %s", name, over.Group, reports.Lasting(removed.at-last.at), reports.Lasting(over.Timeout))
	why := s.conclude(reports.RemovedEarly, over.Group, what, s.countedFrom(counted, last, removed, name))
	why.Remarks = append(why.Remarks, reports.Remark{At: reports.Seconds(removed.at), Host: removed.host, Text: "heard of " + reports.Lasting(removed.at-last.at) + " ago"})
	return why
}

// countsAs is by how much a session may differ from its length, for clocks drift.
const countsAs = 100 * time.Millisecond

// countedFrom says from which heartbeat a session was counted, if a rebalance had begun when the last came.
func (s *story) countedFrom(counted, last *heard, removed *told, name string) string {
	var state *told
	for i := range s.g.told {
		if t := &s.g.told[i]; t.group == removed.group && t.state != "" && t.before(last.moment) {
			state = t
		}
	}
	if counted == nil || counted == last || state == nil || state.state != "PreparingRebalance" || !counted.before(state.moment) {
		return ""
	}
	s.add(counted.step(counted.host, reports.Assigned, onGroup, fmt.Sprintf("takes a heartbeat of %s", name)))
	s.add(state.step(state.host, state.kind, onGroup, state.text))
	return fmt.Sprintf("%s counted the session from the heartbeat at %s. The one at %s came when the group was in PreparingRebalance, waiting for its members to join again, and did not count: a heartbeat keeps the session in every state of the group, though it is answered REBALANCE_IN_PROGRESS (KIP-62).",
		removed.host, reports.Seconds(counted.at), reports.Seconds(last.at))
}
