package reports

import (
	"fmt"
	"io"
	"path/filepath"
	"strings"
)

// Hunt sums up a campaign. Its JSON keys are a contract.
type Hunt struct {
	Runs               int                `json:"runs"`
	Failures           []Failure          `json:"failures"`
	Groups             []Group            `json:"groups"` // of the failures, the worst first
	SeedsPerSecond     float64            `json:"seeds_per_second"`
	ProbesNeverReached []string           `json:"probes_never_reached"`
	WallSeconds        float64            `json:"wall_seconds"`
	Events             uint64             `json:"events"`
	VirtualSeconds     float64            `json:"virtual_seconds"`
	Probes             map[string]int64   `json:"probes"`
	Planted            map[string]Planted `json:"planted"`
	Verdict            Verdict            `json:"verdict"`
	Interrupted        bool               `json:"interrupted,omitempty"`
	// Verdicts counts the runs by verdict, ByScenario by scenario, those without a
	// verdict too.
	Verdicts   map[Verdict]int `json:"verdicts"`
	ByScenario map[string]int  `json:"runs_by_scenario"`
	// OwnBugs are the runs without a verdict: a bug of ktrial, or a task that never
	// gave back the thread.
	OwnBugs []Failure `json:"own_bugs,omitempty"`
	// AllowedNeverSeen is what a configuration of the hunt permits and no run
	// showed: a danger that was never met, or a permission that is not needed.
	AllowedNeverSeen []Permitted `json:"allowed_never_seen"`
	// Gaps are runs that the hunt should have and does not, or has twice.
	Gaps []string `json:"gaps,omitempty"`
	// Builds played the runs, where it was more than one: a seed means the same run
	// only for the same build.
	Builds []string `json:"builds,omitempty"`

	// Dir is the directory of the hunt, in which runs are kept; empty: the one from
	// which the program was started.
	Dir string `json:"-"`

	permitted permissions
}

// NewHunt is a hunt without runs.
func NewHunt() Hunt {
	return Hunt{
		Failures: []Failure{}, Groups: []Group{}, permitted: permissions{map[offer]bool{}, map[offer]bool{}}, Probes: map[string]int64{}, Planted: map[string]Planted{},
		Verdicts: map[Verdict]int{}, ByScenario: map[string]int{}, AllowedNeverSeen: []Permitted{}, ProbesNeverReached: []string{},
	}
}

// WriteText explains a hunt to a person.
func (h *Hunt) WriteText(w io.Writer, style Style) {
	head := headline[h.Verdict]
	fmt.Fprintf(w, "%s %s, %s events, %s virtual in %s wall: %.1f seeds per second\n",
		style.paint(head.color, head.word), things(h.Runs, "run"), count(int64(h.Events)), brief(h.VirtualSeconds), brief(h.WallSeconds), h.SeedsPerSecond)
	h.writeVerdicts(w)
	h.writeGroups(w)
	h.writeOwnBugs(w)
	if len(h.Builds) > 0 {
		fmt.Fprintf(w, "  played by %d builds: %s\n", len(h.Builds), strings.Join(h.Builds, "; "))
	}
	for _, gap := range h.Gaps {
		fmt.Fprintf(w, "  gap: %s\n", gap)
	}
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
	for _, v := range []Verdict{NotDeterministic, Violated, Missing, Inconclusive, Allowed, Holds} {
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

// mostLines is how many groups, or runs without a verdict, are written.
const mostLines = 20

// writeGroups writes the ways in which runs failed, a line each: the first run, how
// many more there are, and the smallest.
func (h *Hunt) writeGroups(w io.Writer) {
	for i, g := range h.Groups {
		if i == mostLines {
			fmt.Fprintf(w, "  ... and %s more ways to fail, in %s\n", count(int64(len(h.Groups)-mostLines)), things(h.failing(h.Groups[mostLines:]), "run"))
			return
		}
		fmt.Fprintf(w, "  %v%s\n", g.First, g.more(h.Dir))
	}
}

func (h *Hunt) failing(groups []Group) (n int) {
	for _, g := range groups {
		n += g.Count
	}
	return n
}

// more is what the line of a group says beyond its first run.
func (g *Group) more(dir string) string {
	var more []string
	if g.Count > 1 {
		more = append(more, count(int64(g.Count))+" runs")
	}
	if s := g.Smallest; s.Shrunk {
		smallest := fmt.Sprintf("smallest: %s, %s", things(s.Faults, "fault"), things(int(s.Events), "event"))
		if s.Kept != "" {
			smallest += " in " + filepath.Join(dir, s.Kept)
		}
		more = append(more, smallest)
	}
	if more == nil {
		return ""
	}
	return " (" + strings.Join(more, "; ") + ")"
}

func (h *Hunt) writeOwnBugs(w io.Writer) {
	for i, f := range h.OwnBugs {
		if i == mostLines {
			fmt.Fprintf(w, "  ... and %s more runs without a verdict\n", count(int64(len(h.OwnBugs)-mostLines)))
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
