package metadata

import (
	"cmp"
	"slices"
	"strconv"
	"strings"

	"github.com/ktrial/ktrial/broker/kafka"
)

// ResourceType says what a configuration is of.
type ResourceType int8

// The resource types that have configurations.
const (
	TopicResource  ResourceType = 2
	BrokerResource ResourceType = 4
	GroupResource  ResourceType = 32
)

// Resource names what has a configuration. A broker resource with no name is
// the default of all brokers.
type Resource struct {
	Type ResourceType
	Name string
}

// BrokerConfig is the resource of one broker's own configuration.
func BrokerConfig(id kafka.NodeID) Resource {
	return Resource{Type: BrokerResource, Name: strconv.Itoa(int(id))}
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

	hash uint64
}

// Topic is a topic with its partitions.
type Topic struct {
	Name       string
	ID         kafka.UUID
	Partitions []*Partition // by number

	hash uint64 // without the partitions
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

	hash uint64
}

// TP is the name of the partition.
func (p *Partition) TP() kafka.TopicPartition {
	return kafka.TopicPartition{Topic: p.Topic, Partition: p.ID}
}

// Image is the state of the cluster: the fold of the metadata log up to Offset.
type Image struct {
	// Offset is the last offset applied, and Epoch that of its batch. The code
	// that applies batches sets them.
	Offset kafka.Offset
	Epoch  kafka.LeaderEpoch

	brokers     []*Broker // by id
	topics      []*Topic  // by name
	byID        map[kafka.UUID]*Topic
	configs     []ConfigRecord       // by resource, then name; Value is never nil
	features    []FeatureLevelRecord // by name; Level is never 0
	producerIDs ProducerIdsRecord
	kept        []keptRecord // by key

	// A metadata transaction that has begun holds its records back.
	inTransaction bool
	pending       []Record

	// hash is the sum of the hashes of all entries: see hash.go.
	hash    uint64
	scratch []byte
	changes *Changes
}

// NewImage is the state before the first record.
func NewImage() *Image {
	return &Image{Offset: kafka.NoOffset, Epoch: kafka.NoEpoch, byID: map[kafka.UUID]*Topic{}}
}

// Brokers lists the registered brokers by id. The slice is the image's own.
func (im *Image) Brokers() []*Broker { return im.brokers }

// Broker is the registration of id, or nil.
func (im *Image) Broker(id kafka.NodeID) *Broker {
	if i, ok := im.findBroker(id); ok {
		return im.brokers[i]
	}
	return nil
}

func (im *Image) findBroker(id kafka.NodeID) (int, bool) {
	if at := int(id) - 1; 0 <= at && at < len(im.brokers) && im.brokers[at].ID == id {
		return at, true // brokers mostly count from 1
	}
	return slices.BinarySearchFunc(im.brokers, id, func(b *Broker, id kafka.NodeID) int {
		return cmp.Compare(b.ID, id)
	})
}

// Topics lists the topics by name. The slice is the image's own.
func (im *Image) Topics() []*Topic { return im.topics }

// Topic is the topic of that name, or nil.
func (im *Image) Topic(name string) *Topic {
	if i, ok := im.findTopic(name); ok {
		return im.topics[i]
	}
	return nil
}

func (im *Image) findTopic(name string) (int, bool) {
	return slices.BinarySearchFunc(im.topics, name, func(t *Topic, name string) int {
		return strings.Compare(t.Name, name)
	})
}

// TopicByID is the topic of that id, or nil.
func (im *Image) TopicByID(id kafka.UUID) *Topic { return im.byID[id] }

// Partition is the partition of that name, or nil.
func (im *Image) Partition(tp kafka.TopicPartition) *Partition {
	return im.Topic(tp.Topic).Partition(tp.Partition)
}

// Partition is the partition of that number, or nil.
func (t *Topic) Partition(id int32) *Partition {
	if t == nil || id < 0 || int(id) >= len(t.Partitions) {
		return nil
	}
	return t.Partitions[id]
}

// ConfigEntry is one configuration that is set.
type ConfigEntry struct{ Name, Value string }

// Config lists the configuration set on a resource, by name.
func (im *Image) Config(r Resource) []ConfigEntry {
	var entries []ConfigEntry
	for i, _ := im.findConfig(r, ""); i < len(im.configs) && im.configs[i].resource() == r; i++ {
		entries = append(entries, ConfigEntry{im.configs[i].Name, *im.configs[i].Value})
	}
	return entries
}

// ConfigValue is one configuration of a resource, if it is set.
func (im *Image) ConfigValue(r Resource, name string) (string, bool) {
	if i, ok := im.findConfig(r, name); ok {
		return *im.configs[i].Value, true
	}
	return "", false
}

// Resources lists the resources that have a configuration, in order.
func (im *Image) Resources() []Resource {
	var all []Resource
	for i := range im.configs {
		if r := im.configs[i].resource(); len(all) == 0 || all[len(all)-1] != r {
			all = append(all, r)
		}
	}
	return all
}

func (im *Image) findConfig(r Resource, name string) (int, bool) {
	return slices.BinarySearchFunc(im.configs, 0, func(c ConfigRecord, _ int) int {
		return cmp.Or(c.resource().compare(r), strings.Compare(c.Name, name))
	})
}

func (r *ConfigRecord) resource() Resource { return Resource{r.ResourceType, r.ResourceName} }

func (r Resource) compare(other Resource) int {
	return cmp.Or(cmp.Compare(r.Type, other.Type), strings.Compare(r.Name, other.Name))
}

// NextProducerID is the first producer id not given away yet.
func (im *Image) NextProducerID() kafka.ProducerID { return im.producerIDs.NextProducerID }

// Feature is the finalized level of a feature; 0: none.
func (im *Image) Feature(name string) int16 {
	if i, ok := im.findFeature(name); ok {
		return im.features[i].Level
	}
	return 0
}

// Features lists the finalized features by name. The slice is the image's own.
func (im *Image) Features() []FeatureLevelRecord { return im.features }

func (im *Image) findFeature(name string) (int, bool) {
	return slices.BinarySearchFunc(im.features, name, func(f FeatureLevelRecord, name string) int {
		return strings.Compare(f.Name, name)
	})
}

// InTransaction reports whether records are held back by a metadata
// transaction. Such an image must not become a snapshot.
func (im *Image) InTransaction() bool { return im.inTransaction }

// Clone is a copy that further records do not reach. It shares what never
// changes, so it costs a pointer for each partition.
func (im *Image) Clone() *Image {
	c := *im
	c.brokers = slices.Clone(im.brokers)
	c.topics = make([]*Topic, len(im.topics))
	c.byID = make(map[kafka.UUID]*Topic, len(im.topics))
	for i, t := range im.topics {
		c.topics[i] = &Topic{Name: t.Name, ID: t.ID, Partitions: slices.Clone(t.Partitions), hash: t.hash}
		c.byID[t.ID] = c.topics[i]
	}
	c.configs = slices.Clone(im.configs)
	c.features = slices.Clone(im.features)
	c.kept = slices.Clone(im.kept)
	c.pending = slices.Clone(im.pending)
	c.scratch, c.changes = nil, nil
	return &c
}
