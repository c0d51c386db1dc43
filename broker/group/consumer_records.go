package group

import "github.com/ktrial/ktrial/broker/kafka"

// The records of KIP-848 groups. All values are version 0 and flexible.

// consumerGroupKey is the key of a group's epoch.
type consumerGroupKey struct{ group string }

func (*consumerGroupKey) number() int16     { return typeConsumerGroup }
func (k *consumerGroupKey) fields(c *coder) { c.string(&k.group) }

// consumerGroupValue is the epoch of a group.
type consumerGroupValue struct {
	epoch        int32
	metadataHash int64 // of the topics that it is subscribed to (KIP-1101); 0: of none
}

func (v *consumerGroupValue) fields(c *coder) {
	c.int32(&v.epoch)
	c.tags(tagged{0, v.metadataHash != 0, func(c *coder) { c.int64(&v.metadataHash) }})
}

// consumerPartitionsKey is the key of a group's topics as they were before
// Kafka 4.1, where a hash took their place. Its values are not needed.
type consumerPartitionsKey struct{ group string }

func (*consumerPartitionsKey) number() int16     { return typeConsumerPartitions }
func (k *consumerPartitionsKey) fields(c *coder) { c.string(&k.group) }

// ignoredValue is a value of which nothing is needed.
type ignoredValue struct{}

func (*ignoredValue) fields(c *coder) { c.in.Src = nil }

// consumerMemberKey is the key of what a member told of itself.
type consumerMemberKey struct{ group, member string }

func (*consumerMemberKey) number() int16 { return typeConsumerMember }

func (k *consumerMemberKey) fields(c *coder) {
	c.string(&k.group)
	c.string(&k.member)
}

// consumerMemberValue is what a member told of itself.
type consumerMemberValue struct {
	instance         *string
	rack             *string
	clientID         string
	clientHost       string
	topics           []string // by name
	regex            *string
	rebalanceTimeout int32 // ms; -1: not told
	assignor         *string
	classic          *classicProtocols // of a member that uses the classic protocol, or nil
}

func (v *consumerMemberValue) fields(c *coder) {
	c.nullableString(&v.instance)
	c.nullableString(&v.rack)
	c.string(&v.clientID)
	c.string(&v.clientHost)
	array(c, &v.topics, stringItem)
	c.nullableString(&v.regex)
	c.int32(&v.rebalanceTimeout)
	c.nullableString(&v.assignor)
	c.tags(tagged{0, v.classic != nil, func(c *coder) { classicProtocolsField(c, &v.classic) }})
}

// classicProtocols is what a member told with JoinGroup.
type classicProtocols struct {
	sessionTimeout int32 // ms
	protocols      []protocol
}

// protocol is one assignor that a member of the classic protocol supports, with
// its subscription in that assignor's form.
type protocol struct {
	name     string
	metadata []byte
}

// classicProtocolsField is a nullable struct: a 1, or a 0 where it is null,
// stands before it.
func classicProtocolsField(c *coder, v **classicProtocols) {
	present := int8(1)
	c.int8(&present) // an unsigned varint, of which both take a byte
	if c.reading {
		if *v = nil; present == 0 {
			return
		}
		*v = new(classicProtocols)
	}
	c.int32(&(*v).sessionTimeout)
	array(c, &(*v).protocols, func(c *coder, p *protocol) {
		c.string(&p.name)
		c.bytes(&p.metadata)
		c.tags()
	})
	c.tags()
}

// targetMetadataKey is the key of the epoch of a group's target assignment.
type targetMetadataKey struct{ group string }

func (*targetMetadataKey) number() int16     { return typeTargetAssignmentMetadata }
func (k *targetMetadataKey) fields(c *coder) { c.string(&k.group) }

// targetMetadataValue is the epoch of a group's target assignment.
type targetMetadataValue struct {
	epoch int32
	// assigned is when it was computed, ms; 0: the next may be computed at once (KIP-1263).
	assigned int64
}

func (v *targetMetadataValue) fields(c *coder) {
	c.int32(&v.epoch)
	c.tags(tagged{0, v.assigned != 0, func(c *coder) { c.int64(&v.assigned) }})
}

// targetMemberKey is the key of a member's target assignment.
type targetMemberKey struct{ group, member string }

func (*targetMemberKey) number() int16 { return typeTargetAssignmentMember }

func (k *targetMemberKey) fields(c *coder) {
	c.string(&k.group)
	c.string(&k.member)
}

// targetMemberValue is a member's target assignment.
type targetMemberValue struct{ topics []topicPartitions }

func (v *targetMemberValue) fields(c *coder) {
	array(c, &v.topics, func(c *coder, t *topicPartitions) {
		c.uuid(&t.topic)
		array(c, &t.partitions, int32Item)
		c.tags()
	})
	c.tags()
}

// topicPartitions is partitions of one topic.
type topicPartitions struct {
	topic      kafka.UUID
	partitions []int32
	// epochs are those of the member when it got each of the partitions (KIP-1251);
	// none: unknown. Target assignments have none.
	epochs []int32
}

// currentAssignmentKey is the key of what a member owns.
type currentAssignmentKey struct{ group, member string }

func (*currentAssignmentKey) number() int16 { return typeCurrentAssignment }

func (k *currentAssignmentKey) fields(c *coder) {
	c.string(&k.group)
	c.string(&k.member)
}

// currentAssignmentValue is what a member owns.
type currentAssignmentValue struct {
	epoch, previousEpoch int32
	state                int8 // 0: stable, 1: unrevoked partitions, 2: unreleased partitions
	assigned             []topicPartitions
	pendingRevocation    []topicPartitions
}

func (v *currentAssignmentValue) fields(c *coder) {
	c.int32(&v.epoch)
	c.int32(&v.previousEpoch)
	c.int8(&v.state)
	array(c, &v.assigned, ownedField)
	array(c, &v.pendingRevocation, ownedField)
	c.tags()
}

func ownedField(c *coder, t *topicPartitions) {
	c.uuid(&t.topic)
	array(c, &t.partitions, int32Item)
	c.tags(tagged{0, len(t.epochs) > 0, func(c *coder) { array(c, &t.epochs, int32Item) }})
}

// regexKey is the key of a regular expression that members are subscribed to.
type regexKey struct{ group, regex string }

func (*regexKey) number() int16 { return typeRegularExpression }

func (k *regexKey) fields(c *coder) {
	c.string(&k.group)
	c.string(&k.regex)
}

// regexValue is the topics that a regular expression was resolved to.
type regexValue struct {
	topics  []string
	version int64 // offset of the metadata that it was resolved with
	at      int64 // when, ms
}

func (v *regexValue) fields(c *coder) {
	array(c, &v.topics, stringItem)
	c.int64(&v.version)
	c.int64(&v.at)
	c.tags()
}
