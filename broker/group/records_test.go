package group

import (
	"encoding/hex"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"unsafe"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kmsg"
	"pgregory.net/rapid"

	"github.com/ktrial/ktrial/broker/coordinator"
	"github.com/ktrial/ktrial/broker/kafka"
)

func unhex(t *testing.T, s string) []byte {
	b, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
	require.NoError(t, err)
	return b
}

func TestPartitionFor_IsJavasHash(t *testing.T) {
	for group, want := range map[string]int32{
		"": 0, "g": 3, "group": 47, "my-group": 12, "test": 48, "console-consumer-12345": 6,
		"polygenelubricants": 0, // its hash is -2^31, which has no absolute value
		"order-processor":    23, "é": 33,
	} {
		assert.Equal(t, want, PartitionFor(group, 50), "%q", group)
	}
}

// What Kafka 4.4 wrote.
func TestRecords_AreKafkasBytes(t *testing.T) {
	topic := kafka.UUID{0: 0xab, 15: 0xcd}
	for _, c := range []struct {
		name      string
		key       key
		value     value
		wantKey   string
		wantValue string
	}{
		{"an offset", &offsetKey{"g", "t", 3}, &offsetValue{offset: 42, leaderEpoch: 5, metadata: "m", committed: 1000, expires: -1},
			"0001 0001 67 0001 74 00000003", "0004 000000000000002a 00000005 02 6d 00000000000003e8 00"},
		{"an offset with its topic's id", &offsetKey{"g", "t", 3}, &offsetValue{offset: 42, leaderEpoch: 5, metadata: "m", committed: 1000, expires: -1, topicID: topic},
			"0001 0001 67 0001 74 00000003", "0004 000000000000002a 00000005 02 6d 00000000000003e8 01 00 10 ab0000000000000000000000000000cd"},
		{"an emptied classic group", &groupKey{"g"}, &groupMetadata{protocolType: "consumer", generation: 2, since: 1000},
			"0002 0001 67", "0003 0008 636f6e73756d6572 00000002 ffff ffff 00000000000003e8 00000000"},
		{"a target's epoch", &targetMetadataKey{"g"}, &targetMetadataValue{epoch: 2, assigned: 1000},
			"0006 0001 67", "0000 00000002 01 00 08 00000000000003e8"},
		{"a member's assignment", &currentAssignmentKey{"g", "m"}, &currentAssignmentValue{epoch: 2, previousEpoch: 1,
			assigned: []topicPartitions{{topic, []int32{0, 1, 2, 3, 4, 5}, []int32{2, 2, 2, 2, 2, 2}}}},
			"0008 0001 67 0001 6d", "0000 00000002 00000001 00 02 ab0000000000000000000000000000cd 07 000000000000000100000002000000030000000400000005" +
				" 01 00 19 07 000000020000000200000002000000020000000200000002 01 00"},
		{"a KIP-848 group", &consumerGroupKey{"g"}, &consumerGroupValue{epoch: 3, metadataHash: 7},
			"0003 0001 67", "0000 00000003 01 00 08 0000000000000007"},
		{"a regular expression", &regexKey{"g", "t.*"}, &regexValue{topics: []string{"t"}, version: 9, at: 1000},
			"0010 0001 67 0003 742e2a", "0000 02 02 74 0000000000000009 00000000000003e8 00"},
		{"a classic member of a KIP-848 group", &consumerMemberKey{"g", "m"}, &consumerMemberValue{clientID: "c", clientHost: "/h", topics: []string{"t"}, rebalanceTimeout: 5,
			classic: &classicProtocols{6, []protocol{{"range", []byte{9}}}}},
			"0005 0001 67 0001 6d", "0000 00 00 02 63 03 2f68 02 02 74 00 00000005 00 01 00 10 01 00000006 02 06 72616e6765 02 09 00 00"},
	} {
		t.Run(c.name, func(t *testing.T) {
			rec := encode(c.key, c.value)
			assert.Equal(t, strings.ReplaceAll(c.wantKey, " ", ""), hex.EncodeToString(rec.Key))
			assert.Equal(t, strings.ReplaceAll(c.wantValue, " ", ""), hex.EncodeToString(rec.Value))
			k, v, err := decode(rec)
			require.NoError(t, err)
			assert.Equal(t, c.key, k)
			assert.Equal(t, c.value, v)
		})
	}
}

