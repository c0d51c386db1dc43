package client

import (
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/ktrial/ktrial/broker/kafka"
)

// Admin changes and describes a cluster. Every call blocks and is retried, at
// most for default.api.timeout.ms. The first error of several is returned.
type Admin struct{}

// NewAdmin makes an admin.
func (c *Client) NewAdmin(cfg AdminConfig) *Admin { panic("later") }

// NewTopic is a topic to be created.
type NewTopic struct {
	Name       string
	Partitions int32 // zero: the broker's num.partitions
	Replicas   int16 // zero: the broker's default.replication.factor
	// Assignment, if set, says which nodes hold which partition; the first is
	// the preferred leader.
	Assignment [][]kafka.NodeID
	Configs    map[string]string
}

// TopicDescription is what the cluster says of a topic.
type TopicDescription struct {
	Name       string
	ID         kafka.UUID
	Err        error
	Partitions []PartitionDescription // by number
}

// PartitionDescription is what the cluster says of a partition.
type PartitionDescription struct {
	Partition   int32
	Leader      kafka.NodeID // NoNode if there is none
	LeaderEpoch kafka.LeaderEpoch
	Replicas    []kafka.NodeID
	ISR         []kafka.NodeID
	Offline     []kafka.NodeID
}

// NodeDescription is a broker as others are told of it.
type NodeDescription struct {
	ID   kafka.NodeID
	Addr string
	Rack string
}

// ClusterDescription is who there is.
type ClusterDescription struct {
	ClusterID  string
	Controller kafka.NodeID
	Nodes      []NodeDescription // by id
}

// ElectionType says what leader is wanted.
type ElectionType int8

// Preferred elects the first replica, Unclean any that lives if none of the
// in-sync ones does.
const (
	Preferred ElectionType = iota
	Unclean
)

// ConfigResource is what has a configuration.
type ConfigResource struct {
	Kind kmsg.ConfigResourceType
	Name string
}

// TopicResource and BrokerResource name the two usual ones.
func TopicResource(topic string) ConfigResource {
	return ConfigResource{kmsg.ConfigResourceTypeTopic, topic}
}

// ConfigChange sets, or deletes if Value is nil, one configuration.
type ConfigChange struct {
	Name  string
	Value *string
}

// ConfigEntry is one configuration as it stands.
type ConfigEntry struct {
	Name    string
	Value   string
	Default bool
}

// OffsetSpec is what ListOffsets looks for: LatestOffset, EarliestOffset, or
// the first record that is not older than a timestamp in milliseconds.
type OffsetSpec int64

// ListedOffset is an answer of ListOffsets. Offset is NoOffset if no record is
// as young as was asked for.
type ListedOffset struct {
	Position
	Timestamp int64
	Err       error
}

// CreateTopics creates topics.
func (a *Admin) CreateTopics(topics ...NewTopic) error { panic("later") }

// DeleteTopics deletes topics.
func (a *Admin) DeleteTopics(topics ...string) error { panic("later") }

// CreatePartitions makes a topic have total partitions.
func (a *Admin) CreatePartitions(topic string, total int32) error { panic("later") }

// DescribeCluster asks who there is.
func (a *Admin) DescribeCluster() (ClusterDescription, error) { panic("later") }

// DescribeTopics asks for topics, or for all if none is named.
func (a *Admin) DescribeTopics(topics ...string) ([]TopicDescription, error) { panic("later") }

// ElectLeaders asks for elections, of all partitions if none is named.
// ELECTION_NOT_NEEDED is no error.
func (a *Admin) ElectLeaders(kind ElectionType, partitions ...kafka.TopicPartition) error {
	panic("later")
}

// IncrementalAlterConfigs changes some configurations of a resource.
func (a *Admin) IncrementalAlterConfigs(of ConfigResource, changes ...ConfigChange) error {
	panic("later")
}

// DescribeConfigs asks for the configuration of a resource.
func (a *Admin) DescribeConfigs(of ConfigResource) ([]ConfigEntry, error) { panic("later") }

// ListOffsets asks the leaders of the partitions for offsets. The answer has
// an entry for each.
func (a *Admin) ListOffsets(level IsolationLevel, specs map[kafka.TopicPartition]OffsetSpec) (map[kafka.TopicPartition]ListedOffset, error) {
	panic("later")
}

// DeleteRecords deletes what lies below the offsets and returns where the logs
// now start.
func (a *Admin) DeleteRecords(before map[kafka.TopicPartition]kafka.Offset) (map[kafka.TopicPartition]kafka.Offset, error) {
	panic("later")
}

// Close ends the admin's tasks and connections.
func (a *Admin) Close() { panic("later") }
