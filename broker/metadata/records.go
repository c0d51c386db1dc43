package metadata

import "github.com/ktrial/ktrial/broker/kafka"

// kinds lists every record type by API key, with its newest version.
var kinds = [...]struct {
	make       func() Record
	maxVersion int16
}{
	0:  {func() Record { return new(RegisterBrokerRecord) }, 3},
	1:  {func() Record { return new(UnregisterBrokerRecord) }, 0},
	2:  {func() Record { return new(TopicRecord) }, 0},
	3:  {func() Record { return new(PartitionRecord) }, 2},
	4:  {func() Record { return new(ConfigRecord) }, 0},
	5:  {func() Record { return new(PartitionChangeRecord) }, 2},
	7:  {func() Record { return new(FenceBrokerRecord) }, 0},
	8:  {func() Record { return new(UnfenceBrokerRecord) }, 0},
	9:  {func() Record { return new(RemoveTopicRecord) }, 0},
	10: {func() Record { return new(DelegationTokenRecord) }, 0},
	11: {func() Record { return new(UserScramCredentialRecord) }, 0},
	12: {func() Record { return new(FeatureLevelRecord) }, 0},
	14: {func() Record { return new(ClientQuotaRecord) }, 0},
	15: {func() Record { return new(ProducerIdsRecord) }, 0},
	17: {func() Record { return new(BrokerRegistrationChangeRecord) }, 2},
	18: {func() Record { return new(AccessControlEntryRecord) }, 0},
	19: {func() Record { return new(RemoveAccessControlEntryRecord) }, 0},
	20: {func() Record { return new(NoOpRecord) }, 0},
	21: {func() Record { return new(ZkMigrationStateRecord) }, 0},
	22: {func() Record { return new(RemoveUserScramCredentialRecord) }, 0},
	23: {func() Record { return new(BeginTransactionRecord) }, 0},
	24: {func() Record { return new(EndTransactionRecord) }, 0},
	25: {func() Record { return new(AbortTransactionRecord) }, 0},
	26: {func() Record { return new(RemoveDelegationTokenRecord) }, 0},
	27: {func() Record { return new(RegisterControllerRecord) }, 0},
	28: {func() Record { return new(ClearElrRecord) }, 0},
}

// Endpoint is where a listener of a broker or controller is.
type Endpoint struct {
	Name             string // of the listener, such as "PLAINTEXT"
	Host             string
	Port             uint16
	SecurityProtocol int16 // 0: plaintext
}

func (e *Endpoint) fields(c *coder) {
	c.string(&e.Name)
	c.string(&e.Host)
	c.uint16(&e.Port)
	asInt16(c, &e.SecurityProtocol)
	c.endTags()
}

// FeatureRange is the levels of a feature that a node supports.
type FeatureRange struct {
	Name     string
	Min, Max int16
}

func (f *FeatureRange) fields(c *coder) {
	c.string(&f.Name)
	asInt16(c, &f.Min)
	asInt16(c, &f.Max)
	c.endTags()
}

// RegisterBrokerRecord says that a broker process registered. It begins a new
// broker epoch.
type RegisterBrokerRecord struct {
	BrokerID             kafka.NodeID
	IsMigratingZkBroker  bool // v2+
	IncarnationID        kafka.UUID
	BrokerEpoch          kafka.BrokerEpoch
	EndPoints            []Endpoint
	Features             []FeatureRange
	Rack                 *string
	Fenced               bool
	InControlledShutdown bool         // v1+
	LogDirs              []kafka.UUID // v3+

	broker outcome[Broker]
}

func (*RegisterBrokerRecord) APIKey() int16 { return 0 }

func (r *RegisterBrokerRecord) fields(c *coder) {
	asInt32(c, &r.BrokerID)
	if c.version >= 2 {
		c.bool(&r.IsMigratingZkBroker)
	}
	c.uuid(&r.IncarnationID)
	asInt64(c, &r.BrokerEpoch)
	list(c, &r.EndPoints, endpoint)
	list(c, &r.Features, featureRange)
	c.nullableString(&r.Rack)
	c.bool(&r.Fenced)
	if c.version >= 1 {
		c.bool(&r.InControlledShutdown)
	}
	if c.version >= 3 {
		c.tag(0, len(r.LogDirs) > 0, func(c *coder) { list(c, &r.LogDirs, uuid) })
	}
	c.endTags()
}

