package assignor

import (
	"maps"
	"slices"

	"github.com/ktrial/ktrial/broker/kafka"
)

// roundRobin deals out the partitions of all topics, one by one, to the members
// in a circle; a member that does not subscribe to a topic is passed over.
type roundRobin struct{}

func (roundRobin) Name() string                                  { return RoundRobin }
func (roundRobin) Protocols() []Protocol                         { return []Protocol{Eager} }
func (roundRobin) UserData([]kafka.TopicPartition, int32) []byte { return nil }

func (roundRobin) Assign(topics Topics, members []Member) Shares {
	shares := emptyShares(members)
	circle := inOrder(members)
	subscribed := subscriptions(members)
	next := 0
	for _, topic := range slices.Sorted(maps.Keys(topics)) {
		if len(subscribed[topic]) == 0 {
			continue
		}
		for p := range topics[topic] {
			for !subscribed[topic][circle[next].ID] {
				next = (next + 1) % len(circle)
			}
			id := circle[next].ID
			shares[id] = append(shares[id], kafka.TopicPartition{Topic: topic, Partition: int32(p)})
			next = (next + 1) % len(circle)
		}
	}
	return shares
}

// subscriptions are the ids of the members that subscribe to each topic.
func subscriptions(members []Member) map[string]map[string]bool {
	subscribed := map[string]map[string]bool{}
	for _, m := range members {
		for _, topic := range m.Topics {
			if subscribed[topic] == nil {
				subscribed[topic] = map[string]bool{}
			}
			subscribed[topic][m.ID] = true
		}
	}
	return subscribed
}
