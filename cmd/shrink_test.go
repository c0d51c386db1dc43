package cmd

import (
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// A failing run is kept, made smaller, and what is left is played again.
func TestShrink(t *testing.T) {
	skipIfShort(t)
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "run")
	require.Equal(t, 1, apart(t, "run", "leadership-ping-pong", "--seed", "1", "--plant", "repl.truncate_to_hw", "--out", dir).code)
	s := apart(t, "shrink", filepath.Join(dir, "run.json"))
	require.Equal(t, 0, s.code, s.err)
	assert.Contains(t, s.out, "leadership-ping-pong seed 1 fails by: law 23:")
	assert.Contains(t, s.out, "nothing more can be taken away")
	smallest := filepath.Join(dir, "smallest", "run.json")
	assert.Equal(t, 1, apart(t, "replay", smallest).code, "the same violation")
	s = apart(t, "shrink", smallest, "--as", "test", "--for", "20s")
	require.Equal(t, 0, s.code, s.err)
	assert.Contains(t, s.out, "func TestLeadershipPingPongSeed1(t *testing.T) {")
	s = apart(t, "shrink", smallest, "--as", "seed", "--for", "20s")
	require.Equal(t, 0, s.code, s.err)
	assert.Regexp(t, `^leadership-ping-pong 1 .*repl.truncate_to_hw: .+  # .+\n\n# testdata/seeds/leadership-ping-pong-1.*\.txt\nat `, s.out)
}

func TestShrink_WrongArguments(t *testing.T) {
	t.Parallel()
	holds := filepath.Join(t.TempDir(), "holds")
	require.Equal(t, 0, apart(t, "run", "standard", "--seed", "3", "--set", "duration=2s", "--out", holds).code)
	for _, c := range []struct {
		args []string
		says string
	}{
		{[]string{"shrink"}, "shrink: found 0 arguments, expected a FILE: the run.json of a failing run"},
		{[]string{"shrink", holds}, "found a directory, expected the run.json of a recorded run (try: ktrial shrink "},
		{[]string{"shrink", filepath.Join(holds, "run.json")}, `found a run whose verdict is "holds", expected one that breaks a promise`},
		{[]string{"shrink", filepath.Join(holds, "run.json"), "--as", "poem"}, "--as poem: expected text, test or seed"},
		{[]string{"shrink", filepath.Join(holds, "run.json"), "--for", "-1s"}, "--for -1s: expected a time above 0, or 0"},
	} {
		s := apart(t, c.args...)
		assert.Equal(t, 64, s.code, c.args)
		assert.Contains(t, s.err, c.says)
	}
}
