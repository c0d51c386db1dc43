package metadata

import "github.com/ktrial/ktrial/broker/kafka"

// ResourceType says what a configuration is of.
type ResourceType int8

// The resource types that have configurations.
const (
	TopicResource  ResourceType = 2
	BrokerResource ResourceType = 4
)

// Resource names what has a configuration. A broker resource with no name is
// the default of all brokers.
type Resource struct {
	Type ResourceType
	Name string
}

// LeaderRecoveryState says whether a leader came from an unclean election and
// may still have to mend what it serves (KIP-704).
type LeaderRecoveryState int8

const (
	Recovered  LeaderRecoveryState = 0
	Recovering LeaderRecoveryState = 1
)

// Broker is one registered broker. It is never changed: a change makes a new one.
type Broker struct {
	ID                   kafka.NodeID
	IncarnationID        kafka.UUID
	Epoch                kafka.BrokerEpoch
	EndPoints            []Endpoint
	Features             []FeatureRange
	Rack                 *string
	Fenced               bool
	InControlledShutdown bool
	LogDirs              []kafka.UUID
}

// Topic is a topic with its partitions.
type Topic struct {
	Name       string
	ID         kafka.UUID
	Partitions []*Partition // by number
}

// Partition is the registration of one partition. It is never changed: a
// change makes a new one, so it may be held on to.
type Partition struct {
	Topic            string
	TopicID          kafka.UUID
	ID               int32
	Replicas         []kafka.NodeID // the preferred leader first
	ISR              []kafka.NodeID
	ELR              []kafka.NodeID // eligible leader replicas (KIP-966)
	LastKnownELR     []kafka.NodeID
	AddingReplicas   []kafka.NodeID
	RemovingReplicas []kafka.NodeID
	Directories      []kafka.UUID // one for each of Replicas, or none
	Leader           kafka.NodeID // kafka.NoNode: none
	LeaderEpoch      kafka.LeaderEpoch
	PartitionEpoch   kafka.PartitionEpoch
	Recovery         LeaderRecoveryState
}

// TP is the name of the partition.
func (p *Partition) TP() kafka.TopicPartition {
	return kafka.TopicPartition{Topic: p.Topic, Partition: p.ID}
}

// Image is the state of the cluster: the fold of the metadata log up to Offset.
type Image struct {
	// Offset is the last offset applied, and Epoch that of its batch. Who
	// applies batches sets them.
	Offset kafka.Offset
	Epoch  kafka.LeaderEpoch
}

// NewImage is the state before the first record.
func NewImage() *Image { panic("later") }

// Apply folds rec in. It is the only writer. A record that cannot follow what
// was before (a change of a partition that is not there) is an error and
// changes nothing: the log is damaged, or its writer is.
func (im *Image) Apply(rec Record) error { panic("later") }

// Track makes Apply note in ch what it changes, until the next Track. Nil: no more.
func (im *Image) Track(ch *Changes) { panic("later") }

// Brokers lists the registered brokers by id. The slice is the image's own.
func (im *Image) Brokers() []*Broker { panic("later") }

// Broker is the registration of id, or nil.
func (im *Image) Broker(id kafka.NodeID) *Broker { panic("later") }

// Topics lists the topics by name. The slice is the image's own.
func (im *Image) Topics() []*Topic { panic("later") }

// Topic is the topic of that name, or nil.
func (im *Image) Topic(name string) *Topic { panic("later") }

// TopicByID is the topic of that id, or nil.
func (im *Image) TopicByID(id kafka.UUID) *Topic { panic("later") }

// Partition is the partition of that name, or nil.
func (im *Image) Partition(tp kafka.TopicPartition) *Partition { panic("later") }

// Config lists the configuration set on a resource, by name.
func (im *Image) Config(r Resource) []ConfigEntry { panic("later") }

// ConfigValue is one configuration of a resource, if it is set.
func (im *Image) ConfigValue(r Resource, name string) (string, bool) { panic("later") }

// Resources lists the resources that have a configuration, in order.
func (im *Image) Resources() []Resource { panic("later") }

// ConfigEntry is one configuration that is set.
type ConfigEntry struct{ Name, Value string }

// NextProducerID is the first producer id not given away yet.
func (im *Image) NextProducerID() kafka.ProducerID { panic("later") }

// Feature is the finalized level of a feature; 0: none.
func (im *Image) Feature(name string) int16 { panic("later") }

// Features lists the finalized features by name.
func (im *Image) Features() []FeatureLevelRecord { panic("later") }

// Clone is a copy that further records do not reach.
func (im *Image) Clone() *Image { panic("later") }

// Hash is a fingerprint of the state, the same for the same state on any node.
func (im *Image) Hash() uint64 { panic("later") }

// ToRecords is the shortest list of records that adds up to the image.
func (im *Image) ToRecords() []Record { panic("later") }

// Changes is what records changed in an image. Each list is in the order of
// first change, without repetition.
type Changes struct {
	Brokers       []kafka.NodeID
	Partitions    []kafka.TopicPartition // created or changed
	CreatedTopics []string
	DeletedTopics []DeletedTopic
	Configs       []Resource
	Features      bool
	ProducerIDs   bool
}

// DeletedTopic is a topic that is gone from the image.
type DeletedTopic struct {
	Name       string
	ID         kafka.UUID
	Partitions int32
}

// Diff is what differs between two images, as Changes from old to new.
func Diff(old, new *Image) Changes { panic("later") }
