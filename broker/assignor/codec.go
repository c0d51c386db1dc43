package assignor

import (
	"encoding/binary"
	"fmt"
	"slices"

	"github.com/ktrial/ktrial/broker/kafka"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// Subscription is what a member of a classic "consumer" group sends as the
// metadata of a protocol: topics and user data since version 0, what it owns
// since 1 (KIP-429), its generation since 2 (KIP-792), its rack since 3
// (KIP-881).
type Subscription struct {
	Version    int16
	Topics     []string
	UserData   []byte
	Owned      []kafka.TopicPartition
	Generation int32
	Rack       string
}

// MaxSubscription is the newest version of Subscription and Assignment that is
// written. A higher one is read as this one: newer versions only append fields.
const MaxSubscription int16 = 3

// EncodeSubscription writes s in its version.
func EncodeSubscription(s Subscription) []byte {
	m := kmsg.NewConsumerMemberMetadata()
	m.Version = s.Version
	m.Topics = slices.Sorted(slices.Values(s.Topics))
	m.UserData = s.UserData
	m.Generation = s.Generation
	if s.Rack != "" {
		m.Rack = &s.Rack
	}
	for _, t := range byTopic(s.Owned) {
		m.OwnedPartitions = append(m.OwnedPartitions, kmsg.ConsumerMemberMetadataOwnedPartition{Topic: t.Topic, Partitions: t.Partitions})
	}
	return m.AppendTo(nil)
}

// DecodeSubscription reads the metadata of a member's protocol.
func DecodeSubscription(data []byte) (Subscription, error) {
	version, data, err := readable("subscription", data)
	if err != nil {
		return Subscription{}, err
	}
	m := kmsg.NewConsumerMemberMetadata()
	if err := m.ReadFrom(data); err != nil {
		return Subscription{}, fmt.Errorf("subscription of version %d and %d bytes: %w", version, len(data), err)
	}
	s := Subscription{Version: version, Topics: m.Topics, UserData: m.UserData, Generation: NoGeneration}
	if version >= 2 {
		s.Generation = m.Generation
	}
	if m.Rack != nil {
		s.Rack = *m.Rack
	}
	for _, t := range m.OwnedPartitions {
		s.Owned = appendTopic(s.Owned, t.Topic, t.Partitions)
	}
	return s, nil
}

// Assignment is what the leader of a classic "consumer" group sends to a member.
type Assignment struct {
	Version    int16
	Partitions []kafka.TopicPartition
	UserData   []byte
}

// EncodeAssignment writes a in its version.
func EncodeAssignment(a Assignment) []byte {
	m := kmsg.NewConsumerMemberAssignment()
	m.Version = a.Version
	m.UserData = a.UserData
	for _, t := range byTopic(a.Partitions) {
		m.Topics = append(m.Topics, kmsg.ConsumerMemberAssignmentTopic{Topic: t.Topic, Partitions: t.Partitions})
	}
	return m.AppendTo(nil)
}

// DecodeAssignment reads what SyncGroup answers. No bytes at all mean no
// partitions: that is what a member gets that the leader left out.
func DecodeAssignment(data []byte) (Assignment, error) {
	if len(data) == 0 {
		return Assignment{}, nil
	}
	version, data, err := readable("assignment", data)
	if err != nil {
		return Assignment{}, err
	}
	m := kmsg.NewConsumerMemberAssignment()
	if err := m.ReadFrom(data); err != nil {
		return Assignment{}, fmt.Errorf("assignment of version %d and %d bytes: %w", version, len(data), err)
	}
	a := Assignment{Version: version, UserData: m.UserData}
	for _, t := range m.Topics {
		a.Partitions = appendTopic(a.Partitions, t.Topic, t.Partitions)
	}
	return a, nil
}

// readable is data with a version that is not above the highest known one.
func readable(what string, data []byte) (int16, []byte, error) {
	if len(data) < 2 {
		return 0, nil, fmt.Errorf("%s: %d bytes, expected a version of 2", what, len(data))
	}
	version := int16(binary.BigEndian.Uint16(data))
	if version < 0 {
		return 0, nil, fmt.Errorf("%s: version %d, expected 0 or more", what, version)
	}
	if version > MaxSubscription {
		data = slices.Clone(data)
		binary.BigEndian.PutUint16(data, uint16(MaxSubscription))
		version = MaxSubscription
	}
	return version, data, nil
}

// topicPartitions are the partitions of one topic, ascending.
type topicPartitions struct {
	Topic      string
	Partitions []int32
}

// byTopic groups partitions by topic, in the order of names.
func byTopic(partitions []kafka.TopicPartition) (topics []topicPartitions) {
	sorted := slices.SortedFunc(slices.Values(partitions), kafka.TopicPartition.Compare)
	for _, tp := range sorted {
		if n := len(topics); n == 0 || topics[n-1].Topic != tp.Topic {
			topics = append(topics, topicPartitions{Topic: tp.Topic})
		}
		last := &topics[len(topics)-1]
		last.Partitions = append(last.Partitions, tp.Partition)
	}
	return topics
}

func appendTopic(partitions []kafka.TopicPartition, topic string, numbers []int32) []kafka.TopicPartition {
	for _, n := range numbers {
		partitions = append(partitions, kafka.TopicPartition{Topic: topic, Partition: n})
	}
	return partitions
}
