package record

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
	"pgregory.net/rapid"

	"github.com/ktrial/ktrial/broker/kafka"
	"github.com/ktrial/ktrial/internal/golden"
)

var codecs = []Codec{None, Gzip, Snappy, LZ4, Zstd}

// input is a record as a producer has it.
type input struct {
	ts         int64
	key, value []byte
	headers    []Header
}

// bytesOrNull draws bytes; nil is null, and empty is not.
func bytesOrNull(max int) *rapid.Generator[[]byte] {
	return rapid.Custom(func(t *rapid.T) []byte {
		if rapid.Bool().Draw(t, "null") {
			return nil
		}
		// Few letters, so that there is something to compress.
		b := rapid.SliceOfN(rapid.ByteRange('a', 'd'), 0, max).Draw(t, "bytes")
		return append([]byte{}, b...)
	})
}

func drawInput(t *rapid.T) input {
	in := input{
		ts:    rapid.Int64Range(-1, 1<<41).Draw(t, "ts"),
		key:   bytesOrNull(20).Draw(t, "key"),
		value: bytesOrNull(300).Draw(t, "value"),
	}
	for range rapid.IntRange(0, 2).Draw(t, "headers") {
		in.headers = append(in.headers, Header{
			rapid.StringN(0, 5, 10).Draw(t, "header"), bytesOrNull(10).Draw(t, "header value")})
	}
	return in
}

func drawOptions(t *rapid.T) Options {
	return Options{
		Codec:         rapid.SampledFrom(codecs).Draw(t, "codec"),
		BaseOffset:    kafka.Offset(rapid.Int64Range(0, 1<<50).Draw(t, "base offset")),
		LeaderEpoch:   kafka.LeaderEpoch(rapid.Int32Range(-1, 1<<30).Draw(t, "leader epoch")),
		Idempotent:    rapid.Bool().Draw(t, "idempotent"),
		ProducerID:    kafka.ProducerID(rapid.Int64Range(0, 1<<40).Draw(t, "producer id")),
		ProducerEpoch: kafka.ProducerEpoch(rapid.Int16Range(0, 1<<14).Draw(t, "producer epoch")),
		BaseSequence:  kafka.Sequence(rapid.Int32Range(0, 1<<31-1).Draw(t, "sequence")),
		Transactional: rapid.Bool().Draw(t, "transactional"),
	}
}

// What a builder takes is what a reader gives back, whatever the codec; and
// the batch says of itself what was said to the builder.
func TestRoundTrip(t *testing.T) {
	b := NewBuilder(Options{})
	rapid.Check(t, func(t *rapid.T) {
		opts := drawOptions(t)
		inputs := rapid.SliceOfN(rapid.Custom(drawInput), 1, 30).Draw(t, "records")
		b.Reset(opts)
		for _, in := range inputs {
			size := b.SizeWith(in.ts, in.key, in.value, in.headers...)
			b.Append(in.ts, in.key, in.value, in.headers...)
			require.Equal(t, size, b.Size())
		}
		batch := b.Build()
		require.NoError(t, batch.Check())

		var got []input
		maxTS := inputs[0].ts
		require.NoError(t, batch.Records(func(r Record) error {
			require.Equal(t, opts.BaseOffset+kafka.Offset(len(got)), r.Offset)
			got = append(got, input{r.Timestamp, r.Key, r.Value, r.Headers})
			return nil
		}))
		require.Equal(t, inputs, got)
		for _, in := range inputs {
			maxTS = max(maxTS, in.ts)
		}

		n := int32(len(inputs))
		assert.Equal(t, n, batch.Count())
		assert.Equal(t, opts.BaseOffset, batch.BaseOffset())
		assert.Equal(t, opts.BaseOffset+kafka.Offset(n), batch.NextOffset())
		assert.Equal(t, opts.LeaderEpoch, batch.LeaderEpoch())
		assert.Equal(t, opts.Codec, batch.Codec())
		assert.Equal(t, opts.Transactional, batch.IsTransactional())
		assert.Equal(t, opts.Idempotent, batch.HasProducer())
		assert.Equal(t, inputs[0].ts, batch.BaseTimestamp())
		assert.Equal(t, maxTS, batch.MaxTimestamp())
		if opts.Idempotent {
			assert.Equal(t, opts.ProducerID, batch.ProducerID())
			assert.Equal(t, opts.ProducerEpoch, batch.ProducerEpoch())
			assert.Equal(t, opts.BaseSequence, batch.BaseSequence())
			assert.Equal(t, opts.BaseSequence.Add(n-1), batch.LastSequence())
		} else {
			assert.Equal(t, NoSequence, batch.LastSequence())
		}
	})
}

