package cmd

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// An answer that did not arrive is no success and no verdict: it is said, with
// the exit code of wrong arguments.
func TestAFullDevice(t *testing.T) {
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Skipf("there is no device that is always full: %v", err)
	}
	t.Cleanup(func() { full.Close() }) // after the subtests, which run at the same time
	kept := t.TempDir()
	require.Equal(t, 0, typed(t, "run", "standard", "--seed", "3", "--set", "duration=2s", "--out", kept).code)
	for _, args := range []string{
		"--help",
		"--version",
		"list",
		"list configs",
		"list --json",
		"run standard --seed 3 --set duration=2s",
		"run standard --seed 3 --set duration=2s --json",
		"run standard --seed 3 --set duration=2s --story",
		"run late-requests --seed 1 --plant idem.no_window",
		"hunt standard --seeds 1 --set duration=2s",
		"hunt late-requests --seeds 1 --plant idem.no_window --json",
		"replay " + filepath.Join(kept, "run.json"),
		"trace " + kept,
		"check " + filepath.Join(kept, "history.jsonl"),
		"check --json " + filepath.Join(kept, "history.jsonl"),
		"completion bash",
	} {
		t.Run(args, func(t *testing.T) {
			t.Parallel()
			cmd := program(strings.Fields(args)...)
			var errs bytes.Buffer
			cmd.Stdout, cmd.Stderr = full, &errs
			_ = cmd.Run()
			assert.Equal(t, exitUsage, cmd.ProcessState.ExitCode(), errs.String())
			assert.Contains(t, errs.String(), "ktrial: standard output: ")
			assert.Contains(t, errs.String(), "no space left on device")
		})
	}
}

// What was to be kept and is not is said, and the verdict told all the same.
func TestWhatCannotBeKept(t *testing.T) {
	skipIfShort(t)
	t.Parallel()
	dir := t.TempDir()
	// A file stands where the run's own directory is to be written.
	blocked := filepath.Join(dir, "late-requests-1"+unfinished)
	require.NoError(t, os.WriteFile(blocked, nil, 0o644))
	s := apart(t, "hunt", "late-requests", "--seeds", "1", "--plant", "idem.no_window", "--out", dir, "--force")
	assert.Equal(t, exitUsage, s.code)
	assert.Contains(t, s.out, "FAIL 1 run, ")
	assert.Contains(t, s.err, "# records are not duplicated: ")
	assert.Contains(t, s.err, "(not kept: ")
	assert.Contains(t, s.err, "ktrial: --out "+dir+": 1 of 1 failing runs are not kept: ")

	dir = t.TempDir()
	require.NoError(t, os.Mkdir(filepath.Join(dir, "history.jsonl"), 0o755))
	s = apart(t, "run", "late-requests", "--seed", "1", "--plant", "idem.no_window", "--out", dir, "--force")
	assert.Equal(t, exitUsage, s.code)
	assert.Contains(t, s.out, "FAIL late-requests seed 1 ")
	assert.Contains(t, s.err, "ktrial: --out "+dir+": ")
	assert.NotContains(t, s.out, "replay:  ", "it is not there")
}
