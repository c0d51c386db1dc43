package group

import (
	"fmt"

	"github.com/twmb/franz-go/pkg/kbin"

	"github.com/ktrial/ktrial/broker/coordinator"
	"github.com/ktrial/ktrial/broker/kafka"
)

// Types of the records of __consumer_offsets (CoordinatorRecordType). A key is the
// type, then the key's fields; a value is its version, then the value's fields.
// Keys are never flexible.
const (
	typeLegacyOffsetCommit       int16 = 0 // read only
	typeOffsetCommit             int16 = 1
	typeGroupMetadata            int16 = 2
	typeConsumerGroup            int16 = 3
	typeConsumerPartitions       int16 = 4 // read, and written as a tombstone only, since Kafka 4.1
	typeConsumerMember           int16 = 5
	typeTargetAssignmentMetadata int16 = 6
	typeTargetAssignmentMember   int16 = 7
	typeCurrentAssignment        int16 = 8
	typeRegularExpression        int16 = 16
)

// key is the key of a record.
type key interface {
	number() int16
	fields(c *coder)
}

// value is the value of a record; its coder knows the version.
type value interface{ fields(c *coder) }

// kinds are the types of records that are known. Others are skipped: those of
// share and streams groups, and of versions of Kafka to come.
var kinds = map[int16]struct {
	key      func() key
	value    func() value
	newest   int16 // version of the value that can be read
	written  int16 // version of the value that Kafka 4.4 writes
	flexible int16 // first version of the value that is
}{
	typeLegacyOffsetCommit:       {func() key { return new(legacyOffsetKey) }, func() value { return new(offsetValue) }, 4, 4, 4},
	typeOffsetCommit:             {func() key { return new(offsetKey) }, func() value { return new(offsetValue) }, 4, 4, 4},
	typeGroupMetadata:            {func() key { return new(groupKey) }, func() value { return new(groupMetadata) }, 4, 3, 4},
	typeConsumerGroup:            {func() key { return new(consumerGroupKey) }, func() value { return new(consumerGroupValue) }, 0, 0, 0},
	typeConsumerPartitions:       {func() key { return new(consumerPartitionsKey) }, func() value { return new(ignoredValue) }, 0, 0, 0},
	typeConsumerMember:           {func() key { return new(consumerMemberKey) }, func() value { return new(consumerMemberValue) }, 0, 0, 0},
	typeTargetAssignmentMetadata: {func() key { return new(targetMetadataKey) }, func() value { return new(targetMetadataValue) }, 0, 0, 0},
	typeTargetAssignmentMember:   {func() key { return new(targetMemberKey) }, func() value { return new(targetMemberValue) }, 0, 0, 0},
	typeCurrentAssignment:        {func() key { return new(currentAssignmentKey) }, func() value { return new(currentAssignmentValue) }, 0, 0, 0},
	typeRegularExpression:        {func() key { return new(regexKey) }, func() value { return new(regexValue) }, 0, 0, 0},
}

// encode is the record of a key and its value.
func encode(k key, v value) coordinator.Record { return encodeVersion(k, v, kinds[k.number()].written) }

// encodeVersion is encode with another version of the value.
func encodeVersion(k key, v value, version int16) coordinator.Record {
	rec := tombstone(k)
	c := coder{version: version, flexible: version >= kinds[k.number()].flexible, out: kbin.AppendInt16(nil, version)}
	v.fields(&c)
	rec.Value = c.out
	return rec
}

// tombstone is the record that removes a key.
func tombstone(k key) coordinator.Record {
	c := coder{out: kbin.AppendInt16(nil, k.number())}
	k.fields(&c)
	return coordinator.Record{Key: c.out}
}

// decode reads a record. k is nil if its type is unknown; v is nil if it is a
// tombstone. Nothing of rec is kept.
func decode(rec coordinator.Record) (k key, v value, err error) {
	c := coder{reading: true, in: kbin.Reader{Src: rec.Key}}
	number := c.in.Int16()
	if !c.in.Ok() {
		return nil, nil, fmt.Errorf("group: decode a record: a key of %d bytes has no type", len(rec.Key))
	}
	kind, known := kinds[number]
	if !known {
		return nil, nil, nil
	}
	k = kind.key()
	k.fields(&c)
	if err := c.complete(); err != nil {
		return nil, nil, fmt.Errorf("group: decode a key of type %d and %d bytes: %w", number, len(rec.Key), err)
	}
	if rec.Value == nil {
		return k, nil, nil
	}
	c = coder{reading: true, in: kbin.Reader{Src: rec.Value}}
	c.version = c.in.Int16()
	if c.in.Ok() && (c.version < 0 || c.version > kind.newest) {
		return nil, nil, fmt.Errorf("group: decode a value of type %d: version %d found, at most %d expected", number, c.version, kind.newest)
	}
	c.flexible = c.version >= kind.flexible
	v = kind.value()
	v.fields(&c)
	if err := c.complete(); err != nil {
		return nil, nil, fmt.Errorf("group: decode a value of type %d, version %d and %d bytes: %w", number, c.version, len(rec.Value), err)
	}
	return k, v, nil
}

