package client

import (
	"math/rand/v2"
	"time"
)

// backoff is Kafka's exponential backoff (KIP-580): it doubles from initial to
// max, with 20% of jitter either way so that clients that failed together do
// not come back together.
type backoff struct {
	initial, max time.Duration
}

// after is how long to wait after so many failures in a row, at least one.
func (b backoff) after(failures int, rng *rand.Rand) time.Duration {
	d := b.initial
	for i := 1; i < failures && d < b.max; i++ {
		d *= 2
	}
	d = min(d, b.max)
	if spread := d * 2 / 5; spread > 0 {
		d += time.Duration(rng.Int64N(int64(spread))) - spread/2
	}
	return min(d, b.max)
}
