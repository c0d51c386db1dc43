package why

import (
	"fmt"
	"slices"

	"github.com/ktrial/ktrial/broker/kafka"
	"github.com/ktrial/ktrial/broker/witness"
	"github.com/ktrial/ktrial/reports"
)

// given: a coordinator answered a member with what it is assigned.
type given struct {
	moment
	host string // of the coordinator
	witness.GroupAssigned
}

// explainGiven explains that the last answer contradicts an earlier one of its
// generation: a partition went to two members, or a member was told two things.
func (g *groups) explainGiven() *reports.Why {
	b := g.given[len(g.given)-1]
	for _, a := range g.given[:len(g.given)-1] {
		if a.Group != b.Group || a.Generation != b.Generation {
			continue
		}
		if a.Member == b.Member {
			if b.Classic && !slices.Equal(a.Partitions, b.Partitions) {
				what := fmt.Sprintf("%s was assigned %s and then %s, both in generation %d of group %s", g.nameOf(b.Member), listed(a.Partitions), listed(b.Partitions), b.Generation, b.Group)
				return g.explainContradiction(a, b, "", what)
			}
			continue
		}
		for _, tp := range b.Partitions {
			if slices.Contains(a.Partitions, tp) {
				what := fmt.Sprintf("%s and %s were both assigned %s in generation %d of group %s", g.nameOf(a.Member), g.nameOf(b.Member), tp, b.Generation, b.Group)
				return g.explainContradiction(a, b, tp.String(), what)
			}
		}
	}
	return nil
}

func (g *groups) explainContradiction(a, b given, partition, what string) *reports.Why {
	s := &story{g: g, partition: partition}
	for _, t := range g.told {
		if t.group == b.Group && t.generation == b.Generation && t.before(b.moment) && (t.state != "" || t.member == "") {
			s.add(t.step(t.host, t.kind, onGroup, t.text))
		}
	}
	s.add(a.answer(g, reports.Assigned))
	for _, sh := range g.shards {
		if sh.host == b.host && sh.loaded && a.before(sh.moment) && sh.before(b.moment) {
			s.add(sh.step(sh.host, reports.Led, onGroup, fmt.Sprintf("coordinates %s, epoch %d, after reading %d records", sh.name, sh.epoch, sh.records)))
		}
	}
	s.add(b.answer(g, reports.Broke))
	why := s.conclude(reports.TwoAssignments, b.Group, what, g.whyContradicted(a, b, partition))
	why.Remarks = append(why.Remarks, reports.Remark{At: reports.Seconds(b.at), Host: b.host, Text: "another assignment"})
	return why
}

func (x given) answer(g *groups, kind reports.StepKind) step {
	return x.step(x.host, kind, onGroup, fmt.Sprintf("tells %s that it is assigned %s, generation %d", g.nameOf(x.Member), listed(x.Partitions), x.Generation))
}

// whyContradicted is why two answers of one generation contradict each other.
func (g *groups) whyContradicted(a, b given, partition string) string {
	if a.host != b.host {
		return fmt.Sprintf("%s took the group over after %s had answered, and found another assignment in its log, or none. A coordinator may tell members of an assignment only when it is committed: one that comes after it must find it (KAFKA-2720).", b.host, a.host)
	}
	for _, x := range []given{a, b} {
		if old, known := g.givenBefore(x); known && x.Classic && len(x.Partitions) > 0 && slices.Equal(old.Partitions, x.Partitions) && !g.stableBefore(x) {
			return fmt.Sprintf("What %s was told is its assignment of generation %d: %s answered before the leader of generation %d had sent a new one. A member that syncs first waits for the leader's SyncGroup (KIP-62).", g.nameOf(x.Member), old.Generation, x.host, x.Generation)
		}
	}
	return g.claimedTwice(a, b, partition)
}

// claimedTwice: a sticky assignor of the group's leader gave a partition to two members that had owned it
// in different generations.
func (g *groups) claimedTwice(a, b given, partition string) string {
	protocol := g.protocols[generationOf{b.Group, b.Generation}]
	if partition == "" || protocol != "sticky" && protocol != "cooperative-sticky" || !g.stableBefore(a) || !g.stableBefore(b) {
		return ""
	}
	var newest, older *owned
	for _, o := range g.owned {
		if o.group != b.Group || o.partition != partition || o.generation >= b.Generation {
			continue
		}
		switch {
		case newest == nil || o.generation > newest.generation:
			older, newest = newest, o
		case o.generation < newest.generation && (older == nil || o.generation > older.generation):
			older = o
		}
	}
	if older == nil || older.host == newest.host {
		return ""
	}
	return fmt.Sprintf("The group's leader assigns by %s, and members name what they own. %s had owned %s in generation %d, and %s in generation %d: the older claim must not count (KIP-341).",
		protocol, older.host, partition, older.generation, newest.host, newest.generation)
}

// givenBefore is what a member was assigned in the generation before.
func (g *groups) givenBefore(x given) (last given, known bool) {
	for _, old := range g.given {
		if old.Group == x.Group && old.Member == x.Member && old.Generation < x.Generation && old.before(x.moment) {
			last, known = old, true
		}
	}
	return last, known
}

// stableBefore reports whether the group had become stable in its generation before an answer.
func (g *groups) stableBefore(x given) bool {
	return slices.ContainsFunc(g.told, func(t told) bool {
		return t.group == x.Group && t.generation == x.Generation && t.state == "Stable" && t.before(x.moment)
	})
}

// nameOf is the host of a member, if it is known, or its id.
func (g *groups) nameOf(member string) string {
	if host, known := g.ids[member]; known {
		return host
	}
	return member
}

// listed names partitions.
func listed(partitions []kafka.TopicPartition) string {
	var out []string
	for _, tp := range partitions {
		out = append(out, tp.String())
	}
	if len(out) == 0 {
		return "nothing"
	}
	return and(out)
}
