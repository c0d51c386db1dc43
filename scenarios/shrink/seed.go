package shrink

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/ktrial/ktrial/faults"
	"github.com/ktrial/ktrial/scenarios/trial"
)

// SeedLine is the line of seeds.txt (package scenarios) that has the smallest run played
// by every go test, and the name of the file beside it that holds its plan. Its danger is
// the probe that the run reached most seldom, of those that no run in peace reaches.
func (s *Smallest) SeedLine() (line, planFile string, err error) {
	if s.Options.Follow != nil {
		return "", "", s.needsDecisions("a line of seeds.txt")
	}
	danger, err := s.danger()
	if err != nil {
		return "", "", err
	}
	run := fmt.Sprintf("%s %d", s.Scenario.Name, s.Options.Seed)
	for flags := range slices.Chunk(s.Options.Shape.Flags(), 2) {
		run += " " + flags[0] + "=" + flags[1]
	}
	planFile = fmt.Sprintf("%s-%d", s.Scenario.Name, s.Options.Seed)
	for _, name := range slices.Sorted(maps.Keys(s.Options.Set)) {
		run += " " + name + "=" + s.Options.Set[name]
		planFile += "-" + s.Options.Set[name]
	}
	for _, bug := range s.Options.Plant {
		run += " " + string(bug)
	}
	why := strings.Join(strings.Fields(s.message()), " ")
	return fmt.Sprintf("%s: %s  # %s", run, danger, why), planFile + ".txt", nil
}

// danger is a probe that the run reached because something struck.
func (s *Smallest) danger() (string, error) {
	o := s.Options
	o.Plan, o.Plant, o.NoFaults = faults.Plan{}, nil, true // an empty plan: that of the scenario may not fit the smaller cluster
	peace, err := trial.Run(s.Scenario, o)
	if err != nil {
		return "", err
	}
	reached := s.Result.Report.Probes
	var names []string
	for name := range reached {
		if peace.Report.Probes[name] == 0 {
			names = append(names, name)
		}
	}
	if len(names) == 0 {
		return "DANGER", nil // to be named by a person: a danger of dangers_test.go
	}
	return slices.MinFunc(names, func(a, b string) int {
		return cmp.Or(cmp.Compare(reached[a], reached[b]), strings.Compare(a, b))
	}), nil
}
