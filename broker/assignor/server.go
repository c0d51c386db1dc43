package assignor

import (
	"bytes"
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode/utf16"

	"github.com/ktrial/ktrial/broker/kafka"
)

// Names of the server-side assignors, as group.consumer.assignors and
// ConsumerGroupHeartbeat name them.
const (
	Uniform     = "uniform"
	ServerRange = "range"
)

// TopicShare is partitions of one topic, ascending.
type TopicShare struct {
	Topic      kafka.UUID
	Partitions []int32
}

// Share is what a member of a consumer group has: sorted by topic id, no topic
// without partitions.
type Share []TopicShare

// GroupMember is one member of a consumer group, as its coordinator knows it.
type GroupMember struct {
	ID       string
	Instance string // group.instance.id; empty for a dynamic member
	// Topics are the subscribed topics, sorted by id.
	Topics []kafka.UUID
	// Target is the member's share of the previous target assignment.
	Target Share
}

// Group is what a server-side assignor divides.
type Group struct {
	// Partitions is the number of partitions of each subscribed topic that
	// exists.
	Partitions map[kafka.UUID]int32
	// Homogeneous: all members are taken to subscribe to the same topics as the first
	// of them, whatever their own say: the coordinator may believe so of a group to
	// which a member is new.
	Homogeneous bool
	Members     []GroupMember
}

// ServerAssignor divides the partitions of a consumer group (KIP-848).
type ServerAssignor interface {
	Name() string
	// Assign returns the share of each member, by member id.
	Assign(Group) map[string]Share
}

// ServerByName returns the server-side assignor of that name.
func ServerByName(name string) (ServerAssignor, error) {
	switch name {
	case Uniform:
		return uniform{}, nil
	case ServerRange:
		return serverRange{}, nil
	}
	return nil, fmt.Errorf("server-side assignor %q is unknown, expected one of %s", name, strings.Join([]string{Uniform, ServerRange}, ", "))
}

// CompareUUID orders topic ids by their bytes.
func CompareUUID(a, b kafka.UUID) int { return bytes.Compare(a[:], b[:]) }

// serverDivision is a group in numbers: members in the order of Java's hash maps, so
// that a group of a topic is divided as in Kafka, and topics by id.
type serverDivision struct {
	balance
	members []*GroupMember
	topics  []kafka.UUID
	index   map[kafka.UUID]int
}

func newServerDivision(g Group) *serverDivision {
	d := &serverDivision{index: map[kafka.UUID]int{}, members: make([]*GroupMember, len(g.Members))}
	for i := range g.Members {
		d.members[i] = &g.Members[i]
	}
	slices.SortFunc(d.members, func(a, b *GroupMember) int {
		return cmp.Or(cmp.Compare(bucket(a.ID, len(g.Members)), bucket(b.ID, len(g.Members))), strings.Compare(a.ID, b.ID))
	})
	d.load, d.byLoad = make([]int, len(d.members)), true
	d.topics = slices.SortedFunc(maps.Keys(g.Partitions), CompareUUID)
	for t, topic := range d.topics {
		d.index[topic] = t
		d.owner = append(d.owner, slices.Repeat([]int{unowned}, int(g.Partitions[topic])))
	}
	d.subscribers = make([][]int, len(d.topics))
	for i, m := range d.members {
		for _, topic := range m.Topics {
			if t, exists := d.index[topic]; exists {
				d.subscribers[t] = append(d.subscribers[t], i)
			}
		}
	}
	return d
}

// takenAlike is a homogeneous group in which every member subscribes to what first
// subscribes to, or nil if that is so already.
func (g Group) takenAlike(first *GroupMember) *Group {
	same := func(m GroupMember) bool { return slices.Equal(m.Topics, first.Topics) }
	if !g.Homogeneous || slices.IndexFunc(g.Members, func(m GroupMember) bool { return !same(m) }) < 0 {
		return nil
	}
	alike := Group{Partitions: map[kafka.UUID]int32{}, Homogeneous: true, Members: slices.Clone(g.Members)}
	for _, topic := range first.Topics {
		if n, exists := g.Partitions[topic]; exists {
			alike.Partitions[topic] = n
		}
	}
	for i := range alike.Members {
		alike.Members[i].Topics = first.Topics
	}
	return &alike
}

// bucket is where a Java HashMap of n strings has s. Within a bucket its order is that of
// insertion, and ours that of the ids.
func bucket(s string, n int) uint32 {
	buckets := 16
	for n*4 > buckets*3 {
		buckets *= 2
	}
	hash := uint32(0)
	for _, unit := range utf16.Encode([]rune(s)) {
		hash = 31*hash + uint32(unit)
	}
	return (hash ^ hash>>16) & uint32(buckets-1)
}

// targets calls f for the partitions of a member's target that exist, that no member
// has yet, and whose topic it still subscribes to.
func (d *serverDivision) targets(member int, f func(topic, partition int)) {
	for _, share := range d.members[member].Target {
		t, exists := d.index[share.Topic]
		if !exists {
			continue
		}
		if _, subscribes := slices.BinarySearch(d.subscribers[t], member); !subscribes {
			continue
		}
		for _, p := range share.Partitions {
			if p >= 0 && int(p) < len(d.owner[t]) && d.owner[t][p] == unowned {
				f(t, int(p))
			}
		}
	}
}

// shares is the division by member id.
func (d *serverDivision) shares() map[string]Share {
	by := make([]Share, len(d.members))
	for t, owners := range d.owner {
		for p, m := range owners {
			if m != unowned {
				by[m] = appendPartition(by[m], d.topics[t], int32(p))
			}
		}
	}
	shares := make(map[string]Share, len(by))
	for i, m := range d.members {
		shares[m.ID] = by[i]
	}
	return shares
}

// appendPartition adds a partition that is greater than all in share.
func appendPartition(share Share, topic kafka.UUID, partition int32) Share {
	if n := len(share); n == 0 || share[n-1].Topic != topic {
		share = append(share, TopicShare{Topic: topic})
	}
	last := &share[len(share)-1]
	last.Partitions = append(last.Partitions, partition)
	return share
}

// serverRange gives each subscriber of a topic one run of its partitions, so
// that topics with as many partitions are divided alike. It is not sticky.
type serverRange struct{}

func (serverRange) Name() string { return ServerRange }

func (serverRange) Assign(g Group) map[string]Share {
	d := newServerDivision(g)
	if len(d.members) > 0 {
		if alike := g.takenAlike(slices.MinFunc(d.members, compareInstances)); alike != nil {
			d = newServerDivision(*alike)
		}
	}
	for t, owners := range d.owner {
		// Static members come first, so that one that returns with a new id
		// keeps its turn.
		turns := slices.SortedStableFunc(slices.Values(d.subscribers[t]), func(a, b int) int {
			return compareInstances(d.members[a], d.members[b])
		})
		if len(turns) == 0 {
			continue
		}
		each, extra := len(owners)/len(turns), len(owners)%len(turns)
		p := 0
		for i, m := range turns {
			for range each + b2i(i < extra) {
				d.give(t, p, m)
				p++
			}
		}
	}
	return d.shares()
}

func compareInstances(a, b *GroupMember) int {
	if a.Instance != "" && b.Instance != "" {
		return strings.Compare(a.Instance, b.Instance)
	}
	return cmp.Or(cmp.Compare(b2i(a.Instance == ""), b2i(b.Instance == "")), strings.Compare(a.ID, b.ID))
}
