package cmd

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ktrial/ktrial/reports"
)

// object is a JSON object as a script sees it.
type object = map[string]any

func decoded(t *testing.T, text string) object {
	var o object
	require.NoError(t, json.Unmarshal([]byte(text), &o), text)
	return o
}

// requireKeys: a contract's keys are there; more may be.
func requireKeys(t *testing.T, o any, keys string) {
	t.Helper()
	got, ok := o.(object)
	require.True(t, ok, "found %T, expected an object", o)
	for _, key := range strings.Fields(keys) {
		require.Contains(t, got, key)
	}
}

// first is the first element of a list that must have one.
func first(t *testing.T, o object, key string) any {
	t.Helper()
	list, ok := o[key].([]any)
	require.True(t, ok, "%s is %T, expected a list", key, o[key])
	require.NotEmpty(t, list, key)
	return list[0]
}

// The JSON keys that scripts rely on.
func TestJSONContract(t *testing.T) {
	t.Parallel()
	const runKeys = "scenario seed verdict trace_hash events virtual_seconds wall_seconds violations allowed checks faults probes planted config"
	t.Run("list", func(t *testing.T) {
		s := apart(t, "list", "--json")
		require.Equal(t, 0, s.code)
		o := decoded(t, s.out)
		for _, part := range strings.Fields("scenarios workloads faults checks probes configs planted") {
			requireKeys(t, first(t, o, part), "name about")
		}
	})
	t.Run("run that holds", func(t *testing.T) {
		s := apart(t, "run", "standard", "--seed", "3", "--set", "duration=4s", "--json")
		require.Equal(t, 0, s.code, s.out)
		o := decoded(t, s.out)
		requireKeys(t, o, runKeys)
		assert.Equal(t, "standard", o["scenario"])
		assert.Equal(t, 3.0, o["seed"])
		assert.Equal(t, "holds", o["verdict"])
		assert.Regexp(t, "^[0-9a-f]{16}$", o["trace_hash"])
		assert.Empty(t, o["violations"].([]any))
		requireKeys(t, first(t, o, "checks"), "name verdict checked")
		requireKeys(t, first(t, o, "faults"), "at until text")
		assert.NotEmpty(t, o["probes"])
		assert.Equal(t, "4s", o["config"].(object)["duration"])
		assert.Equal(t, 1, strings.Count(s.out, "\n"), "one object on one line")
	})
	t.Run("run that is permitted to lose", func(t *testing.T) {
		o := decoded(t, apart(t, "run", "acks-one", "--seed", "1", "--set", "rate=50", "--json").out)
		requireKeys(t, first(t, o, "allowed"), "anomaly reason count")
	})
	t.Run("run that fails", func(t *testing.T) {
		s := apart(t, failing...)
		require.Equal(t, 1, s.code)
		o := decoded(t, s.out)
		requireKeys(t, o, runKeys)
		assert.Equal(t, "violated", o["verdict"])
		violation := first(t, o, "violations").(object)
		requireKeys(t, violation, "check message ops at proof story")
		assert.NotEmpty(t, violation["ops"])
		requireKeys(t, first(t, violation, "story"), "at who what")
		requireKeys(t, o["planted"].(object)["idem.no_window"], "reached infected detected")
	})
	t.Run("hunt", func(t *testing.T) {
		s := apart(t, "hunt", "late-requests", "--seeds", "1..2", "--plant", "idem.no_window", "--json")
		require.Equal(t, 1, s.code)
		lines := strings.Split(strings.TrimSpace(s.out), "\n")
		require.Greater(t, len(lines), 1, "an object for each failing run, then the summary")
		for _, line := range lines[:len(lines)-1] {
			requireKeys(t, decoded(t, line), runKeys)
		}
		o := decoded(t, lines[len(lines)-1])
		requireKeys(t, o, "runs failures seeds_per_second probes_never_reached allowed_never_seen")
		assert.Equal(t, 2.0, o["runs"])
		assert.Len(t, o["failures"].([]any), len(lines)-1)
		requireKeys(t, first(t, o, "failures"), "scenario seed verdict check message again")
		assert.NotNil(t, o["probes_never_reached"])
	})
}

// failing is a run in which a planted bug shows.
var failing = []string{"run", "late-requests", "--seed", "1", "--plant", "idem.no_window", "--json"}

