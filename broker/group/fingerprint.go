package group

import (
	"github.com/ktrial/ktrial/broker/coordinator/timeline"
	"github.com/ktrial/ktrial/broker/kafka"
)

// Hash is a fingerprint of the logged state: equal states have equal ones. Apply keeps
// that of offsets and classic groups up to date; KIP-848 groups are gone through.
func (m *Machine) Hash(at timeline.Cut) uint64 {
	sum := m.digest.GetAt(at)
	for id, g := range m.groups.AllAt(at) {
		if c, ok := g.consumer.(*consumerGroup); ok {
			sum += mixInt(mix(fnvOffset, []byte(id)), int64(c.hash(at)))
		}
	}
	return sum
}

// replacePrint takes one fingerprint out of the sum, and another into it; 0: none.
func (m *Machine) replacePrint(was, is uint64) {
	if was != is {
		m.digest.Set(m.digest.Get() - was + is)
	}
}

// printOf is the fingerprint of a key with its value. All fields that any version
// has count, or two states that differ could look alike.
func printOf(k key, v value) uint64 {
	rec := encodeVersion(k, v, kinds[k.number()].newest)
	return mix(mix(fnvOffset, rec.Key), rec.Value)
}

const (
	fnvOffset uint64 = 14695981039346656037
	fnvPrime  uint64 = 1099511628211
)

// mix is FNV-1a.
func mix(sum uint64, b []byte) uint64 {
	for _, c := range b {
		sum = (sum ^ uint64(c)) * fnvPrime
	}
	return sum
}

// mixInt mixes a number, in any case more than nothing.
func mixInt(sum uint64, n int64) uint64 {
	sum = (sum ^ uint64(n)) * fnvPrime
	return sum ^ sum>>32
}

// pendingPrint is the fingerprint of an offset that a producer's transaction has
// pending.
func pendingPrint(o *offset, by kafka.ProducerID) uint64 { return mixInt(o.print, int64(by)) }
