package bench

import (
	"fmt"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// meter is what clients see.
type meter struct {
	sent, acked, failed, consumed int64
	open                          int64 // sent while it was measured, without an answer
	publish, endToEnd             latencies
}

func newMeter() meter { return meter{publish: newLatencies(), endToEnd: newLatencies()} }

// latencies are a distribution with three digits, from a microsecond to an hour.
type latencies struct {
	h   *hdrhistogram.Histogram
	sum time.Duration
}

func newLatencies() latencies {
	return latencies{h: hdrhistogram.New(int64(time.Microsecond), int64(time.Hour), 3)}
}

func (l *latencies) record(d time.Duration) {
	l.sum += d
	// What is above the range counts as an hour.
	_ = l.h.RecordValue(min(int64(d), int64(time.Hour)))
}

// bounds are those above which a result says how many records were.
var bounds = []int{5, 10, 15, 20, 30, 40, 100}

func (l *latencies) latency() Latency {
	n := l.h.TotalCount()
	if n == 0 {
		return Latency{}
	}
	ms := func(ns int64) float64 { return float64(ns) / 1e6 }
	at := func(q float64) float64 { return ms(l.h.ValueAtQuantile(q)) }
	out := Latency{
		Count: n, Mean: ms(int64(l.sum) / n), P50: at(50), P75: at(75), P95: at(95), P99: at(99), P999: at(99.9), P9999: at(99.99),
		Max: ms(l.h.Max()), Above: map[string]float64{},
	}
	for _, bound := range bounds {
		limit, over := int64(bound)*int64(time.Millisecond), int64(0)
		for _, b := range l.h.Distribution() {
			if b.From > limit {
				over += b.Count
			}
		}
		out.Above[fmt.Sprint(bound)] = float64(over) / float64(n)
	}
	return out
}