// The history of a run is judged as the run was: by the same checks, for the
// same reasons.
func TestCheckAgreesWithTheRun(t *testing.T) {
	t.Parallel()
	plain := []string{"--set", "duration=10s"}
	var permitted, violated atomic.Int64
	t.Cleanup(func() {
		assert.Positive(t, permitted.Load(), "nothing was permitted in any run, so this proves little")
		assert.Positive(t, violated.Load(), "nothing was violated in any run, so this proves little")
	})
	for _, c := range []struct {
		scenario string
		seed     string
		args     []string
	}{
		{"standard", "1", plain},
		{"standard", "2", plain},
		{"leader-loses-power", "1", plain},
		{"acks-one", "1", []string{"--set", "rate=50"}},
		{"unclean-election", "1", []string{"--set", "rate=20"}},
		{"unclean-election", "2", []string{"--set", "rate=20"}},
		{"min-isr-one", "1", []string{"--set", "rate=20"}},
		{"no-idempotence", "1", []string{"--set", "rate=50"}},
		{"no-fsync-all-lose-power", "1", []string{"--set", "rate=20"}},
		{"late-requests", "1", []string{"--plant", "idem.no_window"}},
		{"return-of-the-replica", "1", []string{"--plant", "repl.hw_committed_isr"}},
	} {
		if testing.Short() && !slices.Contains([]string{"standard 1", "acks-one 1", "late-requests 1"}, c.scenario+" "+c.seed) {
			continue // one that holds, one that is permitted to lose, one that is violated
		}
		t.Run(c.scenario+" "+c.seed, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			s := apart(t, append([]string{"run", c.scenario, "--seed", c.seed, "--json", "--out", dir}, c.args...)...)
			require.Less(t, s.code, exitUsage, s.err)
			var run reports.Run
			require.NoError(t, json.Unmarshal([]byte(s.out), &run))
			byFile, code, _ := checkJSON(t, dir)
			require.Len(t, byFile, 1, "a run has one history")
			got := byFile["history.jsonl"]

			ran, checked := map[string]int{}, map[string]int{}
			for _, v := range run.Violations {
				if v.Anomaly != "" { // the others are seen from inside only
					ran[v.Anomaly]++
				}
			}
			undecided := 0
			for _, a := range got.Anomalies {
				checked[a.Anomaly] = a.Count - a.Permitted - a.Legal - a.Undecided
				undecided += a.Undecided
			}
			for _, a := range got.Allowed {
				if a.Anomaly != "int-send-skip" {
					assert.True(t, slices.ContainsFunc(run.Allowed, func(p reports.Permitted) bool {
						return p.Anomaly == a.Anomaly && p.Reason == a.Reason && p.Count == a.Count
					}), "%v of %v", a, run.Allowed)
				}
			}
			for anomaly, n := range checked {
				assert.Equal(t, min(n, 64), ran[anomaly], anomaly)
			}
			want := 0
			switch {
			case len(ran) > 0:
				want = 1
			case undecided > 0: // the run broke a law before clients could notice
				want = 2
			}
			permitted.Add(int64(len(run.Allowed)))
			violated.Add(int64(len(ran)))
			assert.Equal(t, want, code, "%v", got)

			text := apart(t, "replay", filepath.Join(dir, "run.json"))
			assert.Equal(t, s.code, text.code, text.out)
		})
	}
}

// A run.json that is damaged is told by its place.
func TestDamagedRunJSON(t *testing.T) {
	skipIfShort(t)
	t.Parallel()
	dir := t.TempDir()
	require.Equal(t, 0, apart(t, "run", "standard", "--seed", "3", "--set", "duration=2s", "--out", dir, "--json").code)
	text, err := os.ReadFile(filepath.Join(dir, "run.json"))
	require.NoError(t, err)
	whole := string(text)
	edited := func(old, new string) string {
		require.Contains(t, whole, old)
		return strings.Replace(whole, old, new, 1)
	}
	for _, c := range []struct{ name, text, says string }{
		{"empty", "", "run.json:1:1: "},
		{"cut off", whole[:len(whole)/2], "unexpected end of JSON input"},
		{"not JSON", "hello\n", "run.json:1:1: "},
		{"a list", "[]", "run.json:1:1: "},
		{"another format", edited("ktrial-run/1", "ktrial-run/9"), `found format "ktrial-run/9", expected "ktrial-run/1"`},
		{"a seed in words", edited(`"seed": 3`, `"seed": "three"`), "run.json:"},
		{"another scenario", edited(`"scenario": "standard"`, `"scenario": "standrad"`), "did you mean standard?"},
		{"another bug", edited(`"plant": []`, `"plant": ["idem.no_windwo"]`), `planted bug "idem.no_windwo" is unknown; did you mean idem.no_window?`},
		{"another setting", edited(`"duration": "2s"`, `"durration": "2s"`), `did you mean duration?`},
		{"another plan", edited(`"plant": []`, `"plan": "at noon: kill broker-1", "plant": []`), "plan: line 1: "},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := apart(t, "replay", write(t, "run.json", c.text))
			assert.Equal(t, exitUsage, s.code, s.out)
			assert.Contains(t, s.err, "run.json")
			assert.Contains(t, s.err, c.says)
			assert.Equal(t, 1, strings.Count(s.err, "\n"), s.err)
		})
	}
	t.Run("another trace", func(t *testing.T) {
		s := apart(t, "replay", write(t, "run.json", edited(`"trace_hash": "`, `"trace_hash": "0`)))
		assert.Equal(t, 3, s.code)
		assert.Contains(t, s.out, "NOT DETERMINISTIC")
		otherBuild := strings.Replace(edited(`"trace_hash": "`, `"trace_hash": "0`), `"build": "`, `"build": "another `, 1)
		s = apart(t, "replay", write(t, "run.json", otherBuild))
		assert.Equal(t, 2, s.code)
		assert.Contains(t, s.out, "it was recorded by build another ")

		// With what luck decided then, the verdict of now counts.
		file := filepath.Join(dir, "run.json")
		require.NoError(t, os.WriteFile(file, []byte(otherBuild), 0o644))
		s = apart(t, "replay", file)
		assert.Equal(t, 0, s.code, s.out+s.err)
		assert.Regexp(t, `(?s)replay   build another .* decisions are those recorded by the same name`, s.out)
		require.NoError(t, os.WriteFile(filepath.Join(dir, "decisions.bin"), []byte("dust"), 0o644))
		s = apart(t, "replay", file)
		assert.Equal(t, exitUsage, s.code)
		assert.Contains(t, s.err, "decisions.bin: ")
	})
}