// UnregisterBrokerRecord takes a broker out of the cluster.
type UnregisterBrokerRecord struct {
	BrokerID    kafka.NodeID
	BrokerEpoch kafka.BrokerEpoch
}

func (*UnregisterBrokerRecord) APIKey() int16 { return 1 }

func (r *UnregisterBrokerRecord) fields(c *coder) {
	asInt32(c, &r.BrokerID)
	asInt64(c, &r.BrokerEpoch)
	c.endTags()
}

// TopicRecord creates a topic; its PartitionRecords follow.
type TopicRecord struct {
	Name    string
	TopicID kafka.UUID
}

func (*TopicRecord) APIKey() int16 { return 2 }

func (r *TopicRecord) fields(c *coder) {
	c.string(&r.Name)
	c.uuid(&r.TopicID)
	c.endTags()
}

// PartitionRecord creates a partition.
type PartitionRecord struct {
	PartitionID      int32
	TopicID          kafka.UUID
	Replicas         []kafka.NodeID // the preferred leader first
	ISR              []kafka.NodeID
	RemovingReplicas []kafka.NodeID
	AddingReplicas   []kafka.NodeID
	Leader           kafka.NodeID
	Recovery         LeaderRecoveryState
	LeaderEpoch      kafka.LeaderEpoch
	PartitionEpoch   kafka.PartitionEpoch
	Directories      []kafka.UUID   // v1+: one for each of Replicas, or none
	ELR              []kafka.NodeID // v2+
	LastKnownELR     []kafka.NodeID // v2+

	// partition is what the first image that applied the record made of it, as
	// in outcome; but it depends on the topic's name.
	partition *Partition
}

func (*PartitionRecord) APIKey() int16 { return 3 }

func (r *PartitionRecord) fields(c *coder) {
	asInt32(c, &r.PartitionID)
	c.uuid(&r.TopicID)
	list(c, &r.Replicas, node)
	list(c, &r.ISR, node)
	list(c, &r.RemovingReplicas, node)
	list(c, &r.AddingReplicas, node)
	asInt32(c, &r.Leader)
	asInt32(c, &r.LeaderEpoch)
	asInt32(c, &r.PartitionEpoch)
	if c.version >= 1 {
		list(c, &r.Directories, uuid)
	}
	c.tag(0, r.Recovery != 0, func(c *coder) { asInt8(c, &r.Recovery) })
	if c.version >= 2 {
		c.tag(1, len(r.ELR) > 0, func(c *coder) { list(c, &r.ELR, node) })
		c.tag(2, len(r.LastKnownELR) > 0, func(c *coder) { list(c, &r.LastKnownELR, node) })
	}
	c.endTags()
}

// ConfigRecord sets a configuration of a resource, or takes it away.
type ConfigRecord struct {
	ResourceType ResourceType
	ResourceName string
	Name         string
	Value        *string // nil: back to the default
}

func (*ConfigRecord) APIKey() int16 { return 4 }

func (r *ConfigRecord) fields(c *coder) {
	asInt8(c, &r.ResourceType)
	c.string(&r.ResourceName)
	c.string(&r.Name)
	c.nullableString(&r.Value)
	c.endTags()
}

// NoLeaderChange as the Leader of a PartitionChangeRecord leaves the leader and
// its epoch alone. Any other value, even the same leader, raises the epoch.
const NoLeaderChange kafka.NodeID = -2

// NoRecoveryChange as the Recovery of a PartitionChangeRecord leaves it alone.
const NoRecoveryChange LeaderRecoveryState = -1

// PartitionChangeRecord changes the fields of a partition that are set in it.
// Make one with NewPartitionChange: zero is not "no change" everywhere.
type PartitionChangeRecord struct {
	PartitionID int32
	TopicID     kafka.UUID

	// A nil slice is no change, an empty one is a change.
	ISR              []kafka.NodeID
	Leader           kafka.NodeID // NoLeaderChange, kafka.NoNode, or the new leader
	Replicas         []kafka.NodeID
	RemovingReplicas []kafka.NodeID
	AddingReplicas   []kafka.NodeID
	Recovery         LeaderRecoveryState
	ELR              []kafka.NodeID // v2+
	LastKnownELR     []kafka.NodeID // v2+
	Directories      []kafka.UUID   // v1+

	partition outcome[Partition]
}

