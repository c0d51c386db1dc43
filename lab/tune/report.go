package tune

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/ktrial/ktrial/internal/nearest"
	"github.com/ktrial/ktrial/lab/bench"
	"github.com/ktrial/ktrial/lab/design"
)

// Metric is a number of a result.
type Metric struct {
	Name  string
	About string
	Sense design.Sense
	of    func(*bench.Result) float64
}

// Metrics are those that goals may name.
var Metrics = []Metric{
	{"throughput", "records acknowledged a second", design.Maximize, func(r *bench.Result) float64 { return r.PerSecond }},
	{"mean", "publish latency, mean, ms", design.Minimize, func(r *bench.Result) float64 { return r.Publish.Mean }},
	{"p50", "publish latency, median, ms", design.Minimize, func(r *bench.Result) float64 { return r.Publish.P50 }},
	{"p99", "publish latency, 99th percentile, ms", design.Minimize, func(r *bench.Result) float64 { return r.Publish.P99 }},
	{"p999", "publish latency, 99.9th percentile, ms", design.Minimize, func(r *bench.Result) float64 { return r.Publish.P999 }},
	{"e2e.mean", "end-to-end latency, mean, ms", design.Minimize, func(r *bench.Result) float64 { return r.EndToEnd.Mean }},
	{"e2e.p99", "end-to-end latency, 99th percentile, ms", design.Minimize, func(r *bench.Result) float64 { return r.EndToEnd.P99 }},
	{"requests", "requests at brokers a second", design.Minimize, func(r *bench.Result) float64 { return r.Requests["all"] }},
	{"cores", "use of the busiest machine's cores", design.Minimize, busiestCores},
}

func busiestCores(r *bench.Result) (most float64) {
	for _, u := range r.Resources {
		if u.Kind == "cores" {
			most = max(most, u.Busy)
		}
	}
	return most
}

// FindMetric is the metric of that name.
func FindMetric(name string) (Metric, error) {
	var names []string
	for _, m := range Metrics {
		if m.Name == name {
			return m, nil
		}
		names = append(names, m.Name)
	}
	return Metric{}, nearest.Unknown("metric", name, names)
}

// Goal is a bound on a metric.
type Goal struct {
	Metric Metric
	Below  bool
	Bound  float64
}

// ParseGoal reads "p99<20" or "throughput>50000". Latencies may end in ms.
func ParseGoal(text string) (Goal, error) {
	at := strings.IndexAny(text, "<>")
	if at < 0 {
		return Goal{}, fmt.Errorf("goal %q: expected METRIC<VALUE or METRIC>VALUE", text)
	}
	m, err := FindMetric(strings.TrimSpace(text[:at]))
	if err != nil {
		return Goal{}, fmt.Errorf("goal %q: %w", text, err)
	}
	g := Goal{Metric: m, Below: text[at] == '<'}
	if _, err := fmt.Sscanf(strings.TrimSuffix(strings.TrimSpace(text[at+1:]), "ms"), "%g", &g.Bound); err != nil {
		return Goal{}, fmt.Errorf("goal %q: expected a number after %q", text, text[at:at+1])
	}
	return g, nil
}

func (g Goal) holds(r *bench.Result) bool {
	v := g.Metric.of(r)
	return g.Below && v < g.Bound || !g.Below && v > g.Bound
}

// Report is what a sweep says.
type Report struct {
	Design design.Design `json:"-"`
	Cells  []Cell        `json:"cells"`
	// Best is the index of the cell that reaches all goals and is best by the metric; -1:
	// none reaches them.
	Best   int    `json:"best"`
	Metric string `json:"metric"`
	// Front are the cells that no other beats in throughput, p99 and the number of things
	// that are permitted to go wrong.
	Front []int `json:"pareto_front"`

	goals []Goal
	by    Metric
}

// NewReport finds the best cell, by a metric among those that reach the goals, and the
// front. Of two that are within a hundredth of each other the safer is better.
func NewReport(d design.Design, cells []Cell, by Metric, goals []Goal) *Report {
	r := &Report{Design: d, Cells: cells, Best: -1, Metric: by.Name, goals: goals, by: by}
	points := make([][]float64, len(cells))
	for i := range cells {
		c := &cells[i]
		points[i] = []float64{math.NaN(), math.NaN(), math.NaN()}
		if c.Refused != "" {
			continue
		}
		points[i] = []float64{c.Result.PerSecond, c.Result.Publish.P99, float64(len(c.Permits))}
		if slices.ContainsFunc(goals, func(g Goal) bool { return !g.holds(&c.Result) }) {
			continue
		}
		if r.Best < 0 || r.beats(c, &cells[r.Best]) {
			r.Best = i
		}
	}
	r.Front = design.Pareto(points, []design.Sense{design.Maximize, design.Minimize, design.Minimize})
	return r
}

func (r *Report) beats(a, b *Cell) bool {
	x, y := r.by.of(&a.Result), r.by.of(&b.Result)
	const alike = 0.01
	if math.Abs(x-y) <= alike*math.Max(math.Abs(x), math.Abs(y)) && len(a.Permits) != len(b.Permits) {
		return len(a.Permits) < len(b.Permits)
	}
	if r.by.Sense == design.Maximize {
		return x > y
	}
	return x < y
}

