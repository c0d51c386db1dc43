package metadata

import (
	"encoding/hex"
	"fmt"
	"math"
	"reflect"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/ktrial/ktrial/broker/kafka"
	"github.com/ktrial/ktrial/internal/golden"
)

// drawRecord draws any record with any fields.
func drawRecord(t *rapid.T) Record {
	var keys []int
	for key, kind := range kinds {
		if kind.make != nil {
			keys = append(keys, key)
		}
	}
	rec := kinds[rapid.SampledFrom(keys).Draw(t, "key")].make()
	fill(t, rec, reflect.ValueOf(rec).Elem(), "")
	return rec
}

// fill draws a value for v. What null and empty mean alike on the wire is nil.
func fill(t *rapid.T, rec Record, v reflect.Value, name string) {
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			if field := v.Type().Field(i); field.IsExported() { // the others are no part of the record
				fill(t, rec, v.Field(i), name+"."+field.Name)
			}
		}
	case reflect.Pointer:
		if rapid.Bool().Draw(t, name+" set") {
			v.Set(reflect.New(v.Type().Elem()))
			fill(t, rec, v.Elem(), name)
		}
	case reflect.Array:
		for i := range v.Len() {
			fill(t, rec, v.Index(i), name)
		}
	case reflect.Slice:
		_, nullable := rec.(*PartitionChangeRecord)
		n := rapid.IntRange(0, 3).Draw(t, name+" length")
		if n > 0 || nullable && rapid.Bool().Draw(t, name+" empty") {
			v.Set(reflect.MakeSlice(v.Type(), n, n))
		}
		for i := range n {
			fill(t, rec, v.Index(i), name)
		}
	case reflect.String:
		v.SetString(rapid.String().Draw(t, name))
	case reflect.Bool:
		v.SetBool(rapid.Bool().Draw(t, name))
	case reflect.Float64:
		v.SetFloat(rapid.Float64().Draw(t, name))
	case reflect.Uint8, reflect.Uint16:
		v.SetUint(rapid.Uint64Range(0, 1<<v.Type().Bits()-1).Draw(t, name))
	default:
		bits := v.Type().Bits()
		v.SetInt(rapid.Int64Range(math.MinInt64>>(64-bits), math.MaxInt64>>(64-bits)).Draw(t, name))
	}
}

func TestRecordsReadAsTheyWereWritten(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rec := drawRecord(t)
		got, err := Decode(Encode(rec))
		require.NoError(t, err)
		require.Equal(t, rec, got)
	})
}

// An older version drops what it has no field for, and nothing else: what was
// read from it is written the same again.
func TestOldVersionsAreStable(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rec := drawRecord(t)
		version := int16(rapid.IntRange(0, int(MaxVersion(rec.APIKey()))).Draw(t, "version"))
		first := AppendVersion(nil, rec, version)
		got, err := Decode(first)
		require.NoError(t, err)
		require.Equal(t, first, AppendVersion(nil, got, version))
	})
}

func TestDamagedRecordsAreErrors(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		b := Encode(drawRecord(t))
		short := b[:rapid.IntRange(0, len(b)-1).Draw(t, "short")]
		_, err := Decode(short)
		require.Error(t, err)
		_, err = Decode(append(b, 0))
		require.ErrorContains(t, err, "too many")
	})
}

func TestUnknownTagsAreSkipped(t *testing.T) {
	// A FenceBroker of the future, with tagged fields 0 (two bytes) and 7 (none).
	b := Encode(&FenceBrokerRecord{ID: 3, Epoch: 9})
	b = append(b[:len(b)-1], 2, 0, 2, 0xab, 0xcd, 7, 0)
	rec, err := Decode(b)
	require.NoError(t, err)
	assert.Equal(t, &FenceBrokerRecord{ID: 3, Epoch: 9}, rec)
}

func TestUnknownFramesAreErrors(t *testing.T) {
	for _, c := range []struct {
		bytes []byte
		want  string
	}{
		{nil, "0 bytes are no frame"},
		{[]byte{2, 0, 0}, "frame version 2 found, 1 expected"},
		{[]byte{1, 6, 0}, "api key 6 is unknown"},
		{[]byte{1, 200, 1, 0}, "api key 200 is unknown"},
		{[]byte{1, 2, 1}, "api key 2: version 1 found, at most 0 expected"},
	} {
		_, err := Decode(c.bytes)
		assert.ErrorContains(t, err, c.want)
	}
}

// TestEncodingIsKafkas pins bytes that were worked out by hand from Kafka's
// message schemas: any change of them would break a log on disk.
func TestEncodingIsKafkas(t *testing.T) {
	id := kafka.UUID{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15}
	rack, value := "a", "100"
	change := NewPartitionChange(id, 2)
	change.ISR, change.Leader, change.ELR = []kafka.NodeID{1}, kafka.NoNode, []kafka.NodeID{}
	records := []Record{
		&RegisterBrokerRecord{
			BrokerID: 1, IncarnationID: id, BrokerEpoch: 5, Rack: &rack, Fenced: true,
			EndPoints: []Endpoint{{Name: "P", Host: "h", Port: 9092}}, Features: []FeatureRange{{"f", 1, 2}}, LogDirs: []kafka.UUID{id},
		},
		&TopicRecord{Name: "orders", TopicID: id},
		&PartitionRecord{
			PartitionID: 2, TopicID: id, Replicas: []kafka.NodeID{1, 2}, ISR: []kafka.NodeID{1}, Leader: 1, LeaderEpoch: 3,
			PartitionEpoch: 4, ELR: []kafka.NodeID{2},
		},
		change,
		&ConfigRecord{ResourceType: TopicResource, ResourceName: "orders", Name: "x", Value: &value},
		&BrokerRegistrationChangeRecord{BrokerID: 1, BrokerEpoch: 5, Fenced: Unfence},
		&ProducerIdsRecord{BrokerID: 1, BrokerEpoch: 5, NextProducerID: 1000},
		&FeatureLevelRecord{Name: metadataVersion, Level: 27},
		&NoOpRecord{},
	}
	var b strings.Builder
	for _, rec := range records {
		fmt.Fprintf(&b, "%T\n  %s\n", rec, hex.EncodeToString(Encode(rec)))
	}
	golden.File(t, "testdata/encoding.txt", b.String())
}

func FuzzDecode(f *testing.F) {
	for _, kind := range kinds {
		if kind.make != nil {
			f.Add(Encode(kind.make()))
		}
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		rec, err := Decode(b)
		if err != nil {
			return
		}
		again, err := Decode(Encode(rec))
		require.NoError(t, err)
		// Not Equal: a NaN is not itself.
		require.Equal(t, Encode(rec), Encode(again))
		_ = NewImage().Apply(rec)
	})
}

func BenchmarkPartitionChange(b *testing.B) {
	change := NewPartitionChange(kafka.UUID{1}, 2)
	change.ISR, change.Leader = []kafka.NodeID{1, 2, 3}, 2
	var buf []byte
	b.ReportAllocs()
	for b.Loop() {
		buf = AppendTo(buf[:0], change)
		if _, err := Decode(buf); err != nil {
			b.Fatal(err)
		}
	}
}
