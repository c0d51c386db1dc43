package assignor

import (
	"cmp"
	"slices"
)

// uniform divides all partitions of all topics as evenly as it can, and moves
// as few as it can.
type uniform struct{}

func (uniform) Name() string { return Uniform }

func (uniform) Assign(g Group) map[string]Share {
	d := newServerDivision(g)
	switch {
	case len(d.members) == 0:
	case g.Homogeneous:
		if alike := g.takenAlike(d.members[0]); alike != nil {
			d = newServerDivision(*alike)
		}
		d.divideAlike()
	default:
		d.divideUnlike()
	}
	return d.shares()
}

// divideAlike gives every member the floor of the average, and as many as are
// left one more. A member that is full already takes one of these shares, and
// so does one that has to be filled up, unless enough members come after it:
// then the share is left to them, for they may be full already.
func (d *serverDivision) divideAlike() {
	total := 0
	for _, owners := range d.owner {
		total += len(owners)
	}
	least, extra := total/len(d.members), total%len(d.members)
	pool := d.partitionsWithoutTarget()
	type gap struct{ member, n int }
	var gaps []gap
	for m := range d.members {
		quota, more := least, extra > 0
		if more {
			quota++
		}
		d.targets(m, func(t, p int) {
			if quota == 0 {
				pool = append(pool, slot{t, p})
				return
			}
			d.give(t, p, m)
			quota--
		})
		if quota > 0 && more && len(d.members)-m > extra {
			quota, more = quota-1, false
		}
		if quota > 0 {
			gaps = append(gaps, gap{m, quota})
		}
		if more {
			extra--
		}
	}
	for _, g := range gaps {
		n := min(g.n, len(pool)) // fewer only if a partition was in two targets
		for _, s := range pool[:n] {
			d.give(s.topic, s.partition, g.member)
		}
		pool = pool[n:]
	}
}

// partitionsWithoutTarget are those in no member's target, by topic and number.
func (d *serverDivision) partitionsWithoutTarget() (pool []slot) {
	targeted := make([][]bool, len(d.topics))
	for t, owners := range d.owner {
		targeted[t] = make([]bool, len(owners))
	}
	for m := range d.members {
		d.targets(m, func(t, p int) { targeted[t][p] = true })
	}
	for t, partitions := range targeted {
		for p, has := range partitions {
			if !has {
				pool = append(pool, slot{t, p})
			}
		}
	}
	return pool
}

// divideUnlike keeps what members have, gives what is free to the member with
// least, and then moves partitions until no move helps. Topics with many
// partitions for each subscriber come first, then those with few subscribers.
func (d *serverDivision) divideUnlike() {
	for m := range d.members {
		d.targets(m, func(t, p int) { d.give(t, p, m) })
	}
	var order []int
	for t := range d.topics {
		if len(d.subscribers[t]) > 0 {
			order = append(order, t)
		}
	}
	slices.SortStableFunc(order, func(a, b int) int {
		subscribersA, subscribersB := len(d.subscribers[a]), len(d.subscribers[b])
		return cmp.Or(cmp.Compare(len(d.owner[b])*subscribersA, len(d.owner[a])*subscribersB), cmp.Compare(subscribersA, subscribersB))
	})
	d.assignFree(order, func(int, int, int) bool { return true })
	d.level(order, func(_, _, _ int, partitions []int) int { return partitions[len(partitions)-1] })
}
