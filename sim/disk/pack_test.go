package disk

import (
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// A file that is packed reads as one that is not, whatever is written, cut and read.
func TestPack_ReadsAsIfItWereNot(t *testing.T) {
	packedOnce := false
	rapid.Check(t, func(t *rapid.T) {
		plain, small := content{}, content{packing: new(Packing)}
		for range rapid.IntRange(1, 30).Draw(t, "steps") {
			switch rapid.IntRange(0, 5).Draw(t, "what") {
			case 0:
				size := rapid.Int64Range(0, plain.size+1000).Draw(t, "size")
				plain.truncate(size)
				small.truncate(size)
			case 1:
				p := []byte{1, 2, 3}
				off := rapid.Int64Range(0, plain.size).Draw(t, "off")
				plain.write(p, off)
				small.write(p, off)
			default: // an append, mostly zeros
				p := make([]byte, rapid.IntRange(1, 3*piece).Draw(t, "n"))
				for i := 0; i < len(p); i += rapid.IntRange(1, 2000).Draw(t, "gap") {
					p[i] = byte(i)
				}
				off := plain.size
				plain.write(p, off)
				small.write(p, off)
			}
			for _, b := range small.packed {
				packedOnce = packedOnce || b != nil
			}
			off := rapid.Int64Range(0, plain.size).Draw(t, "from")
			n := min(plain.size-off, 2*piece)
			require.Equal(t, plain.bytes(off, n), small.bytes(off, n))
		}
		require.Equal(t, plain.bytes(0, plain.size), small.bytes(0, small.size))
	})
	require.True(t, packedOnce, "no piece was ever packed")
}

// Two files that hold the same share the memory of it, and what is written to one does not
// show in the other.
func TestPack_FilesThatHoldTheSameShareIt(t *testing.T) {
	p := new(Packing)
	a, b := content{packing: p}, content{packing: p}
	same := make([]byte, 10*piece)
	for i := 0; i < len(same); i += 1000 {
		same[i] = byte(i / 1000)
	}
	a.write(same, 0)
	b.write(same, 0)
	require.NotNil(t, a.packed[5])
	require.Same(t, &a.packed[5][0], &b.packed[5][0])
	other := append([]byte(nil), same...)
	copy(other[5*piece:], "other")
	a.write([]byte("other"), 5*piece)
	require.Equal(t, other, a.bytes(0, a.size))
	require.Equal(t, same, b.bytes(0, b.size))
}
