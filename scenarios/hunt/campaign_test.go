package hunt_test

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ktrial/ktrial/ledger"
	"github.com/ktrial/ktrial/reports"
	"github.com/ktrial/ktrial/scenarios"
	"github.com/ktrial/ktrial/scenarios/hunt"
	"github.com/ktrial/ktrial/scenarios/internal/samples"
	"github.com/ktrial/ktrial/scenarios/trial"
	"github.com/ktrial/ktrial/sim/env"
	"github.com/ktrial/ktrial/workloads"
)

var long = flag.Bool("long", false, "run the long tests, too")

// breaksAtOnce has a law that every run breaks when its work begins.
func breaksAtOnce(t *testing.T) scenarios.Scenario {
	s := samples.Short()
	s.Laws = []scenarios.Law{{Name: "no client works", Watch: func() func(*ledger.Entry) (bool, string) {
		return func(e *ledger.Entry) (bool, string) {
			if _, begins := e.Event.(*trial.WorkBegan); begins {
				return true, "work begins"
			}
			return false, ""
		}
	}}}
	return s
}

// What a hunt holds does not grow with what it finds: a line of each failing run
// is all that is left of it.
func TestMemoryStaysFlat(t *testing.T) {
	skipIfShort(t)
	const warm = 30
	last := uint64(90) // 60 runs that are held would be 120 MB
	if *long {
		last = 10_000
	}
	var before uint64
	var kept atomic.Int32
	told := 0
	sum, err := hunt.Hunt{
		Scenarios: []scenarios.Scenario{breaksAtOnce(t)}, First: 1, Last: last, Jobs: 2,
		Keep: func(r *trial.Result, _ trial.Options) error {
			kept.Add(1)
			return nil
		},
		Failed: func(*trial.Result, error) {
			if told++; told == warm {
				before = heap()
			}
		},
	}.Run()
	require.NoError(t, err)
	require.Len(t, sum.Failures, int(last))
	require.EqualValues(t, last, kept.Load())
	require.NotZero(t, before)
	after := heap()
	// Two worlds may be under way at the first look; one run has some two megabytes.
	grown := int64(after) - int64(before)
	t.Logf("%d failing runs: the heap grew by %d kB", last, grown/1024)
	assert.Less(t, grown, int64(4<<20)+1024*int64(last))
}

func heap() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// A failing run is kept, with all events, before it is told; and told before the
// hunt goes on for long.
func TestAFailureIsKeptWhenItIsFound(t *testing.T) {
	var kept atomic.Int32
	told := 0
	sum, err := hunt.Hunt{
		Scenarios: []scenarios.Scenario{breaksAtOnce(t)}, First: 1, Last: 8, Jobs: 2,
		Keep: func(r *trial.Result, _ trial.Options) error {
			kept.Add(1)
			traffic := false
			for e := range r.Ledger.All() {
				traffic = traffic || e.Event.Kind().Weight == ledger.Traffic
			}
			assert.True(t, traffic, "the ledger of seed %d is not whole", r.Report.Seed)
			r.Report.Kept = fmt.Sprint("out/", r.Report.Seed)
			return nil
		},
		Failed: func(r *trial.Result, notKept error) {
			told++
			assert.NoError(t, notKept)
			assert.Equal(t, fmt.Sprint("out/", r.Report.Seed), r.Report.Kept)
			assert.LessOrEqual(t, int(kept.Load()), told+3, "only the runs under way are kept and not told yet")
		},
	}.Run()
	require.NoError(t, err)
	assert.Equal(t, 8, told)
	for i, f := range sum.Failures {
		assert.EqualValues(t, i+1, f.Seed, "the summary has them in the order of the seeds")
		assert.Equal(t, "no client works", f.Check)
	}
}

// What cannot be kept is told, and the hunt goes on.
func TestAFailureThatIsNotKept(t *testing.T) {
	full := errors.New("no space left on device")
	var told []error
	sum, err := hunt.Hunt{
		Scenarios: []scenarios.Scenario{breaksAtOnce(t)}, First: 1, Last: 3, Jobs: 1,
		Keep:   func(*trial.Result, trial.Options) error { return full },
		Failed: func(_ *trial.Result, notKept error) { told = append(told, notKept) },
	}.Run()
	require.NoError(t, err)
	assert.Equal(t, []error{full, full, full}, told)
	assert.Len(t, sum.Failures, 3)
	assert.Equal(t, reports.Violated, sum.Verdict)
}

// A hunt that is to stop at so many failing runs tells exactly as many, however
// many were under way.
func TestStopAt(t *testing.T) {
	for _, stopAt := range []int{1, 3} {
		told := 0
		sum, err := hunt.Hunt{
			Scenarios: []scenarios.Scenario{breaksAtOnce(t)}, First: 1, Last: 1000, Jobs: 4, StopAt: stopAt,
			Failed: func(*trial.Result, error) { told++ },
		}.Run()
		require.NoError(t, err)
		assert.Equal(t, stopAt, told)
		assert.Len(t, sum.Failures, stopAt)
		assert.Equal(t, stopAt, sum.Runs)
	}
}

// A shard that has no runs has an empty result.
func TestAnEmptyShard(t *testing.T) {
	h := hunt.Hunt{Scenarios: []scenarios.Scenario{samples.Short()}, First: 1, Last: 2, Shard: 2, Shards: 4, Jobs: 1}
	sum, err := h.Run()
	require.NoError(t, err)
	assert.Zero(t, sum.Runs)
	assert.Equal(t, reports.Holds, sum.Verdict)
	assert.NotNil(t, sum.Failures)
	sum.WriteText(io.Discard, reports.Style{})

	// A hunt that had runs and came to none has seen nothing.
	interrupted := make(chan struct{})
	close(interrupted)
	h.Shard, h.Interrupt = 0, interrupted
	sum, err = h.Run()
	require.NoError(t, err)
	assert.Zero(t, sum.Runs)
	assert.Equal(t, reports.Inconclusive, sum.Verdict)
	assert.True(t, sum.Interrupted)
}

