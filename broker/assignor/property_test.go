package assignor

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/ktrial/ktrial/broker/kafka"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

var everyName = []string{Range, RoundRobin, Sticky, CooperativeSticky}

// crowd is a drawn group.
type crowd struct {
	topics  Topics
	members []Member
	racks   bool
}

func drawCrowd(t *rapid.T, alike, racks bool) crowd {
	c := crowd{topics: Topics{}, racks: racks}
	names := []string{"a", "b", "c", "d"}[:rapid.IntRange(1, 4).Draw(t, "topics")]
	rack := rapid.SampledFrom([]string{"", "r0", "r1", "r2"})
	for _, name := range names {
		c.topics[name] = Plain(rapid.IntRange(0, 9).Draw(t, name))
		if racks {
			for i := range c.topics[name] {
				c.topics[name][i] = Racks{rack.Draw(t, "rack"), rack.Draw(t, "rack")}
			}
		}
	}
	for i := range rapid.IntRange(1, 7).Draw(t, "members") {
		c.members = append(c.members, drawMember(t, fmt.Sprint("m", i), names, alike, racks))
	}
	return c
}

func drawMember(t *rapid.T, id string, names []string, alike, racks bool) Member {
	m := Member{ID: id, Topics: names, Generation: NoGeneration}
	if !alike {
		m.Topics = nil
		for _, name := range names {
			if rapid.Bool().Draw(t, "subscribes") {
				m.Topics = append(m.Topics, name)
			}
		}
	}
	if rapid.IntRange(0, 3).Draw(t, "static") == 0 {
		m.Instance = fmt.Sprint("i", rapid.IntRange(0, 1000).Draw(t, "instance"), id)
	}
	if racks {
		m.Rack = rapid.SampledFrom([]string{"", "r0", "r1", "r2"}).Draw(t, "rack")
	}
	return m
}

// holding is the crowd after it was told its shares in a generation.
func (c crowd) holding(how Assignor, shares Shares, generation int32) crowd {
	next := c
	next.members = nil
	for _, m := range c.members {
		next.members = append(next.members, claiming(m, how, shares[m.ID], generation))
	}
	return next
}

func (c crowd) assign(how Assignor) Shares { return how.Assign(c.topics, c.members) }

// settled plays rounds until no more is withheld.
func (c crowd) settled(t require.TestingT, how Assignor, generation int32) (Shares, crowd) {
	for round := range int32(5) {
		shares := c.assign(how)
		next := c.holding(how, shares, generation+round)
		if round > 0 && len(slices.Collect(maps.Keys(shares))) > 0 && total(shares) == c.total() {
			return shares, next
		}
		c = next
	}
	require.Fail(t, "not settled after 5 rounds")
	return nil, c
}

// total is the number of partitions with a subscriber.
func (c crowd) total() (n int) {
	subscribed := subscriptions(c.members)
	for name, partitions := range c.topics {
		if len(subscribed[name]) > 0 {
			n += len(partitions)
		}
	}
	return n
}

func total(shares Shares) (n int) {
	for _, partitions := range shares {
		n += len(partitions)
	}
	return n
}

// requireValid: each partition goes to at most one member, a subscriber.
func (c crowd) requireValid(t require.TestingT, shares Shares) {
	require.Len(t, shares, len(c.members))
	owner := map[kafka.TopicPartition]string{}
	for _, m := range c.members {
		for _, tp := range shares[m.ID] {
			require.Contains(t, m.Topics, tp.Topic)
			require.Less(t, int(tp.Partition), len(c.topics[tp.Topic]))
			require.Empty(t, owner[tp], "%v is with %s and %s", tp, owner[tp], m.ID)
			owner[tp] = m.ID
		}
	}
}

// requireBalanced: no single partition can move so that two loads become more
// alike. Of members with like subscriptions that makes the floor or the ceiling
// of the average.
func (c crowd) requireBalanced(t require.TestingT, shares Shares) {
	for _, from := range c.members {
		for _, tp := range shares[from.ID] {
			for _, to := range c.members {
				if slices.Contains(to.Topics, tp.Topic) {
					require.LessOrEqual(t, len(shares[from.ID]), len(shares[to.ID])+1, "%v can go from %s to %s", tp, from.ID, to.ID)
				}
			}
		}
	}
}

