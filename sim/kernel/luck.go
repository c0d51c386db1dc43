package kernel

import (
	"math/bits"
	"math/rand/v2"
	"time"
)

// Stream is a named stream of random numbers: the same for the same seed and label, and
// independent of every other. A new stream shifts none of the others.
func Stream(seed uint64, label string) *rand.Rand {
	luck := luckOf(seed, label)
	return rand.New(&luck)
}

// luckOf is the source of the stream of that name.
func luckOf(seed uint64, label string) rand.PCG {
	return *rand.NewPCG(scramble(seed^hashString(label)), scramble(seed+0x9e37_79b9_7f4a_7c15))
}

// scramble is the finalizer of splitmix64: nearby seeds give distant states.
func scramble(x uint64) uint64 {
	x = (x ^ x>>30) * 0xbf58_476d_1ce4_e5b9
	x = (x ^ x>>27) * 0x94d0_49bb_1331_11eb
	return x ^ x>>31
}

// Exponential draws from the exponential distribution with the given mean. It
// computes -ln(u) in integers, because floating point need not give the same
// last bit on every machine, and one bit is another run.
func Exponential(r *rand.Rand, mean time.Duration) time.Duration {
	if mean <= 0 {
		return 0
	}
	u := r.Uint64() | 1
	halvings := bits.LeadingZeros64(u)
	u <<= halvings // now u is a fraction in [1/2, 1) of 2^64
	i := u >> 57 & 63
	within := u >> 41 & 0xffff
	a, b := logs[i], logs[i+1]
	ln := int64(halvings)*ln2 + a - (a-b)*int64(within)>>16
	return time.Duration(int64(mean)>>16*ln + int64(mean)&0xffff*ln>>16)
}

const ln2 = 45426 // ln 2 in 1/65536

// logs[i] is -ln(1/2 + i/128) in 1/65536.
var logs = [65]int64{
	45426, 44410, 43409, 42424, 41453, 40496, 39553, 38624, 37707, 36803, 35911, 35032, 34164,
	33307, 32461, 31627, 30802, 29988, 29184, 28390, 27605, 26829, 26063, 25305, 24556, 23815,
	23083, 22359, 21643, 20934, 20233, 19540, 18854, 18174, 17502, 16837, 16178, 15526, 14880,
	14241, 13608, 12981, 12360, 11744, 11135, 10530, 9932, 9339, 8751, 8169, 7591, 7019,
	6451, 5889, 5331, 4778, 4230, 3686, 3146, 2611, 2081, 1554, 1032, 514, 0,
}

// Chance reports true once in so many draws; never if in is 0.
func Chance(r *rand.Rand, in uint64) bool { return in > 0 && r.Uint64N(in) == 0 }