// The consumers' own bytes, as Java writes them.
func TestSubscriptionAndAssignment(t *testing.T) {
	topics, err := subscribedTopics(unhex(t, "0003 00000001 0001 74 ffffffff 00000000 ffffffff ffff"))
	require.NoError(t, err)
	assert.Equal(t, []string{"t"}, topics)
	assert.Equal(t, unhex(t, "0003 00000001 0001 74 ffffffff 00000000 ffffffff ffff"), subscription("t"))

	bytes := unhex(t, "0003 00000001 0001 74 00000002 00000000 00000001 ffffffff")
	assert.Equal(t, []kafka.TopicPartition{{Topic: "t", Partition: 0}, {Topic: "t", Partition: 1}}, assignedPartitions(bytes))
	assert.Equal(t, bytes, assignment(kafka.TopicPartition{Topic: "t"}, kafka.TopicPartition{Topic: "t", Partition: 1}))

	for _, damaged := range []string{"", "00", "0000 7fffffff", "0000 00000002 0001 74"} {
		_, err := subscribedTopics(unhex(t, damaged))
		assert.Error(t, err, "%q", damaged)
		assert.Empty(t, assignedPartitions(unhex(t, damaged)), "%q", damaged)
	}
}

// kmsg knows the older half of the records; it must read what is written here.
func TestRecords_AreThoseThatKmsgKnows(t *testing.T) {
	leader, protocol, instance := "m1", "range", "i1"
	ours := &groupMetadata{protocolType: "consumer", generation: 7, protocol: &protocol, leader: &leader, since: 99,
		members: []memberMetadata{{id: "m1", instance: &instance, clientID: "c", clientHost: "/h", rebalanceTimeout: 5, sessionTimeout: 6, subscription: []byte{1}, assignment: []byte{2}}}}
	for version := range int16(5) {
		rec := encodeVersion(&groupKey{"g"}, ours, version)
		var theirs kmsg.GroupMetadataValue
		require.NoError(t, theirs.ReadFrom(rec.Value))
		assert.Equal(t, rec.Value, theirs.AppendTo(nil), "version %d", version)
		assert.Equal(t, int32(7), theirs.Generation)
		assert.Equal(t, []byte{2}, theirs.Members[0].Assignment)

		offset := &offsetValue{offset: 1, leaderEpoch: 2, metadata: "x", committed: 3, expires: 4, topicID: kafka.UUID{1}}
		rec = encodeVersion(&offsetKey{"g", "t", 1}, offset, version)
		var commit kmsg.OffsetCommitValue
		require.NoError(t, commit.ReadFrom(rec.Value))
		assert.Equal(t, rec.Value, commit.AppendTo(nil), "version %d", version)
	}
}

