package log

import (
	"crypto/md5"

	"github.com/ktrial/ktrial/broker/kafka"
)

// keyMapEntry is what a key takes in Kafka's map: its MD5 and an offset. The
// memory of log.cleaner.dedupe.buffer.size is counted in these.
const keyMapEntry = md5.Size + 8

// keyMap is the last offset of each key in a stretch of a log. It holds hashes of
// the keys, so that its size does not depend on theirs (Kafka's SkimpyOffsetMap).
type keyMap struct {
	offsets map[[md5.Size]byte]kafka.Offset
	// most is how many keys it may hold. Invariant: len(offsets) <= most.
	most int
	// latest is the end of what was mapped: records after it are not known.
	latest kafka.Offset
}

// reset empties the map for a stretch of a log.
func (m *keyMap) reset(most int) {
	if m.offsets == nil {
		m.offsets = map[[md5.Size]byte]kafka.Offset{}
	}
	clear(m.offsets)
	m.most, m.latest = most, kafka.NoOffset
}

// put maps a key. It reports false if the map is full: then it may not even take
// a key that it has, as in Kafka.
func (m *keyMap) put(key []byte, o kafka.Offset) bool {
	if len(m.offsets) >= m.most {
		return false
	}
	m.offsets[md5.Sum(key)] = o
	m.latest = o
	return true
}

// passed says that all up to o was looked at.
func (m *keyMap) passed(o kafka.Offset) { m.latest = max(m.latest, o) }

// superseded reports whether the record of key at o has a later one.
func (m *keyMap) superseded(key []byte, o kafka.Offset) bool {
	last, known := m.offsets[md5.Sum(key)]
	return known && o < last
}
