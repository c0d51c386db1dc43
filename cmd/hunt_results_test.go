package cmd

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	hunts "github.com/ktrial/ktrial/scenarios/hunt"
)

// summary is the last line of --json, without what depends on the machine.
func summary(t *testing.T, out string) map[string]any {
	t.Helper()
	lines := strings.Split(strings.TrimSpace(out), "\n")
	o := decoded(t, lines[len(lines)-1])
	assert.Equal(t, "summary", o["type"])
	for _, key := range []string{"wall_seconds", "seeds_per_second", "builds"} {
		delete(o, key)
	}
	return o
}

// bare has no directory in it, which another hunt names otherwise.
func bare(t *testing.T, o map[string]any, dirs ...string) string {
	t.Helper()
	text, err := json.MarshalIndent(o, "", " ")
	require.NoError(t, err)
	for _, dir := range dirs {
		text = bytes.ReplaceAll(text, []byte(dir+"/"), nil)
	}
	return string(text)
}

var manyFail = strings.Fields("late-requests standard --seeds 1..4 --jobs 2 --plant idem.no_window --set duration=12s")

// allFound is what a hunt of these finds at once, without the directories of what is kept.
func allFound(t *testing.T) map[string]any {
	t.Helper()
	foundAtOnce.Do(func() { foundText = apart(t, append([]string{"hunt", "--json"}, manyFail...)...).out })
	return without(summary(t, foundText), "kept")
}

var (
	foundAtOnce sync.Once
	foundText   string
)

// A hunt that is killed at any moment goes on with --resume, and has found in the end
// what it would have found at once.
func TestAKilledHuntGoesOn(t *testing.T) {
	skipIfShort(t)
	t.Parallel()
	want := allFound(t)
	dir := t.TempDir()
	hunt := append([]string{"hunt", "--json", "--shrink", "0", "--out", dir}, manyFail...)
	cmd := program(hunt...)
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	objects := bufio.NewScanner(out)
	objects.Buffer(nil, 1<<24)
	require.True(t, objects.Scan())
	assert.Equal(t, "run", decoded(t, objects.Text())["type"])
	require.NoError(t, cmd.Process.Kill())
	_ = cmd.Wait()

	s := apart(t, "merge", dir)
	assert.Equal(t, 1, s.code, "what is violated stays so")
	assert.Regexp(t, `(?m)^  gap: .*: seeds 1\.\.4, shard 0/1: it was killed, or is still under way after \d+ of 8 runs \(go on: hunt --resume\)$`, s.out)
	s = apart(t, append(hunt, "--resume")...)
	assert.Equal(t, 1, s.code)
	got := summary(t, s.out)
	assert.FileExists(t, filepath.Join(dir, "index.html"))
	s = apart(t, "merge", dir, "--json")
	assert.Equal(t, bare(t, got), bare(t, summary(t, s.out), dir))
	assert.Equal(t, 1, s.code)
	assert.Equal(t, bare(t, want), bare(t, without(got, "kept")))
}

// without takes a key out of an object, however deep it lies.
func without(o any, key string) map[string]any {
	var walk func(any)
	walk = func(v any) {
		switch v := v.(type) {
		case map[string]any:
			delete(v, key)
			for _, inner := range v {
				walk(inner)
			}
		case []any:
			for _, inner := range v {
				walk(inner)
			}
		}
	}
	walk(o)
	return o.(map[string]any)
}

func TestResume_WrongArguments(t *testing.T) {
	t.Parallel()
	dir, other := t.TempDir(), t.TempDir()
	require.Less(t, apart(t, "hunt", "standard", "--seeds", "3", "--set", "duration=1s", "--out", dir).code, exitUsage)
	for _, c := range []struct{ args, says string }{
		{"hunt standard --seeds 3 --resume", "--resume goes on with the hunt in the directory of --out: expected --out, too"},
		{"hunt standard --seeds 3 --resume --force --out " + dir, "--resume --force: expected one of them"},
		{"hunt standard --seeds 3 --resume --out " + other, "hunt.json: no such file or directory"},
		{"hunt standard --seeds 3 --resume --out " + dir, "found a hunt of standard with seeds 3..3, shard 0/1, expected a hunt of standard with seeds 3..3, shard 0/1 with the same settings"},
		{"hunt standard --seeds 3..4 --set duration=1s --resume --out " + dir, "expected a hunt of standard with seeds 3..4, shard 0/1 with the same settings"},
		{"hunt standard --seeds 3 --shrink -1s", "--shrink -1s: expected a time above 0, or 0"},
		{"merge", "merge: found no arguments, expected DIR..., directories of hunt --out"},
		{"merge " + other, "hunt.json: no such file or directory"},
	} {
		s := apart(t, strings.Fields(c.args)...)
		assert.Equal(t, exitUsage, s.code, c.args)
		assert.Contains(t, s.err, c.says)
	}
	assert.Less(t, apart(t, "hunt", "standard", "--seeds", "3", "--set", "duration=1s", "--out", dir, "--resume").code, exitUsage)
}

