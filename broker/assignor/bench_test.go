package assignor

import (
	"fmt"
	"testing"
)

// A group of n members that divides 10 partitions each, settled, and one of
// them leaves. The cost of a member should not grow with their number.
func BenchmarkAssign(b *testing.B) {
	for _, members := range []int{10, 100, 250, 500, 1000} {
		for _, name := range everyName {
			for _, alike := range []bool{true, false} {
				b.Run(fmt.Sprintf("%s/alike=%v/members=%d", name, alike, members), func(b *testing.B) {
					how, _ := ByName(name, nil)
					c := large(members, alike)
					shares := c.assign(how)
					c = c.holding(how, shares, 1)
					c.members = c.members[1:]
					for b.Loop() {
						c.assign(how)
					}
					b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*members), "ns/member")
				})
			}
		}
	}
}

// large is n members and 10n partitions of 20 topics; unlike members subscribe
// to all but one of them.
func large(members int, alike bool) crowd {
	c := crowd{topics: Topics{}}
	var names []string
	for i := range 20 {
		names = append(names, fmt.Sprintf("topic-%02d", i))
		c.topics[names[i]] = Plain(members / 2)
	}
	for i := range members {
		m := Member{ID: fmt.Sprintf("member-%04d", i), Topics: names, Generation: NoGeneration}
		if !alike {
			m.Topics = append(append([]string{}, names[:i%20]...), names[i%20+1:]...)
		}
		c.members = append(c.members, m)
	}
	return c
}

func BenchmarkServerAssign(b *testing.B) {
	for _, members := range []int{10, 100, 250, 500, 1000} {
		for _, name := range []string{Uniform, ServerRange} {
			for _, alike := range []bool{true, false} {
				b.Run(fmt.Sprintf("%s/alike=%v/members=%d", name, alike, members), func(b *testing.B) {
					how, _ := ServerByName(name)
					c := large(members, alike)
					g := Group{Partitions: parseGroup("", "x{}").Partitions, Homogeneous: alike}
					for topic, partitions := range c.topics {
						g.Partitions[topicID(topic)] = int32(len(partitions))
					}
					for _, m := range c.members {
						member := GroupMember{ID: m.ID}
						for _, topic := range m.Topics {
							member.Topics = append(member.Topics, topicID(topic))
						}
						g.Members = append(g.Members, member)
					}
					g = g.holding(how.Assign(g))
					g.Members = g.Members[1:]
					for b.Loop() {
						how.Assign(g)
					}
					b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*members), "ns/member")
				})
			}
		}
	}
}