// complete reports bytes that are missing, or too many.
func (c *coder) complete() error {
	if err := c.in.Complete(); err != nil {
		return err
	}
	if extra := len(c.in.Src); extra > 0 {
		return fmt.Errorf("%d bytes too many", extra)
	}
	return nil
}

// offsetKey is the key of a committed offset.
type offsetKey struct {
	group     string
	topic     string
	partition int32
}

func (*offsetKey) number() int16 { return typeOffsetCommit }

func (k *offsetKey) fields(c *coder) {
	c.string(&k.group)
	c.string(&k.topic)
	c.int32(&k.partition)
}

// legacyOffsetKey is that of records before Kafka 0.9.
type legacyOffsetKey struct{ offsetKey }

func (*legacyOffsetKey) number() int16 { return typeLegacyOffsetCommit }

// offsetValue is a committed offset.
type offsetValue struct {
	offset      int64
	leaderEpoch int32 // v3+; -1: unknown
	metadata    string
	committed   int64      // when, ms
	expires     int64      // v1 only: when, ms; -1: by the broker's retention
	topicID     kafka.UUID // v4+
}

func (v *offsetValue) fields(c *coder) {
	c.int64(&v.offset)
	if c.version >= 3 {
		c.int32(&v.leaderEpoch)
	} else if c.reading {
		v.leaderEpoch = kafka.NoEpoch
	}
	c.string(&v.metadata)
	c.int64(&v.committed)
	if c.version == 1 {
		c.int64(&v.expires)
	} else if c.reading {
		v.expires = -1
	}
	c.tags(tagged{0, !v.topicID.IsZero(), func(c *coder) { c.uuid(&v.topicID) }})
}

// record is the record of an offset. Kafka writes version 1 where a client asked
// for a retention of its own, which no later version can hold.
func (v *offsetValue) record(k offsetKey) coordinator.Record {
	if v.expires >= 0 {
		return encodeVersion(&k, v, 1)
	}
	return encode(&k, v)
}

// groupKey is the key of a classic group.
type groupKey struct{ group string }

func (*groupKey) number() int16     { return typeGroupMetadata }
func (k *groupKey) fields(c *coder) { c.string(&k.group) }

// groupMetadata is what the log keeps of a classic group.
type groupMetadata struct {
	protocolType string // "": no members were ever here
	generation   int32
	protocol     *string
	leader       *string
	since        int64 // v2+: when the group came into its state, ms; -1: unknown
	members      []memberMetadata
}

func (v *groupMetadata) fields(c *coder) {
	c.string(&v.protocolType)
	c.int32(&v.generation)
	c.nullableString(&v.protocol)
	c.nullableString(&v.leader)
	if c.version >= 2 {
		c.int64(&v.since)
	} else if c.reading {
		v.since = -1
	}
	array(c, &v.members, func(c *coder, m *memberMetadata) { m.fields(c) })
	c.tags()
}

// memberMetadata is what the log keeps of a member of a classic group.
type memberMetadata struct {
	id               string
	instance         *string // v3+
	clientID         string
	clientHost       string
	rebalanceTimeout int32 // v1+, ms; -1: as the session timeout
	sessionTimeout   int32 // ms
	subscription     []byte
	assignment       []byte
}

func (m *memberMetadata) fields(c *coder) {
	c.string(&m.id)
	if c.version >= 3 {
		c.nullableString(&m.instance)
	}
	c.string(&m.clientID)
	c.string(&m.clientHost)
	if c.version >= 1 {
		c.int32(&m.rebalanceTimeout)
	} else if c.reading {
		m.rebalanceTimeout = -1
	}
	c.int32(&m.sessionTimeout)
	c.bytes(&m.subscription)
	c.bytes(&m.assignment)
	c.tags()
}
