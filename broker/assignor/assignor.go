// Package assignor divides the partitions of topics among the members of a
// group. The client-side assignors run in the leader of a classic group and
// speak in topic names (range, roundrobin, sticky, cooperative-sticky and
// those of a guest); the server-side ones run in the group coordinator
// (KIP-848) and speak in topic ids (uniform, range).
//
// All are pure: what an assignor answers depends only on what it is given, not
// on the order in which members are listed or a map is read. Where Kafka's own
// order is that of a Java hash map, ours is that of the sorted ids, or for members
// of the server-side assignors that of the map's buckets.
package assignor

import (
	"fmt"
	"slices"
	"strings"

	"github.com/ktrial/ktrial/broker/kafka"
	"github.com/ktrial/ktrial/broker/planted"
)

// Names of the client-side assignors, as partition.assignment.strategy and
// JoinGroup name them.
const (
	Range             = "range"
	RoundRobin        = "roundrobin"
	Sticky            = "sticky"
	CooperativeSticky = "cooperative-sticky"
)

// NoGeneration is the generation of a member that has not been in the group, or
// was thrown out of it.
const NoGeneration int32 = -1

// Protocol is how members give up what they own (KIP-429).
type Protocol int8

const (
	// Eager: every member revokes all its partitions before it joins.
	Eager Protocol = iota
	// Cooperative: a member keeps its partitions while it joins, and revokes
	// those that the new assignment takes from it.
	Cooperative
)

func (p Protocol) String() string { return [...]string{"eager", "cooperative"}[p] }

// Topics are the partitions that a leader knows of, by topic: for the
// partition with number i, Topics[topic][i] holds the racks of its replicas.
type Topics map[string][]Racks

// Racks are the racks of a partition's replicas, in any order; none: unknown.
type Racks []string

// Plain is n partitions without racks.
func Plain(n int) []Racks { return make([]Racks, n) }

// Member is one member of a classic group, as the leader reads it from the
// answer to JoinGroup.
type Member struct {
	ID       string
	Instance string // group.instance.id; empty for a dynamic member
	Rack     string // client.rack; empty: unknown
	Topics   []string
	// Owned and Generation are what the member claims to own since which
	// generation: fields of the subscription for cooperative members, inside
	// UserData for the eager sticky assignor.
	Owned      []kafka.TopicPartition
	Generation int32
	UserData   []byte
}

// Shares is what each member gets, by member id. Every member is in it, and
// its partitions are sorted by topic and number.
type Shares map[string][]kafka.TopicPartition

// Assignor is a client-side assignor.
type Assignor interface {
	// Name is what JoinGroup lists as the name of a protocol.
	Name() string
	// Protocols are the rebalance protocols that the assignor supports.
	Protocols() []Protocol
	// UserData is what a member that owns partitions since a generation sends
	// along with its subscription; nil for most.
	UserData(owned []kafka.TopicPartition, generation int32) []byte
	// Assign divides the partitions of topics. A topic that is subscribed but
	// absent from topics adds nothing.
	Assign(topics Topics, members []Member) Shares
}

// ByName returns the assignor of that name. Bugs is the planted bugs of the
// run, nil for none.
func ByName(name string, bugs *planted.Set) (Assignor, error) {
	switch name {
	case Range:
		return rangeAssignor{}, nil
	case RoundRobin:
		return roundRobin{}, nil
	case Sticky:
		return sticky{bugs}, nil
	case CooperativeSticky:
		return cooperativeSticky{bugs}, nil
	}
	return nil, fmt.Errorf("assignor %q is unknown, expected one of %s", name,
		strings.Join([]string{Range, RoundRobin, Sticky, CooperativeSticky}, ", "))
}

// Assign divides the partitions of topics by the assignor of that name.
func Assign(name string, topics Topics, members []Member) (Shares, error) {
	a, err := ByName(name, nil)
	if err != nil {
		return nil, err
	}
	return a.Assign(topics, members), nil
}

// CommonProtocol is the rebalance protocol of a consumer with these assignors:
// the highest that all of them support. It is fixed when the consumer is made,
// so that range before cooperative-sticky means eager.
func CommonProtocol(assignors []Assignor) (Protocol, error) {
	for _, p := range []Protocol{Cooperative, Eager} {
		if len(assignors) > 0 && !slices.ContainsFunc(assignors, func(a Assignor) bool { return !slices.Contains(a.Protocols(), p) }) {
			return p, nil
		}
	}
	return 0, fmt.Errorf("assignors: no rebalance protocol is supported by all of the %d given", len(assignors))
}
