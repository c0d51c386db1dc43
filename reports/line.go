package reports

import (
	"fmt"
	"maps"
	"math"
	"path/filepath"
	"slices"
	"strings"
)

// Line is what a hunt keeps of a run: a summary is made of these, whether they come
// from runs that were just played or are read from a file.
type Line struct {
	Scenario       string             `json:"scenario"`
	Seed           uint64             `json:"seed"`
	Verdict        Verdict            `json:"verdict"` // empty: none, by a bug of ktrial's own
	TraceHash      string             `json:"trace_hash,omitempty"`
	Events         uint64             `json:"events,omitempty"`
	VirtualSeconds float64            `json:"virtual_seconds,omitempty"`
	WallSeconds    float64            `json:"wall_seconds,omitempty"`
	Probes         map[string]int64   `json:"-"`
	Planted        map[string]Planted `json:"planted,omitempty"`
	// Failure says how a failing run failed, and what broke of a run without a verdict.
	Failure *Failure `json:"failure,omitempty"`
	// Allowed is what was permitted and seen, NeverSeen what was permitted and not.
	Allowed   []Permitted `json:"allowed,omitempty"`
	NeverSeen []Permitted `json:"never_seen,omitempty"`
}

// Line sums a run up. It shares no memory with it that is large: a hunt has many.
func (r *Run) Line() *Line {
	l := &Line{
		Scenario: r.Scenario, Seed: r.Seed, Verdict: r.Verdict, TraceHash: r.TraceHash, Events: r.Events,
		VirtualSeconds: r.VirtualSeconds, WallSeconds: r.WallSeconds, Probes: r.Probes, Planted: r.Planted,
	}
	for _, a := range r.Allowed {
		if a.Count > 0 {
			l.Allowed = append(l.Allowed, Permitted{Anomaly: a.Anomaly, Reason: a.Reason, Count: a.Count})
		}
	}
	if !r.Verdict.Passes() {
		f := r.Failure()
		l.Failure = &f
	}
	return l
}

// Failure is a failing run in a line.
type Failure struct {
	Scenario string  `json:"scenario"`
	Seed     uint64  `json:"seed"`
	Verdict  Verdict `json:"verdict"`
	Check    string  `json:"check"`
	Where    string  `json:"where,omitempty"`
	Shape    string  `json:"shape,omitempty"`
	Message  string  `json:"message"`
	Again    string  `json:"again"` // the command that plays it again
	Events   uint64  `json:"events,omitempty"`
	// Committed: it is one of the committed seeds, with its own settings and plan.
	Committed bool `json:"committed,omitempty"`
	// Kept is its directory, in that of the hunt.
	Kept string `json:"kept,omitempty"`
	// Plan is what struck; of the runs of a group only the smallest has it.
	Plan []string `json:"plan,omitempty"`
}

// Failure sums a run up. It shares no memory with it: a hunt has many.
func (r *Run) Failure() Failure {
	print, message := r.why()
	f := Failure{
		Scenario: r.Scenario, Seed: r.Seed, Verdict: r.Verdict, Check: strings.Clone(print.Check), Where: strings.Clone(print.Where),
		Shape: strings.Clone(print.Shape), Message: strings.Clone(message), Again: strings.Clone(r.Again), Events: r.Events, Committed: r.Committed,
	}
	if r.Kept != "" {
		f.Kept = filepath.Base(r.Kept)
	}
	for _, struck := range r.Faults {
		f.Plan = append(f.Plan, strings.Clone(struck.Text))
	}
	return f
}

// Fingerprint is how the run fails.
func (f *Failure) Fingerprint() Fingerprint { return Fingerprint{f.Check, f.Where, f.Shape} }

// why is what a run failed by, and what it says of it.
func (r *Run) why() (print Fingerprint, message string) {
	switch {
	case len(r.Violations) > 0:
		return r.Violations[0].Fingerprint(), r.Violations[0].Message
	case len(r.MissedNumbers) > 0:
		return Fingerprint{Check: "required: " + r.MissedNumbers[0].Require}, r.MissedNumbers[0].Found
	case r.Unworkable != "":
		return Fingerprint{Check: "a cluster works with its settings"}, r.Unworkable
	case len(r.NotReached) > 0:
		return Fingerprint{Check: "dangers are met", Shape: r.NotReached[0]}, fmt.Sprintf("never met %q", r.NotReached[0])
	}
	for _, c := range r.Checks {
		if c.Verdict == Violated {
			return Fingerprint{Check: c.Name}, "what is permitted is violated with --strict"
		}
		if !c.Verdict.Passes() {
			return Fingerprint{Check: c.Name}, fmt.Sprintf("looked at %s", things(int(c.Checked), "thing"))
		}
	}
	return Fingerprint{}, ""
}

