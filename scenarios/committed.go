package scenarios

import (
	"embed"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/ktrial/ktrial/broker/planted"
	"github.com/ktrial/ktrial/faults"
)

//go:embed testdata/seeds.txt testdata/seeds
var committedFiles embed.FS

// committedDir holds the plan of each committed seed.
const committedDir = "testdata/seeds"

// Committed is a line of testdata/seeds.txt: a seed that has found something, with the
// plan of faults that struck then, for the scenario may draw another now. A hunt plays
// them before all others, and so does every go test.
type Committed struct {
	Scenario Scenario
	Seed     uint64
	Set      map[string]string // settings of the run
	Shape    map[string]int    // of the cluster, where not as the scenario says: brokers, controllers, partitions, replicas, racks
	Plan     faults.Plan
	PlanFile string        // in the repository of ktrial
	Plant    []planted.Bug // makes the mistake that was found once more
	Danger   string        // what the run must meet
	Why      string        // what the seed has found
}

// String is SCENARIO-SEED, with the values of the settings.
func (c *Committed) String() string {
	name := fmt.Sprintf("%s-%d", c.Scenario.Name, c.Seed)
	for _, key := range slices.Sorted(maps.Keys(c.Set)) {
		name += "-" + c.Set[key]
	}
	return name
}

// CommittedSeeds are the seeds of testdata/seeds.txt, in its order. An error names the line
// that is wrong.
func CommittedSeeds() (all []Committed, err error) {
	text, err := committedFiles.ReadFile("testdata/seeds.txt")
	if err != nil {
		return nil, err
	}
	number := 0
	for line := range strings.Lines(string(text)) {
		number++
		if line[0] == '#' {
			continue
		}
		c, err := parseCommitted(strings.TrimSpace(line))
		if err == nil {
			err = c.readPlan()
		}
		if err != nil {
			return nil, fmt.Errorf("seeds.txt:%d: %w", number, err)
		}
		all = append(all, c)
	}
	return all, nil
}

// parseCommitted reads such as: standard 53 --brokers=4 key=value idem.snapshot_window: danger  # why
func parseCommitted(line string) (c Committed, err error) {
	c.Set, c.Shape = map[string]string{}, map[string]int{}
	//text:allow a line of seeds.txt
	run, why, commented := strings.Cut(line, "#")
	if c.Why = strings.TrimSpace(why); !commented || c.Why == "" {
		return c, fmt.Errorf("%q does not say what the seed found", line)
	}
	//text:allow a line of seeds.txt
	run, danger, _ := strings.Cut(run, ": ")
	c.Danger = strings.TrimSpace(danger)
	words := strings.Fields(run)
	if len(words) < 2 {
		return c, fmt.Errorf("found %q, expected a scenario and a seed", run)
	}
	if c.Scenario, err = Find(words[0]); err != nil {
		return c, err
	}
	for _, word := range words[2:] {
		if err := c.parseOption(word); err != nil {
			return c, err
		}
	}
	c.Seed, err = strconv.ParseUint(words[1], 10, 64)
	return c, err
}

// parseOption reads what makes the run another one than the scenario's.
func (c *Committed) parseOption(word string) (err error) {
	//text:allow a line of seeds.txt
	name, value, isSetting := strings.Cut(word, "=")
	//text:allow a line of seeds.txt
	number, isShape := strings.CutPrefix(name, "--")
	switch {
	case isShape:
		c.Shape[number], err = strconv.Atoi(value)
	case isSetting:
		c.Set[name] = value
	default:
		c.Plant = append(c.Plant, planted.Bug(word))
	}
	return err
}

// readPlan reads the plan of faults that is kept beside the seed.
func (c *Committed) readPlan() error {
	file := committedDir + "/" + c.String() + ".txt"
	text, err := committedFiles.ReadFile(file)
	if err != nil {
		return err
	}
	c.PlanFile = "scenarios/" + file
	c.Plan, err = faults.ParsePlan(string(text))
	return err
}
