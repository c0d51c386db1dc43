package assignor

import (
	"cmp"
	"slices"

	"github.com/ktrial/ktrial/broker/kafka"
	"github.com/ktrial/ktrial/broker/planted"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// sticky is the eager sticky assignor: members revoke everything before they
// join, and say in their user data what they had.
type sticky struct{ bugs *planted.Set }

func (sticky) Name() string          { return Sticky }
func (sticky) Protocols() []Protocol { return []Protocol{Eager} }

// UserData is version 1 of the sticky assignor's user data: what the member
// owned, and its generation. It has no version field: version 0 ends before the
// generation.
func (sticky) UserData(owned []kafka.TopicPartition, generation int32) []byte {
	if len(owned) == 0 && generation == NoGeneration {
		return nil // never assigned anything yet
	}
	m := kmsg.NewStickyMemberMetadata()
	m.Generation = generation
	for _, t := range byTopic(owned) {
		m.CurrentAssignment = append(m.CurrentAssignment, kmsg.StickyMemberMetadataCurrentAssignment{Topic: t.Topic, Partitions: t.Partitions})
	}
	return m.AppendTo(nil)
}

func (s sticky) Assign(topics Topics, members []Member) Shares {
	return divide(topics, members, stickyClaim, s.bugs).shares(nil)
}

// cooperativeSticky is the same for members that keep what they own while they
// join (KIP-429). A partition that changes its owner is withheld for a round:
// the old owner revokes it and joins again, and only then the new one gets it.
type cooperativeSticky struct{ bugs *planted.Set }

func (cooperativeSticky) Name() string          { return CooperativeSticky }
func (cooperativeSticky) Protocols() []Protocol { return []Protocol{Cooperative, Eager} }

// UserData is the generation: leaders that read only subscriptions below
// version 2 find it here (KIP-792).
func (cooperativeSticky) UserData(_ []kafka.TopicPartition, generation int32) []byte {
	return bigEndian(generation)
}

func (c cooperativeSticky) Assign(topics Topics, members []Member) Shares {
	d := divide(topics, members, cooperativeClaim, c.bugs)
	return d.shares(d.changesOwner)
}

// claim is what a member says it owns, since which generation.
type claim struct {
	owned      []kafka.TopicPartition
	generation int32
}

// stickyClaim reads the user data. What cannot be read claims nothing.
func stickyClaim(m *Member) claim {
	data := kmsg.NewStickyMemberMetadata()
	if len(m.UserData) == 0 || data.ReadFrom(m.UserData) != nil {
		return claim{generation: NoGeneration}
	}
	c := claim{generation: data.Generation}
	for _, t := range data.CurrentAssignment {
		c.owned = appendTopic(c.owned, t.Topic, t.Partitions)
	}
	return c
}

// cooperativeClaim takes the fields of the subscription; before version 2 the
// generation is in the user data.
func cooperativeClaim(m *Member) claim {
	if m.Generation == NoGeneration && len(m.UserData) >= 4 {
		return claim{m.Owned, fromBigEndian(m.UserData)}
	}
	return claim{m.Owned, m.Generation}
}

// divide is the sticky division of topics: members keep what they own as far
// as the balance allows.
func divide(topics Topics, members []Member, claimOf func(*Member) claim, bugs *planted.Set) *division {
	d := newDivision(topics, members)
	stale := d.readClaims(claimOf)
	if d.alike() {
		d.divideAlike()
	} else {
		d.divideUnlike()
	}
	if len(d.members) > 0 && bugs.On(planted.IgnoreGeneration) {
		d.alsoGiven = stale
		bugs.Infected(planted.IgnoreGeneration, len(stale) > 0)
	}
	return d
}

// disputed is a claim to a partition that another member has a better or equal
// claim to.
type disputed struct{ topic, partition, member int }

// readClaims finds for each partition the member with a valid claim. The
// highest generation wins; two claims of the same generation are both invalid
// (KIP-341, KIP-792, KAFKA-12984). The losing claims are returned.
func (d *division) readClaims(claimOf func(*Member) claim) (losing []disputed) {
	best := make([][]int32, len(d.topics))
	for t := range best {
		best[t] = make([]int32, len(d.owner[t]))
	}
	for i, m := range d.members {
		c := claimOf(m)
		for _, tp := range c.owned {
			t, known := d.index[tp.Topic]
			if p := int(tp.Partition); !known || p < 0 || p >= len(d.prior[t]) || d.prior[t][p] == i {
				continue // no such partition any more, or named twice
			}
			p, prior := int(tp.Partition), d.prior[t][tp.Partition]
			switch {
			case prior == unowned && !d.contested[t][p] || c.generation > best[t][p]:
				if prior != unowned {
					losing = append(losing, disputed{t, p, prior})
				}
				d.prior[t][p], d.contested[t][p], best[t][p] = i, false, c.generation
			case c.generation == best[t][p]:
				losing = append(losing, disputed{t, p, i})
				d.prior[t][p], d.contested[t][p] = unowned, true
			default:
				losing = append(losing, disputed{t, p, i})
			}
		}
	}
	return losing
}

// divideAlike is the division among members that subscribe to the same topics:
// every member gets the floor or the ceiling of the average.
func (d *division) divideAlike() {
	total := 0
	for _, partitions := range d.owner {
		total += len(partitions)
	}
	q := &quotas{division: d, least: total / len(d.members), extra: total % len(d.members)}
	for m, owned := range d.keepable() {
		q.keep(m, owned)
	}
	free := d.free()
	if d.rackAware {
		free = q.fillMatchingRacks(free)
	}
	q.fill(free)
}

// keepable is what each member may keep, in the order in which it may: by
// number, then by topic, so that it keeps some of each topic.
func (d *division) keepable() [][]slot {
	keep := make([][]slot, len(d.members))
	for t, owners := range d.prior {
		for p, m := range owners {
			if m != unowned && !d.mismatch(t, p, m) {
				keep[m] = append(keep[m], slot{t, p})
			}
		}
	}
	for _, slots := range keep {
		slices.SortFunc(slots, func(a, b slot) int { return cmp.Or(a.partition-b.partition, a.topic-b.topic) })
	}
	return keep
}

// quotas are how many partitions each member may have: all have the least, and
// as many as extra one more.
type quotas struct {
	*division
	least, extra int
	under        []int // members below the least, in order
	exactly      []int // members with the least that may get one more
}

// keep lets a member keep as much as its quota allows.
func (q *quotas) keep(member int, owned []slot) {
	n := min(len(owned), q.least)
	if len(owned) > q.least && q.extra > 0 {
		n++
		q.extra--
	}
	for _, s := range owned[:n] {
		q.give(s.topic, s.partition, member)
	}
	switch {
	case n < q.least:
		q.under = append(q.under, member)
	case n == q.least:
		q.exactly = append(q.exactly, member)
	}
}

// fill deals out free partitions in a circle to members below the least, then
// one each to members at the least.
func (q *quotas) fill(free []slot) {
	next := 0
	for _, s := range free {
		if len(q.under) == 0 {
			q.give(s.topic, s.partition, q.exactly[0])
			q.exactly = q.exactly[1:]
			continue
		}
		next %= len(q.under)
		m := q.under[next]
		q.give(s.topic, s.partition, m)
		if q.load[m] < q.least {
			next++
			continue
		}
		q.under = slices.Delete(q.under, next, next+1)
		q.exactly = append(q.exactly, m)
	}
}

// fillMatchingRacks deals out free partitions to members in the rack of a
// replica, as fill does, and returns what is left. Partitions with the fewest
// such members come first.
func (q *quotas) fillMatchingRacks(free []slot) (left []slot) {
	near := func(s slot, members []int, first int) int {
		for i := range members {
			at := (first + i) % len(members)
			if m := q.members[members[at]]; m.Rack != "" && !q.mismatch(s.topic, s.partition, members[at]) {
				return at
			}
		}
		return -1
	}
	slices.SortStableFunc(free, func(a, b slot) int { return q.neighbours(a) - q.neighbours(b) })
	next := 0
	for _, s := range free {
		if at := near(s, q.under, next); at >= 0 {
			m := q.under[at]
			q.give(s.topic, s.partition, m)
			next = at + 1
			if q.load[m] >= q.least {
				q.under = slices.Delete(q.under, at, at+1)
				next = at
				if q.extra > 0 {
					q.exactly = append(q.exactly, m)
				}
			}
			if len(q.under) > 0 {
				next %= len(q.under)
			}
		} else if at := near(s, q.exactly, 0); at >= 0 && q.extra > 0 {
			q.give(s.topic, s.partition, q.exactly[at])
			q.exactly = slices.Delete(q.exactly, at, at+1)
			q.extra--
		} else {
			left = append(left, s)
		}
	}
	return left
}

// divideUnlike is the division among members with unlike subscriptions: as even
// as single moves can make it.
//
// Java's takes partitions that are not near away from their owners first, and
// may go on for ever with that; ours lets them change hands only where nothing
// gets less even, so that it settles (KAFKA-15106).
func (d *division) divideUnlike() {
	for t, owners := range d.prior {
		for p, m := range owners {
			if m == unowned {
				continue
			}
			if _, subscribes := slices.BinarySearch(d.subscribers[t], m); subscribes {
				d.give(t, p, m)
			}
		}
	}
	// Topics with few subscribers first: they leave the least choice.
	order := make([]int, len(d.topics))
	for t := range order {
		order[t] = t
	}
	slices.SortStableFunc(order, func(a, b int) int { return len(d.subscribers[a]) - len(d.subscribers[b]) })
	if d.rackAware {
		d.assignFree(order, func(t, p, m int) bool { return !d.mismatch(t, p, m) })
	}
	d.assignFree(order, func(int, int, int) bool { return true })
	d.level(order, d.choose)
	for d.rackAware && d.bringNearer() {
		d.level(order, d.choose)
	}
}

// bringNearer gives partitions to members in the rack of a replica where the
// loads allow it, or in exchange for another partition. Each step leaves fewer
// partitions with a member that has no replica near.
func (d *division) bringNearer() (moved bool) {
	for t, owners := range d.owner {
		for p, m := range owners {
			if m != unowned && d.mismatch(t, p, m) {
				moved = d.bringNear(slot{t, p}, m) || moved
			}
		}
	}
	return moved
}

func (d *division) bringNear(s slot, from int) bool {
	for _, to := range d.subscribers[s.topic] {
		if d.mismatch(s.topic, s.partition, to) {
			continue
		}
		if d.load[to] < d.load[from] {
			d.give(s.topic, s.partition, to)
			return true
		}
		if back, found := d.inReturn(from, to); found {
			d.give(s.topic, s.partition, to)
			d.give(back.topic, back.partition, from)
			return true
		}
	}
	return false
}

// inReturn is a partition that may go from to to from, and is no farther there.
func (d *division) inReturn(from, to int) (slot, bool) {
	for t, owners := range d.owner {
		if _, subscribes := slices.BinarySearch(d.subscribers[t], from); !subscribes {
			continue
		}
		for p, m := range owners {
			if m == to && (d.mismatch(t, p, to) || !d.mismatch(t, p, from)) {
				return slot{t, p}, true
			}
		}
	}
	return slot{}, false
}

// choose takes a partition that the new owner has near, or that the old one had
// far; else the last.
func (d *division) choose(topic, from, to int, partitions []int) int {
	if d.rackAware {
		for _, p := range partitions {
			if !d.mismatch(topic, p, to) || d.mismatch(topic, p, from) {
				return p
			}
		}
	}
	return partitions[len(partitions)-1]
}
