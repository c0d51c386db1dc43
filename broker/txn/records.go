package txn

import (
	"fmt"
	"slices"

	"github.com/twmb/franz-go/pkg/kbin"
	"github.com/twmb/franz-go/pkg/kerr"

	"github.com/ktrial/ktrial/broker/coordinator"
	"github.com/ktrial/ktrial/broker/kafka"
)

// The records of __transaction_state (TransactionLogKey, TransactionLogValue). A key is
// its version, then the id. A value is its version, then the fields; version 1 is
// flexible, and has tagged ones.
const (
	keyVersion    int16 = 0
	plainValue    int16 = 0
	flexibleValue int16 = 1

	tagPrevious      = 0
	tagNext          = 1
	tagClientVersion = 2
	tagNextEpoch     = 3 // in the schema, and never written by Kafka
)

func key(id string) []byte {
	return kbin.AppendString(kbin.AppendInt16(nil, keyVersion), id)
}

func tombstone(id string) coordinator.Record { return coordinator.Record{Key: key(id)} }

// encode is the record of an id, as the cluster's transaction.version has it. With 0
// there is no room for the version of a client that has given its transaction an epoch
// of its own: UNSUPPORTED_VERSION.
func encode(id string, t *Transaction, version int16) (coordinator.Record, error) {
	if version == 0 && t.ClientVersion != 0 {
		return coordinator.Record{}, kafka.Refuse(kerr.UnsupportedVersion, "Attempted to write a non-default clientTransactionVersion at version 0")
	}
	v := plainValue
	if version > 0 {
		v = flexibleValue
	}
	return coordinator.Record{Key: key(id), Value: t.appendTo(kbin.AppendInt16(nil, v), v == flexibleValue)}, nil
}

func (t *Transaction) appendTo(b []byte, flexible bool) []byte {
	b = kbin.AppendInt64(b, int64(t.ProducerID))
	b = kbin.AppendInt16(b, int16(t.Epoch))
	b = kbin.AppendInt32(b, t.TimeoutMillis)
	b = kbin.AppendInt8(b, int8(t.State))
	b = t.appendPartitions(b, flexible)
	b = kbin.AppendInt64(b, t.Updated)
	b = kbin.AppendInt64(b, t.Started)
	if !flexible {
		return b
	}
	var tags []byte
	count := uint32(0)
	tag := func(number uint32, value []byte) {
		tags = kbin.AppendUvarint(tags, number)
		tags = kbin.AppendUvarint(tags, uint32(len(value)))
		tags = append(tags, value...)
		count++
	}
	if t.Previous >= 0 {
		tag(tagPrevious, kbin.AppendInt64(nil, int64(t.Previous)))
	}
	if t.Next >= 0 {
		tag(tagNext, kbin.AppendInt64(nil, int64(t.Next)))
	}
	if t.ClientVersion != 0 {
		tag(tagClientVersion, kbin.AppendInt16(nil, t.ClientVersion))
	}
	return append(kbin.AppendUvarint(b, count), tags...)
}

// appendPartitions: there are none, rather than an empty list, in Empty only.
func (t *Transaction) appendPartitions(b []byte, flexible bool) []byte {
	length := func(n int) {
		if flexible {
			b = kbin.AppendCompactArrayLen(b, n)
		} else {
			b = kbin.AppendArrayLen(b, n)
		}
	}
	if t.State == Empty {
		if flexible {
			return kbin.AppendCompactNullableArrayLen(b, 0, true)
		}
		return kbin.AppendNullableArrayLen(b, 0, true)
	}
	topics := byTopic(t.Partitions)
	length(len(topics))
	for _, of := range topics {
		if flexible {
			b = kbin.AppendCompactString(b, of[0].Topic)
		} else {
			b = kbin.AppendString(b, of[0].Topic)
		}
		length(len(of))
		for _, tp := range of {
			b = kbin.AppendInt32(b, tp.Partition)
		}
		if flexible {
			b = append(b, 0) // no tags
		}
	}
	return b
}

// byTopic are partitions in the order of their names, those of a topic together.
func byTopic(partitions []kafka.TopicPartition) (topics [][]kafka.TopicPartition) {
	for len(partitions) > 0 {
		n := slices.IndexFunc(partitions, func(tp kafka.TopicPartition) bool { return tp.Topic != partitions[0].Topic })
		if n < 0 {
			n = len(partitions)
		}
		topics = append(topics, partitions[:n])
		partitions = partitions[n:]
	}
	return topics
}

