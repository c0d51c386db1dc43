package scenarios_test

import (
	_ "embed"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ktrial/ktrial/broker/planted"
	"github.com/ktrial/ktrial/faults"
	"github.com/ktrial/ktrial/ledger"
	"github.com/ktrial/ktrial/reports"
	"github.com/ktrial/ktrial/scenarios"
	"github.com/ktrial/ktrial/scenarios/trial"
)

//go:embed testdata/seeds.txt
var seedsFile string

// finding is a line of seeds.txt: a seed that found something, and what.
type finding struct {
	scenario scenarios.Scenario
	seed     uint64
	set      map[string]string // settings of the run
	plan     faults.Plan       // what struck then
	again    []planted.Bug     // planting it makes the mistake that was found once more
	danger   string            // a probe, or a name in dangers: the run must meet it
	why      string
}

func (f *finding) String() string {
	name := fmt.Sprintf("%s-%d", f.scenario.Name, f.seed)
	for _, key := range slices.Sorted(maps.Keys(f.set)) {
		name += "-" + f.set[key]
	}
	return name
}

func parseFinding(line string) (f finding, err error) {
	f.set = map[string]string{}
	run, why, commented := strings.Cut(line, "#")
	if f.why = strings.TrimSpace(why); !commented || f.why == "" {
		return f, fmt.Errorf("%q does not say what the seed found", line)
	}
	run, danger, _ := strings.Cut(run, ": ")
	if f.danger = strings.TrimSpace(danger); !isDanger(f.danger) {
		return f, fmt.Errorf("found danger %q, expected a probe of `ktrial list probes` or a danger of dangers_test.go", f.danger)
	}
	words := strings.Fields(run)
	if len(words) < 2 {
		return f, fmt.Errorf("found %q, expected a scenario and a seed", run)
	}
	if f.scenario, err = scenarios.Find(words[0]); err != nil {
		return f, err
	}
	for _, word := range words[2:] {
		if name, value, isSetting := strings.Cut(word, "="); isSetting {
			f.set[name] = value
		} else {
			f.again = append(f.again, planted.Bug(word))
		}
	}
	f.seed, err = strconv.ParseUint(words[1], 10, 64)
	return f, err
}

// struckThen reads the plan of faults that is kept beside a seed.
func (f *finding) struckThen() (err error) {
	text, err := os.ReadFile(filepath.Join(seedPlans, f.String()+".txt"))
	if err == nil {
		f.plan, err = faults.ParsePlan(string(text))
	}
	return err
}

const seedPlans = "testdata/seeds"

// TestSeedsThatFoundSomething plays them all with the plan that struck then, for
// the swarm may draw another now: what they found is mended, and the danger in
// which it was found is met still. Where the mistake can be planted it is found
// again.
func TestSeedsThatFoundSomething(t *testing.T) {
	known := map[string]bool{}
	for i, line := range strings.Split(strings.TrimSpace(seedsFile), "\n") {
		if strings.HasPrefix(line, "#") {
			continue
		}
		f, err := parseFinding(line)
		require.NoError(t, err, "seeds.txt:%d", i+1)
		require.NoError(t, f.struckThen(), "seeds.txt:%d", i+1)
		require.False(t, known[f.String()], "seeds.txt:%d: %v is listed already", i+1, &f)
		known[f.String()] = true
		t.Run(f.String(), func(t *testing.T) {
			t.Parallel()
			met := newDanger(f.danger)
			o := trial.Options{Seed: f.seed, Set: f.set, Plan: f.plan, Read: met.read}
			r := play(t, f.scenario, o)
			assert.True(t, r.Report.Verdict.Passes(), "%s: %v", r.Report.Verdict, r.Report.NotReached)
			assert.True(t, met.in(r), "the run no longer meets its danger: %s\n\tsearch for a seed that does (ktrial hunt), and replace this one with a line why", f.danger)
			if len(f.again) == 0 {
				return
			}
			o.Plant, o.Read = f.again, nil
			planted, err := trial.Run(f.scenario, o)
			require.NoError(t, err)
			assert.Equal(t, reports.Violated, planted.Report.Verdict, "planting %v is not found", f.again)
		})
	}
	plans, err := os.ReadDir(seedPlans)
	require.NoError(t, err)
	for _, plan := range plans {
		assert.True(t, known[strings.TrimSuffix(plan.Name(), ".txt")], "%s belongs to no line of seeds.txt", plan.Name())
	}
}

// A run in which nothing strikes meets none of the dangers that seeds name: what
// any run meets would be no danger.
func TestDangersAreNotMetInPeace(t *testing.T) {
	all := map[string]*danger{}
	for line := range strings.Lines(seedsFile) {
		if f, err := parseFinding(line); err == nil {
			all[f.danger] = newDanger(f.danger)
		}
	}
	require.Greater(t, len(all), 10)
	r := play(t, scenarios.Standard, trial.Options{Seed: 1, NoFaults: true, Read: func(e *ledger.Entry) {
		for _, d := range all {
			d.read(e)
		}
	}})
	for name, d := range all {
		assert.False(t, d.in(r), "%s is met without any fault", name)
	}
}
