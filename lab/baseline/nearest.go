package baseline

import (
	"math"

	"github.com/ktrial/ktrial/lab/published"
)

// What two setups differ in counts, beside a factor of two in a number, which
// counts 1.
const (
	otherFsync       = 6
	otherAcks        = 3
	otherCompression = 3
)

// Nearest is the published figure of a metric whose setup is most similar: as a
// forecast it says that all will be as it was there. ok is false if none was
// published. Of equal ones it is the first.
func Nearest(rows []published.Row, like published.Row) (nearest published.Row, distance float64, ok bool) {
	for _, r := range rows {
		if r.Metric != like.Metric {
			continue
		}
		if d := apart(r, like); !ok || d < distance {
			nearest, distance, ok = r, d, true
		}
	}
	return nearest, distance, ok
}

// apart sums over settings how many times a number must be doubled to be the other.
// What one of them does not give counts half a doubling.
func apart(a, b published.Row) (d float64) {
	for _, pair := range [][2]float64{
		{float64(a.Brokers), float64(b.Brokers)}, {float64(a.Partitions), float64(b.Partitions)}, {float64(a.ReplicationFactor), float64(b.ReplicationFactor)},
		{float64(a.Producers), float64(b.Producers)}, {float64(a.RecordBytes), float64(b.RecordBytes)}, {float64(a.BatchBytes), float64(b.BatchBytes)},
		{a.OfferedPerSecond, b.OfferedPerSecond}, {a.LingerMs + 1, b.LingerMs + 1},
	} {
		d += doublings(pair[0], pair[1])
	}
	if a.FsyncEach != b.FsyncEach {
		d += otherFsync
	}
	if a.Acks != b.Acks {
		d += otherAcks
	}
	if a.Compression != b.Compression {
		d += otherCompression
	}
	return d
}

func doublings(a, b float64) float64 {
	switch {
	case a == b:
		return 0
	case a <= 0 || b <= 0:
		return 0.5
	}
	return math.Abs(math.Log2(a / b))
}