// decode reads a record. id is nil if its type is unknown; t is nil if it is a
// tombstone. Nothing of rec is kept.
func decode(rec coordinator.Record) (id *string, t *Transaction, err error) {
	r := kbin.Reader{Src: rec.Key}
	version := r.Int16()
	if r.Ok() && version != keyVersion {
		return nil, nil, nil
	}
	name := r.String()
	if err := whole(&r); err != nil {
		return nil, nil, fmt.Errorf("txn: decode a key of %d bytes: %w", len(rec.Key), err)
	}
	if rec.Value == nil {
		return &name, nil, nil
	}
	r = kbin.Reader{Src: rec.Value}
	version = r.Int16()
	if r.Ok() && (version < plainValue || version > flexibleValue) {
		return nil, nil, fmt.Errorf("txn: decode the value of %q: version %d found, at most %d expected", name, version, flexibleValue)
	}
	t, err = read(&r, version == flexibleValue)
	if err == nil {
		err = whole(&r)
	}
	if err != nil {
		return nil, nil, fmt.Errorf("txn: decode the value of %q, version %d and %d bytes: %w", name, version, len(rec.Value), err)
	}
	return &name, t, nil
}

// whole reports bytes that are missing, or too many.
func whole(r *kbin.Reader) error {
	if err := r.Complete(); err != nil {
		return err
	}
	if extra := len(r.Src); extra > 0 {
		return fmt.Errorf("%d bytes too many", extra)
	}
	return nil
}

func read(r *kbin.Reader, flexible bool) (*Transaction, error) {
	t := &Transaction{Previous: kafka.NoProducer, Next: kafka.NoProducer}
	t.ProducerID, t.Epoch = kafka.ProducerID(r.Int64()), kafka.ProducerEpoch(r.Int16())
	t.TimeoutMillis, t.State = r.Int32(), State(r.Int8())
	t.readPartitions(r, flexible)
	t.Updated, t.Started = r.Int64(), r.Int64()
	if flexible {
		t.readTags(r)
	}
	if !r.Ok() {
		return nil, r.Complete()
	}
	if t.State < Empty || t.State > PrepareEpochFence {
		return nil, fmt.Errorf("state %d found, at most %d expected", t.State, PrepareEpochFence)
	}
	return t, nil
}

func (t *Transaction) readPartitions(r *kbin.Reader, flexible bool) {
	length := func() int32 {
		if flexible {
			return r.CompactArrayLen()
		}
		return r.ArrayLen()
	}
	for topics := length(); topics > 0 && r.Ok(); topics-- {
		var topic string
		if flexible {
			topic = r.CompactString()
		} else {
			topic = r.String()
		}
		for n := length(); n > 0 && r.Ok(); n-- {
			t.Partitions = append(t.Partitions, kafka.TopicPartition{Topic: topic, Partition: r.Int32()})
		}
		if flexible {
			skipTags(r)
		}
	}
	slices.SortFunc(t.Partitions, kafka.TopicPartition.Compare)
	t.Partitions = slices.Compact(t.Partitions)
}

func (t *Transaction) readTags(r *kbin.Reader) {
	for n := r.Uvarint(); n > 0 && r.Ok(); n-- {
		number := r.Uvarint()
		in := kbin.Reader{Src: r.Span(int(r.Uvarint()))}
		switch number {
		case tagPrevious:
			t.Previous = kafka.ProducerID(in.Int64())
		case tagNext:
			t.Next = kafka.ProducerID(in.Int64())
		case tagClientVersion:
			t.ClientVersion = in.Int16()
		}
	}
}

func skipTags(r *kbin.Reader) {
	for n := r.Uvarint(); n > 0 && r.Ok(); n-- {
		r.Uvarint()
		r.Span(int(r.Uvarint()))
	}
}

// printOf is the fingerprint of an id with what the log holds of it: FNV-1a of all its
// fields.
func printOf(id string, t *Transaction) uint64 {
	const offset, prime uint64 = 14695981039346656037, 1099511628211
	sum := offset
	for _, c := range t.appendTo(key(id), true) {
		sum = (sum ^ uint64(c)) * prime
	}
	return sum
}