// NewPartitionChange is a record that changes nothing yet (but the partition
// epoch, which every change raises).
func NewPartitionChange(topic kafka.UUID, partition int32) *PartitionChangeRecord {
	return &PartitionChangeRecord{
		PartitionID: partition, TopicID: topic, Leader: NoLeaderChange, Recovery: NoRecoveryChange,
	}
}

func (*PartitionChangeRecord) APIKey() int16 { return 5 }

func (r *PartitionChangeRecord) fields(c *coder) {
	if c.reading {
		r.Leader, r.Recovery = NoLeaderChange, NoRecoveryChange
	}
	asInt32(c, &r.PartitionID)
	c.uuid(&r.TopicID)
	c.tag(0, r.ISR != nil, func(c *coder) { nullableList(c, &r.ISR, node) })
	c.tag(1, r.Leader != NoLeaderChange, func(c *coder) { asInt32(c, &r.Leader) })
	c.tag(2, r.Replicas != nil, func(c *coder) { nullableList(c, &r.Replicas, node) })
	c.tag(3, r.RemovingReplicas != nil, func(c *coder) { nullableList(c, &r.RemovingReplicas, node) })
	c.tag(4, r.AddingReplicas != nil, func(c *coder) { nullableList(c, &r.AddingReplicas, node) })
	c.tag(5, r.Recovery != NoRecoveryChange, func(c *coder) { asInt8(c, &r.Recovery) })
	if c.version >= 2 {
		c.tag(6, r.ELR != nil, func(c *coder) { nullableList(c, &r.ELR, node) })
		c.tag(7, r.LastKnownELR != nil, func(c *coder) { nullableList(c, &r.LastKnownELR, node) })
	}
	if c.version >= 1 {
		c.tag(8, r.Directories != nil, func(c *coder) { nullableList(c, &r.Directories, uuid) })
	}
	c.endTags()
}

// FenceBrokerRecord fences a broker. Kafka no longer writes it: see
// BrokerRegistrationChangeRecord.
type FenceBrokerRecord struct {
	ID    kafka.NodeID
	Epoch kafka.BrokerEpoch
}

func (*FenceBrokerRecord) APIKey() int16 { return 7 }

func (r *FenceBrokerRecord) fields(c *coder) {
	asInt32(c, &r.ID)
	asInt64(c, &r.Epoch)
	c.endTags()
}

// UnfenceBrokerRecord unfences a broker. Kafka no longer writes it.
type UnfenceBrokerRecord struct {
	ID    kafka.NodeID
	Epoch kafka.BrokerEpoch
}

func (*UnfenceBrokerRecord) APIKey() int16 { return 8 }

func (r *UnfenceBrokerRecord) fields(c *coder) {
	asInt32(c, &r.ID)
	asInt64(c, &r.Epoch)
	c.endTags()
}

// RemoveTopicRecord deletes a topic, its partitions and its configuration.
type RemoveTopicRecord struct{ TopicID kafka.UUID }

func (*RemoveTopicRecord) APIKey() int16 { return 9 }

func (r *RemoveTopicRecord) fields(c *coder) {
	c.uuid(&r.TopicID)
	c.endTags()
}

// FeatureLevelRecord finalizes the level of a feature; 0 takes it away.
type FeatureLevelRecord struct {
	Name  string
	Level int16
}

func (*FeatureLevelRecord) APIKey() int16 { return 12 }

func (r *FeatureLevelRecord) fields(c *coder) {
	c.string(&r.Name)
	asInt16(c, &r.Level)
	c.endTags()
}

// ProducerIdsRecord gives the producer ids below NextProducerID away.
type ProducerIdsRecord struct {
	BrokerID       kafka.NodeID
	BrokerEpoch    kafka.BrokerEpoch
	NextProducerID kafka.ProducerID
}

func (*ProducerIdsRecord) APIKey() int16 { return 15 }

func (r *ProducerIdsRecord) fields(c *coder) {
	asInt32(c, &r.BrokerID)
	asInt64(c, &r.BrokerEpoch)
	asInt64(c, &r.NextProducerID)
	c.endTags()
}

