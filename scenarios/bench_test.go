package scenarios_test

import (
	"fmt"
	"runtime/debug"
	"runtime/metrics"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ktrial/ktrial/ledger"
	"github.com/ktrial/ktrial/scenarios"
	"github.com/ktrial/ktrial/scenarios/hunt"
	"github.com/ktrial/ktrial/scenarios/trial"
	"github.com/ktrial/ktrial/workloads"
)

// Speed is quoted from these: `go test ./scenarios -run xxx -bench scenarios.Standard -cpu 1`.

// tuned collects garbage as seldom as cmd/ktrial does.
func tuned(b *testing.B) {
	before := debug.SetGCPercent(150)
	b.Cleanup(func() { debug.SetGCPercent(before) })
}

// tally sums up runs.
type tally struct{ events, virtual float64 }

func (t *tally) play(b *testing.B, s scenarios.Scenario, seed uint64) {
	r, err := trial.Run(s, trial.Options{Seed: seed})
	require.NoError(b, err)
	t.events += float64(r.Report.Events)
	t.virtual += r.Report.VirtualSeconds
}

func (t *tally) report(b *testing.B) {
	b.ReportMetric(t.events/b.Elapsed().Seconds(), "events/s")
	b.ReportMetric(t.virtual/b.Elapsed().Seconds(), "virtual-s/s")
	b.ReportMetric(t.events/float64(b.N), "events/op")
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/t.events, "ns/event")
}

// BenchmarkStandard plays the standard scenario, a new seed each time.
func BenchmarkStandard(b *testing.B) {
	tuned(b)
	b.ReportAllocs()
	var t tally
	for i := range b.N {
		t.play(b, scenarios.Standard, uint64(i+1))
	}
	t.report(b)
}

// BenchmarkStandardEOS is a pipeline of transactions, under whatever trouble the seeds draw.
func BenchmarkStandardEOS(b *testing.B) {
	tuned(b)
	b.ReportAllocs()
	var t tally
	for i := range b.N {
		t.play(b, scenarios.StandardEOS, uint64(i+1))
	}
	t.report(b)
}

// BenchmarkLedger is the same runs in turn with the ledger kept whole, as a
// report needs it, and with the notable events kept: ratio says how much longer
// the first take.
func BenchmarkLedger(b *testing.B) {
	tuned(b)
	var took [2]time.Duration
	for i := range b.N {
		for j, keep := range []ledger.Keep{ledger.KeepStory, ledger.KeepAll} {
			begun := time.Now()
			_, err := trial.Run(scenarios.Standard, trial.Options{Seed: uint64(i + 1), Keep: keep})
			require.NoError(b, err)
			took[j] += time.Since(begun)
		}
	}
	b.ReportMetric(float64(took[1])/float64(took[0]), "ratio")
}

// BenchmarkQuiet is the standard scenario without any trouble.
func BenchmarkQuiet(b *testing.B) {
	tuned(b)
	b.ReportAllocs()
	calm := scenarios.Standard
	calm.Faults = nil
	var t tally
	for i := range b.N {
		t.play(b, calm, uint64(i+1))
	}
	t.report(b)
}

// BenchmarkScale has clusters of different sizes with the same load on each
// broker: ten partitions, twenty records a second, four producers, two
// consumers. The cost of an event must not grow with the cluster.
func BenchmarkScale(b *testing.B) {
	for _, brokers := range []int{3, 10, 30, 100} {
		b.Run(fmt.Sprintf("brokers=%d", brokers), func(b *testing.B) {
			tuned(b)
			s := scenarios.Standard
			s.Faults = nil
			s.Cluster.Brokers = brokers
			s.Topics = []scenarios.Topic{scenarios.Orders}
			s.Topics[0].Partitions = int32(10 * brokers)
			work := s.Workload.(workloads.ProduceConsume)
			work.Producers, work.Rate, work.Consumers, work.Duration = 4, 5*brokers, 2, 10*time.Second
			s.Workload = work
			var t tally
			for i := range b.N {
				t.play(b, s, uint64(i+1))
			}
			t.report(b)
		})
	}
}

// BenchmarkHunt plays seeds on one core and on two; jobs=2 should do at least
// 1.8 times the seeds of jobs=1 if both cores are free.
func BenchmarkHunt(b *testing.B) {
	for _, jobs := range []int{1, 2} {
		b.Run(fmt.Sprintf("jobs=%d", jobs), func(b *testing.B) {
			tuned(b)
			h := hunt.Hunt{Scenarios: []scenarios.Scenario{scenarios.Standard}, First: 1, Last: uint64(b.N), Jobs: jobs}
			sum, err := h.Run()
			require.NoError(b, err)
			b.ReportMetric(float64(sum.Runs)/b.Elapsed().Seconds(), "seeds/s")
		})
	}
}

// BenchmarkMemory says how much memory the process has from the system when a
// world is largest.
func BenchmarkMemory(b *testing.B) {
	tuned(b)
	debug.FreeOSMemory()
	sample := []metrics.Sample{{Name: "/memory/classes/total:bytes"}, {Name: "/memory/classes/heap/released:bytes"}}
	var peak uint64
	look := func() {
		metrics.Read(sample)
		peak = max(peak, sample[0].Value.Uint64()-sample[1].Value.Uint64())
	}
	for i := range b.N {
		events := 0
		_, err := trial.Run(scenarios.Standard, trial.Options{Seed: uint64(i + 1), Read: func(*ledger.Entry) {
			if events++; events%1000 == 0 {
				look()
			}
		}})
		require.NoError(b, err)
		look()
	}
	b.ReportMetric(float64(peak)/(1<<20), "peak-MB")
}
