package assignor

import "slices"

// unowned is the owner of a partition that no member has.
const unowned = -1

// balance is the partitions of topics while members with unlike subscriptions
// divide them. Topics, partitions and members are numbers here.
type balance struct {
	subscribers [][]int // of each topic, ascending
	owner       [][]int // of each topic and partition
	// load is the number of partitions of each member.
	// Invariant: load[m] is how often m is in owner.
	load []int
}

func (b *balance) give(topic, partition, member int) {
	if from := b.owner[topic][partition]; from != unowned {
		b.load[from]--
	}
	b.owner[topic][partition] = member
	b.load[member]++
}

// lightest is the subscriber of a topic with the fewest partitions among those
// that suit, the first of equals; -1 if none suits.
func (b *balance) lightest(topic int, suits func(member int) bool) int {
	best := -1
	for _, m := range b.subscribers[topic] {
		if (best < 0 || b.load[m] < b.load[best]) && suits(m) {
			best = m
		}
	}
	return best
}

// assignFree gives every partition without an owner to the lightest subscriber
// that suits it.
func (b *balance) assignFree(order []int, suits func(topic, partition, member int) bool) {
	for _, t := range order {
		for p, owner := range b.owner[t] {
			if owner != unowned {
				continue
			}
			if m := b.lightest(t, func(m int) bool { return suits(t, p, m) }); m >= 0 {
				b.give(t, p, m)
			}
		}
	}
}

// level moves partitions from members with more to members with less until no
// single move makes the loads of two members more alike. Each move lowers the
// sum of the squares of all loads, so it comes to an end; and what it leaves it
// would leave again, so a second round changes nothing (KAFKA-15106).
//
// Choose picks one of the partitions of a topic that go from one member to
// another.
func (b *balance) level(order []int, choose func(topic, from, to int, partitions []int) int) {
	for moved := true; moved; {
		moved = false
		for _, t := range order {
			moved = b.levelTopic(t, choose) || moved
		}
	}
}

func (b *balance) levelTopic(topic int, choose func(topic, from, to int, partitions []int) int) (moved bool) {
	if !b.uneven(topic) {
		return false
	}
	owned := map[int][]int{}
	for p, m := range b.owner[topic] {
		if m != unowned {
			owned[m] = append(owned[m], p)
		}
	}
	for {
		from := -1
		for _, m := range b.subscribers[topic] {
			if len(owned[m]) > 0 && (from < 0 || b.load[m] > b.load[from]) {
				from = m
			}
		}
		to := b.lightest(topic, func(int) bool { return true })
		if from < 0 || b.load[from] < b.load[to]+2 {
			return moved
		}
		p := choose(topic, from, to, owned[from])
		owned[from] = slices.DeleteFunc(owned[from], func(q int) bool { return q == p })
		owned[to] = append(owned[to], p)
		b.give(topic, p, to)
		moved = true
	}
}

// uneven reports whether some move within a topic may help at all.
func (b *balance) uneven(topic int) bool {
	least, most := -1, -1
	for _, m := range b.subscribers[topic] {
		if least < 0 || b.load[m] < least {
			least = b.load[m]
		}
		most = max(most, b.load[m])
	}
	return most-least >= 2
}
