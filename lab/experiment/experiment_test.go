package experiment

import (
	"bytes"
	"math"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func row(settings string, rate float64, repetition int, perSecond, mean, p99 float64) Row {
	return Row{Settings: strings.Fields(settings), Rate: rate, Repetition: repetition, PerSecond: perSecond, Mean: mean, P50: 1, P95: 2, P99: p99, P999: 9, Max: 10, By: "a test"}
}

func TestATableIsReadAsItWasWritten(t *testing.T) {
	rows := []Row{row("acks=1 linger.ms=5", 0, 1, 1000.5, 3, 4), row("acks=all linger.ms=5", 2000, 2, 2000, 1.25, 8)}
	var out bytes.Buffer
	w, err := NewWriter(&out, false)
	require.NoError(t, err)
	require.NoError(t, w.Write(rows[0]))
	w, err = NewWriter(&out, true)
	require.NoError(t, err)
	require.NoError(t, w.Write(rows[1]))
	read, err := Read(&out)
	require.NoError(t, err)
	assert.Equal(t, rows, read)
	assert.Equal(t, "acks=1 linger.ms=5 load=max", read[0].Case())
	assert.Equal(t, "acks=all linger.ms=5 load=2000", read[1].Case())
	assert.Equal(t, "all", read[1].Setting("acks"))
	assert.Empty(t, read[1].Setting("ack"))
}

func TestADamagedTableIsAnError(t *testing.T) {
	head := strings.Join(columns, ",") + "\n"
	for text, want := range map[string]string{
		"":                                   "experiment: found other columns, expected settings,load",
		"a,b\n":                              "experiment: found other columns",
		head + "a=1,fast,1,1,1,1,1,1,1,1,\n": `row 1: found load "fast", expected a rate or max`,
		head + "a=1,max,x,1,1,1,1,1,1,1,\n":  `row 1: found repetition "x", expected a number`,
		head + "a=1,max,1,1,?,1,1,1,1,1,\n":  `row 1: found mean_ms "?", expected a number`,
	} {
		_, err := Read(strings.NewReader(text))
		assert.ErrorContains(t, err, want)
	}
}

func TestComparing(t *testing.T) {
	measured := []Row{
		row("acks=1", 0, 1, 90, 10, 20), row("acks=1", 0, 2, 100, 12, 22), row("acks=1", 0, 3, 110, 11, 21),
		row("acks=all", 0, 1, 50, 30, 60), row("acks=all", 0, 2, 60, 31, 61),
		row("acks=1", 2000, 1, 2000, 4, 8), row("acks=all", 2000, 1, 2000, 6, 9), row("acks=0", 2000, 1, 2000, 1, 2),
		row("acks=2", 0, 1, 0, 0, 0), // it failed
	}
	predicted := []Row{
		row("acks=1", 0, 0, 105, 22, 21), row("acks=all", 0, 0, 110, 60, 60), row("acks=1", 2000, 0, 2000, 4.4, 8), row("acks=all", 2000, 0, 2000, 3, 30),
		row("acks=7", 0, 0, 1, 1, 1),
	}
	all, unpaired := Compare(measured, predicted)
	assert.Equal(t, []string{"acks=0 load=2000"}, unpaired)
	names := map[string]Comparison{}
	for _, c := range all {
		names[c.Metric.Name] = c
	}
	assert.Len(t, names, 5)

	through := names["throughput"]
	assert.Equal(t, []Pair{{"acks=1 load=max", 100, 90, 110, 105}, {"acks=all load=max", 55, 50, 60, 110}}, through.Pairs)
	assert.Equal(t, -1.0, through.Tau, "the order is wrong")
	assert.InDelta(t, (0.05+1)/2, through.MedianError, 1e-12)
	assert.Equal(t, 0.5, through.Within20)
	assert.Equal(t, 1.0, through.Within2x)
	assert.Equal(t, 1.0, through.Worst)
	assert.Equal(t, 0.5, through.InSpread)
	assert.InDelta(t, (20.0/100+10.0/55)/2, through.Noise, 1e-12)

	p99 := names["p99 latency at a fixed rate"]
	assert.Equal(t, 1.0, p99.Tau)
	assert.Equal(t, 0.5, p99.Within2x)

	table := Table("the model", all)
	assert.Contains(t, table, "| the model | throughput | 2 | -1.00 | 52% | 50% | 100% | 100% | 50% | 19% |\n")
	assert.Contains(t, Cases(through), "| acks=all load=max | 55 | 50 to 60 | 110 | +100% |\n")
}

// A predictor that knows no p99, and a tool that counts whole milliseconds.
func TestWhatIsNotKnownIsNotCompared(t *testing.T) {
	all, _ := Compare([]Row{row("acks=1", 2000, 1, 2000, 4, 0), row("acks=all", 2000, 1, 2000, 5, 2)}, []Row{row("acks=1", 2000, 0, 2000, 4, 1), row("acks=all", 2000, 0, 2000, 4, 0)})
	require.Len(t, all, 2)
	assert.Len(t, all[0].Pairs, 2)
	assert.Equal(t, "p99 latency at a fixed rate", all[1].Metric.Name)
	require.Len(t, all[1].Pairs, 1)
	assert.True(t, math.IsNaN(all[1].MedianError), "nothing was measured that an error could be relative to")
}

func TestNothingToCompare(t *testing.T) {
	all, unpaired := Compare(nil, nil)
	assert.Empty(t, all)
	assert.Empty(t, unpaired)
}
