package reports

import (
	"fmt"
	"slices"
	"time"
)

// Durations sums up how long something took, each time that it happened. Its JSON
// keys are a contract.
type Durations struct {
	Count int     `json:"count"`
	P50   Seconds `json:"p50"`
	P99   Seconds `json:"p99"`
	P999  Seconds `json:"p999"`
	Max   Seconds `json:"max"`
	Sum   Seconds `json:"sum"`
}

// DurationsOf sums up; a quantile is the smallest that so many are not above.
func DurationsOf(all []time.Duration) Durations {
	if len(all) == 0 {
		return Durations{}
	}
	all = slices.Sorted(slices.Values(all))
	quantile := func(permille int) Seconds { return Seconds(all[(len(all)*permille+999)/1000-1]) }
	d := Durations{Count: len(all), P50: quantile(500), P99: quantile(990), P999: quantile(999), Max: Seconds(all[len(all)-1])}
	for _, took := range all {
		d.Sum += Seconds(took)
	}
	return d
}

// String is such as: 1.2s in the median, 5.012s at most.
func (d Durations) String() string {
	return fmt.Sprintf("%v in the median, %v at most", d.P50, d.Max)
}

// Rebalances is what the rebalances of a consumer group cost.
type Rebalances struct {
	Group string `json:"group"`
	// Stable is how long the group was not stable, as its coordinator has it, of
	// each rebalance that came to its end.
	Stable Durations `json:"stable"`
	// Standstill is how long a partition stood still when it moved, or was taken away
	// and given back: from when it was given up, or (of an owner that died) last read,
	// to the first record after.
	Standstill Durations `json:"standstill"`
}

// String is such as: billing: 12 rebalances, ...
func (r Rebalances) String() string {
	text := fmt.Sprintf("%s: %s", r.Group, things(r.Stable.Count, "rebalance"))
	if r.Stable.Count > 0 {
		text += fmt.Sprintf(", stable after %v", r.Stable)
	}
	if r.Standstill.Count > 0 {
		text += fmt.Sprintf("; partitions stood still %s, %v, %v in all", things(r.Standstill.Count, "time"), r.Standstill, r.Standstill.Sum)
	}
	return text
}