func (r *Report) results(m Metric) (out []float64) {
	for i := range r.Cells {
		if r.Cells[i].Refused != "" {
			out = append(out, math.NaN())
			continue
		}
		out = append(out, m.of(&r.Cells[i].Result))
	}
	return out
}

// Text is the report for a person.
func (r *Report) Text() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%d cells of %d combinations\n\n", len(r.Cells), design.Combinations(r.Design.Factors))
	r.table(&b)
	for _, name := range []string{"throughput", "p99"} {
		m, _ := FindMetric(name)
		r.effects(&b, m)
	}
	r.recommend(&b)
	return b.String()
}

// mostRows is how many cells a table for a person has; CSV and JSON have all.
const mostRows = 40

func (r *Report) table(b *strings.Builder) {
	fmt.Fprintf(b, "  %12s %9s %9s %9s  %-4s %s\n", "records/s", "mean ms", "p50 ms", "p99 ms", "", "settings; what binds")
	for i := range r.Cells[:min(len(r.Cells), mostRows)] {
		c := &r.Cells[i]
		if c.Refused != "" {
			fmt.Fprintf(b, "  %12s %9s %9s %9s  %-4s %s: %s\n", "-", "-", "-", "-", "", strings.Join(c.Settings, " "), c.Refused)
			continue
		}
		mark := ""
		if slices.Contains(r.Front, i) {
			mark = "*"
		}
		if i == r.Best {
			mark += "<<"
		}
		x := &c.Result
		fmt.Fprintf(b, "  %12.0f %9.3f %9.3f %9.3f  %-4s %s; %s\n", x.PerSecond, x.Publish.Mean, x.Publish.P50, x.Publish.P99, mark, strings.Join(c.Settings, " "), x.Binds)
	}
	if n := len(r.Cells) - mostRows; n > 0 {
		fmt.Fprintf(b, "  and %d more: see --csv\n", n)
	}
	b.WriteString("  * no other is better in throughput, p99 and safety at once\n\n")
}

func (r *Report) effects(b *strings.Builder, m Metric) {
	fmt.Fprintf(b, "  what each setting does to %s (%s), on average over all else\n", m.Name, m.About)
	for _, e := range design.MainEffects(r.Design, r.results(m)) {
		var parts []string
		for i, level := range e.Factor.Levels {
			parts = append(parts, fmt.Sprintf("%s: %.4g", level, e.Means[i]))
		}
		fmt.Fprintf(b, "    %-28s %s\n", e.Factor.Name, strings.Join(parts, ", "))
	}
	b.WriteString("\n")
}

func (r *Report) recommend(b *strings.Builder) {
	if r.Best < 0 {
		b.WriteString("  no cell reaches the goals\n")
		return
	}
	c := &r.Cells[r.Best]
	fmt.Fprintf(b, "  best by %s: %s\n", r.by.Name, strings.Join(c.Settings, " "))
	fmt.Fprintf(b, "    %.0f records/s, publish mean %.3f ms, p99 %.3f ms\n", c.Result.PerSecond, c.Result.Publish.Mean, c.Result.Publish.P99)
	if len(c.Permits) == 0 {
		b.WriteString("    price in safety: none of these settings permits anything acknowledged to be lost, repeated or out of order\n")
	}
	for _, p := range c.Permits {
		fmt.Fprintf(b, "    price in safety: %s\n", p)
	}
	r.trials(b)
	if safe := r.safest(); safe >= 0 && safe != r.Best {
		s := &r.Cells[safe]
		fmt.Fprintf(b, "  without that price: %s\n    %.0f records/s, publish mean %.3f ms, p99 %.3f ms\n", strings.Join(s.Settings, " "), s.Result.PerSecond, s.Result.Publish.Mean, s.Result.Publish.P99)
	}
}

// trials tells what was seen under faults, by settings that differ in it.
func (r *Report) trials(b *strings.Builder) {
	for i := range r.Cells {
		t := r.Cells[i].Trials
		if t == nil || i != r.Best && t.Allowed+t.Violated == 0 {
			continue
		}
		fmt.Fprintf(b, "    under %s, %s: %d runs, %d with a loss that a setting permits, %d violated", t.Scenario, strings.Join(r.Cells[i].Settings, " "), t.Runs, t.Allowed, t.Violated)
		var names []string
		for name := range t.Counts {
			names = append(names, name)
		}
		slices.Sort(names)
		for _, name := range names {
			fmt.Fprintf(b, "; %s: %d", name, t.Counts[name])
		}
		b.WriteString("\n")
	}
}

// safest is the best of the cells that permit nothing, or -1.
func (r *Report) safest() int {
	best := -1
	for i := range r.Cells {
		c := &r.Cells[i]
		if c.Refused != "" || len(c.Permits) > 0 || slices.ContainsFunc(r.goals, func(g Goal) bool { return !g.holds(&c.Result) }) {
			continue
		}
		if best < 0 || r.beats(c, &r.Cells[best]) {
			best = i
		}
	}
	return best
}

// Results are those of the cells that were measured.
func (r *Report) Results() (out []bench.Result) {
	for i := range r.Cells {
		if r.Cells[i].Refused == "" {
			out = append(out, r.Cells[i].Result)
		}
	}
	return out
}
