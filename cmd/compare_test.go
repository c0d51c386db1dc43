package cmd

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// A scenario is played twice with one seed, and kept; two kept runs are compared in the
// same way.
func TestCompare(t *testing.T) {
	skipIfShort(t)
	t.Parallel()
	out := filepath.Join(t.TempDir(), "both")
	s := apart(t, "compare", "standard", "--seed", "3", "--no-faults", "--set", "duration=2s", "--set", "acks=all", "--set", "acks=1", "--set", "enable.idempotence=false", "--out", out)
	require.Equal(t, 0, s.code, s.err)
	assert.Contains(t, s.out, "A  ktrial run standard --seed 3 --set acks=all --set duration=2s --set enable.idempotence=false --no-faults\n")
	assert.Contains(t, s.out, "B  ktrial run standard --seed 3 --set acks=1 --set duration=2s --set enable.idempotence=false --no-faults\n")
	assert.Regexp(t, `the same for [\d,]+ events, up to \S+s; the first difference:\n    A `, s.out)
	assert.Regexp(t, `acknowledgement: half within +\S+ms +\S+ms  × 0`, s.out, "acks=1 is faster")
	assert.Contains(t, s.out, filepath.Join(out, "b", "report.html")+"#t=")
	assert.Contains(t, s.out, filepath.Join(out, "compare.html"))
	first, err := os.ReadFile(filepath.Join(out, "compare.html"))
	require.NoError(t, err)

	a, b := filepath.Join(out, "a"), filepath.Join(out, "b")
	s = apart(t, "compare", a, b, "--json")
	require.Equal(t, 0, s.code, s.err)
	again := filepath.Join(t.TempDir(), "again")
	require.Zero(t, apart(t, "compare", a, b, "--out", again).code)
	second, err := os.ReadFile(filepath.Join(again, "compare.html"))
	require.NoError(t, err)
	assert.InDelta(t, len(first), len(second), 2000, "kept runs give the page again, but for their names")
	got := decoded(t, s.out)
	assert.Equal(t, false, got["equal"])
	assert.NotEmpty(t, got["numbers"])
	assert.Contains(t, apart(t, "compare", a, a).out, "the same from beginning to end")
	s = apart(t, "compare", a, b, "--require", "ack.p99<1ns")
	assert.Equal(t, 4, s.code)
	assert.Contains(t, s.err, "required ack.p99<1ns: ack.p99 is")

	for _, c := range []struct {
		args []string
		says string
	}{
		{[]string{"standard", "--set", "acks=1"}, "found no setting that is given twice"},
		{[]string{"standard", "--set", "acks=1", "--set", "acks=0", "--set", "acks=all"}, "--set acks: found it 3 times"},
		{[]string{a, "nowhere"}, "nowhere"},
		{[]string{a, b, a}, "found 3 arguments"},
		{[]string{"standart", "--set", "acks=1", "--set", "acks=0"}, "did you mean standard"},
	} {
		s := apart(t, append([]string{"compare"}, c.args...)...)
		assert.Equal(t, exitUsage, s.code, c.args)
		assert.Contains(t, s.err, c.says)
	}
}