func properties(t *testing.T, names []string, check func(t *rapid.T, how Assignor, c crowd)) {
	for _, name := range names {
		how, err := ByName(name, nil)
		require.NoError(t, err)
		for _, alike := range []bool{true, false} {
			for _, racks := range []bool{false, true} {
				t.Run(fmt.Sprintf("%s/alike=%v/racks=%v", name, alike, racks), rapid.MakeCheck(func(t *rapid.T) {
					check(t, how, drawCrowd(t, alike, racks))
				}))
			}
		}
	}
}

func TestProperty_EveryPartitionGoesToOneSubscriber(t *testing.T) {
	properties(t, everyName, func(t *rapid.T, how Assignor, c crowd) {
		shares := c.assign(how)
		c.requireValid(t, shares)
		require.Equal(t, c.total(), total(shares), "nothing is owned, so nothing is withheld")
	})
}

func TestProperty_StickyIsBalanced(t *testing.T) {
	properties(t, []string{Sticky, CooperativeSticky}, func(t *rapid.T, how Assignor, c crowd) {
		c.requireBalanced(t, c.assign(how))
		before := c.holding(how, lies(t, c), 7)
		shares, _ := before.settled(t, how, 8)
		c.requireValid(t, shares)
		c.requireBalanced(t, shares)
	})
}

// lies are claims that do not fit together.
func lies(t *rapid.T, c crowd) Shares {
	shares := Shares{}
	for _, m := range c.members {
		for range rapid.IntRange(0, 5).Draw(t, "claims") {
			shares[m.ID] = append(shares[m.ID], kafka.TopicPartition{
				Topic:     rapid.SampledFrom([]string{"a", "b", "c", "gone"}).Draw(t, "topic"),
				Partition: rapid.Int32Range(-1, 10).Draw(t, "partition"),
			})
		}
	}
	return shares
}

// Range: for each topic, subscribers differ by one at most and have runs.
func TestProperty_RangeGivesRuns(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := drawCrowd(t, false, false)
		shares := c.assign(rangeAssignor{})
		for name, partitions := range c.topics {
			of := subscriptions(c.members)[name]
			for id := range of {
				var mine []int32
				for _, tp := range shares[id] {
					if tp.Topic == name {
						mine = append(mine, tp.Partition)
					}
				}
				require.GreaterOrEqual(t, len(mine), len(partitions)/len(of))
				require.LessOrEqual(t, len(mine), (len(partitions)+len(of)-1)/len(of))
				if len(mine) > 0 {
					require.EqualValues(t, len(mine)-1, mine[len(mine)-1]-mine[0])
				}
			}
		}
	})
}

// The answer depends on neither the order of members nor that of topics.
func TestProperty_TheOrderOfMembersDoesNotMatter(t *testing.T) {
	properties(t, everyName, func(t *rapid.T, how Assignor, c crowd) {
		c = c.holding(how, lies(t, c), 3)
		want := c.assign(how)
		c.members = slices.Clone(c.members)
		rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "order"), 0)).Shuffle(len(c.members), func(i, j int) {
			c.members[i], c.members[j] = c.members[j], c.members[i]
		})
		require.Equal(t, want, c.assign(how))
	})
}

// A group that has settled stays as it is, whatever was claimed before
// (KAFKA-15106, librdkafka #4783). Where all members subscribe to the same
// topics and racks matter, Kafka moves partitions that are not near once more.
func TestProperty_ASecondRoundChangesNothing(t *testing.T) {
	properties(t, []string{Sticky, CooperativeSticky}, func(t *rapid.T, how Assignor, c crowd) {
		shares, next := c.holding(how, lies(t, c), 7).settled(t, how, 8)
		for round := int32(20); c.racks && round < 23; round++ {
			shares, next = next.settled(t, how, round)
		}
		require.Equal(t, shares, next.assign(how))
	})
}

// One partition moves only if it must: a member that comes or goes costs no
// more than its share.
func TestProperty_StickyMovesAsLittleAsItCan(t *testing.T) {
	for _, name := range []string{Sticky, CooperativeSticky} {
		how, _ := ByName(name, nil)
		t.Run(name, rapid.MakeCheck(func(t *rapid.T) {
			c := drawCrowd(t, true, false)
			before, settled := c.settled(t, how, 1)
			if joins := rapid.Bool().Draw(t, "joins"); joins {
				settled.members = append(settled.members, drawMember(t, "z", c.members[0].Topics, true, false))
				after, _ := settled.settled(t, how, 5)
				for _, m := range c.members {
					require.Subset(t, before[m.ID], after[m.ID], "an old member gets nothing")
				}
				return
			}
			gone := rapid.IntRange(0, len(c.members)-1).Draw(t, "leaves")
			settled.members = slices.Delete(slices.Clone(settled.members), gone, gone+1)
			if len(settled.members) == 0 {
				return
			}
			after, _ := settled.settled(t, how, 5)
			for _, m := range settled.members {
				require.Subset(t, after[m.ID], before[m.ID], "a member that stays loses nothing")
			}
		}))
	}
}

