package raft

import (
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ktrial/ktrial/broker/kafka"
	"github.com/ktrial/ktrial/broker/metadata"
	"github.com/ktrial/ktrial/broker/record"
)

// topicBatch is a batch at offset base that creates a topic of the given name.
func topicBatch(base kafka.Offset, name string) record.Batch {
	b := record.NewBuilder(record.Options{BaseOffset: base, LeaderEpoch: 3})
	b.Append(1000, nil, metadata.Encode(&metadata.TopicRecord{Name: name, TopicID: kafka.UUID{1}}))
	return b.Build()
}

func TestDecoderGivesTheSameRecordsForTheSameBytes(t *testing.T) {
	var d Decoder
	first, spans, err := d.decode(slices.Concat(topicBatch(5, "orders"), topicBatch(6, "bills")))
	require.NoError(t, err)
	require.Len(t, first, 2)
	assert.Equal(t, []Span{{Epoch: 3, Base: 5, Next: 6}, {Epoch: 3, Base: 6, Next: 7}}, spans)
	again, _, err := d.decode(topicBatch(6, "bills"))
	require.NoError(t, err)
	assert.Equal(t, first[1], again[0])
	assert.Same(t, first[1].batch.Records[0], again[0].batch.Records[0])

	other, _, err := d.decode(topicBatch(6, "taxes"))
	require.NoError(t, err)
	assert.Equal(t, "taxes", other[0].batch.Records[0].(*metadata.TopicRecord).Name, "what another leader wrote at the offset")
}

// A batch whose bytes rotted is not the one that is known, though its checksum
// says so.
func TestDecoderDoesNotMistakeADamagedBatch(t *testing.T) {
	var d Decoder
	b := topicBatch(5, "orders")
	_, _, err := d.decode(b)
	require.NoError(t, err)
	for at := record.HeaderSize; at < len(b); at++ {
		b[at] ^= 1
		_, _, err := d.decode(b)
		require.ErrorContains(t, err, "raft: decode the metadata log: ")
		b[at] ^= 1
	}
}

func TestDecoderRemembersOnlySoMuch(t *testing.T) {
	var d Decoder
	name := strings.Repeat("x", decoderBytes/10)
	for base := range kafka.Offset(30) {
		_, _, err := d.decode(topicBatch(base, name))
		require.NoError(t, err)
		require.LessOrEqual(t, d.bytes, decoderBytes)
	}
	assert.Len(t, d.known, 9)
	assert.Len(t, d.order, 9)
	large := topicBatch(30, strings.Repeat("x", 2*decoderBytes))
	_, _, err := d.decode(large)
	require.NoError(t, err)
	assert.Len(t, d.known, 1, "one that is too large is remembered until the next")
	assert.Equal(t, len(large), d.bytes)
}

func TestNoDecoderDecodesAnew(t *testing.T) {
	var d *Decoder
	first, _, err := d.decode(topicBatch(5, "orders"))
	require.NoError(t, err)
	again, _, err := d.decode(topicBatch(5, "orders"))
	require.NoError(t, err)
	assert.Equal(t, first, again)
	assert.NotSame(t, first[0].batch.Records[0], again[0].batch.Records[0])
}

// BenchmarkFollow100 is what it costs a hundred brokers to follow the creation
// of a topic with a thousand partitions, each with a decoder of its own or all
// with the same.
func BenchmarkFollow100(b *testing.B) {
	const brokers, partitions = 100, 1000
	builder := record.NewBuilder(record.Options{})
	builder.Append(1000, nil, metadata.Encode(&metadata.TopicRecord{Name: "orders", TopicID: kafka.UUID{1}}))
	for i := range int32(partitions) {
		builder.Append(1000, nil, metadata.Encode(&metadata.PartitionRecord{
			TopicID: kafka.UUID{1}, PartitionID: i, Leader: 1,
			Replicas: []kafka.NodeID{1, 2, 3}, ISR: []kafka.NodeID{1, 2, 3}, Directories: make([]kafka.UUID, 3),
		}))
	}
	bytes := builder.Build()
	follow := func(b *testing.B, decoder func() *Decoder) {
		b.ReportAllocs()
		for b.Loop() {
			d := decoder()
			for range brokers {
				batches, _, err := d.decode(bytes)
				require.NoError(b, err)
				require.NoError(b, foldHeld(metadata.NewImage(), batches[0]))
			}
		}
	}
	b.Run("alone", func(b *testing.B) { follow(b, func() *Decoder { return nil }) })
	b.Run("shared", func(b *testing.B) { follow(b, func() *Decoder { return new(Decoder) }) })
}
