package cmd

import (
	"bufio"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// What was kept before is not overwritten, unless it is the same run or it is
// asked for.
func TestOutIsNotOverwritten(t *testing.T) {
	t.Parallel()
	const short = "duration=1s"
	run := func(dir string, more ...string) said {
		return apart(t, append([]string{"run", "standard", "--set", short, "--out", dir}, more...)...)
	}
	hunt := func(dir string, more ...string) said {
		return apart(t, append([]string{"hunt", "rolling-restart", "--seeds", "1..2", "--set", short, "--out", dir}, more...)...)
	}
	hint := "expected an empty directory (name another one, or add --force to replace what is in it)"

	dir := filepath.Join(t.TempDir(), "of", "a", "run")
	assert.Less(t, run(dir, "--seed", "3").code, exitUsage)
	assert.Less(t, run(dir, "--seed", "3").code, exitUsage, "the same run")
	s := run(dir, "--seed", "4")
	assert.Equal(t, exitUsage, s.code)
	assert.Equal(t, "ktrial: --out "+dir+": found the run of standard with seed 3, "+hint+"\n", s.err)
	assert.Equal(t, exitUsage, run(dir, "--seed", "3", "--no-faults").code)
	assert.Equal(t, exitUsage, hunt(dir).code)
	assert.Less(t, run(dir, "--seed", "4", "--force").code, exitUsage)
	text, err := os.ReadFile(filepath.Join(dir, "run.json"))
	require.NoError(t, err)
	assert.Contains(t, string(text), `"seed": 4`)

	dir = filepath.Join(t.TempDir(), "of a hunt")
	assert.Equal(t, 2, hunt(dir).code)
	s = hunt(dir)
	assert.Equal(t, exitUsage, s.code)
	assert.Equal(t, "ktrial: --out "+dir+": found a hunt of rolling-restart with seeds 1..2, shard 0/1, "+hint+"\n", s.err)
	assert.Equal(t, exitUsage, run(dir, "--seed", "3").code)
	require.DirExists(t, filepath.Join(dir, "rolling-restart-2"))
	mine := filepath.Join(dir, "notes.txt")
	require.NoError(t, os.WriteFile(mine, []byte("mine"), 0o644))
	s = apart(t, "hunt", "standard", "--seeds", "3", "--set", "duration=4s", "--out", dir, "--force")
	assert.Less(t, s.code, exitUsage)
	assert.NoDirExists(t, filepath.Join(dir, "rolling-restart-2"), "the runs of the other hunt are gone")
	assert.FileExists(t, mine, "and nothing else is")

	s = run(filepath.Dir(mine), "--seed", "3")
	assert.Contains(t, s.err, "found a hunt of standard with seeds 3..3")
	s = hunt("testdata")
	assert.Equal(t, exitUsage, s.code)
	assert.Contains(t, s.err, "--out testdata: found check and more, "+hint)
	assert.Equal(t, exitUsage, apart(t, "run", "standard", "--force").code)
}

// A hunt that is killed at any moment has kept what it told.
func TestAKilledHuntHasKeptWhatItTold(t *testing.T) {
	skipIfShort(t)
	t.Parallel()
	dir := t.TempDir()
	cmd := program("hunt", "late-requests", "--plant", "idem.no_window", "--seeds", "1..100000", "--jobs", "2", "--json", "--out", dir)
	errs, err := cmd.StderrPipe()
	require.NoError(t, err)
	objects, err := os.Create(filepath.Join(t.TempDir(), "objects"))
	require.NoError(t, err)
	defer objects.Close()
	cmd.Stdout = objects
	require.NoError(t, cmd.Start())
	var told []string
	keptIn := regexp.MustCompile(`^violated +ktrial run late-requests --seed \d+ --plant idem.no_window +# .* \(kept in (.+)\)$`)
	for lines := bufio.NewScanner(errs); len(told) < 3 && lines.Scan(); {
		if m := keptIn.FindStringSubmatch(lines.Text()); m != nil {
			told = append(told, m[1])
		}
	}
	require.NoError(t, cmd.Process.Kill()) // kill -9
	_ = cmd.Wait()

	require.Len(t, told, 3)
	for _, kept := range told {
		for _, name := range []string{"run.json", "history.jsonl", "trace.jsonl.gz", "story.txt", "plan.txt", "timeline.svg"} {
			assert.FileExists(t, filepath.Join(kept, name))
		}
	}
	runs, err := filepath.Glob(filepath.Join(dir, "late-requests-*", "run.json"))
	require.NoError(t, err)
	assert.GreaterOrEqual(t, len(runs), 3)
	assert.Equal(t, 1, apart(t, "replay", filepath.Join(told[0], "run.json")).code)
	assert.Equal(t, 0, apart(t, "trace", told[0]).code, "the trace can be read")
	text, err := os.ReadFile(objects.Name())
	require.NoError(t, err)
	whole := strings.Split(strings.TrimSpace(string(text)), "\n")
	require.GreaterOrEqual(t, len(whole), 3)
	for _, line := range whole[:3] {
		assert.Equal(t, "violated", decoded(t, line)["verdict"])
	}
}

// A failing run of a hunt has its whole trace, as that of `ktrial run --out` has.
func TestAHuntKeepsTheWholeTrace(t *testing.T) {
	skipIfShort(t)
	t.Parallel()
	dir := t.TempDir()
	one, many := filepath.Join(dir, "one"), filepath.Join(dir, "many")
	bug := []string{"late-requests", "--plant", "idem.no_window", "--out"}
	require.Equal(t, 1, apart(t, append([]string{"run", "--seed", "1"}, append(bug, one)...)...).code)
	require.Equal(t, 1, apart(t, append([]string{"hunt", "--seeds", "1", "--shrink", "0"}, append(bug, many)...)...).code)
	for _, name := range []string{"trace.jsonl.gz", "story.txt", "plan.txt", "history.jsonl"} {
		want, err := os.ReadFile(filepath.Join(one, name))
		require.NoError(t, err)
		got, err := os.ReadFile(filepath.Join(many, "late-requests-1", name))
		require.NoError(t, err)
		assert.True(t, string(want) == string(got), "%s of a hunt differs from that of the same run", name)
	}
}