// There are never more worlds at the same time than are of use.
func TestWorkers(t *testing.T) {
	one := []scenarios.Scenario{scenarios.Standard}
	most := 16 * runtime.NumCPU()
	for _, c := range []struct {
		h    hunt.Hunt
		want int
	}{
		{hunt.Hunt{Scenarios: one, First: 1, Last: 1000, Jobs: 3}, 3},
		{hunt.Hunt{Scenarios: one, First: 1, Last: 2, Jobs: 3}, 2},
		{hunt.Hunt{Scenarios: one, First: 1, Last: 10, Jobs: 8, Shard: 1, Shards: 4}, 3},
		{hunt.Hunt{Scenarios: one, First: 1, Last: 10, Jobs: 8, Shard: 2, Shards: 4}, 2},
		{hunt.Hunt{Scenarios: one, First: 1, Last: ^uint64(0), Jobs: 1_000_000}, most},
		{hunt.Hunt{Scenarios: one, First: 1, Last: 1}, 1},
	} {
		assert.Equal(t, c.want, c.h.Workers(), "%+v", c.h)
	}
}

// badRun is a workload whose second producer does something else in one of its
// runs, counted from 1.
type badRun struct {
	workloads.Workload
	run     *int
	bad     int
	instead func(env.Host)
}

func (w badRun) Clients(s *workloads.Stage) []workloads.Client {
	clients := w.Workload.Clients(s)
	if *w.run++; *w.run == w.bad {
		clients[1].Main = w.instead
	}
	return clients
}

// A run that meets a bug of ours has no verdict; the hunt goes on, and says so
// in its summary.
func TestAHuntGoesOnAfterABugOfOurs(t *testing.T) {
	var over atomic.Bool
	t.Cleanup(func() { over.Store(true) })
	for _, c := range []struct {
		name    string
		instead func(env.Host)
		says    string
	}{
		{"panics", func(env.Host) { panic("two offsets, one record") }, "two offsets, one record"},
		{"never gives back the thread", func(env.Host) {
			for !over.Load() { // stands for a loop without end
			}
		}, "task producer-2/main has not given back the thread for 500ms of wall time"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := samples.Short()
			s.Faults = nil
			// Runs: one to look at the options, seed 1 twice, seed 2, seed 3.
			s.Workload = badRun{s.Workload, new(int), 4, c.instead}
			var told []error
			sum, err := hunt.Hunt{
				Scenarios: []scenarios.Scenario{s}, First: 1, Last: 3, Jobs: 1,
				Options: trial.Options{Limits: trial.Limits{Watchdog: 500 * time.Millisecond}},
				OwnBug:  func(err error) { told = append(told, err) },
			}.Run()
			require.NoError(t, err)
			assert.Equal(t, 2, sum.Runs)
			require.Len(t, sum.OwnBugs, 1)
			require.Len(t, told, 1)
			bug := sum.OwnBugs[0]
			assert.EqualValues(t, 2, bug.Seed)
			assert.Contains(t, bug.Message, c.says)
			assert.Contains(t, bug.Message, "seed 2")
			assert.Equal(t, "ktrial run standard --seed 2", bug.Again)
			var text strings.Builder
			sum.WriteText(&text, reports.Style{})
			assert.Contains(t, text.String(), "2 holds, 1 without a verdict, by a bug of ktrial's own\n")
			assert.Contains(t, text.String(), "no verdict   ktrial run standard --seed 2   # our own bug: ")
		})
	}
}

// Options that cannot be played are refused before anything is.
func TestBadOptionsAreRefusedAtOnce(t *testing.T) {
	played := false
	_, err := hunt.Hunt{
		Scenarios: []scenarios.Scenario{samples.Short()}, First: 1, Last: 3,
		Options:  trial.Options{Set: map[string]string{"akcs": "1"}},
		Progress: func(hunt.Progress) { played = true },
	}.Run()
	require.Error(t, err)
	assert.True(t, trial.IsOption(err))
	assert.False(t, played)
}

// Of several runs the worst verdict counts, and each is counted.
func TestVerdictsOfAHunt(t *testing.T) {
	permits := scenarios.AcksOne
	w, err := workloads.Set(permits.Workload, "rate", "30")
	require.NoError(t, err)
	permits.Workload = w
	all := []scenarios.Scenario{samples.Short(), permits}
	for _, c := range []struct {
		strict bool
		want   reports.Verdict
	}{{false, reports.Allowed}, {true, reports.Violated}} {
		sum, err := hunt.Hunt{Scenarios: all, First: 2, Last: 2, Jobs: 1, Options: trial.Options{Strict: c.strict}}.Run()
		require.NoError(t, err)
		assert.Equal(t, c.want, sum.Verdict)
		assert.Equal(t, map[reports.Verdict]int{reports.Holds: 1, c.want: 1}, sum.Verdicts)
		assert.Equal(t, c.strict, slices.ContainsFunc(sum.Failures, func(f reports.Failure) bool {
			return f.Scenario == "acks-one" && strings.HasSuffix(f.Again, " --strict")
		}))
	}
}

// skipIfShort skips what plays whole runs.
func skipIfShort(t *testing.T) {
	t.Helper()
	if testing.Short() {
		t.Skip("short: whole runs")
	}
}
