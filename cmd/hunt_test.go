package cmd

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/spf13/cobra"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ktrial/ktrial/reports"
	hunts "github.com/ktrial/ktrial/scenarios/hunt"
)

// A hunt that is interrupted ends in order: what it found is told, with exit
// code 130. A run has nothing to tell.
func TestInterrupted(t *testing.T) {
	for _, c := range []struct{ args, out, err string }{
		{"hunt standard --seeds 1..100000 --set duration=2s", `ok [\d,]+ runs?, .* seeds per second\n  interrupted before all seeds were played\n`, "ktrial: interrupted; the runs under way end first\n"},
		{"hunt standard --seeds 1..100000 --set duration=2s --json", `"interrupted":true`, "ktrial: interrupted; the runs under way end first\n"},
		{"run standard --seed 1 --set duration=100000s", `^$`, "ktrial: interrupted\n"},
	} {
		t.Run(c.args, func(t *testing.T) {
			t.Parallel()
			cmd := program(strings.Fields(c.args)...)
			var out, errs bytes.Buffer
			cmd.Stdout, cmd.Stderr = &out, &errs
			require.NoError(t, cmd.Start())
			time.Sleep(time.Second)
			require.NoError(t, cmd.Process.Signal(syscall.SIGINT))
			cmd.Wait()
			assert.Equal(t, exitInterrupted, cmd.ProcessState.ExitCode())
			assert.Regexp(t, c.out, out.String())
			assert.Equal(t, c.err, errs.String())
		})
	}
}

// Shards play every job once among them.
func TestShardsShareTheJobs(t *testing.T) {
	skipIfShort(t)
	t.Parallel()
	runs := 0.0
	seeds := map[string]bool{}
	for shard := range 3 {
		dir := t.TempDir()
		s := apart(t, "hunt", "late-requests", "standard", "--seeds", "1..3", "--shard", fmt.Sprintf("%d/3", shard),
			"--plant", "idem.no_window", "--set", "duration=12s", "--json", "--shrink", "0", "--out", dir)
		lines := strings.Split(strings.TrimSpace(s.out), "\n")
		runs += decoded(t, lines[len(lines)-1])["runs"].(float64)
		for i, line := range lines[:len(lines)-1] {
			o := decoded(t, line)
			name := fmt.Sprintf("%s-%v", o["scenario"], o["seed"])
			assert.False(t, seeds[name], "%s was played twice", name)
			seeds[name] = true
			kept := filepath.Join(dir, name, "run.json")
			require.FileExists(t, kept)
			if i == 0 && shard == 0 {
				assert.Equal(t, 1, apart(t, "replay", kept).code, "what a hunt keeps is played again")
			}
		}
	}
	assert.Equal(t, 6.0, runs)
	assert.NotEmpty(t, seeds)
}

// A run that proves nothing is told with what it never met.
func TestHuntTellsOfInconclusiveRuns(t *testing.T) {
	t.Parallel()
	s := apart(t, "hunt", "rolling-restart", "--seeds", "1..2", "--jobs", "1", "--set", "duration=2s")
	assert.Equal(t, 2, s.code)
	assert.Contains(t, s.out, `  inconclusive ktrial run rolling-restart --seed 1 --set duration=2s   # never met "controlled shutdown" (2 runs)`)
}

// With --json there is one object on standard output, also when a story is told.
func TestStoryBesideJSON(t *testing.T) {
	t.Parallel()
	s := apart(t, "run", "standard", "--seed", "1", "--set", "duration=1s", "--json", "--story")
	assert.Equal(t, "standard", decoded(t, s.out)["scenario"])
	assert.Contains(t, s.err, "becomes leader of orders/0")
	s = apart(t, "run", "standard", "--seed", "1", "--set", "duration=1s", "--story")
	assert.Contains(t, s.out, "becomes leader of orders/0")
	assert.Empty(t, s.err)
}

// A hunt ends when its time is over or enough has failed.
func TestHuntEnds(t *testing.T) {
	t.Parallel()
	begun := time.Now()
	s := apart(t, "hunt", "standard", "--for", "1s", "--set", "duration=2s")
	assert.Equal(t, 0, s.code, s.out)
	assert.Less(t, time.Since(begun), time.Minute)

	s = apart(t, "hunt", "late-requests", "--seeds", "1..1000", "--jobs", "1", "--stop-at", "1", "--plant", "idem.no_window")
	assert.Equal(t, 1, s.code)
	assert.Regexp(t, `(?m)^  violated     ktrial run late-requests --seed \d+ --plant idem.no_window   # `, s.out)
}