// Values of BrokerRegistrationChangeRecord.
const (
	Unfence = -1
	Fence   = 1

	EnterControlledShutdown = 1
)

// BrokerRegistrationChangeRecord changes a broker within its epoch. Zero is no
// change.
type BrokerRegistrationChangeRecord struct {
	BrokerID             kafka.NodeID
	BrokerEpoch          kafka.BrokerEpoch
	Fenced               int8         // Fence, Unfence
	InControlledShutdown int8         // v1+: EnterControlledShutdown
	LogDirs              []kafka.UUID // v2+: nil is no change

	broker outcome[Broker]
}

func (*BrokerRegistrationChangeRecord) APIKey() int16 { return 17 }

func (r *BrokerRegistrationChangeRecord) fields(c *coder) {
	asInt32(c, &r.BrokerID)
	asInt64(c, &r.BrokerEpoch)
	c.tag(0, r.Fenced != 0, func(c *coder) { asInt8(c, &r.Fenced) })
	if c.version >= 1 {
		c.tag(1, r.InControlledShutdown != 0, func(c *coder) { asInt8(c, &r.InControlledShutdown) })
	}
	if c.version >= 2 {
		c.tag(2, len(r.LogDirs) > 0, func(c *coder) { list(c, &r.LogDirs, uuid) })
	}
	c.endTags()
}

// NoOpRecord says nothing. The active controller appends one now and then so
// that the high watermark moves and a dead quorum is noticed (KIP-835).
type NoOpRecord struct{}

func (*NoOpRecord) APIKey() int16   { return 20 }
func (*NoOpRecord) fields(c *coder) { c.endTags() }

// BeginTransactionRecord begins a metadata transaction (KIP-868): what follows
// counts once it ends.
type BeginTransactionRecord struct{ Name *string }

func (*BeginTransactionRecord) APIKey() int16 { return 23 }

func (r *BeginTransactionRecord) fields(c *coder) {
	c.tag(0, r.Name != nil, func(c *coder) { c.nullableString(&r.Name) })
	c.endTags()
}

// EndTransactionRecord ends a metadata transaction: all of it counts.
type EndTransactionRecord struct{}

func (*EndTransactionRecord) APIKey() int16   { return 24 }
func (*EndTransactionRecord) fields(c *coder) { c.endTags() }

// AbortTransactionRecord ends a metadata transaction: none of it counts.
type AbortTransactionRecord struct{ Reason *string }

func (*AbortTransactionRecord) APIKey() int16 { return 25 }

func (r *AbortTransactionRecord) fields(c *coder) {
	c.tag(0, r.Reason != nil, func(c *coder) { c.nullableString(&r.Reason) })
	c.endTags()
}

// RegisterControllerRecord says where a controller is and what it supports.
type RegisterControllerRecord struct {
	ControllerID     kafka.NodeID
	IncarnationID    kafka.UUID
	ZkMigrationReady bool
	EndPoints        []Endpoint
	Features         []FeatureRange
}

func (*RegisterControllerRecord) APIKey() int16 { return 27 }

func (r *RegisterControllerRecord) fields(c *coder) {
	asInt32(c, &r.ControllerID)
	c.uuid(&r.IncarnationID)
	c.bool(&r.ZkMigrationReady)
	list(c, &r.EndPoints, endpoint)
	list(c, &r.Features, featureRange)
	c.endTags()
}

// ClearElrRecord takes the ELR and the last known one from all partitions of a topic, or of
// all topics: min.insync.replicas changed, which they depend on (KIP-966). Kafka writes it.
type ClearElrRecord struct {
	TopicName string // empty: all topics
}

func (*ClearElrRecord) APIKey() int16 { return 28 }

func (r *ClearElrRecord) fields(c *coder) {
	c.string(&r.TopicName)
	c.endTags()
}

// The items of lists.

func node(c *coder, v *kafka.NodeID)         { asInt32(c, v) }
func uuid(c *coder, v *kafka.UUID)           { c.uuid(v) }
func text(c *coder, v *string)               { c.string(v) }
func endpoint(c *coder, v *Endpoint)         { v.fields(c) }
func featureRange(c *coder, v *FeatureRange) { v.fields(c) }
func quotaEntity(c *coder, v *QuotaEntity)   { v.fields(c) }