// kmsg reads our bytes as we do.
func TestAgreesWithKmsg(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		opts := drawOptions(t)
		opts.Codec = None
		b := NewBuilder(opts)
		in := drawInput(t)
		b.Append(in.ts, in.key, in.value, in.headers...)
		batch := b.Build()

		var theirs kmsg.RecordBatch
		require.NoError(t, theirs.ReadFrom(batch))
		assert.Equal(t, int64(batch.BaseOffset()), theirs.FirstOffset)
		assert.Equal(t, len(batch)-LogOverhead, int(theirs.Length))
		assert.Equal(t, int32(batch.LeaderEpoch()), theirs.PartitionLeaderEpoch)
		assert.Equal(t, batch.crc(), uint32(theirs.CRC))
		assert.Equal(t, batch.Attributes(), theirs.Attributes)
		assert.Equal(t, batch.BaseTimestamp(), theirs.FirstTimestamp)
		assert.Equal(t, batch.MaxTimestamp(), theirs.MaxTimestamp)
		assert.Equal(t, int64(batch.ProducerID()), theirs.ProducerID)
		assert.Equal(t, int16(batch.ProducerEpoch()), theirs.ProducerEpoch)
		assert.Equal(t, int32(batch.BaseSequence()), theirs.FirstSequence)
		assert.Equal(t, batch.Count(), theirs.NumRecords)
		var rec kmsg.Record
		require.NoError(t, rec.ReadFrom(theirs.Records))
		assert.Equal(t, in.key, rec.Key)
		assert.Equal(t, in.value, rec.Value)
		require.Len(t, rec.Headers, len(in.headers))
		for i, h := range in.headers {
			assert.Equal(t, h, Header{rec.Headers[i].Key, rec.Headers[i].Value})
		}
	})
}

// sample is a batch that has one of everything.
func sample(codec Codec, records int) Batch {
	b := NewBuilder(Options{
		Codec: codec, BaseOffset: 41, LeaderEpoch: 3,
		Idempotent: true, ProducerID: 7, ProducerEpoch: 1, BaseSequence: 5, Transactional: true,
	})
	for i := range records {
		b.Append(1_700_000_000_000+int64(i), fmt.Appendf(nil, "key-%d", i),
			fmt.Appendf(nil, `{"user":"u%04d","item":%d,"note":"the quick brown fox"}`, i*i%977, i),
			Header{"trace", []byte{byte(i)}}, Header{"null", nil})
	}
	return b.Build()
}

// The bytes are part of what a seed gives: they may change on purpose only, and
// not with the processor. Run with GOARCH=386 and with -tags noasm too.
func TestBytesAreTheSameEverywhere(t *testing.T) {
	var got strings.Builder
	for _, codec := range codecs {
		small, large := sample(codec, 3), sample(codec, 3000)
		fmt.Fprintf(&got, "%v: 3000 records, %d bytes, crc %08x\n%s\n", codec, len(large), large.crc(), hex.Dump(small))
	}
	golden.File(t, "testdata/batches.txt", got.String())
}

func TestDeterministicAndReusable(t *testing.T) {
	for _, codec := range codecs {
		b := NewBuilder(Options{Codec: codec})
		var first Batch
		for range 3 {
			b.Reset(Options{Codec: codec})
			for i := range 200 {
				b.Append(int64(i), nil, fmt.Appendf(nil, "value %d", i/3))
			}
			batch := b.Build()
			if first == nil {
				first = batch
			}
			assert.Equal(t, first, batch, "%v", codec)
		}
	}
}

