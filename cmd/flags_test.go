package cmd

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// A scenario that is named twice is played once.
func TestNamedTwiceIsPlayedOnce(t *testing.T) {
	s := typed(t, "hunt", "standard", "standard", "--seeds", "3", "--set", "duration=1s", "--json")
	assert.Equal(t, 1.0, decoded(t, s.out)["runs"])
}

// More worlds at the same time than are of use are not played, and that is said.
func TestManyJobs(t *testing.T) {
	s := typed(t, "hunt", "standard", "--seeds", "3", "--set", "duration=1s", "--jobs", "1000000")
	assert.Less(t, s.code, exitUsage)
	assert.Regexp(t, `^ktrial: --jobs 1000000: playing 1 at the same time: each takes some 50 MB, and there are \d+ processors\n$`, s.err)
}

// A shard without runs has an empty result.
func TestEmptyShard(t *testing.T) {
	s := typed(t, "hunt", "standard", "--seeds", "1..2", "--shard", "3/4")
	assert.Equal(t, 0, s.code)
	assert.Regexp(t, `^ok 0 runs, `, s.out)
	o := decoded(t, typed(t, "hunt", "standard", "--seeds", "1..2", "--shard", "3/4", "--json").out)
	assert.Equal(t, 0.0, o["runs"])
	assert.Empty(t, o["failures"].([]any))
}

// A hunt plays the plan that it is given, in every run.
func TestAHuntPlaysAPlan(t *testing.T) {
	plan := write(t, "plan.txt", "at 1s for 1s: pause broker-2\n")
	dir := t.TempDir()
	s := typed(t, "hunt", "rolling-restart", "--seeds", "1..2", "--set", "duration=3s", "--plan", plan, "--out", dir)
	require.Equal(t, 2, s.code, "its own danger is not met")
	assert.Contains(t, s.out, "--set duration=3s --plan "+plan)
	for _, seed := range []string{"1", "2"} {
		text, err := os.ReadFile(filepath.Join(dir, "rolling-restart-"+seed, "plan.txt"))
		require.NoError(t, err)
		assert.Contains(t, string(text), "of the run\nat 1s for 1s: pause broker-2\n")
	}
	s = typed(t, "hunt", "standard", "--seeds", "1", "--plan", write(t, "plan.txt", "at 1s: kill broker-9\n"))
	assert.Equal(t, exitUsage, s.code)
	assert.Contains(t, s.err, `host "broker-9" is unknown`)
	assert.Equal(t, exitUsage, typed(t, "run", "standard", "--plan", plan, "--no-faults").code)
}

// A run without faults says so, and is the same when it is played again; so is
// one with an empty plan.
func TestWithoutFaults(t *testing.T) {
	none := write(t, "none.txt", "# no faults\n")
	for _, c := range []struct{ flags, says string }{
		{"--no-faults", "no faults, trace"},
		{"--plan " + none, "0 faults, trace"},
	} {
		dir := t.TempDir()
		s := typed(t, append(strings.Fields("run standard --seed 3 --set duration=3s --out "+dir), strings.Fields(c.flags)...)...)
		assert.Equal(t, 0, s.code)
		assert.Contains(t, s.out, c.says)
		assert.Contains(t, s.out, "again:   ktrial run standard --seed 3 --set duration=3s "+c.flags+"\n")
		assert.Equal(t, 0, typed(t, "replay", filepath.Join(dir, "run.json")).code)
	}
}

// What is permitted is allowed, and with --strict violated; of a hunt's runs the
// worst counts.
func TestStrict(t *testing.T) {
	skipIfShort(t)
	t.Parallel()
	run := []string{"run", "acks-one", "--seed", "1", "--set", "rate=20"}
	s := apart(t, run...)
	assert.Equal(t, 0, s.code)
	assert.Contains(t, s.out, "ALLOWED acks-one seed 1 ")
	assert.Regexp(t, `(?m)^  allowed +acknowledged records are never lost: [\d,]+ checked$`, s.out)
	assert.Equal(t, "allowed", decoded(t, apart(t, append(run, "--json")...).out)["verdict"])

	dir := t.TempDir()
	s = apart(t, append(run, "--strict", "--out", dir)...)
	assert.Equal(t, 1, s.code)
	assert.Contains(t, s.out, "FAIL acks-one seed 1 ")
	assert.Contains(t, s.out, "acknowledged records are never lost at ")
	assert.Regexp(t, `(?m)^  violated +acknowledged records are never lost: [\d,]+ checked$`, s.out)
	assert.Contains(t, s.out, "again:   ktrial run acks-one --seed 1 --set rate=20 --strict\n")
	assert.Equal(t, 1, apart(t, "replay", filepath.Join(dir, "run.json")).code)

	hunt := []string{"hunt", "acks-one", "standard", "--seeds", "1", "--set", "duration=4s"}
	for flags, code := range map[string]int{"": 0, "--strict": 1} {
		s = apart(t, append(hunt, strings.Fields(flags)...)...)
		assert.Contains(t, []int{code, 2}, s.code, s.out) // in four seconds the danger may not be met
	}
}

// A law that broke inside is not offered to the judge of what clients saw.
func TestAViolationInsideIsNotOfferedToCheck(t *testing.T) {
	dir := t.TempDir()
	s := typed(t, "run", "leadership-ping-pong", "--seed", "1", "--plant", "repl.truncate_to_hw", "--out", dir)
	require.Equal(t, 1, s.code)
	assert.NotContains(t, s.out, "ktrial check")
	said := strings.Join(strings.Fields(s.out), " ")
	assert.Contains(t, said, "check: the run broke a law inside the cluster before clients could notice, so what they saw (history.jsonl) does not show it")
	assert.Contains(t, s.out, "replay:  ktrial replay "+filepath.Join(dir, "run.json"))
}

// Failures are counted by error.
func TestFailuresByError(t *testing.T) {
	s := typed(t, "run", "standard", "--seed", "1", "--set", "cleanup.policy=compact", "--set", "duration=3s", "--no-faults")
	assert.Equal(t, 2, s.code)
	assert.Regexp(t, `(?m)^  records  ([\d,]+) failed: ([\d,]+) INVALID_RECORD$`, s.out)
}

// What is wrong comes first.
func TestFailuresComeFirst(t *testing.T) {
	s := typed(t, "run", "late-requests", "--seed", "1", "--plant", "idem.no_window")
	lines := strings.Split(s.out, "\n")
	assert.Regexp(t, `^FAIL late-requests seed 1 `, lines[0])
	assert.Regexp(t, `^  records are not duplicated at `, lines[2])
	assert.Less(t, strings.Index(s.out, "records are not duplicated at"), strings.Index(s.out, "  world    "))
	assert.Less(t, strings.Index(s.out, "  violated     records are not duplicated"), strings.Index(s.out, "  holds        acknowledged records"))
}
