package cmd

import (
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var smallBench = []string{"bench", "--rate", "2000", "--consumers", "1", "--warmup", "1s", "--for", "1s"}

func TestBench_PrintsTextJSONAndCSV(t *testing.T) {
	text := typed(t, smallBench...)
	require.Equal(t, 0, text.code, text.err)
	assert.Contains(t, text.out, "bench with profile teaching, seed 1")
	assert.Contains(t, text.out, "binds          nothing: the load is carried")

	asJSON := typed(t, append(smallBench, "--json")...)
	var got struct {
		Type      string  `json:"type"`
		Hash      string  `json:"trace_hash"`
		PerSecond float64 `json:"records_per_second"`
	}
	require.NoError(t, json.Unmarshal([]byte(asJSON.out), &got), asJSON.out)
	assert.Equal(t, "bench", got.Type)
	assert.InEpsilon(t, 2000, got.PerSecond, 0.05)
	assert.Contains(t, text.out, got.Hash, "the same run")

	dir := t.TempDir()
	asCSV := typed(t, append(smallBench, "--csv", "--plots", dir)...)
	assert.FileExists(t, filepath.Join(dir, "budget.svg"))
	assert.FileExists(t, filepath.Join(dir, "resources.svg"))
	assert.Equal(t, 2, strings.Count(asCSV.out, "\n"))
	assert.True(t, strings.HasPrefix(asCSV.out, "profile,seed,settings,records_per_second,"), asCSV.out)
}

func TestBench_TakesTheShapeOfAScenario(t *testing.T) {
	s := typed(t, append(smallBench, "leader-loses-power", "--json")...)
	require.Equal(t, 0, s.code, s.err)
	assert.Contains(t, s.out, `"min.insync.replicas":"2"`)
}

func TestBench_RefusesWhatCannotBePlayed(t *testing.T) {
	for _, c := range []struct{ args, says string }{
		{"bench --profile teachin", "did you mean teaching?"},
		{"bench --set linger=3 --rate 10", "linger"},
		{"bench --set acks=2 --rate 10", "acks"},
		{"bench --payload xml", `found "xml", expected zeros, text, json or random`},
		{"bench standrad", "did you mean standard?"},
		{"bench --rate 10 --json --csv", "--json --csv: expected one of them"},
		{"bench --published LI11", `figure "LI11" is unknown; did you mean LI1?`},
		{"tune --rate 10", "found no --vary"},
		{"tune --rate 10 --vary linger.ms", "expected setting=value,value"},
		{"tune --rate 10 --vary linger.ms=0 --goal p98<3", `metric "p98" is unknown`},
		{"tune --rate 10 --vary linger.ms=0 --design half", `--design "half": expected full, pairwise or latin`},
	} {
		s := typed(t, strings.Fields(c.args)...)
		assert.Equal(t, exitUsage, s.code, c.args)
		assert.Contains(t, s.err, c.says, c.args)
	}
}

func TestTune_TellsTheBestAndGoesOnWhereItWas(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "sweep")
	args := []string{"tune", "--rate", "2000", "--warmup", "1s", "--for", "300ms", "--vary", "linger.ms=0,10", "--minimize", "mean", "--goal", "p99<100", "--out", dir}
	first := typed(t, args...)
	require.Equal(t, 0, first.code, first.err)
	assert.Contains(t, first.out, "2 cells of 2 combinations")
	assert.Contains(t, first.out, "best by mean: linger.ms=0")
	for _, name := range []string{"effects-p99.svg", "effects-throughput.svg", "front.svg"} {
		assert.FileExists(t, filepath.Join(dir, name))
	}
	again := typed(t, args...)
	assert.Equal(t, first.out, again.out)
}

func TestListConfigs_MarksWhatActsInBench(t *testing.T) {
	s := typed(t, "list", "configs")
	assert.Regexp(t, `(?m)num\.io\.threads .*\(acts in bench\)`, s.out)
	assert.Regexp(t, `(?m)compression\.zstd\.level .*\(acts in bench\)`, s.out)
	assert.NotRegexp(t, `(?m)^ *transactional\.id .*\(acts in bench\)`, s.out)
}
