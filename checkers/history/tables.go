package history

import (
	"encoding/binary"
	"hash/maphash"
)

// appendText writes a text behind its length; cutText reads one, and returns what
// follows it.
func appendText(b []byte, text string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(text))), text...)
}

func cutText(b []byte) (text string, rest []byte) {
	n, size := binary.Uvarint(b)
	return string(b[size : size+int(n)]), b[size+int(n):]
}

// column is a slice that grows without copying what it holds.
type column[T any] struct {
	chunks [][]T
	n      int
}

// A chunk is small: a history may be of one operation.
const (
	chunkBits = 9
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

// index finds numbers by what they stand for: an open hash table. A slot keeps
// a part of the hash beside the number, so that what numbers stand for, which
// lies elsewhere, is fetched only where it is likely to be the same.
type index struct {
	slots []slot
	n     int
}

type slot struct {
	number uint32 // +1; 0 is empty
	hash   uint32
}

// first is where a search for hash begins.
func (x *index) first(hash uint32) int {
	return int(uint64(hash) * uint64(len(x.slots)) >> 32)
}

// find is the number that hash and same, asked in this order, fit.
func (x *index) find(hash uint32, same func(uint32) bool) (number uint32, ok bool) {
	if len(x.slots) == 0 {
		return 0, false
	}
	for i := x.first(hash); ; {
		s := &x.slots[i]
		if s.number == 0 {
			return 0, false
		}
		if s.hash == hash && same(s.number-1) {
			return s.number - 1, true
		}
		if i++; i == len(x.slots) {
			i = 0
		}
	}
}

// add makes hash lead to number, which it did not before.
func (x *index) add(number, hash uint32) {
	if (x.n+1)*4 > len(x.slots)*3 {
		old := x.slots
		x.slots = make([]slot, max(64, 2*len(old)))
		for _, s := range old {
			if s.number != 0 {
				x.insert(s)
			}
		}
	}
	x.n++
	x.insert(slot{number + 1, hash})
}

func (x *index) insert(s slot) {
	i := x.first(s.hash)
	for x.slots[i].number != 0 {
		if i++; i == len(x.slots) {
			i = 0
		}
	}
	x.slots[i] = s
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

func (t *symbols) number(text []byte) uint32 {
	hash := uint32(maphash.Bytes(t.seed, text) >> 32)
	same := func(n uint32) bool { return string(t.text(n)) == string(text) }
	if n, ok := t.index.find(hash, same); ok {
		return n
	}
	n := uint32(t.where.n)
	t.entry = append(binary.AppendUvarint(t.entry[:0], uint64(len(text))), text...)
	t.where.add(t.bytes.put(t.entry))
	t.index.add(n, hash)
	return n
}

// pairs numbers the records: the distinct (key, value) of a history.
//
// Those of numbered values are found by their numbers: each life of a producer
// has a table by sequence.
type pairs struct {
	keys   column[Key]
	values column[code]
	index  index
	lives  map[uint32]*[]uint32 // by producer and session: by sequence, record+1
	last   *[]uint32            // used last
	of     uint32               // whose it is
}

func mix(key Key, value code) uint32 {
	h := (uint64(value) + uint64(key)<<40 + 0x9e3779b97f4a7c15) * 0xbf58476d1ce4e5b9
	h ^= h >> 29
	return uint32(h * 0x94d049bb133111eb >> 32)
}

// bySequence is where the number of a numbered value belongs; nil: it is too far
// from the others.
func (p *pairs) bySequence(value code) *uint32 {
	life := uint32(value >> (1 + sequenceBits))
	if p.last == nil || p.of != life {
		if p.lives == nil {
			p.lives = map[uint32]*[]uint32{}
		}
		table := p.lives[life]
		if table == nil {
			table = new([]uint32)
			p.lives[life] = table
		}
		p.last, p.of = table, life
	}
	sequence := uint64(value) >> 1 & (1<<sequenceBits - 1)
	if table := *p.last; sequence >= uint64(len(table)) {
		if sequence > uint64(2*len(table)+1024) {
			return nil
		}
		grown := make([]uint32, max(int(sequence)+1, 2*len(table)))
		copy(grown, table)
		*p.last = grown
	}
	return &(*p.last)[sequence]
}

func (p *pairs) number(key Key, value code) Rec {
	if value&numberedCode != 0 && value&1 != 0 {
		if at := p.bySequence(value); at != nil {
			if *at != 0 && *p.keys.at(int(*at - 1)) == key {
				return Rec(*at - 1)
			}
			if _, elsewhere := p.index.find(mix(key, value), p.same(key, value)); *at == 0 && !elsewhere {
				p.keys.add(key)
				p.values.add(value)
				*at = uint32(p.keys.n)
				return Rec(*at - 1)
			}
		}
	}
	hash := mix(key, value)
	if n, ok := p.index.find(hash, p.same(key, value)); ok {
		return Rec(n)
	}
	n := uint32(p.keys.n)
	p.keys.add(key)
	p.values.add(value)
	p.index.add(n, hash)
	return Rec(n)
}

// same reports whether a record is this one.
func (p *pairs) same(key Key, value code) func(n uint32) bool {
	return func(n uint32) bool { return *p.values.at(int(n)) == value && *p.keys.at(int(n)) == key }
}