// Members of a cooperative group never have a partition twice: what a member
// has while a round is going on is what it had, and what it is told.
func TestProperty_CooperativeHasNoTwoOwners(t *testing.T) {
	how, _ := ByName(CooperativeSticky, nil)
	for _, alike := range []bool{true, false} {
		for _, racks := range []bool{false, true} {
			t.Run(fmt.Sprintf("alike=%v/racks=%v", alike, racks), rapid.MakeCheck(func(t *rapid.T) {
				c := drawCrowd(t, alike, racks)
				held := Shares{}
				for generation := range int32(6) {
					shares := c.assign(how)
					for _, m := range c.members {
						for _, other := range c.members {
							if other.ID != m.ID {
								for _, tp := range shares[m.ID] {
									require.NotContains(t, held[other.ID], tp, "%s gets what %s still has", m.ID, other.ID)
								}
							}
						}
					}
					held = shares
					c = c.holding(how, shares, generation)
					if rapid.Bool().Draw(t, "changes subscription") {
						at := rapid.IntRange(0, len(c.members)-1).Draw(t, "member")
						c.members[at].Topics = []string{"a"}
					}
				}
			}))
		}
	}
}

func drawGroup(t *rapid.T) Group {
	c := drawCrowd(t, rapid.Bool().Draw(t, "alike"), false)
	g := Group{Partitions: map[kafka.UUID]int32{}, Homogeneous: true}
	for name, partitions := range c.topics {
		if len(subscriptions(c.members)[name]) > 0 {
			g.Partitions[topicID(name)] = int32(len(partitions))
		}
	}
	for _, m := range c.members {
		member := GroupMember{ID: m.ID, Instance: m.Instance}
		for _, name := range m.Topics {
			member.Topics = append(member.Topics, topicID(name))
		}
		g.Homogeneous = g.Homogeneous && slices.Equal(m.Topics, c.members[0].Topics)
		g.Members = append(g.Members, member)
	}
	return g
}

func (g Group) holding(shares map[string]Share) Group {
	next := g
	next.Members = slices.Clone(g.Members)
	for i := range next.Members {
		next.Members[i].Target = shares[next.Members[i].ID]
	}
	return next
}

// asCrowd is a server's group as a client's, so that the same checks apply.
func (g Group) asCrowd() crowd {
	c := crowd{topics: Topics{}}
	for id, n := range g.Partitions {
		c.topics[topicName(id)] = Plain(int(n))
	}
	for _, m := range g.Members {
		member := Member{ID: m.ID}
		for _, id := range m.Topics {
			member.Topics = append(member.Topics, topicName(id))
		}
		c.members = append(c.members, member)
	}
	return c
}

func asShares(shares map[string]Share) Shares {
	named := Shares{}
	for id, share := range shares {
		named[id] = nil
		for _, t := range share {
			named[id] = appendTopic(named[id], topicName(t.Topic), t.Partitions)
		}
	}
	return named
}

func TestProperty_ServerAssignors(t *testing.T) {
	for _, name := range []string{Uniform, ServerRange} {
		how, err := ServerByName(name)
		require.NoError(t, err)
		t.Run(name, rapid.MakeCheck(func(t *rapid.T) {
			g := drawGroup(t)
			first := how.Assign(g)
			c := g.asCrowd()
			c.requireValid(t, asShares(first))
			require.Equal(t, c.total(), total(asShares(first)))
			require.Equal(t, asShares(first), asShares(how.Assign(g.holding(first))), "a second round changes nothing")

			gone := rapid.IntRange(0, len(g.Members)-1).Draw(t, "leaves")
			after := g.holding(first)
			after.Members = slices.Delete(after.Members, gone, gone+1)
			second := how.Assign(after)
			after.asCrowd().requireValid(t, asShares(second))
			if name == Uniform {
				c.requireBalanced(t, asShares(first))
				after.asCrowd().requireBalanced(t, asShares(second))
			}
			if name == Uniform && g.Homogeneous {
				for _, m := range after.Members {
					require.Subset(t, asShares(second)[m.ID], asShares(first)[m.ID], "a member that stays loses nothing")
				}
			}
		}))
	}
}
