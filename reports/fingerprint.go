package reports

import (
	"cmp"
	"slices"
	"strings"
)

// Fingerprint says how a run fails: two runs fail in the same way if theirs are
// equal. Offsets, times, hosts and partition numbers are not in it, for other seeds
// and smaller runs have others.
type Fingerprint struct {
	Check string `json:"check"` // the promise or law that broke
	// Where it broke: the topic or group; empty: it is about none.
	Where string `json:"where,omitempty"`
	// Shape is the anomaly by which it broke; of a run that proves nothing, the danger
	// that it did not meet.
	Shape string `json:"shape,omitempty"`
}

// String is such as: acknowledged records are never lost (lost-write) of orders.
func (f Fingerprint) String() string {
	s := f.Check
	if f.Shape != "" {
		s += " (" + f.Shape + ")"
	}
	if f.Where != "" {
		s += " of " + f.Where
	}
	return s
}

// Fingerprint is how this violation makes a run fail.
func (v *Violation) Fingerprint() Fingerprint { return Fingerprint{v.Check, v.Where, v.Anomaly} }

// Group is the failing runs of a hunt that fail in the same way.
type Group struct {
	Fingerprint Fingerprint `json:"fingerprint"`
	Verdict     Verdict     `json:"verdict"` // the worst
	Count       int         `json:"count"`
	Scenarios   []string    `json:"scenarios"` // in which they were played
	First       Failure     `json:"first"`     // the one with the lowest seed
	Smallest    Smallest    `json:"smallest"`
}

// Smallest is the smallest run that is known to fail like the others of its group.
type Smallest struct {
	Scenario string   `json:"scenario"`
	Seed     uint64   `json:"seed"`
	Faults   int      `json:"faults"`
	Plan     []string `json:"plan"` // what struck, a line for each fault
	Events   uint64   `json:"events"`
	Kept     string   `json:"kept,omitempty"` // its directory, in that of the hunt
	// Shrunk: it was searched for by leaving things out; else it is one of the runs
	// that were found. Whole: the search came to its end.
	Shrunk bool `json:"shrunk"`
	Whole  bool `json:"whole"`
}

// smallest is a failing run as the smallest of its group.
func (f *Failure) smallest() Smallest {
	return Smallest{Scenario: f.Scenario, Seed: f.Seed, Faults: len(f.Plan), Plan: f.Plan, Events: f.Events, Kept: f.Kept}
}

// less orders smallest runs; of two alike the one of the lower seed goes first, so
// that the order in which they were found does not matter.
func (s *Smallest) less(t *Smallest) bool {
	if s.Shrunk != t.Shrunk {
		return s.Shrunk
	}
	return cmp.Or(cmp.Compare(s.Faults, t.Faults), cmp.Compare(s.Events, t.Events), cmp.Compare(s.Seed, t.Seed), cmp.Compare(s.Scenario, t.Scenario)) < 0
}

// byFailure is the order of failing runs.
func byFailure(a, b Failure) int {
	return cmp.Or(cmp.Compare(a.Seed, b.Seed), cmp.Compare(a.Scenario, b.Scenario))
}

// group puts a failing run to those that fail like it.
func (h *Hunt) group(f Failure) {
	print := f.Fingerprint()
	smallest := f.smallest()
	f.Plan = nil
	h.joinGroup(Group{Fingerprint: print, Verdict: f.Verdict, Count: 1, Scenarios: []string{f.Scenario}, First: f, Smallest: smallest})
}

// joinGroup adds a group, or puts its runs to those that fail like them.
func (h *Hunt) joinGroup(other Group) {
	i := slices.IndexFunc(h.Groups, func(g Group) bool { return g.Fingerprint == other.Fingerprint })
	if i < 0 {
		h.Groups = append(h.Groups, other)
		return
	}
	g := &h.Groups[i]
	g.Count += other.Count
	g.Verdict = Worst(g.Verdict, other.Verdict)
	for _, s := range other.Scenarios {
		if at, found := slices.BinarySearch(g.Scenarios, s); !found {
			g.Scenarios = slices.Insert(g.Scenarios, at, s)
		}
	}
	if byFailure(other.First, g.First) < 0 {
		g.First = other.First
	}
	if other.Smallest.less(&g.Smallest) {
		g.Smallest = other.Smallest
	}
}

// Shrunk puts in the smallest run that was searched for to a group; of several the
// smallest stays.
func (h *Hunt) Shrunk(f Fingerprint, s Smallest) {
	for i := range h.Groups {
		if g := &h.Groups[i]; g.Fingerprint == f && s.less(&g.Smallest) {
			g.Smallest = s
		}
	}
}

// order puts failing runs and groups into an order that does not depend on the order
// in which they were found.
func (h *Hunt) order() {
	slices.SortFunc(h.Failures, byFailure)
	slices.SortFunc(h.OwnBugs, byFailure)
	slices.SortFunc(h.Groups, func(a, b Group) int {
		return cmp.Or(compare(b.Verdict, a.Verdict), byFailure(a.First, b.First), strings.Compare(a.Fingerprint.String(), b.Fingerprint.String()))
	})
}
