// Package kafka holds Kafka's nouns: the numbers that must not mix, each its
// own type, and the names of things. Everything in broker speaks in these.
package kafka

import (
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/twmb/franz-go/pkg/kerr"
)

// NodeID is the Kafka number of a broker or controller (node.id).
type NodeID int32

// NoNode stands where there is no leader, no voter, no controller.
const NoNode NodeID = -1

// Offset is a position in a partition's log: that of a record, or the one
// where the next will be.
type Offset int64

// Special offsets of ListOffsets.
const (
	NoOffset       Offset = -1
	LatestOffset   Offset = -1
	EarliestOffset Offset = -2
)

// The fencing numbers. Each only grows, and a request that carries an older
// one is refused.
type (
	// LeaderEpoch counts the leaderships of a partition, or of the quorum.
	LeaderEpoch int32
	// PartitionEpoch counts the changes of a partition's registration (KIP-497).
	PartitionEpoch int32
	// BrokerEpoch names one registration of a broker with the controller: the
	// offset of its registration record (KIP-903).
	BrokerEpoch int64
)

// NoEpoch stands where an epoch is not known.
const NoEpoch = -1

// A producer's identity (KIP-98).
type (
	ProducerID    int64
	ProducerEpoch int16
	// Sequence numbers a producer's records per partition; after 2^31-1 comes 0.
	Sequence int32
)

// NoProducer is the producer id of a batch that is not idempotent.
const NoProducer ProducerID = -1

// Add is the sequence n records after s.
func (s Sequence) Add(n int32) Sequence {
	return Sequence((int64(s) + int64(n)) & 0x7fffffff)
}

// UUID is a topic id, a directory id, an incarnation id.
type UUID [16]byte

// String is Kafka's form: unpadded URL base64.
func (u UUID) String() string { return base64.RawURLEncoding.EncodeToString(u[:]) }

// IsZero reports whether u is not set.
func (u UUID) IsZero() bool { return u == UUID{} }

// ParseUUID reads what String prints.
func ParseUUID(s string) (UUID, error) {
	b, err := base64.RawURLEncoding.DecodeString(s)
	if err != nil || len(b) != 16 {
		return UUID{}, fmt.Errorf("uuid %q: expected 22 characters of unpadded URL base64", s)
	}
	return UUID(b), nil
}

// MarshalText is String; a UUID that is not set is empty.
func (u UUID) MarshalText() ([]byte, error) {
	if u.IsZero() {
		return nil, nil
	}
	return []byte(u.String()), nil
}

// UnmarshalText reads what MarshalText writes.
func (u *UUID) UnmarshalText(text []byte) (err error) {
	*u = UUID{}
	if len(text) > 0 {
		*u, err = ParseUUID(string(text))
	}
	return err
}

// NewUUID draws a random (version 4) UUID that is not one of Kafka's reserved
// ones and does not begin with a dash, which shell tools take for a flag.
func NewUUID(luck interface{ Uint64() uint64 }) UUID {
	for {
		var u UUID
		binary.BigEndian.PutUint64(u[:8], luck.Uint64())
		binary.BigEndian.PutUint64(u[8:], luck.Uint64())
		u[6] = u[6]&0x0f | 0x40
		u[8] = u[8]&0x3f | 0x80
		if !strings.HasPrefix(u.String(), "-") {
			return u
		}
	}
}

// TopicPartition names a partition.
type TopicPartition struct {
	Topic     string
	Partition int32
}

// String is how reports name it: orders/0.
func (tp TopicPartition) String() string {
	return tp.Topic + "/" + strconv.Itoa(int(tp.Partition))
}

// ParseTopicPartition reads what String prints.
func ParseTopicPartition(s string) (TopicPartition, error) {
	at := strings.LastIndexByte(s, '/')
	n, err := strconv.ParseInt(s[at+1:], 10, 32)
	if at < 0 || err != nil || n < 0 {
		return TopicPartition{}, fmt.Errorf("partition %q: expected a topic and a number, such as orders/0", s)
	}
	return TopicPartition{s[:at], int32(n)}, nil
}

// MarshalText is String.
func (tp TopicPartition) MarshalText() ([]byte, error) { return []byte(tp.String()), nil }

// UnmarshalText reads what MarshalText writes.
func (tp *TopicPartition) UnmarshalText(text []byte) (err error) {
	*tp, err = ParseTopicPartition(string(text))
	return err
}

// Compare orders by topic, then by number.
func (tp TopicPartition) Compare(other TopicPartition) int {
	if c := strings.Compare(tp.Topic, other.Topic); c != 0 {
		return c
	}
	return int(tp.Partition) - int(other.Partition)
}

// Dir is the name of its directory on disk: orders-0.
func (tp TopicPartition) Dir() string {
	return tp.Topic + "-" + strconv.Itoa(int(tp.Partition))
}

// MetadataTopic is the log of the KRaft quorum.
const MetadataTopic = "__cluster_metadata"

// MetadataPartition is its only partition.
var MetadataPartition = TopicPartition{Topic: MetadataTopic}

// Code is the error code that answers err on the wire: 0 for nil, the code of
// the Kafka error that err is or wraps, else UNKNOWN_SERVER_ERROR.
func Code(err error) int16 {
	if err == nil {
		return 0
	}
	var k *kerr.Error
	if errors.As(err, &k) {
		return k.Code
	}
	return kerr.UnknownServerError.Code
}
