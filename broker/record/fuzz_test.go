package record

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ktrial/ktrial/internal/golden"
)

// FuzzParse feeds bytes to everything that reads batches: no input may panic,
// take memory without bound, or be read differently a second time.
func FuzzParse(f *testing.F) {
	f.Fuzz(func(t *testing.T, b []byte) {
		for {
			batch, rest, err := Next(b)
			if err != nil {
				return
			}
			require.Equal(t, len(b), len(batch)+len(rest))
			_ = batch.Check()
			batch.sign() // let the records be reached
			_, _, _ = batch.EndTxnMarker()
			n := 0
			first := batch.Records(func(r Record) error { n++; return nil })
			again := batch.Records(func(r Record) error { n--; return nil })
			require.Equal(t, fmt.Sprint(first), fmt.Sprint(again))
			require.Zero(t, n)
			b = rest
		}
	})
}

// FuzzSnappy: what the encoder makes of any bytes decodes to them, and any
// bytes at all may be given to the decoder.
func FuzzSnappy(f *testing.F) {
	f.Fuzz(func(t *testing.T, b []byte) {
		_, _ = decodeSnappy(nil, b, 1<<20)
		got, err := decodeSnappy(nil, new(snappyTable).appendXerial(nil, b), len(b))
		require.NoError(t, err)
		require.True(t, bytes.Equal(b, got))
	})
}

// The seeds of the fuzz tests lie in testdata/fuzz, where `go test` runs them;
// -rewrite makes those that come from samples.
func TestFuzzSeeds(t *testing.T) {
	if !golden.Rewriting() {
		t.Skip("only with -rewrite")
	}
	for _, codec := range codecs {
		seed(t, "FuzzParse", codec.String(), sample(codec, 4))
		seed(t, "FuzzParse", codec.String()+"-two", append(sample(codec, 1), sample(codec, 2)...))
	}
	seed(t, "FuzzParse", "marker", NewEndTxnMarker(Commit, 1, 2, 3, 4))
	seed(t, "FuzzParse", "cut", sample(None, 2)[:90])
	seed(t, "FuzzSnappy", "xerial", new(snappyTable).appendXerial(nil, bytes.Repeat([]byte("abcabd"), 40)))
	seed(t, "FuzzSnappy", "bare", new(snappyTable).appendBlock(nil, bytes.Repeat([]byte("abcabd"), 40)))
	seed(t, "FuzzSnappy", "zeros", make([]byte, 300))
}

func seed(t *testing.T, target, name string, b []byte) {
	dir := filepath.Join("testdata", "fuzz", target)
	require.NoError(t, os.MkdirAll(dir, 0o755))
	text := fmt.Sprintf("go test fuzz v1\n[]byte(%q)\n", b)
	require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644))
}
