package codecs_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ktrial/ktrial/broker/record"
	"github.com/ktrial/ktrial/lab/bench"
	"github.com/ktrial/ktrial/lab/codecs"
)

func codec(t *testing.T, name string) (c record.Codec) {
	require.NoError(t, c.Set(name))
	return c
}

func TestTable_EachCodecHasItsDefaultLevelWithEachPayload(t *testing.T) {
	have := map[codecs.Row]bool{}
	for _, r := range codecs.Rows() {
		require.Positive(t, r.Ratio, r)
		require.Positive(t, r.Compress, r)
		require.Positive(t, r.Decompress, r)
		have[codecs.Row{Codec: r.Codec, Level: r.Level, Payload: r.Payload}] = true
	}
	for _, name := range []string{"gzip", "snappy", "lz4", "zstd"} {
		for _, payload := range []bench.Payload{bench.Text, bench.JSON, bench.Random, bench.Zeros} {
			assert.True(t, have[codecs.Row{Codec: name, Level: codecs.Numbered(codec(t, name), 0), Payload: string(payload)}], "%s %s", name, payload)
		}
	}
}

func TestRelative_IsOneForTheReferenceAndGoesStraightBetweenLevels(t *testing.T) {
	for _, c := range []record.Codec{record.Gzip, record.Snappy, record.LZ4, record.Zstd} {
		assert.Equal(t, codecs.Cost{Compress: 1, Decompress: 1}, codecs.Relative(c, 0, codecs.Reference), c.String())
	}
	assert.Equal(t, codecs.Relative(record.Gzip, -1, "text"), codecs.Relative(record.Gzip, 6, "text"))
	seven, eight, nine := codecs.Relative(record.Zstd, 7, "text"), codecs.Relative(record.Zstd, 8, "text"), codecs.Relative(record.Zstd, 9, "text")
	assert.InEpsilon(t, seven.Compress*nine.Compress, eight.Compress*eight.Compress, 1e-9, "the geometric mean")
	assert.Equal(t, codecs.Relative(record.Zstd, -50, "json"), codecs.Relative(record.Zstd, -100_000, "json"))
	assert.Greater(t, codecs.Relative(record.Gzip, 9, "json").Compress, codecs.Relative(record.Gzip, 1, "json").Compress)
	assert.Greater(t, codecs.Relative(record.LZ4, 8, "json").Compress, 1.0, "lz4's default is its fast one")
}

// What a run sends is compressed by other libraries than Kafka's. How far the sizes differ
// is told here, and in docs/tuning.md.
func TestRatio_OfOurLibrariesIsNearThatOfKafkas(t *testing.T) {
	for _, r := range codecs.Rows() {
		if r.Payload == string(bench.Zeros) || r.Codec == "zstd" && r.Level < 1 {
			continue // a thousand times smaller, or three thousand; and our zstd has no level below 1
		}
		ours := ratio(codec(t, r.Codec), record.Level(r.Level), bench.Payload(r.Payload))
		assert.InEpsilon(t, r.Ratio, ours, differs(r), "%s level %d, %s: Kafka's library %.3f, ours %.3f", r.Codec, r.Level, r.Payload, r.Ratio, ours)
	}
}

func differs(r codecs.Row) float64 {
	if r.Codec == "snappy" {
		return 0.25 // ours finds less in text: 1.5 instead of 2.0
	}
	return 0.1
}

// ratio compresses what the table was made of, in batches of 16 records.
func ratio(c record.Codec, level record.Level, payload bench.Payload) float64 {
	const size, n, each = 1024, 64, 16
	values := bench.Sample(payload, size, n, 1)
	b := record.NewBuilder(record.Options{Codec: c, Level: level})
	plain, packed := 0, 0
	for i := range n {
		b.Append(0, nil, values[i])
		if i%each == each-1 {
			plain += b.Size() - record.HeaderSize
			packed += len(b.Build()) - record.HeaderSize
			b.Reset(record.Options{Codec: c, Level: level})
		}
	}
	return float64(plain) / float64(packed)
}