func TestDecode_KnowsNotEverything(t *testing.T) {
	for _, c := range []struct{ name, key, value, wants string }{
		{"a type to come", "0063 01", "0000", ""},
		{"a share group", "000b 0001 67", "0000 00000001 00", ""},
		{"the partitions of a KIP-848 group before 4.1", "0004 0001 67", "0000 01 02 03", ""},
		{"no type", "01", "", "a key of 1 bytes has no type"},
		{"half a key", "0001 0001 67", "0004", "decode a key of type 1"},
		{"more than a key", "0002 0001 67 00", "0003", "1 bytes too many"},
		{"half a value", "0002 0001 67", "0003 0008 63", "decode a value of type 2, version 3 and 5 bytes"},
		{"no version", "0002 0001 67", "00", "decode a value of type 2"},
		{"a version to come", "0002 0001 67", "0005 00", "version 5 found, at most 4 expected"},
		{"a version below 0", "0002 0001 67", "8000 00", "version -32768 found"},
		{"more than a value", "0001 0001 67 0001 74 00000003", "0004 000000000000002a 00000005 02 6d 00000000000003e8 00 00", "1 bytes too many"},
		{"a count of tags that lies", "0001 0001 67 0001 74 00000003", "0004 000000000000002a 00000005 02 6d 00000000000003e8 ffffffff0f", "decode a value of type 1"},
		{"a tag that claims too much", "0001 0001 67 0001 74 00000003", "0004 000000000000002a 00000005 02 6d 00000000000003e8 01 00 11 00", "decode a value of type 1"},
		{"a count of members that lies", "0002 0001 67", "0000 0000 00000001 ffff ffff 7fffffff", "decode a value of type 2"},
	} {
		t.Run(c.name, func(t *testing.T) {
			rec := coordinator.Record{Key: unhex(t, c.key), Value: unhex(t, c.value)}
			k, v, err := decode(rec)
			if c.wants != "" {
				assert.ErrorContains(t, err, c.wants)
				return
			}
			require.NoError(t, err)
			if k != nil {
				assert.Equal(t, &ignoredValue{}, v)
			}
		})
	}
}

// Any record reads back as it was written, in every version that holds its fields;
// cut off anywhere it is refused, and never more.
func TestRecords_ReadBack(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		number := rapid.SampledFrom([]int16{1, 2, 3, 5, 6, 7, 8, 16}).Draw(rt, "type")
		k, v := kinds[number].key(), kinds[number].value()
		fill(rt, reflect.ValueOf(k).Elem(), "key")
		fill(rt, reflect.ValueOf(v).Elem(), "value")
		switch v := v.(type) {
		case *offsetValue:
			v.expires = -1 // only version 1 has it
		case *targetMemberValue:
			for i := range v.topics {
				v.topics[i].epochs = nil // of what is owned, not of what is to be
			}
		}
		rec := encodeVersion(k, v, kinds[number].newest)
		k2, v2, err := decode(rec)
		require.NoError(rt, err)
		assert.Equal(rt, k, k2)
		assert.Equal(rt, v, v2)

		cut := rapid.IntRange(0, len(rec.Value)-1).Draw(rt, "cut")
		_, _, err = decode(coordinator.Record{Key: rec.Key, Value: rec.Value[:cut]})
		assert.Error(rt, err)
		damaged := append([]byte(nil), rec.Value...)
		damaged[cut] ^= byte(rapid.IntRange(1, 255).Draw(rt, "flip"))
		_, _, _ = decode(coordinator.Record{Key: rec.Key, Value: damaged}) // it does not panic
	})
}

// fill draws a value for v. What null and empty mean alike is nil.
func fill(t *rapid.T, v reflect.Value, name string) {
	if !v.CanSet() {
		v = reflect.NewAt(v.Type(), unsafe.Pointer(v.UnsafeAddr())).Elem()
	}
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			fill(t, v.Field(i), name+"."+v.Type().Field(i).Name)
		}
	case reflect.Pointer:
		if rapid.Bool().Draw(t, name+" set") {
			v.Set(reflect.New(v.Type().Elem()))
			fill(t, v.Elem(), name)
		}
	case reflect.Array:
		for i := range v.Len() {
			fill(t, v.Index(i), name)
		}
	case reflect.Slice:
		if n := rapid.IntRange(0, 3).Draw(t, name+" length"); n > 0 {
			v.Set(reflect.MakeSlice(v.Type(), n, n))
		}
		for i := range v.Len() {
			fill(t, v.Index(i), name)
		}
	case reflect.String:
		v.SetString(rapid.String().Draw(t, name))
	case reflect.Uint8:
		v.SetUint(uint64(rapid.Byte().Draw(t, name)))
	case reflect.Int8:
		v.SetInt(int64(rapid.Int8().Draw(t, name)))
	case reflect.Int32:
		v.SetInt(int64(rapid.Int32().Draw(t, name)))
	case reflect.Int64:
		v.SetInt(rapid.Int64().Draw(t, name))
	default:
		panic(fmt.Sprintf("a field of kind %v", v.Kind()))
	}
}
