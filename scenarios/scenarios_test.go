package scenarios_test

import (
	_ "embed"
	"flag"
	"fmt"
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
	"github.com/ktrial/ktrial/reports"
	"github.com/ktrial/ktrial/scenarios"
	"github.com/ktrial/ktrial/scenarios/trial"
	"github.com/ktrial/ktrial/workloads"
)

// TestEveryScenario plays each scenario: with one seed, which is ten seconds of
// a core for them all, or with many. scenarios.All must hold, and be the same run when
// played again. Dangers must be met, those of a design hazard, too.
func TestEveryScenario(t *testing.T) {
	last := uint64(1)
	if *long {
		last = *longSeeds
	}
	for _, s := range scenarios.All() {
		t.Run(s.Name, func(t *testing.T) {
			t.Parallel()
			met := 0
			for seed := uint64(1); seed <= last; seed++ {
				r := holds(t, s, trial.Options{Seed: seed})
				if r.Verdict.Passes() {
					met++
				}
				assert.Equal(t, r.TraceHash, hash(t, s, seed), "seed %d is another run when played again", seed)
			}
			// Luck may spare a run the danger, and the report then says so.
			assert.GreaterOrEqual(t, 100*met, 95*int(last), "%d of %d seeds met the danger", met, last)
		})
	}
}

// A large world asks for its memory ahead, which no small one does. It must
// withstand the same trouble, and be the same run when played again.
func TestALargeWorld(t *testing.T) {
	t.Parallel()
	s := scenarios.Standard
	s.Cluster.Brokers = 20
	s.Topics = []scenarios.Topic{scenarios.Orders}
	s.Topics[0].Partitions = 100
	r := holds(t, s, trial.Options{Seed: 1})
	assert.NotEmpty(t, r.Faults)
	assert.Equal(t, r.TraceHash, hash(t, s, 1), "it is another run when played again")
}

// A design hazard that does not show its danger proves nothing, and one whose
// configuration is made safe has none to show.
func TestHazards(t *testing.T) {
	for _, s := range scenarios.All() {
		if assert.Equal(t, s.Lesson != "", s.Danger != "", s.Name); s.Lesson == "" {
			continue
		}
		t.Run(s.Name, func(t *testing.T) {
			t.Parallel()
			var err error
			s.Workload, err = workloads.Set(s.Workload, "rate", "30") // enough, and faster
			require.NoError(t, err)
			r := holds(t, s, trial.Options{Seed: 2})
			assert.Equal(t, reports.Allowed, r.Verdict, "%v", r.NotReached)
			assert.True(t, slices.ContainsFunc(r.Allowed, func(a reports.Permitted) bool { return a.Anomaly == string(s.Danger) && a.Count > 0 }))
			assert.NotEmpty(t, r.Lesson)

			s.Probes = nil // of danger
			s.Faults = faults.Plan{}
			r = holds(t, s, trial.Options{Seed: 2})
			assert.Equal(t, reports.Inconclusive, r.Verdict)
			assert.Equal(t, []string{string(s.Danger)}, r.NotReached)
		})
	}
	for _, safe := range []struct {
		s   scenarios.Scenario
		set map[string]string
	}{
		{scenarios.AcksOne, map[string]string{"acks": "all", "enable.idempotence": "true", "rate": "50"}},
		{scenarios.NoFsyncAllLosePower, map[string]string{"flush.messages": "1", "rate": "50"}},
		{scenarios.NoFsyncAllLosePower, map[string]string{"log.flush.interval.messages": "1", "rate": "50"}},
	} {
		r := holds(t, safe.s, trial.Options{Seed: 2, Set: safe.set})
		assert.Equal(t, reports.Holds, r.Verdict, "%s: %v", safe.s.Name, r.NotReached)
		assert.Contains(t, r.Lesson, "the danger was met, nothing was lost")
	}
	r := holds(t, scenarios.NoFsyncAllLosePower, trial.Options{Seed: 2, Set: map[string]string{"flush.messages": "2", "rate": "50"}})
	assert.NotEqual(t, reports.Holds, r.Verdict, "every second record is not synced")
}

// holds plays a run of clean code, which may be inconclusive but breaks no
// promise.
func holds(t *testing.T, s scenarios.Scenario, o trial.Options) *reports.Run {
	t.Helper()
	r, err := trial.Run(s, o)
	require.NoError(t, err)
	for _, v := range r.Report.Violations {
		t.Errorf("ktrial run %s --seed %d: %s: %s", s.Name, o.Seed, v.Check, v.Message)
	}
	return &r.Report
}

// hash plays a seed once more.
func hash(t *testing.T, s scenarios.Scenario, seed uint64) string {
	r, err := trial.Run(s, trial.Options{Seed: seed})
	require.NoError(t, err)
	return r.Report.TraceHash
}

var (
	long      = flag.Bool("long", false, "run the long tests, too")
	longSeeds = flag.Uint64("seeds", 100, "how many seeds the long tests play of each scenario")
)

//go:embed testdata/seeds.txt
var seedsFile string

// finding is a line of seeds.txt: a seed that found something, and what.
type finding struct {
	scenario scenarios.Scenario
	seed     uint64
	plan     faults.Plan   // what struck then
	again    []planted.Bug // planting it makes the mistake that was found once more
	why      string
}

func (f *finding) String() string { return fmt.Sprintf("%s-%d", f.scenario.Name, f.seed) }

func parseFinding(line string) (f finding, err error) {
	said, why, told := strings.Cut(line, "#")
	if f.why = strings.TrimSpace(why); !told || f.why == "" {
		return f, fmt.Errorf("%q does not say what the seed found", line)
	}
	words := strings.Fields(said)
	if len(words) < 2 {
		return f, fmt.Errorf("found %q, expected a scenario and a seed", said)
	}
	if f.scenario, err = scenarios.Find(words[0]); err != nil {
		return f, err
	}
	for _, bug := range words[2:] {
		f.again = append(f.again, planted.Bug(bug))
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
// the swarm may draw another now: what they found is mended. Where the mistake
// can be planted it is found again.
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
			o := trial.Options{Seed: f.seed, Plan: f.plan}
			r := holds(t, f.scenario, o)
			assert.True(t, r.Verdict.Passes(), "%s: %v", r.Verdict, r.NotReached)
			if len(f.again) == 0 {
				return
			}
			o.Plant = f.again
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
