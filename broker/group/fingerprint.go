package group

import (
	"github.com/ktrial/ktrial/broker/coordinator/timeline"
	"github.com/ktrial/ktrial/broker/kafka"
)

// Hash is a fingerprint of the logged state: equal states have equal ones. It is
// kept up to date by Apply, so that asking for it costs nothing.
func (m *Machine) Hash(at timeline.Cut) uint64 { return m.digest.GetAt(at) }

// replacePrint takes the place of one fingerprint in the sum by another; 0: none.
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
