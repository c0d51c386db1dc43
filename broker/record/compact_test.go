package record

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/ktrial/ktrial/broker/kafka"
)

// What compaction leaves of a batch are the records that are kept, as they were,
// under the same first and last offset, sequences, producer and epoch; and a
// second time it leaves the same bytes.
func TestCompactKeepsWhatItShould(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, 12).Draw(t, "records")
		keep := rapid.SliceOfN(rapid.Bool(), n, n).Draw(t, "keep")
		tombstones := rapid.SliceOfN(rapid.Bool(), n, n).Draw(t, "tombstones")
		b := NewBuilder(Options{
			Codec: rapid.SampledFrom(codecs).Draw(t, "codec"), BaseOffset: 100, LeaderEpoch: 3,
			Idempotent: true, ProducerID: 7, ProducerEpoch: 2, BaseSequence: 40,
			Transactional: rapid.Bool().Draw(t, "transactional"),
		})
		for i := range n {
			var value []byte
			if !tombstones[i] {
				value = fmt.Appendf(nil, "v%d", i)
			}
			b.Append(int64(1000+i*i%5), fmt.Appendf(nil, "k%d", i), value, Header{"h", []byte{byte(i)}}, Header{"nil", nil})
		}
		batch := b.Build()
		if rapid.Bool().Draw(t, "log append time") {
			batch.SetLogAppendTime(5000)
		}
		var want []Record
		require.NoError(t, batch.Records(func(r Record) error {
			if keep[r.Offset-100] {
				want = append(want, r)
			}
			return nil
		}))

		var c Compactor
		kept := func(r Record) bool { return keep[r.Offset-100] }
		got, counts, err := c.Compact(nil, batch, kept, 9999, false)
		require.NoError(t, err)
		assert.EqualValues(t, len(want), counts.Records)
		if len(want) == 0 {
			assert.Empty(t, got)
			got = AppendEmpty(got, batch)
		}
		left := Batch(got)
		require.NoError(t, left.Check())
		var have []Record
		require.NoError(t, left.Records(func(r Record) error { have = append(have, r); return nil }))
		assert.Equal(t, want, have)
		horizon, marked := left.DeleteHorizon()
		assert.Equal(t, counts.Tombstones > 0, marked)
		if marked {
			assert.EqualValues(t, 9999, horizon)
		}
		assert.Equal(t, headerOf(batch), headerOf(left))

		again, _, err := c.Compact(nil, left, kept, 20000, false)
		require.NoError(t, err)
		if len(want) > 0 {
			assert.Equal(t, got, again)
		}
	})
}

// headerOf is what compaction leaves of a header in any case.
func headerOf(b Batch) []any {
	return []any{b.BaseOffset(), b.LastOffset(), b.LeaderEpoch(), b.ProducerID(), b.ProducerEpoch(),
		b.BaseSequence(), b.LastSequence(), b.IsTransactional(), b.IsControl(), b.IsLogAppendTime()}
}

// An empty batch has the header that Kafka's DefaultRecordBatch.writeEmptyHeader
// writes: no codec, no base timestamp, the greatest timestamp as it was.
func TestAppendEmpty(t *testing.T) {
	marker := NewEndTxnMarker(Commit, 77, 5, 1, 9)
	marker.SetBaseOffset(30)
	empty := Batch(AppendEmpty([]byte("before"), marker)[len("before"):])
	require.NoError(t, empty.Check())
	assert.Len(t, []byte(empty), HeaderSize)
	assert.Equal(t, headerOf(marker), headerOf(empty))
	assert.Zero(t, empty.Count())
	assert.Equal(t, NoTimestamp, empty.BaseTimestamp())
	assert.EqualValues(t, 77, empty.MaxTimestamp())
	_, _, ok := empty.EndTxnMarker()
	assert.False(t, ok)
}

// A marker gets a horizon when it is said to need one, and keeps it.
func TestCompactMarker(t *testing.T) {
	var c Compactor
	all := func(Record) bool { return true }
	marker := NewEndTxnMarker(Abort, 77, 5, 1, 9)
	same, _, err := c.Compact(nil, marker, all, 500, false)
	require.NoError(t, err)
	assert.Equal(t, []byte(marker), same)

	marked, _, err := c.Compact(nil, marker, all, 500, true)
	require.NoError(t, err)
	typ, coordinator, ok := Batch(marked).EndTxnMarker()
	assert.True(t, ok)
	assert.Equal(t, Abort, typ)
	assert.EqualValues(t, 9, coordinator)
	at, ok := Batch(marked).DeleteHorizon()
	assert.True(t, ok)
	assert.EqualValues(t, 500, at)
	assert.EqualValues(t, 77, Batch(marked).MaxTimestamp())

	later, _, err := c.Compact(nil, marked, all, 900, true)
	require.NoError(t, err)
	assert.Equal(t, marked, later, "the first horizon stays")
}

// What does not parse is an error, and nothing is appended.
func TestCompactRefusesDamage(t *testing.T) {
	b := NewBuilder(Options{})
	b.Append(1, []byte("k"), []byte("v"))
	batch := b.Build()
	batch[HeaderSize] = 0xff
	var c Compactor
	out, _, err := c.Compact(nil, batch, func(Record) bool { return true }, NoTimestamp, false)
	assert.ErrorIs(t, err, ErrMalformedRecords)
	assert.Empty(t, out)
	assert.Equal(t, kafka.Offset(0), batch.BaseOffset())
}
