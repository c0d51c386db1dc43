package predict

import (
	"flag"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ktrial/ktrial/lab/bench"
	"github.com/ktrial/ktrial/lab/profile"
	"github.com/ktrial/ktrial/lab/published"
)

var long = flag.Bool("long", false, "run the long tests, too")

// notPlayed are published figures that are no measurements of a load: limits of vendors,
// constants, speeds of disks and codecs. A profile holds them, or a baseline.
var notPlayed = []string{"LI9", "HW", "GC", "MSK", "LZB", "JR2", "JR3"}

func TestCases_EveryMeasurementIsPlayedOnce(t *testing.T) {
	count := map[string]int{}
	for _, c := range Cases() {
		for _, id := range c.Rows {
			count[id]++
		}
	}
	for _, row := range published.Rows() {
		constant := slices.ContainsFunc(notPlayed, func(p string) bool { return strings.HasPrefix(row.ID, p) })
		if constant {
			assert.Zero(t, count[row.ID], row.ID)
			continue
		}
		assert.Equal(t, 1, count[row.ID], row.ID)
	}
	for _, id := range fitted {
		assert.Equal(t, 1, count[id], "fitted: %s", id)
	}
}

func TestCases_CanBePlayed(t *testing.T) {
	for _, c := range Cases() {
		p, err := profile.Load(c.Profile)
		require.NoError(t, err, c.Name)
		o := c.Options
		o.Profile = p
		assert.NoError(t, o.Check(), c.Name)
		assert.NotEmpty(t, c.About, c.Name)
		for _, id := range c.Rows {
			row, ok := published.Named(id)
			require.True(t, ok, id)
			_, known := value(bench.Result{Publish: bench.Latency{Above: map[string]float64{"5": 0, "10": 0, "15": 0, "20": 0, "30": 0, "40": 0}}}, bench.Result{}, row.Metric)
			assert.True(t, known, "%s: %s", id, row.Metric)
		}
	}
}

// A figure that a profile was fitted to is met: else the profile was changed, or the model.
func TestPlay_WhatWasFittedFits(t *testing.T) {
	for _, c := range Cases() {
		if c.Name != "linkedin one in flight" && !*long {
			continue
		}
		if !slices.ContainsFunc(c.Rows, func(id string) bool { return slices.Contains(fitted, id) }) {
			continue
		}
		lines, err := c.Play()
		require.NoError(t, err)
		for _, l := range lines {
			if l.Fitted {
				assert.InDelta(t, 0, l.Error(), 0.65, "%s: %v published, %v modelled", l.Row.ID, l.Row.Value, l.Model)
			}
		}
	}
}

func TestWithin_CountsOnlyWhatWasNotFitted(t *testing.T) {
	row := func(v float64) published.Row { return published.Row{ID: "x", Value: v} }
	lines := []Line{{Row: row(10), Model: 10, Fitted: true}, {Row: row(10), Model: 11}, {Row: row(10), Model: 6}, {Row: row(10), Model: -3}, {Row: row(10), Model: 30}}
	n, of := Within(lines, 1.2)
	assert.Equal(t, []int{1, 4}, []int{n, of})
	n, _ = Within(lines, 2)
	assert.Equal(t, 2, n)
	assert.Contains(t, Text(lines), "Of 4 figures that were not fitted, 1 are within 20% and 2 within a factor of 2.")
}
