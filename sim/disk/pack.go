package disk

import (
	"bytes"
	"encoding/binary"
)

// Packing keeps what is written in little memory where it is mostly zeros. Disks that have
// the same one keep what they all hold once, as replicas of a log do.
type Packing struct {
	free   [][]byte           // memory of pieces that were packed, for others
	recent [remembered][]byte // packed of late, by their sums: never written to
}

// remembered is how many packed pieces are looked at for one that is alike: followers write
// what their leader wrote some milliseconds before.
const remembered = 1 << 14

// keep is a copy of a packed piece, or one that is kept already.
func (p *Packing) keep(small []byte) []byte {
	at := &p.recent[sum(small)%remembered]
	if !bytes.Equal(*at, small) {
		*at = bytes.Clone(small)
	}
	return *at
}

// sum is FNV-1a, by eight bytes.
func sum(b []byte) uint64 {
	const offset, prime = 14695981039346656037, 1099511628211
	h := uint64(offset)
	for ; len(b) >= 8; b = b[8:] {
		h = (h ^ binary.LittleEndian.Uint64(b)) * prime
		h ^= h >> 32
	}
	for _, c := range b {
		h = (h ^ uint64(c)) * prime
	}
	return h ^ h>>29
}

// buffer is memory for a whole piece.
func (p *Packing) buffer() []byte {
	n := len(p.free) - 1
	if n < 0 {
		return make([]byte, 0, piece)
	}
	b := p.free[n]
	p.free = p.free[:n]
	return b[:0]
}

// pack keeps a piece that is full as runs of zeros and what is between them, if that
// takes much less memory. Nothing is lost: reads unpack, and a write to it brings the
// piece back.
func (c *content) pack(i int) {
	b := c.pieces[i]
	if len(b) != piece {
		return
	}
	small := packed(c.packing.scratch(), b)
	if len(small) > piece/4 {
		return
	}
	for len(c.packed) <= i {
		c.packed = append(c.packed, nil)
	}
	c.packed[i] = c.packing.keep(small)
	c.pieces[i] = nil
	c.packing.free = append(c.packing.free, b)
}

func (p *Packing) scratch() []byte {
	b := p.buffer()
	p.free = append(p.free, b) // it is used again before any other asks
	return b
}

// unpack brings a piece back.
func (c *content) unpack(i int) {
	if i >= len(c.packed) || c.packed[i] == nil {
		return
	}
	b := c.packing.buffer()[:piece]
	unpackInto(b, c.packed[i], 0)
	c.pieces[i], c.packed[i] = b, nil
}

// unpackFrom brings back all pieces from one on.
func (c *content) unpackFrom(i int) {
	for ; i < len(c.packed); i++ {
		c.unpack(i)
	}
}

// leastRun is the shortest run of zeros that is worth its two numbers.
const leastRun = 16

// packed appends b as pairs: how many bytes there are before a run of zeros, and how
// many zeros; then those bytes. It gives up when the result would be large.
func packed(out, b []byte) []byte {
	for len(b) > 0 && len(out) <= piece/4 {
		at, run := zeros(b)
		out = binary.AppendUvarint(out, uint64(at))
		out = binary.AppendUvarint(out, uint64(run))
		if len(out)+at > piece {
			return out[:piece] // too large: the caller keeps the piece
		}
		out = append(out, b[:at]...)
		b = b[at+run:]
	}
	return out
}

// zeros finds the first run of zeros that is long enough, or the end.
func zeros(b []byte) (at, run int) {
	for at < len(b) {
		next := bytes.IndexByte(b[at:], 0)
		if next < 0 {
			return len(b), 0
		}
		at += next
		end := at
		for end+8 <= len(b) && binary.LittleEndian.Uint64(b[end:]) == 0 {
			end += 8
		}
		for end < len(b) && b[end] == 0 {
			end++
		}
		if end-at >= leastRun {
			return at, end - at
		}
		at = end
	}
	return len(b), 0
}

// unpackInto fills p with what a packed piece holds from an offset on.
func unpackInto(p, small []byte, from int) int {
	n, at := 0, 0 // at: in the piece
	for n < len(p) && len(small) > 0 {
		literal, k := binary.Uvarint(small)
		run, k2 := binary.Uvarint(small[k:])
		bytesHere := small[k+k2 : k+k2+int(literal)]
		small = small[k+k2+int(literal):]
		if skip := from + n - at; skip < len(bytesHere) {
			n += copy(p[n:], bytesHere[max(0, skip):])
		}
		at += int(literal)
		if skip := from + n - at; n < len(p) && skip < int(run) {
			m := min(len(p)-n, int(run)-max(0, skip))
			clear(p[n : n+m])
			n += m
		}
		at += int(run)
	}
	return n
}
