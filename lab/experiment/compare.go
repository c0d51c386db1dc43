package experiment

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/ktrial/ktrial/lab/design"
)

// Pair is a case that both tables have, by one metric.
type Pair struct {
	Case                string
	Measured, Low, High float64 // median, least and greatest of the repetitions
	Predicted           float64
}

// Comparison is a metric over all cases.
type Comparison struct {
	Metric Metric
	Pairs  []Pair
	Tau    float64 // Kendall's tau-b of predicted and measured
	// MedianError is that of the sizes of the relative errors; Worst the greatest; Within20
	// the share of at most 20%, Within2x that of a factor of two either way.
	MedianError, Worst, Within20, Within2x float64
	// InSpread is the share of predictions that lie between the least and the greatest
	// that was measured.
	InSpread float64
	// Noise is the median of (greatest - least) / median over the cases: a claim below it
	// means nothing.
	Noise float64
}

// Compare pairs what was measured with what was predicted, for each metric that has
// cases in both. Cases that only one has are returned beside.
func Compare(measured, predicted []Row) (all []Comparison, unpaired []string) {
	forecast := map[string]Row{}
	for _, r := range predicted {
		forecast[r.Case()] = r
	}
	byCase := map[string][]Row{}
	var cases []string
	for _, r := range measured {
		if r.failed() {
			continue
		}
		c := r.Case()
		if byCase[c] == nil {
			cases = append(cases, c)
		}
		byCase[c] = append(byCase[c], r)
	}
	slices.Sort(cases)
	for _, c := range cases {
		if f, ok := forecast[c]; !ok || f.failed() {
			unpaired = append(unpaired, c)
		}
	}
	for _, m := range Metrics {
		c := Comparison{Metric: m}
		for _, name := range cases {
			if f, ok := forecast[name]; ok && !f.failed() && m.Has(f) && m.Of(f) > 0 { // 0: it does not know
				c.Pairs = append(c.Pairs, pair(name, m, byCase[name], f))
			}
		}
		if len(c.Pairs) > 0 {
			all = append(all, c.judged())
		}
	}
	return all, unpaired
}

func pair(name string, m Metric, repetitions []Row, forecast Row) Pair {
	var xs []float64
	for _, r := range repetitions {
		xs = append(xs, m.Of(r))
	}
	return Pair{Case: name, Measured: median(xs), Low: slices.Min(xs), High: slices.Max(xs), Predicted: m.Of(forecast)}
}

// median is the middle one, or the mean of the middle two.
func median(xs []float64) float64 {
	sorted := slices.Sorted(slices.Values(xs))
	n := len(sorted)
	if n == 0 {
		return math.NaN()
	}
	return (sorted[(n-1)/2] + sorted[n/2]) / 2
}

// judged computes the numbers of a comparison.
func (c Comparison) judged() Comparison {
	var predicted, measured, sizes, noise []float64
	inSpread, within2x := 0, 0
	for _, p := range c.Pairs {
		predicted, measured = append(predicted, p.Predicted), append(measured, p.Measured)
		if p.Measured > 0 { // a tool that counts milliseconds may say 0
			noise = append(noise, (p.High-p.Low)/p.Measured)
		}
		if p.Predicted >= p.Low && p.Predicted <= p.High {
			inSpread++
		}
		if p.Predicted >= p.Measured/2 && p.Predicted <= p.Measured*2 {
			within2x++
		}
	}
	errors := design.RelativeErrors(predicted, measured)
	for _, e := range errors {
		if !math.IsNaN(e) {
			sizes = append(sizes, math.Abs(e))
		}
	}
	n := float64(len(c.Pairs))
	c.Tau = design.KendallTauB(predicted, measured)
	c.MedianError, c.Within20, c.Within2x = median(sizes), design.Within(errors, 0.2), float64(within2x)/n
	c.Worst = design.Summarize(sizes).Max
	c.InSpread, c.Noise = float64(inSpread)/n, median(noise)
	return c
}

// Table is the comparisons as Markdown, one line a metric. by says what predicted.
func Table(by string, all []Comparison) string {
	var b strings.Builder
	b.WriteString("| predicted by | metric | cases | Kendall tau | median error | within 20% | within 2x | worst error | in the spread | noise |\n|---|---|---|---|---|---|---|---|---|---|\n")
	b.WriteString(Lines(by, all))
	return b.String()
}

// Lines are those of a table without its head.
func Lines(by string, all []Comparison) string {
	var b strings.Builder
	for _, c := range all {
		fmt.Fprintf(&b, "| %s | %s | %d | %.2f | %.0f%% | %.0f%% | %.0f%% | %.0f%% | %.0f%% | %.0f%% |\n", by, c.Metric.Name, len(c.Pairs), c.Tau,
			100*c.MedianError, 100*c.Within20, 100*c.Within2x, 100*c.Worst, 100*c.InSpread, 100*c.Noise)
	}
	return b.String()
}

// Cases are the pairs of a comparison as Markdown.
func Cases(c Comparison) string {
	var b strings.Builder
	fmt.Fprintf(&b, "| case | measured, %s | least to greatest | predicted | error |\n|---|---|---|---|---|\n", c.Metric.Unit)
	for _, p := range c.Pairs {
		fmt.Fprintf(&b, "| %s | %.4g | %.4g to %.4g | %.4g | %+.0f%% |\n", p.Case, p.Measured, p.Low, p.High, p.Predicted, 100*(p.Predicted/p.Measured-1))
	}
	return b.String()
}
