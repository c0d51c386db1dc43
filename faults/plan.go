package faults

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"
)

// Timed is a fault with its time: it strikes At and is healed For later. For 0
// means that it is not healed before the safety phase ends.
type Timed struct {
	At    time.Duration
	For   time.Duration
	Fault Fault
	line  int // where it was parsed; 0: it was not
}

// IsMomentary reports whether a fault is over as soon as it has struck.
func IsMomentary(f Fault) bool {
	_, is := f.(Momentary)
	return is
}

// String is one line of a plan: "at 5s for 2s: power off leader of orders/0".
func (t Timed) String() string {
	if t.For == 0 {
		return fmt.Sprintf("at %v: %v", t.At, t.Fault)
	}
	return fmt.Sprintf("at %v for %v: %v", t.At, t.For, t.Fault)
}

// Plan is a list of timed faults, in the order of their times. It is trouble
// drawn by hand.
type Plan []Timed

// String is one line each; ParsePlan reads it back.
func (p Plan) String() string {
	var b strings.Builder
	for _, t := range p {
		fmt.Fprintln(&b, t)
	}
	return b.String()
}

// Draw returns the plan as it is: luck has no say.
func (p Plan) Draw(*rand.Rand, Cluster, time.Duration) Plan { return p }

// Trouble is where a scenario's plan comes from: a Plan written by hand, or a
// Swarm that draws one from the seed.
type Trouble interface {
	Draw(luck *rand.Rand, c Cluster, safety time.Duration) Plan
}

// ParsePlan reads a plan: a line for each fault; empty lines and # comments
// are skipped. An error names the line.
func ParsePlan(text string) (Plan, error) {
	var p Plan
	for i, line := range strings.Split(text, "\n") {
		line, _, _ = strings.Cut(line, "#")
		line = strings.TrimSpace(line)
		if line == "" {
			continue
		}
		t, err := ParseTimed(line)
		if err != nil {
			return nil, fmt.Errorf("plan: line %d: %w", i+1, err)
		}
		t.line = i + 1
		p = append(p, t)
	}
	slices.SortStableFunc(p, func(a, b Timed) int { return int(min(1, max(-1, a.At-b.At))) })
	return p, nil
}

// ParseTimed reads what Timed.String prints.
func ParseTimed(line string) (Timed, error) {
	when, what, ok := strings.Cut(line, ": ")
	words := strings.Fields(when)
	var t Timed
	var err error
	switch {
	case !ok, len(words) != 2 && len(words) != 4, words[0] != "at", len(words) == 4 && words[2] != "for":
		return Timed{}, fmt.Errorf("found %q, expected \"at 5s: FAULT\" or \"at 5s for 2s: FAULT\"", line)
	}
	if t.At, err = parseDuration(words[1]); err != nil {
		return Timed{}, err
	}
	if len(words) == 4 {
		if t.For, err = parseDuration(words[3]); err != nil {
			return Timed{}, err
		}
	}
	t.Fault, err = Parse(what)
	return t, err
}

func parseDuration(s string) (time.Duration, error) {
	d, err := time.ParseDuration(s)
	if err != nil || d < 0 {
		return 0, fmt.Errorf("found %q, expected a duration such as 1.5s or 200ms", s)
	}
	return d, nil
}