// Where there is no terminal there is no colour, whatever NO_COLOR says; and a
// run without --seed says which it drew.
func TestRunTells(t *testing.T) {
	s := typed(t, "run", "standard", "--set", "duration=2s")
	assert.Contains(t, []int{0, 2}, s.code)
	assert.Regexp(t, `again:   ktrial run standard --seed \d+ --set duration=2s`, s.out)
	assert.NotContains(t, s.out+s.err, "\x1b")

	t.Setenv("NO_COLOR", "")
	terminal := openTerminal(t, 60)
	assert.Equal(t, reports.Style{Color: true, Width: 60}, style(terminal))
	t.Setenv("NO_COLOR", "1")
	assert.Equal(t, reports.Style{Width: 60}, style(terminal))
	null, err := os.Open(os.DevNull) // a character device, as a terminal is, and none
	require.NoError(t, err)
	defer null.Close()
	t.Setenv("NO_COLOR", "")
	assert.Equal(t, reports.Style{}, style(null))
}

// What --out keeps of a run is the same for the same run, the picture too: only
// the time that it took is another.
func TestWhatIsKeptIsTheSame(t *testing.T) {
	t.Parallel()
	kept := func() map[string]string {
		dir := t.TempDir()
		require.Equal(t, 0, apart(t, "run", "standard", "--seed", "3", "--set", "duration=4s", "--out", dir).code)
		files := map[string]string{}
		entries, err := os.ReadDir(dir)
		require.NoError(t, err)
		for _, e := range entries {
			text, err := os.ReadFile(filepath.Join(dir, e.Name()))
			require.NoError(t, err)
			files[e.Name()] = regexp.MustCompile(`"wall_seconds": [\d.e-]+`).ReplaceAllString(string(text), "")
		}
		return files
	}
	one := kept()
	for _, name := range []string{"run.json", "history.jsonl", "story.txt", "plan.txt", "timeline.svg"} {
		assert.NotEmpty(t, one[name], name)
	}
	assert.Equal(t, one, kept())
}

// A requirement that is missed ends a run with 4, in text and as JSON; one on requests
// has them counted.
func TestRequire(t *testing.T) {
	run := func(more ...string) said {
		return typed(t, append([]string{"run", "standard", "--seed", "7", "--no-faults", "--set", "duration=2s"}, more...)...)
	}
	s := run("--require", "ack.p99<50s", "--require", "requests>10")
	assert.Equal(t, 0, s.code, s.out)
	s = run("--require", "ack.p99<1ns", "--require", "elections<5")
	assert.Equal(t, 4, s.code)
	assert.Contains(t, s.out, "MISSED standard seed 7")
	assert.Regexp(t, `required ack.p99<1ns: ack.p99 is \S+ms\n`, s.out)
	assert.Contains(t, s.out, "again:   ktrial run standard --seed 7 --set duration=2s --no-faults --require 'ack.p99<1ns' --require 'elections<5'")
	s = run("--require", "ack.p99<1ns", "--json")
	assert.Equal(t, 4, s.code)
	got := decoded(t, s.out)
	assert.Equal(t, "missed", got["verdict"])
	assert.Equal(t, "ack.p99<1ns", got["missed"].([]any)[0].(map[string]any)["require"])
	assert.Contains(t, got["numbers"], "ack")
	s = run("--require", "ack<1ns")
	assert.Equal(t, exitUsage, s.code)
	assert.Contains(t, s.err, `number "ack" is unknown`)
	s = typed(t, "hunt", "standard", "--seeds", "7", "--no-faults", "--set", "duration=2s", "--require", "ack.p99<1ns")
	assert.Equal(t, 4, s.code)
	assert.Contains(t, s.err, "required: ack.p99<1ns: ack.p99 is")
}