// String is a failing run in a line: its verdict, the command that plays it
// again, and why it fails.
func (f Failure) String() string {
	const most = 160
	why := strings.Join(strings.Fields(f.Message), " ")
	if len(why) > most {
		why = strings.ToValidUTF8(why[:most], "") + "..."
	}
	if f.Verdict != Inconclusive && f.Check != "" {
		why = f.Check + ": " + why
	}
	verdict := string(f.Verdict)
	if verdict == "" {
		verdict = "no verdict"
	}
	return fmt.Sprintf("%-12s %s   # %s", verdict, f.Again, why)
}

// Add counts a run.
func (h *Hunt) Add(l *Line) {
	if l.Verdict == "" {
		h.ByScenario[l.Scenario]++
		h.OwnBugs = append(h.OwnBugs, *l.Failure)
		return
	}
	h.Runs++
	h.ByScenario[l.Scenario]++
	h.Verdicts[l.Verdict]++
	h.Events += l.Events
	h.VirtualSeconds = sum(h.VirtualSeconds, l.VirtualSeconds)
	h.Verdict = Worst(h.Verdict, l.Verdict)
	for name, n := range l.Probes {
		h.Probes[name] += n
	}
	for bug, p := range l.Planted {
		sum := h.Planted[bug]
		sum.Reached += p.Reached
		sum.Infected += p.Infected
		sum.Detected += min(1, p.Detected)
		h.Planted[bug] = sum
	}
	for _, never := range l.NeverSeen {
		h.permitted.offer(never)
	}
	for _, a := range l.Allowed {
		h.permitted.offer(a)
		h.permitted.seen[offer{a.Anomaly, a.Reason}] = true
	}
	if l.Failure != nil {
		h.group(*l.Failure)
		f := *l.Failure
		f.Plan = nil
		h.Failures = append(h.Failures, f)
	}
}

// Join adds what another hunt found, and kept in a directory.
func (h *Hunt) Join(other *Hunt, dir string) {
	h.Runs += other.Runs
	h.Events += other.Events
	h.VirtualSeconds = sum(h.VirtualSeconds, other.VirtualSeconds)
	h.WallSeconds += other.WallSeconds
	h.Verdict = Worst(h.Verdict, other.Verdict)
	for v, n := range other.Verdicts {
		h.Verdicts[v] += n
	}
	for scenario, n := range other.ByScenario {
		h.ByScenario[scenario] += n
	}
	for name, n := range other.Probes {
		h.Probes[name] += n
	}
	for bug, p := range other.Planted {
		sum := h.Planted[bug]
		sum.Reached, sum.Infected, sum.Detected = sum.Reached+p.Reached, sum.Infected+p.Infected, sum.Detected+p.Detected
		h.Planted[bug] = sum
	}
	maps.Copy(h.permitted.offered, other.permitted.offered)
	maps.Copy(h.permitted.seen, other.permitted.seen)
	for _, f := range other.Failures {
		h.Failures = append(h.Failures, f.in(dir))
	}
	for _, f := range other.OwnBugs {
		h.OwnBugs = append(h.OwnBugs, f.in(dir))
	}
	for _, g := range other.Groups {
		g.First = g.First.in(dir)
		g.Smallest.Kept = in(dir, g.Smallest.Kept)
		h.joinGroup(g)
	}
}

// in is a failing run with its directory as it is seen from outside of that of its
// hunt.
func (f Failure) in(dir string) Failure {
	f.Kept = in(dir, f.Kept)
	return f
}

func in(dir, kept string) string {
	if kept == "" {
		return ""
	}
	return filepath.Join(dir, kept)
}

// Conclude ends a summary: declared are the names of all probes.
func (h *Hunt) Conclude(declared []string) {
	h.order()
	h.ProbesNeverReached = slices.DeleteFunc(slices.Clone(declared), func(name string) bool { return h.Probes[name] > 0 })
	h.AllowedNeverSeen = h.permitted.neverSeen()
}

// offer is an anomaly that is permitted for a reason.
type offer struct{ anomaly, reason string }

// permissions are what the configurations of a hunt permit.
type permissions struct{ offered, seen map[offer]bool }

func (p *permissions) offer(of Permitted) { p.offered[offer{of.Anomaly, of.Reason}] = true }

// neverSeen lists what was permitted and not seen in any run, by reason.
func (p *permissions) neverSeen() []Permitted {
	never := []Permitted{}
	for _, o := range slices.SortedFunc(maps.Keys(p.offered), func(a, b offer) int {
		if a.reason != b.reason {
			return strings.Compare(a.reason, b.reason)
		}
		return strings.Compare(a.anomaly, b.anomaly)
	}) {
		if !p.seen[o] {
			never = append(never, Permitted{Anomaly: o.anomaly, Reason: o.reason})
		}
	}
	return never
}

// sum adds seconds of virtual time to the nanosecond, so that the order of the runs does
// not show in the last digit.
func sum(a, b float64) float64 {
	return float64(int64(math.Round(a*1e9))+int64(math.Round(b*1e9))) / 1e9
}
