package zoo

import (
	"cmp"
	"slices"

	"github.com/ktrial/ktrial/broker/planted"
)

// Found is what became of a bug in a scenario, over all its seeds.
type Found struct {
	Bug      planted.Bug `json:"bug"`
	Scenario string      `json:"scenario"`
	Unmasked bool        `json:"unmasked,omitempty"` // planted with those that take away what hides it
	Seeds    int         `json:"seeds"`              // how many were played
	// Reached and Infected count the seeds in which it was.
	Reached  int `json:"reached"`
	Infected int `json:"infected"`
	// Inside and Outside are how it was found first; nil: it was not.
	Inside  *Find `json:"inside,omitempty"`
	Outside *Find `json:"outside,omitempty"`
	// Checks are all that broke in any run.
	Checks []string `json:"checks"`
}

// isOpen reports whether further seeds are of use: the bug's branch was reached, and
// clients did not see it yet. They see last.
func (f *Found) isOpen() bool { return f.Reached > 0 && f.Outside == nil }

// Find is the first run that found a bug.
type Find struct {
	Seed  uint64 `json:"seed"`
	Check string `json:"check"`
	// Events of all runs up to it: what it cost to find.
	Events uint64 `json:"events"`
}

// found sums up the runs of a bug in a scenario.
func found(runs []Run, of Row, scenario string) Found {
	f := Found{Bug: of.Bug, Unmasked: of.Unmasked, Scenario: scenario, Checks: []string{}}
	var mine []Run
	for _, r := range runs {
		if r.Bug == of.Bug && r.Unmasked == of.Unmasked && r.Scenario == scenario {
			mine = append(mine, r)
		}
	}
	slices.SortFunc(mine, func(a, b Run) int { return cmp.Or(cmp.Compare(a.Seed, b.Seed), compareBool(a.Outside, b.Outside)) })
	var inside, outside uint64 // events so far
	for i := range mine {
		f.add(&mine[i], &inside, &outside, i+1 < len(mine) && mine[i+1].Seed == mine[i].Seed)
	}
	slices.Sort(f.Checks)
	return f
}

// add counts a run. again: it is played once more without laws, and that run says what
// clients saw.
func (f *Found) add(r *Run, inside, outside *uint64, again bool) {
	if !r.Outside {
		*inside += r.Events
		f.Seeds++
		f.Reached += one(r.Reached)
		f.Infected += one(r.Infected)
	}
	if !again {
		*outside += r.Events
	}
	switch {
	case r.Check == "":
		return
	case r.Inside && !r.Outside && f.Inside == nil:
		f.Inside = &Find{r.Seed, r.Check, *inside}
	case !r.Inside && f.Outside == nil:
		f.Outside = &Find{r.Seed, r.Check, *outside}
	}
	if !slices.Contains(f.Checks, r.Check) {
		f.Checks = append(f.Checks, r.Check)
	}
}

func one(n int64) int { return int(min(1, n)) }

func compareBool(a, b bool) int {
	switch {
	case a == b:
		return 0
	case b:
		return -1
	}
	return 1
}

// inOrder is the order of bugs and scenarios of the zoo, then that of seeds.
func inOrder(z Zoo) func(a, b Run) int {
	at := func(r Run) (bug, scenario int) {
		for i, s := range z.Scenarios {
			if s.Name == r.Scenario {
				scenario = i
			}
		}
		return slices.Index(z.Bugs, r.Bug), scenario
	}
	return func(a, b Run) int {
		bugA, inA := at(a)
		bugB, inB := at(b)
		return cmp.Or(cmp.Compare(bugA, bugB), compareBool(a.Unmasked, b.Unmasked), cmp.Compare(inA, inB), cmp.Compare(a.Seed, b.Seed), compareBool(a.Outside, b.Outside))
	}
}

// Matrix sums up the runs: for each bug each scenario.
func (z Zoo) Matrix(runs []Run) [][]Found {
	var m [][]Found
	for _, of := range z.rows() {
		row := make([]Found, 0, len(z.Scenarios))
		for _, s := range z.Scenarios {
			row = append(row, found(runs, of, s.Name))
		}
		m = append(m, row)
	}
	return m
}

// cheapest is the find of a row that cost least; nil: there is none.
func cheapest(row []Found, of func(*Found) *Find) (at *Found, find *Find) {
	for i := range row {
		f := of(&row[i])
		if f != nil && (find == nil || f.Events < find.Events) {
			at, find = &row[i], f
		}
	}
	return at, find
}

func insideOf(f *Found) *Find  { return f.Inside }
func outsideOf(f *Found) *Find { return f.Outside }
