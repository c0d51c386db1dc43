package checkers

import (
	"bytes"
	"fmt"
	"runtime"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ktrial/ktrial/checkers/history"
)

func big(ops int) *history.History {
	return newModel(1, modelConfig{Ops: ops, Clients: 10, Keys: 6, Txn: true}).run()
}

// A million operations, of which one record is lost: found, and explained by
// a handful of them.
func TestOneLostRecordInAMillionOperations(t *testing.T) {
	ops := 100_000
	if *long {
		ops = 1_000_000
	}
	h := big(ops)
	require.Equal(t, Holds, Judge(h, Options{}).Verdict)

	m := newMutant(0, h)
	var lost history.Rec
	for i := h.Records() / 2; ; i++ {
		if lost = history.Rec(i); m.acknowledgedBelow(lost) {
			break
		}
	}
	m.hide(lost)
	damaged := history.New()
	for i := range m.events {
		damaged.Add(&m.events[i])
	}
	j := Judge(damaged, Options{})
	require.Equal(t, Violated, j.Verdict)
	for _, r := range j.Anomalies {
		if r.Broken() == 0 {
			continue
		}
		assert.Less(t, len(r.Instances[0].Ops), 10, r.Message)
		if r.Anomaly == LostWrite {
			assert.Equal(t, 1, r.Count)
			assert.Equal(t, []string{h.ValueOf(lost).String()}, r.Instances[0].Values)
			assert.Less(t, len(r.Ops), 10)
		}
	}
	require.Contains(t, anomalies(j), string(LostWrite))
}

// BenchmarkJudgeEDN: about 114,000 events of Jepsen's EDN, read and judged.
func BenchmarkJudgeEDN(b *testing.B)  { benchmarkFile(b, history.EDN, 57_000) }
func BenchmarkJudgeJSON(b *testing.B) { benchmarkFile(b, history.JSON, 57_000) }

func benchmarkFile(b *testing.B, format history.Format, ops int) {
	h := big(ops)
	var file bytes.Buffer
	require.NoError(b, h.Write(&file, format))
	b.SetBytes(int64(file.Len()))
	b.ReportMetric(float64(h.Events()), "events")
	for b.Loop() {
		j, err := JudgeReader("benchmark", bytes.NewReader(file.Bytes()), Options{})
		require.NoError(b, err)
		require.Equal(b, Holds, j.Verdict)
	}
}

// BenchmarkJudge shows that cost is linear in the history, and what it keeps.
func BenchmarkJudge(b *testing.B) {
	sizes := []int{10_000, 100_000}
	if *long {
		sizes = append(sizes, 1_000_000)
	}
	for _, ops := range sizes {
		h := big(ops)
		b.Run(fmt.Sprint(ops), func(b *testing.B) {
			for b.Loop() {
				require.Equal(b, Holds, Judge(h, Options{}).Verdict)
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(h.Len()), "ns/operation")
			var m runtime.MemStats
			runtime.ReadMemStats(&m)
			b.ReportMetric(float64(m.Sys>>20), "MB")
		})
	}
}

// BenchmarkLive is what a watched recording costs, and one that is not.
func BenchmarkLive(b *testing.B) {
	events := eventsOf(big(20_000))
	for _, watched := range []bool{false, true} {
		b.Run(fmt.Sprintf("watched=%v", watched), func(b *testing.B) {
			for b.Loop() {
				rec := history.NewRecorder()
				live := NewLive(rec.History(), Expectations{})
				if watched {
					rec.Watch = live.Operation
				}
				for i := range events {
					rec.Add(&events[i])
				}
				require.Nil(b, live.First)
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(len(events)), "ns/event")
		})
	}
}
