package assignor

import (
	"fmt"
	"strings"

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
	// Topics are the subscribed topics that exist, sorted by id.
	Topics []kafka.UUID
	// Target is the member's share of the previous target assignment.
	Target Share
}

// Group is what a server-side assignor divides.
type Group struct {
	// Partitions is the number of partitions of each subscribed topic.
	Partitions map[kafka.UUID]int32
	// Homogeneous: all members subscribe to the same topics.
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
	return nil, fmt.Errorf("server-side assignor %q is unknown, expected one of %s", name, strings.Join([]string{Uniform, ServerRange}, ", "))
}
