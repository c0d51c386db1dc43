package reports

import (
	"fmt"
	"io"
	"strings"
)

// Hunt sums up a campaign. Its JSON keys are a contract.
type Hunt struct {
	Runs               int                `json:"runs"`
	Failures           []Failure          `json:"failures"`
	SeedsPerSecond     float64            `json:"seeds_per_second"`
	ProbesNeverReached []string           `json:"probes_never_reached"`
	WallSeconds        float64            `json:"wall_seconds"`
	Events             uint64             `json:"events"`
	VirtualSeconds     float64            `json:"virtual_seconds"`
	Probes             map[string]int64   `json:"probes"`
	Planted            map[string]Planted `json:"planted"`
	Verdict            Verdict            `json:"verdict"`
	Interrupted        bool               `json:"interrupted,omitempty"`
	// Verdicts counts the runs by verdict.
	Verdicts map[Verdict]int `json:"verdicts"`
	// OwnBugs are the runs without a verdict: a bug of ktrial, or a task that never
	// gave back the thread.
	OwnBugs []Failure `json:"own_bugs,omitempty"`
	// AllowedNeverSeen is what a configuration of the hunt permits and no run
	// showed: a danger that was never met, or a permission that is not needed.
	AllowedNeverSeen []Permitted `json:"allowed_never_seen"`
}

// NewHunt is a hunt without runs.
func NewHunt() Hunt {
	return Hunt{
		Failures: []Failure{}, Probes: map[string]int64{}, Planted: map[string]Planted{},
		Verdicts: map[Verdict]int{}, AllowedNeverSeen: []Permitted{}, ProbesNeverReached: []string{},
	}
}

// Failure is a failing run in a line.
type Failure struct {
	Scenario string  `json:"scenario"`
	Seed     uint64  `json:"seed"`
	Verdict  Verdict `json:"verdict"`
	Check    string  `json:"check"`
	Message  string  `json:"message"`
	Again    string  `json:"again"` // the command that plays it again
}

// Failure sums a run up. It shares no memory with it: a hunt has many.
func (r *Run) Failure() Failure {
	check, message := r.why()
	return Failure{
		Scenario: r.Scenario, Seed: r.Seed, Verdict: r.Verdict,
		Check: strings.Clone(check), Message: strings.Clone(message), Again: strings.Clone(r.Again),
	}
}

// why is what a run failed by, and what it says of it.
func (r *Run) why() (check, message string) {
	switch {
	case len(r.Violations) > 0:
		return r.Violations[0].Check, r.Violations[0].Message
	case r.Unworkable != "":
		return "a cluster works with its settings", r.Unworkable
	case len(r.NotReached) > 0:
		return "dangers are met", fmt.Sprintf("never met %q", r.NotReached[0])
	}
	for _, c := range r.Checks {
		if c.Verdict == Violated {
			return c.Name, "what is permitted is violated with --strict"
		}
		if !c.Verdict.Passes() {
			return c.Name, fmt.Sprintf("looked at %s", things(int(c.Checked), "thing"))
		}
	}
	return "", ""
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
func (h *Hunt) Add(r *Run) {
	h.Runs++
	h.Verdicts[r.Verdict]++
	h.Events += r.Events
	h.VirtualSeconds += r.VirtualSeconds
	h.Verdict = Worst(h.Verdict, r.Verdict)
	for name, n := range r.Probes {
		h.Probes[name] += n
	}
	for bug, p := range r.Planted {
		sum := h.Planted[bug]
		sum.Reached += p.Reached
		sum.Infected += p.Infected
		sum.Detected += min(1, p.Detected)
		h.Planted[bug] = sum
	}
}

// WriteText explains a hunt to a person.
func (h *Hunt) WriteText(w io.Writer, style Style) {
	head := headline[h.Verdict]
	fmt.Fprintf(w, "%s %s, %s events, %s virtual in %s wall: %.1f seeds per second\n",
		style.paint(head.color, head.word), things(h.Runs, "run"), count(int64(h.Events)), brief(h.VirtualSeconds), brief(h.WallSeconds), h.SeedsPerSecond)
	h.writeVerdicts(w)
	h.writeFailures(w, h.Failures, "failing runs")
	h.writeFailures(w, h.OwnBugs, "runs without a verdict")
	if h.Interrupted {
		fmt.Fprintln(w, "  interrupted before all seeds were played")
	}
	if len(h.ProbesNeverReached) > 0 && h.Runs > 0 {
		fmt.Fprintf(w, "  never reached: %s\n", Wrap(strings.Join(h.ProbesNeverReached, ", "), "    ", style.room(17, 110)))
	}
	h.writeNeverSeen(w, style)
}

// writeVerdicts counts the runs by verdict, where it is not one for all.
func (h *Hunt) writeVerdicts(w io.Writer) {
	var parts []string
	for _, v := range []Verdict{NotDeterministic, Violated, Inconclusive, Allowed, Holds} {
		if n := h.Verdicts[v]; n > 0 {
			parts = append(parts, count(int64(n))+" "+string(v))
		}
	}
	if n := len(h.OwnBugs); n > 0 {
		parts = append(parts, count(int64(n))+" without a verdict, by a bug of ktrial's own")
	}
	if len(parts) > 1 || len(h.OwnBugs) > 0 {
		fmt.Fprintf(w, "  %s\n", strings.Join(parts, ", "))
	}
}

// writeFailures writes at most twenty runs, a line each.
func (h *Hunt) writeFailures(w io.Writer, failures []Failure, what string) {
	const most = 20
	for i, f := range failures {
		if i == most {
			fmt.Fprintf(w, "  ... and %s more %s\n", count(int64(len(failures)-most)), what)
			return
		}
		fmt.Fprintf(w, "  %v\n", f)
	}
}

func (h *Hunt) writeNeverSeen(w io.Writer, style Style) {
	var reasons []string
	anomalies := map[string][]string{}
	for _, a := range h.AllowedNeverSeen {
		if anomalies[a.Reason] == nil {
			reasons = append(reasons, a.Reason)
		}
		anomalies[a.Reason] = append(anomalies[a.Reason], a.Anomaly)
	}
	for _, reason := range reasons {
		fmt.Fprintf(w, "  permitted but never observed: %s\n", Wrap(strings.Join(anomalies[reason], ", ")+", because "+reason, "    ", style.room(32, 110)))
	}
}