// Elsewhere than on a terminal a hunt says every half minute that it lives.
func TestHeartbeat(t *testing.T) {
	old := os.Stderr
	defer func() { os.Stderr = old }()
	file, err := os.Create(filepath.Join(t.TempDir(), "err"))
	require.NoError(t, err)
	defer file.Close()
	os.Stderr = file
	tell := huntProgress()
	for seconds := range 100 {
		tell(hunts.Progress{Done: 2 * seconds, Failures: 1, Groups: 1, Total: 400, LastGroup: 7 * time.Second, Unreached: 31, Elapsed: time.Duration(seconds) * time.Second})
	}
	text, err := os.ReadFile(file.Name())
	require.NoError(t, err)
	require.False(t, isTerminal(file))
	golden(t, "testdata/hunt/heartbeat.txt", string(text))
}

// Every verdict and every way to end has its exit code, and each was seen.
func TestExitCodes(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	run := func(args string) int { return apart(t, strings.Fields(args)...).code }
	assert.Equal(t, 0, run("run standard --seed 3 --set duration=3s --out "+dir))
	assert.Equal(t, 1, run("run late-requests --seed 1 --plant idem.no_window"))
	assert.Equal(t, 1, run("hunt late-requests --seeds 1 --plant idem.no_window"))
	none := write(t, "none.txt", "# no faults\n")
	assert.Equal(t, 2, run("run leader-loses-power --seed 1 --plan "+none), "a run that never met its danger")
	assert.Equal(t, 2, run("run standard --seed 1 --set producers=0 --set duration=1s"), "a run that looked at nothing")
	kept := filepath.Join(dir, "run.json")
	text, err := os.ReadFile(kept)
	require.NoError(t, err)
	other := regexp.MustCompile(`"trace_hash": "\w+"`).ReplaceAll(text, []byte(`"trace_hash": "0123456789abcdef"`))
	assert.Equal(t, int(reports.ExitCode(reports.NotDeterministic)), run("replay "+write(t, "run.json", string(other))))
	assert.Equal(t, exitUsage, run("run standard --seed x"))
	// 130: see TestInterrupted.

	buggy := &cobra.Command{SilenceErrors: true, SilenceUsage: true, RunE: func(*cobra.Command, []string) error { panic("two offsets, one record") }}
	buggy.SetArgs([]string{})
	assert.Equal(t, exitOurBug, execute(buggy))
	buggy.RunE = func(*cobra.Command, []string) error { return errors.New("our own fault") }
	assert.Equal(t, exitOurBug, execute(buggy))
}

// How a hunt ends: what was asked to be kept and is not comes first, then a
// broken promise, then a bug of ours.
func TestHowAHuntEnds(t *testing.T) {
	bug := []reports.Failure{{Scenario: "standard", Seed: 2}}
	for _, c := range []struct {
		sum     reports.Hunt
		notKept []error
		code    int
	}{
		{reports.Hunt{Verdict: reports.Holds}, nil, 0},
		{reports.Hunt{Verdict: reports.Allowed}, nil, 0},
		{reports.Hunt{Verdict: reports.Inconclusive}, nil, 2},
		{reports.Hunt{Verdict: reports.Violated}, nil, 1},
		{reports.Hunt{Verdict: reports.Holds, OwnBugs: bug}, nil, exitOurBug},
		{reports.Hunt{Verdict: reports.Inconclusive, OwnBugs: bug}, nil, exitOurBug},
		{reports.Hunt{Verdict: reports.Violated, OwnBugs: bug}, nil, 1},
		{reports.Hunt{Verdict: reports.NotDeterministic, OwnBugs: bug}, nil, 3},
		{reports.Hunt{Verdict: reports.Violated, Interrupted: true}, nil, exitInterrupted},
		{reports.Hunt{Verdict: reports.Violated}, []error{errors.New("no space left on device")}, exitUsage},
	} {
		command := &cobra.Command{SilenceErrors: true, SilenceUsage: true, RunE: func(*cobra.Command, []string) error {
			return (&telling{notKept: c.notKept}).end(c.sum)
		}}
		command.SetArgs([]string{})
		assert.Equal(t, c.code, execute(command), "%+v", c)
	}
}
