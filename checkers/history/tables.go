package history

import (
	"encoding/binary"
	"hash/maphash"
	"math/bits"
)

// column is a slice that grows without copying what it holds.
type column[T any] struct {
	chunks [][]T
	n      int
}

const (
	chunkBits = 14
	chunkLen  = 1 << chunkBits
)

func (c *column[T]) add(v T) {
	if c.n>>chunkBits == len(c.chunks) {
		c.chunks = append(c.chunks, make([]T, chunkLen))
	}
	c.chunks[c.n>>chunkBits][c.n&(chunkLen-1)] = v
	c.n++
}

func (c *column[T]) at(i int) *T { return &c.chunks[i>>chunkBits][i&(chunkLen-1)] }

// arena keeps byte strings for ever, at addresses that do not move.
type arena struct {
	chunks [][]byte
}

// Chunks grow with what is there, so that a small history stays small.
const (
	firstArenaChunk = 1 << 16
	arenaChunk      = 1 << 20
)

// put copies b into the arena and tells where it is.
func (a *arena) put(b []byte) uint64 {
	last := len(a.chunks) - 1
	if last < 0 || len(a.chunks[last])+len(b) > cap(a.chunks[last]) {
		size := min(arenaChunk, firstArenaChunk<<min(last+1, 8))
		a.chunks = append(a.chunks, make([]byte, 0, max(size, len(b))))
		last++
	}
	chunk := a.chunks[last]
	a.chunks[last] = append(chunk, b...)
	return uint64(last)<<32 | uint64(len(chunk))
}

// from returns the arena's bytes from at on; what is put knows its own length.
func (a *arena) from(at uint64) []byte { return a.chunks[at>>32][uint32(at):] }

// index finds numbers by what they stand for: an open hash table of numbers
// only, since what they stand for lies elsewhere.
type index struct {
	slots []uint32 // number+1; 0 is empty
	n     int
}

// slot is where a search for hash begins.
func (x *index) slot(hash uint64) int {
	high, _ := bits.Mul64(hash, uint64(len(x.slots)))
	return int(high)
}

func (x *index) next(slot int) int {
	if slot++; slot == len(x.slots) {
		return 0
	}
	return slot
}

// grow makes room for one more; hash gives the hash of a number.
func (x *index) grow(hash func(uint32) uint64) {
	if (x.n+1)*4 <= len(x.slots)*3 {
		return
	}
	old := x.slots
	x.slots = make([]uint32, max(64, 2*len(old)))
	for _, number := range old {
		if number != 0 {
			x.insert(number-1, hash(number-1))
		}
	}
}

func (x *index) insert(number uint32, hash uint64) {
	s := x.slot(hash)
	for x.slots[s] != 0 {
		s = x.next(s)
	}
	x.slots[s] = number + 1
}

// symbols numbers texts.
type symbols struct {
	seed  maphash.Seed
	bytes arena
	where column[uint64]
	index index
	entry []byte // being written
}

func (t *symbols) text(number uint32) []byte {
	b := t.bytes.from(*t.where.at(int(number)))
	n, size := binary.Uvarint(b)
	return b[size : size+int(n)]
}

func (t *symbols) hash(text []byte) uint64 { return maphash.Bytes(t.seed, text) }

func (t *symbols) number(text []byte) uint32 {
	hash := t.hash(text)
	if len(t.index.slots) > 0 {
		for s := t.index.slot(hash); t.index.slots[s] != 0; s = t.index.next(s) {
			if n := t.index.slots[s] - 1; string(t.text(n)) == string(text) {
				return n
			}
		}
	}
	t.index.grow(func(n uint32) uint64 { return t.hash(t.text(n)) })
	n := uint32(t.where.n)
	t.entry = append(binary.AppendUvarint(t.entry[:0], uint64(len(text))), text...)
	at := t.bytes.put(t.entry)
	t.where.add(at)
	t.index.insert(n, hash)
	t.index.n++
	return n
}

// pairs numbers the records: the distinct (key, value) of a history.
type pairs struct {
	keys   column[Key]
	values column[code]
	index  index
}

func mix(key Key, value code) uint64 {
	h := (uint64(value) + uint64(key)<<40 + 0x9e3779b97f4a7c15) * 0xbf58476d1ce4e5b9
	h ^= h >> 29
	return h * 0x94d049bb133111eb
}

func (p *pairs) number(key Key, value code) Rec {
	hash := mix(key, value)
	if len(p.index.slots) > 0 {
		for s := p.index.slot(hash); p.index.slots[s] != 0; s = p.index.next(s) {
			n := int(p.index.slots[s] - 1)
			if *p.values.at(n) == value && *p.keys.at(n) == key {
				return Rec(n)
			}
		}
	}
	p.index.grow(func(n uint32) uint64 { return mix(*p.keys.at(int(n)), *p.values.at(int(n))) })
	n := uint32(p.keys.n)
	p.keys.add(key)
	p.values.add(value)
	p.index.insert(n, hash)
	p.index.n++
	return Rec(n)
}
