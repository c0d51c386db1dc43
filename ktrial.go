// Package ktrial puts Kafka on trial: it runs a whole cluster in one process
// over a simulated network, clock and disk, hurts it, and judges what its
// clients saw. The same seed gives the same run, byte for byte.
//
// The command is cmd/ktrial. In a Go test it is one line a trial:
//
//	func TestOrdersSurviveALossOfPower(t *testing.T) {
//		ktrial.Try(t, scenarios.LeaderLosesPower, ktrial.Seeds(1, 20)...)
//	}
package ktrial

import (
	"strings"

	"github.com/ktrial/ktrial/reports"
	"github.com/ktrial/ktrial/scenarios"
	"github.com/ktrial/ktrial/scenarios/trial"
)

// T is the part of *testing.T that Try needs.
type T interface {
	Helper()
	Logf(format string, args ...any)
	Errorf(format string, args ...any)
}

// Seeds are first to last, both included.
func Seeds(first, last uint64) (seeds []uint64) {
	for seed := first; seed <= last; seed++ {
		seeds = append(seeds, seed)
	}
	return seeds
}

// Try plays a scenario with each seed and fails the test for each run that
// breaks a promise, with the report that the command prints: what was
// promised, what was seen, what proves it, and what to type to see it again. A
// run that proves nothing, because the danger was not met, is logged.
func Try(t T, s scenarios.Scenario, seeds ...uint64) {
	t.Helper()
	for _, seed := range seeds {
		result, err := trial.Run(s, trial.Options{Seed: seed})
		if err != nil {
			t.Errorf("%v", err)
			continue
		}
		var text strings.Builder
		result.Report.WriteText(&text, reports.Style{})
		switch result.Report.Verdict {
		case reports.Holds:
		case reports.Inconclusive:
			t.Logf("%s", text.String())
		default:
			t.Errorf("%s", text.String())
		}
	}
}
