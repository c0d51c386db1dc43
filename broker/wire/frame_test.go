package wire

import (
	"bytes"
	"encoding/binary"
	"io"
	"runtime"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// chunks is a reader that gives what it holds in pieces of the given sizes.
type chunks struct {
	data  []byte
	sizes func() int
}

func (c *chunks) Read(p []byte) (int, error) {
	if len(c.data) == 0 {
		return 0, io.EOF
	}
	n := copy(p, c.data[:min(len(c.data), max(1, c.sizes()))])
	c.data = c.data[n:]
	return n, nil
}

func borrow([]byte) bool { return false }
func keep([]byte) bool   { return true }

func frame(body []byte) []byte {
	return append(binary.BigEndian.AppendUint32(nil, uint32(len(body))), body...)
}

func TestFrames_ComeOutAsTheyWentInHoweverTheStreamIsCut(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		bodies := rapid.SliceOfN(rapid.SliceOfN(rapid.Byte(), 0, 9000), 0, 8).Draw(t, "bodies")
		var stream []byte
		for _, b := range bodies {
			stream = append(stream, frame(b)...)
		}
		f := frames{src: &chunks{stream, func() int { return rapid.IntRange(1, 6000).Draw(t, "chunk") }}, max: 1 << 20}
		var kept [][]byte
		for i, want := range bodies {
			own := rapid.Bool().Draw(t, "own")
			how := borrow
			if own {
				how = keep
			}
			got, err := f.next(how)
			require.NoError(t, err)
			require.True(t, bytes.Equal(want, got), "frame %d", i)
			if own {
				kept = append(kept, want, got)
			}
		}
		for i := 0; i < len(kept); i += 2 {
			require.True(t, bytes.Equal(kept[i], kept[i+1]), "a frame that was kept has changed")
		}
		_, err := f.next(borrow)
		require.Equal(t, io.EOF, err)
	})
}

func TestFrames_RefuseASizeThatIsOutOfBounds(t *testing.T) {
	for _, size := range []uint32{101, 1 << 31, 0xffffffff} {
		f := frames{src: bytes.NewReader(binary.BigEndian.AppendUint32(nil, size)), max: 100}
		_, err := f.next(borrow)
		assert.ErrorIs(t, err, ErrMalformed)
	}
}

func TestFrames_ALyingSizeCostsNoMemory(t *testing.T) {
	for _, how := range []func([]byte) bool{borrow, keep} {
		stream := append(binary.BigEndian.AppendUint32(nil, uint32(MaxRequestBytes)), make([]byte, 1000)...)
		f := frames{src: bytes.NewReader(stream), max: MaxRequestBytes}
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_, err := f.next(how)
		runtime.ReadMemStats(&after)
		assert.Equal(t, io.ErrUnexpectedEOF, err)
		assert.Less(t, after.TotalAlloc-before.TotalAlloc, uint64(1<<20))
	}
}

func TestFrames_AnEndInTheMiddleIsUnexpected(t *testing.T) {
	whole := frame([]byte("0123456789"))
	for cut := 1; cut < len(whole); cut++ {
		for _, how := range []func([]byte) bool{borrow, keep} {
			f := frames{src: bytes.NewReader(whole[:cut]), max: 100}
			_, err := f.next(how)
			assert.Equal(t, io.ErrUnexpectedEOF, err, "cut at %d", cut)
		}
	}
}

func TestOwners_OnlyMessagesWithBytesOwnTheirFrame(t *testing.T) {
	assert.True(t, responseOwns[1], "records of a fetch")
	assert.True(t, responseOwns[59], "bytes of a snapshot")
	assert.True(t, requestOwns[11], "metadata of a group's member")
	assert.False(t, requestOwns[0], "records of a produce, which are in the log when it is answered")
	assert.False(t, responseOwns[0])
	assert.False(t, responseOwns[3], "metadata")
	assert.False(t, requestOwns[63], "heartbeat")
}

func BenchmarkFrames_SmallOnes(b *testing.B) {
	one := frame(make([]byte, 60))
	var stream []byte
	for range 64 {
		stream = append(stream, one...)
	}
	src := bytes.NewReader(stream)
	f := frames{src: src, max: 100}
	b.ReportAllocs()
	for b.Loop() {
		if src.Len() == 0 && f.r == f.w {
			src.Reset(stream)
		}
		if _, err := f.next(borrow); err != nil {
			b.Fatal(err)
		}
	}
}
