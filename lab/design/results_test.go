package design

import (
	"math"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

var nan = math.NaN()

func TestMainEffectsAreMeansByLevelAndTheGreatestIsFirst(t *testing.T) {
	factors, err := ParseFactors([]string{"acks=1,all", "linger.ms=0,5,20"})
	require.NoError(t, err)
	// acks=all adds 1 and linger adds half of itself; the last run failed.
	effects := MainEffects(Full(factors), []float64{2, 4.5, 12, 3, 5.5, nan})
	assert.Equal(t, "linger.ms", effects[0].Factor.Name)
	assert.Equal(t, []float64{2.5, 5, 12}, effects[0].Means)
	assert.Equal(t, []int{2, 2, 1}, effects[0].Counts)
	assert.Equal(t, 9.5, effects[0].Size())
	assert.InDelta(t, 18.5/3, effects[1].Means[0], 1e-12)
	assert.Equal(t, 4.25, effects[1].Means[1])
}

func TestALevelWithoutResultHasNoMean(t *testing.T) {
	d := Full(sized(2))
	e := MainEffects(d, []float64{nan, 3})[0]
	assert.True(t, math.IsNaN(e.Means[0]))
	assert.Zero(t, e.Size())
}

func TestATableHasTheMeansOfTwoFactors(t *testing.T) {
	table := Table(Full(sized(2, 2, 2)), []float64{1, 3, 10, 30, nan, 7, nan, nan}, 0, 1)
	assert.Equal(t, []float64{2, 20}, table[0])
	assert.Equal(t, 7.0, table[1][0])
	assert.True(t, math.IsNaN(table[1][1]))
}

func TestTheParetoFrontIsWhatNoOtherBeats(t *testing.T) {
	senses := []Sense{Maximize, Minimize} // throughput, latency
	points := [][]float64{{100, 5}, {200, 9}, {150, 9}, {90, 4}, {100, 5}, {80, 6}, {300, nan}}
	assert.Equal(t, []int{0, 1, 3, 4}, Pareto(points, senses))
}

// What is not in the front is beaten by what is; nothing in the front is beaten.
func TestTheParetoFrontBeatsTheRest(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		value := rapid.IntRange(0, 5)
		var points [][]float64
		for range rapid.IntRange(1, 20).Draw(t, "points") {
			points = append(points, []float64{float64(value.Draw(t, "x")), float64(value.Draw(t, "y")), float64(value.Draw(t, "z"))})
		}
		senses := []Sense{Maximize, Minimize, Minimize}
		front := Pareto(points, senses)
		assert.NotEmpty(t, front)
		for i := range points {
			beaten := slices.ContainsFunc(front, func(f int) bool { return dominates(points[f], points[i], senses) })
			assert.NotEqual(t, slices.Contains(front, i), beaten, "point %d", i)
		}
	})
}

func TestKendallTauB(t *testing.T) {
	for _, c := range []struct {
		about string
		a, b  []float64
		want  float64
	}{
		{"the same order", []float64{1, 2, 3, 4}, []float64{10, 20, 25, 99}, 1},
		{"the opposite", []float64{1, 2, 3, 4}, []float64{9, 7, 5, 1}, -1},
		{"one pair of six differs", []float64{1, 2, 3, 4}, []float64{1, 2, 4, 3}, 4.0 / 6},
		// Of ten pairs eight agree, one is tied in a and one in b.
		{"with ties", []float64{1, 2, 2, 3, 4}, []float64{1, 2, 3, 5, 5}, 8 / math.Sqrt(9*9)},
		{"one disagrees, two are tied", []float64{1, 1, 2, 3}, []float64{1, 2, 2, 0}, (1.0 - 3) / math.Sqrt(5*5)},
		{"a missing value is left out", []float64{1, nan, 3, 4}, []float64{1, 0, 3, 9}, 1},
	} {
		assert.InDelta(t, c.want, KendallTauB(c.a, c.b), 1e-12, c.about)
	}
	assert.True(t, math.IsNaN(KendallTauB([]float64{1, 1, 1}, []float64{1, 2, 3})))
}

func TestRelativeErrors(t *testing.T) {
	errors := RelativeErrors([]float64{110, 80, 5}, []float64{100, 100, 0})
	assert.InDelta(t, 0.1, errors[0], 1e-12)
	assert.InDelta(t, -0.2, errors[1], 1e-12)
	assert.True(t, math.IsNaN(errors[2]))
	assert.Equal(t, 0.5, Within(errors, 0.15))
	assert.Equal(t, 1.0, Within(errors, 0.21))
}

func TestASummaryIsByNearestRank(t *testing.T) {
	var samples []float64
	for i := 100; i >= 1; i-- {
		samples = append(samples, float64(i))
	}
	s := Summarize(append(samples, nan))
	assert.Equal(t, Summary{Count: 100, Mean: 50.5, Min: 1, P25: 25, P50: 50, P75: 75, P90: 90, P95: 95, P99: 99, P999: 100, Max: 100}, s)
	assert.Equal(t, 7.0, Quantile(ascending(100), 0.07))
	none := Summarize(nil)
	assert.Zero(t, none.Count)
	assert.True(t, math.IsNaN(none.P50))
}

func ascending(n int) (sorted []float64) {
	for i := range n {
		sorted = append(sorted, float64(i+1))
	}
	return sorted
}

func TestALineIsFitted(t *testing.T) {
	l := FitLine([]float64{0, 1, 2, 3}, []float64{1, 3, 5, 7})
	assert.InDelta(t, 1, l.Intercept, 1e-12)
	assert.InDelta(t, 2, l.Slope, 1e-12)
	assert.True(t, math.IsNaN(FitLine([]float64{4, 4}, []float64{1, 2}).Slope))
}
