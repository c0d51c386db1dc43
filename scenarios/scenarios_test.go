package scenarios

import (
	_ "embed"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ktrial/ktrial/checkers"
	"github.com/ktrial/ktrial/reports"
)

// dangers is what each design hazard shows in the end.
var dangers = map[string]checkers.Anomaly{
	AcksOne.Name:             checkers.LostWrite,
	UncleanElection.Name:     checkers.InconsistentOffsets,
	MinISROne.Name:           checkers.InconsistentOffsets,
	NoIdempotence.Name:       checkers.Duplicate,
	NoFsyncAllLosePower.Name: checkers.InconsistentOffsets,
}

// TestEveryScenario plays each scenario: with one seed, which is ten seconds of
// a core for them all, or with many. All must hold, and be the same run when
// played again. A hazard must show its danger.
func TestEveryScenario(t *testing.T) {
	last := uint64(1)
	if *long {
		last = *longSeeds
	}
	for _, s := range All() {
		t.Run(s.Name, func(t *testing.T) {
			t.Parallel()
			met, shown := 0, 0
			for seed := uint64(1); seed <= last; seed++ {
				r := plays(t, s, seed)
				if r.Verdict == reports.Holds {
					met++
				}
				assert.Equal(t, r.TraceHash, hash(t, s, seed), "seed %d is another run when played again", seed)
				if shows(r, dangers[s.Name]) {
					shown++
				}
			}
			// Luck may spare a run the danger, and the report then says so.
			assert.GreaterOrEqual(t, 100*met, 95*int(last), "%d of %d seeds met the danger", met, last)
			if s.Lesson != "" {
				assert.Greater(t, 2*shown, int(last), "%d of %d seeds show %s", shown, last, dangers[s.Name])
			}
		})
	}
}

func TestEveryHazardHasADanger(t *testing.T) {
	for _, s := range All() {
		assert.Equal(t, s.Lesson != "", dangers[s.Name] != "", s.Name)
	}
}

// plays a seed of clean code, which may be inconclusive but breaks no promise.
func plays(t *testing.T, s Scenario, seed uint64) *reports.Run {
	t.Helper()
	r, err := Run(s, Options{Seed: seed})
	require.NoError(t, err)
	for _, v := range r.Report.Violations {
		t.Errorf("ktrial run %s --seed %d: %s: %s", s.Name, seed, v.Check, v.Message)
	}
	return &r.Report
}

// hash plays a seed without judging it.
func hash(t *testing.T, s Scenario, seed uint64) string {
	r, err := prepare(s, Options{Seed: seed})
	require.NoError(t, err)
	defer r.w.Close()
	require.NoError(t, r.play())
	return fmt.Sprintf("%016x", r.w.Hash())
}

func shows(r *reports.Run, danger checkers.Anomaly) bool {
	return slices.ContainsFunc(r.Allowed, func(a reports.Allowed) bool { return a.Anomaly == string(danger) })
}

//go:embed testdata/seeds.txt
var seedsFile string

// finding is a line of seeds.txt: a seed that found something, and what.
type finding struct {
	scenario Scenario
	seed     uint64
	why      string
}

func parseFinding(line string) (f finding, err error) {
	words, why, told := strings.Cut(line, "#")
	name, number, _ := strings.Cut(strings.TrimSpace(words), " ")
	if f.scenario, err = Find(name); err != nil {
		return f, err
	}
	if f.why = strings.TrimSpace(why); !told || f.why == "" {
		return f, fmt.Errorf("%q does not say what the seed found", line)
	}
	f.seed, err = strconv.ParseUint(strings.TrimSpace(number), 10, 64)
	return f, err
}

// TestSeedsThatFoundSomething plays them all. What they found is mended; they
// need not meet their danger for ever, since a seed means another run whenever
// the stack changes.
func TestSeedsThatFoundSomething(t *testing.T) {
	known := map[string]bool{}
	for i, line := range strings.Split(strings.TrimSpace(seedsFile), "\n") {
		if strings.HasPrefix(line, "#") {
			continue
		}
		f, err := parseFinding(line)
		require.NoError(t, err, "seeds.txt:%d", i+1)
		name := fmt.Sprintf("%s-%d", f.scenario.Name, f.seed)
		require.False(t, known[name], "seeds.txt:%d: %s is listed already", i+1, name)
		known[name] = true
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			plays(t, f.scenario, f.seed)
		})
	}
}