func TestNextSplitsBatches(t *testing.T) {
	one, two := sample(None, 1), sample(Zstd, 9)
	both := append(append([]byte{}, one...), two...)

	got, rest, err := Next(both)
	require.NoError(t, err)
	assert.Equal(t, one, got)
	got, rest, err = Next(rest)
	require.NoError(t, err)
	assert.Equal(t, two, got)
	_, _, err = Next(rest)
	assert.Equal(t, io.EOF, err)

	for cut := range len(one) {
		if cut > 0 {
			_, rest, err := Next(one[:cut])
			assert.Equal(t, io.ErrUnexpectedEOF, err)
			assert.Len(t, rest, cut)
		}
	}
}

// A batch that was damaged anywhere but in the two fields that the leader
// writes is found out by Check.
func TestCheckFindsDamage(t *testing.T) {
	for _, codec := range codecs {
		for at := range len(sample(codec, 2)) {
			if at < lengthAt || at >= leaderEpochAt && at < magicAt {
				continue
			}
			b := sample(codec, 2)
			b[at] ^= 0x40
			assert.Error(t, b.Check(), "%v, byte %d", codec, at)
		}
	}
	assert.ErrorIs(t, Batch(sample(None, 1)[:60]).Check(), kerr.CorruptMessage)
	old := sample(None, 1)
	old[magicAt] = 1
	assert.ErrorIs(t, old.Check(), kerr.UnsupportedForMessageFormat)
}

func TestLeaderFieldsAreOutsideOfTheCRC(t *testing.T) {
	b := sample(None, 4)
	b.SetBaseOffset(1000)
	b.SetLeaderEpoch(17)
	require.NoError(t, b.Check())
	assert.Equal(t, kafka.Offset(1003), b.LastOffset())
	assert.Equal(t, kafka.LeaderEpoch(17), b.LeaderEpoch())
}

func TestLogAppendTime(t *testing.T) {
	b := sample(Gzip, 4)
	b.SetLogAppendTime(99)
	require.NoError(t, b.Check())
	require.NoError(t, b.Records(func(r Record) error {
		assert.Equal(t, int64(99), r.Timestamp)
		return nil
	}))
}

func TestSequenceWraps(t *testing.T) {
	b := NewBuilder(Options{Idempotent: true, BaseSequence: 1<<31 - 2})
	for range 4 {
		b.Append(0, nil, nil)
	}
	assert.Equal(t, kafka.Sequence(1), b.Build().LastSequence())
}

// Java writes xerial's frames, librdkafka and Go's clients bare blocks.
func TestSnappyWithoutFrames(t *testing.T) {
	framed := sample(Snappy, 50)
	require.True(t, bytes.HasPrefix(framed[HeaderSize:], []byte(xerialMagic)))
	plain := sample(None, 50)
	bare := append(Batch{}, framed[:HeaderSize]...)
	bare = new(snappyTable).appendBlock(bare, plain[HeaderSize:])
	binary.BigEndian.PutUint32(bare[lengthAt:], uint32(len(bare)-LogOverhead))
	bare.sign()
	assert.Equal(t, recordsOf(t, plain), recordsOf(t, bare))
	assert.Equal(t, recordsOf(t, plain), recordsOf(t, framed))
}

func recordsOf(t *testing.T, b Batch) (out []Record) {
	t.Helper()
	require.NoError(t, b.Check())
	require.NoError(t, b.Records(func(r Record) error { out = append(out, r); return nil }))
	return out
}

// A few bytes must not become gigabytes.
func TestDecompressionIsBounded(t *testing.T) {
	zeros := make([]byte, 1<<20)
	for _, codec := range codecs[1:] {
		small := new(compressor).compress(codec, 0, nil, zeros)
		var d Decoder
		_, err := d.decompress(codec, small, 1<<19)
		assert.Error(t, err, "%v", codec)
		got, err := new(Decoder).decompress(codec, small, 1<<20)
		assert.NoError(t, err, "%v", codec)
		assert.Equal(t, zeros, got, "%v", codec)
	}
}

func TestSnappyRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		// Runs of a few pieces: long matches, across blocks.
		pieces := rapid.SliceOfN(rapid.SliceOfN(rapid.Byte(), 1, 90), 1, 4).Draw(t, "pieces")
		var src []byte
		for _, i := range rapid.SliceOfN(rapid.IntRange(0, 1000), 0, 60).Draw(t, "order") {
			src = append(src, bytes.Repeat(pieces[i%len(pieces)], 1+i/20)...)
		}
		got, err := decodeSnappy(nil, new(snappyTable).appendXerial(nil, src), len(src))
		require.NoError(t, err)
		require.True(t, bytes.Equal(src, got))
	})
}

func TestControlBatches(t *testing.T) {
	b := NewEndTxnMarker(Abort, 5, 7, 2, 31)
	require.NoError(t, b.Check())
	assert.True(t, b.IsControl())
	assert.True(t, b.IsTransactional())
	assert.Equal(t, kafka.ProducerID(7), b.ProducerID())
	assert.Equal(t, kafka.ProducerEpoch(2), b.ProducerEpoch())
	assert.Equal(t, NoSequence, b.BaseSequence())
	typ, epoch, ok := b.EndTxnMarker()
	require.True(t, ok)
	assert.Equal(t, Abort, typ)
	assert.Equal(t, int32(31), epoch)

	var theirs kmsg.RecordBatch
	require.NoError(t, theirs.ReadFrom(b))
	var rec kmsg.Record
	require.NoError(t, rec.ReadFrom(theirs.Records))
	var marker kmsg.EndTxnMarker
	require.NoError(t, marker.ReadFrom(rec.Value))
	assert.Equal(t, int32(31), marker.CoordinatorEpoch)

	b = NewControl(Options{LeaderEpoch: 4}, 5, LeaderChange, []byte("key"))
	assert.False(t, b.HasProducer())
	_, _, ok = b.EndTxnMarker()
	assert.False(t, ok)
	recs := recordsOf(t, b)
	require.Len(t, recs, 1)
	typ, value, err := ParseControl(recs[0])
	require.NoError(t, err)
	assert.Equal(t, "LEADER_CHANGE", typ.String())
	assert.Equal(t, "key", string(value))
}

// What the header promises of its records must be so.
func TestRecordsThatLie(t *testing.T) {
	for _, tc := range []struct {
		name string
		hurt func(b Batch) Batch
		want string
	}{
		{"fewer than counted", func(b Batch) Batch { b[countAt+3]++; b[lastOffsetDeltaAt+3]++; return b }, "does not parse"},
		{"more than counted", func(b Batch) Batch { b[countAt+3]--; return b }, "after the last record"},
		{"more than offsets", func(b Batch) Batch { b[lastOffsetDeltaAt+3]--; return b }, "the offsets hold 2"},
		{"negative count", func(b Batch) Batch { b[countAt] = 0x80; return b }, "records at offset 41"},
		{"bytes behind", func(b Batch) Batch { return append(b, 0) }, "after the last record"},
		{"cut", func(b Batch) Batch { return b[:len(b)-1] }, "does not parse"},
	} {
		b := tc.hurt(sample(None, 3))
		err := b.Records(func(Record) error { return nil })
		assert.ErrorIs(t, err, kerr.CorruptMessage, tc.name)
		assert.ErrorContains(t, err, tc.want, tc.name)
	}
}

func TestSummarize(t *testing.T) {
	b := NewBuilder(Options{BaseOffset: 10})
	b.Append(5, []byte("k"), nil)
	b.Append(9, []byte("k"), nil)
	b.Append(9, []byte("k"), nil)
	sum, err := new(Decoder).Summarize(b.Build())
	require.NoError(t, err)
	assert.Equal(t, Summary{MaxTimestamp: 9, MaxAt: 11, MinTimestamp: 5, PlainBytes: 24}, sum)
}

func TestAccessorsDoNotAllocate(t *testing.T) {
	b := sample(None, 10)
	var d Decoder
	assert.Zero(t, testing.AllocsPerRun(100, func() {
		_ = b.Check()
		_, _, _ = Next(b)
		_, _ = d.Summarize(b)
		_ = b.LastSequence()
	}))
}
