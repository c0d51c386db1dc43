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
	// AllowedNeverSeen is what a configuration of the hunt permits and no run
	// showed: a danger that was never met, or a permission that nobody needs.
	AllowedNeverSeen []Permitted `json:"allowed_never_seen"`
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

// Failure sums a run up.
func (r *Run) Failure() Failure {
	f := Failure{Scenario: r.Scenario, Seed: r.Seed, Verdict: r.Verdict, Again: r.Again}
	switch {
	case len(r.Violations) > 0:
		f.Check, f.Message = r.Violations[0].Check, r.Violations[0].Message
	case len(r.NotReached) > 0:
		f.Check, f.Message = "dangers are met", fmt.Sprintf("never met %q", r.NotReached[0])
	default:
		for _, c := range r.Checks {
			if !c.Verdict.Passes() {
				f.Check, f.Message = c.Name, fmt.Sprintf("looked at %s", things(int(c.Checked), "thing"))
				break
			}
		}
	}
	return f
}

// Add counts a run.
func (h *Hunt) Add(r *Run) {
	h.Runs++
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

// WriteText tells a hunt to a person.
func (h *Hunt) WriteText(w io.Writer, style Style) {
	head := headline[h.Verdict]
	fmt.Fprintf(w, "%s %s, %s events, %s virtual in %s wall: %.1f seeds per second\n",
		style.paint(head.color, head.word), things(h.Runs, "run"), count(int64(h.Events)), brief(h.VirtualSeconds), brief(h.WallSeconds), h.SeedsPerSecond)
	if h.Interrupted {
		fmt.Fprintln(w, "  interrupted before all seeds were played")
	}
	if len(h.ProbesNeverReached) > 0 {
		fmt.Fprintf(w, "  never reached: %s\n", strings.Join(h.ProbesNeverReached, ", "))
	}
	h.writeNeverSeen(w)
	for i, f := range h.Failures {
		if i == 20 {
			fmt.Fprintf(w, "  ... and %d more failing runs\n", len(h.Failures)-20)
			break
		}
		why := f.Check
		if f.Verdict == Inconclusive {
			why = f.Message
		}
		fmt.Fprintf(w, "  %-12s %s   # %s\n", f.Verdict, f.Again, why)
	}
}

func (h *Hunt) writeNeverSeen(w io.Writer) {
	var reasons []string
	anomalies := map[string][]string{}
	for _, a := range h.AllowedNeverSeen {
		if anomalies[a.Reason] == nil {
			reasons = append(reasons, a.Reason)
		}
		anomalies[a.Reason] = append(anomalies[a.Reason], a.Anomaly)
	}
	for _, reason := range reasons {
		fmt.Fprintf(w, "  allowed and never seen: %s, because %s\n", strings.Join(anomalies[reason], ", "), reason)
	}
}