// The smallest run of a group is searched for, kept, named in the line of the group and
// linked from the page; it is played again like any other.
func TestHuntShrinksTheFirstOfEachGroup(t *testing.T) {
	skipIfShort(t)
	t.Parallel()
	dir := t.TempDir()
	s := apart(t, "hunt", "late-requests", "--seeds", "1..3", "--plant", "idem.no_window", "--set", "duration=12s", "--shrink", "20s", "--out", dir)
	require.Equal(t, 1, s.code)
	smallest := filepath.Join(dir, "late-requests-1", "smallest")
	assert.Regexp(t, `(?m)^  violated     ktrial run late-requests --seed 1 .*   # records are not duplicated: .* \(3 runs; smallest: \d faults?, [\d,]+ events in `+smallest+`\)$`, s.out)
	assert.Equal(t, 1, apart(t, "replay", filepath.Join(smallest, "run.json")).code)
	page, err := os.ReadFile(filepath.Join(dir, "index.html"))
	require.NoError(t, err)
	for _, link := range []string{"late-requests-1/report.html", "late-requests-3/report.html", "late-requests-1/smallest/report.html"} {
		assert.Contains(t, string(page), `<a href="`+link+`">`)
		assert.FileExists(t, filepath.Join(dir, link))
	}
}

// In a GitHub workflow the failures are annotations, and the summary of the step has
// them; JUnit has them everywhere.
func TestHuntInACI(t *testing.T) {
	skipIfShort(t)
	dir := t.TempDir()
	step, junit := filepath.Join(dir, "step.md"), filepath.Join(dir, "junit.xml")
	t.Setenv("GITHUB_ACTIONS", "true")
	t.Setenv("GITHUB_STEP_SUMMARY", step)
	require.NoError(t, os.WriteFile(step, []byte("of an earlier command\n"), 0o644))
	s := typed(t, append([]string{"hunt", "--json", "--junit", junit}, manyFail...)...)
	assert.Equal(t, 1, s.code)
	assert.Regexp(t, `(?m)^::error title=violated%3A records are not duplicated \(duplicate\) of orders%2C in \d+ runs::`, s.err)
	for line := range strings.Lines(s.out) {
		assert.Contains(t, []string{"run", "summary"}, decoded(t, line)["type"], "standard output is JSON lines, each with a type")
	}
	text, err := os.ReadFile(step)
	require.NoError(t, err)
	assert.Regexp(t, `^of an earlier command\n### ktrial hunt: violated\n`, string(text))
	text, err = os.ReadFile(junit)
	require.NoError(t, err)
	assert.Contains(t, string(text), `<testcase name="records are not duplicated (duplicate) of orders" classname="late-requests">`)

	t.Setenv("GITHUB_STEP_SUMMARY", filepath.Join(dir, "none", "step.md"))
	assert.Equal(t, exitOutput, typed(t, "hunt", "standard", "--seeds", "3", "--set", "duration=1s").code)
	assert.Equal(t, exitOutput, typed(t, "hunt", "standard", "--seeds", "3", "--set", "duration=1s", "--junit", filepath.Join(dir, "none", "x.xml")).code)
}

var (
	halfWay = hunts.Progress{Done: 50, Earlier: 10, Total: 100, Failures: 3, Groups: 2, Elapsed: 20 * time.Second, LastGroup: 5 * time.Second, Unreached: 31}
	endless = hunts.Progress{Done: 50, Elapsed: 20 * time.Second}
)

// The line of progress has what a person waits for, and fits the terminal.
func TestProgressOnATerminal(t *testing.T) {
	golden(t, "testdata/hunt/progress.txt", fmt.Sprintln(describeProgress(halfWay, true))+fmt.Sprintln(describeProgress(endless, false)))
}
