package design

import (
	"math"
	"slices"
)

// Effect is what a factor does to a result, averaged over all else.
type Effect struct {
	Factor Factor
	// Means are those of the result by level; NaN where no run has one.
	Means []float64
	// Counts are how many runs each mean is of.
	Counts []int
}

// Size is the difference between the greatest and the least mean.
func (e Effect) Size() float64 {
	low, high := math.Inf(1), math.Inf(-1)
	for _, m := range e.Means {
		if !math.IsNaN(m) {
			low, high = min(low, m), max(high, m)
		}
	}
	return max(0, high-low)
}

// MainEffects are the effects on a result of each run, the greatest first. A
// result of NaN is missing. In a design that is not balanced, part of another
// factor's effect may be in one's own: a pairwise array is nearly balanced only.
func MainEffects(d Design, result []float64) []Effect {
	effects := make([]Effect, len(d.Factors))
	for f, factor := range d.Factors {
		e := Effect{Factor: factor, Means: make([]float64, len(factor.Levels)), Counts: make([]int, len(factor.Levels))}
		for i, run := range d.Runs {
			if !math.IsNaN(result[i]) {
				e.Means[run[f]] += result[i]
				e.Counts[run[f]]++
			}
		}
		for l, n := range e.Counts {
			e.Means[l] = meanOf(e.Means[l], n)
		}
		effects[f] = e
	}
	slices.SortStableFunc(effects, func(a, b Effect) int {
		switch {
		case a.Size() > b.Size():
			return -1
		case a.Size() < b.Size():
			return 1
		}
		return 0
	})
	return effects
}

// Table is the mean of a result for each two levels of two factors, by level of
// the first, then of the second; NaN where no run has both.
func Table(d Design, result []float64, first, second int) [][]float64 {
	sums := make([][]float64, len(d.Factors[first].Levels))
	counts := make([][]int, len(sums))
	for i := range sums {
		sums[i] = make([]float64, len(d.Factors[second].Levels))
		counts[i] = make([]int, len(sums[i]))
	}
	for i, run := range d.Runs {
		if !math.IsNaN(result[i]) {
			sums[run[first]][run[second]] += result[i]
			counts[run[first]][run[second]]++
		}
	}
	for i := range sums {
		for j := range sums[i] {
			sums[i][j] = meanOf(sums[i][j], counts[i][j])
		}
	}
	return sums
}

func meanOf(sum float64, n int) float64 {
	if n == 0 {
		return math.NaN()
	}
	return sum / float64(n)
}

// Sense is which values of a result are better.
type Sense bool

const (
	Minimize Sense = false
	Maximize Sense = true
)

// better says how much better a is than b: above 0 it is.
func (s Sense) better(a, b float64) float64 {
	if s == Maximize {
		return a - b
	}
	return b - a
}

// Pareto are the indices of the points that no other beats: none is at least as
// good in all results and better in one. A point with a NaN is left out.
func Pareto(points [][]float64, senses []Sense) (front []int) {
	for i, p := range points {
		if slices.ContainsFunc(p, math.IsNaN) {
			continue
		}
		if !slices.ContainsFunc(points, func(q []float64) bool { return dominates(q, p, senses) }) {
			front = append(front, i)
		}
	}
	return front
}

func dominates(q, p []float64, senses []Sense) bool {
	somewhere := false
	for k, s := range senses {
		switch d := s.better(q[k], p[k]); {
		case math.IsNaN(d) || d < 0:
			return false
		case d > 0:
			somewhere = true
		}
	}
	return somewhere
}

// KendallTauB is the rank correlation of two results of the same runs, between
// -1 and 1, with Kendall's correction for ties (1945). It is NaN where one of
// them is the same in all runs. Pairs with a NaN are left out.
func KendallTauB(a, b []float64) float64 {
	var concordant, discordant, onlyA, onlyB float64
	for i := range a {
		for j := range i {
			da, db := a[i]-a[j], b[i]-b[j]
			switch {
			case math.IsNaN(da) || math.IsNaN(db) || da == 0 && db == 0:
			case da == 0:
				onlyB++ // differs in b alone
			case db == 0:
				onlyA++
			case (da > 0) == (db > 0):
				concordant++
			default:
				discordant++
			}
		}
	}
	both := concordant + discordant
	return (concordant - discordant) / math.Sqrt((both+onlyA)*(both+onlyB))
}

// RelativeErrors are (predicted - measured) / measured; NaN where nothing was
// measured.
func RelativeErrors(predicted, measured []float64) []float64 {
	errors := make([]float64, len(measured))
	for i := range measured {
		errors[i] = math.NaN()
		if measured[i] != 0 {
			errors[i] = (predicted[i] - measured[i]) / measured[i]
		}
	}
	return errors
}

// Within is the share of errors whose size is at most a bound; those that are
// NaN do not count.
func Within(errors []float64, bound float64) float64 {
	n, within := 0, 0
	for _, e := range errors {
		if math.IsNaN(e) {
			continue
		}
		n++
		if math.Abs(e) <= bound {
			within++
		}
	}
	return float64(within) / float64(n)
}

// Summary are quantiles of samples, each the least sample that at least that
// share of all does not exceed (nearest rank). All are NaN of no samples.
type Summary struct {
	Count                                              int
	Mean, Min, P25, P50, P75, P90, P95, P99, P999, Max float64
}

// Summarize summarizes samples; those that are NaN do not count.
func Summarize(samples []float64) Summary {
	sorted := slices.DeleteFunc(slices.Clone(samples), math.IsNaN)
	slices.Sort(sorted)
	sum := 0.0
	for _, x := range sorted {
		sum += x
	}
	q := func(part float64) float64 { return Quantile(sorted, part) }
	return Summary{
		Count: len(sorted), Mean: meanOf(sum, len(sorted)), Min: q(0), P25: q(0.25), P50: q(0.5), P75: q(0.75), P90: q(0.9),
		P95: q(0.95), P99: q(0.99), P999: q(0.999), Max: q(1),
	}
}

// Quantile is that of sorted samples, by nearest rank; NaN of none.
func Quantile(sorted []float64, part float64) float64 {
	if len(sorted) == 0 {
		return math.NaN()
	}
	// The tolerance is for parts that binary fractions do not have: 0.07 x 100 is above 7.
	rank := int(math.Ceil(part*float64(len(sorted)) - 1e-9))
	return sorted[min(max(rank, 1), len(sorted))-1]
}

// Line is the least-squares line y = Intercept + Slope x.
type Line struct{ Intercept, Slope float64 }

// FitLine fits one; with fewer than two different x its slope is NaN.
func FitLine(x, y []float64) Line {
	n := float64(len(x))
	var sx, sy, sxx, sxy float64
	for i := range x {
		sx, sy = sx+x[i], sy+y[i]
	}
	mx, my := sx/n, sy/n
	for i := range x {
		sxx += (x[i] - mx) * (x[i] - mx)
		sxy += (x[i] - mx) * (y[i] - my)
	}
	slope := math.NaN()
	if sxx > 0 {
		slope = sxy / sxx
	}
	return Line{Intercept: my - slope*mx, Slope: slope}
}
