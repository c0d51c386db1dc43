package zoo_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ktrial/ktrial/broker/planted"
	"github.com/ktrial/ktrial/internal/golden"
	"github.com/ktrial/ktrial/reports"
	"github.com/ktrial/ktrial/scenarios/trial"
	"github.com/ktrial/ktrial/scenarios/zoo"
)

func TestFinders_FindTheirBugs(t *testing.T) {
	for _, f := range zoo.Finders {
		t.Run(string(f.Bug), func(t *testing.T) {
			if testing.Short() {
				t.Skip("short: a whole run")
			}
			t.Parallel()
			for i := range f.Within {
				seed := (f.First-1+i)%f.Within + 1 // the known one first
				r, err := trial.Run(f.Scenario, trial.Options{Seed: seed, Set: f.Set, Plant: []planted.Bug{f.Bug}})
				require.NoError(t, err)
				if r.Report.Verdict != reports.Violated {
					continue
				}
				first := r.Report.Violations[0]
				assert.Truef(t, strings.HasPrefix(first.Check, f.Check), "seed %d: %s: %s", seed, first.Check, first.Message)
				assert.Positive(t, r.Report.Planted[string(f.Bug)].Infected)
				if seed != f.First {
					t.Logf("shown by seed %d, no longer by %d", seed, f.First)
				}
				return
			}
			t.Errorf("%s does not find %s in %d seeds", f.Scenario.Name, f.Bug, f.Within)
		})
	}
}

// docs/planted.md says what each bug is, and which scenario finds it.
func TestFinders_AreDescribed(t *testing.T) {
	var b strings.Builder
	fmt.Fprintf(&b, "# The planted bugs\n\n<!-- made by go test ./scenarios/zoo -run TestFinders_AreDescribed -rewrite -->\n\n"+
		"Each is a switch at one branch of the stack (`broker/planted`): a bug that Kafka, a peer or a client had once; \"new\" is one that ktrial\n"+
		"found. `ktrial hunt SCENARIO --plant BUG` finds it, with the setting beside the scenario, and a test plays each. Bugs\n"+
		"without a scenario are shown by stories and tests of the package that they are planted in: no scenario reaches them yet.\n"+
		"Scenarios find %d of the %d. `docs/zoo.md` has what finds them elsewhere, and what that costs.\n\n"+
		"| | bug | what the wrong code does | scenario | seed | found by |\n| --- | --- | --- | --- | --- | --- |\n", len(zoo.Finders), len(planted.All))
	for _, e := range planted.All {
		found := " | | "
		for _, f := range zoo.Finders {
			if f.Bug == e.Bug {
				found = fmt.Sprintf("%s%s | %d | %s", f.Scenario.Name, with(f.Set), f.First, strings.TrimSuffix(f.Check, ":"))
			}
		}
		fmt.Fprintf(&b, "| %s | `%s` | %s (%s) | %s |\n", e.Zoo, e.Bug, e.About, e.Ref, found)
	}
	golden.File(t, "../../docs/planted.md", b.String())
}

func with(set map[string]string) (text string) {
	for _, name := range slices.Sorted(maps.Keys(set)) {
		text += fmt.Sprintf(", `%s=%s`", name, set[name])
	}
	return text
}
