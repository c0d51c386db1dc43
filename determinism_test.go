package ktrial

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ktrial/ktrial/broker/planted"
	"github.com/ktrial/ktrial/ledger"
	"github.com/ktrial/ktrial/reports"
	"github.com/ktrial/ktrial/scenarios"
	"github.com/ktrial/ktrial/scenarios/trial"
)

var long = flag.Bool("long", false, "run the long tests, too")

// work is for how long clients work in the trials of these tests: enough for
// faults to strike, short enough to play many.
func work() string {
	if *long {
		return "60s"
	}
	return "6s"
}

// again is how often a run is played once more: twenty times in all where .ci/run plays
// them, and fewer where a test is waited for. What is not the same every time is seldom
// the same twice; a few more are for luck.
func again() int {
	switch {
	case *long:
		return 19
	case testing.Short():
		return 2
	}
	return 5
}

// played plays the standard scenario, with the faults that its seed draws, and
// returns everything that is known of the run. Equal texts: the same run, byte
// for byte.
func played(t assert.TestingT, seed uint64, plant ...planted.Bug) string {
	o := trial.Options{Seed: seed, Set: map[string]string{"duration": work()}, Plant: plant}
	r, err := trial.Run(scenarios.Standard, o)
	if !assert.NoError(t, err) {
		return ""
	}
	assert.NotEmpty(t, r.Report.Faults, "seed %d: nothing struck, so this proves little", seed)
	var text bytes.Buffer
	assert.NoError(t, reports.WriteJSON(&text, &r.Report))
	r.Ledger.WriteStory(&text, ledger.Filter{})
	return text.String()
}

// same fails with the first line that differs, and the first event.
func same(t *testing.T, seed uint64, want, found string) {
	t.Helper()
	if want == found {
		return
	}
	a, b := strings.Split(want, "\n"), strings.Split(found, "\n")
	for i := range min(len(a), len(b)) {
		if a[i] != b[i] {
			t.Errorf("seed %d: line %d differs:\n  %.300s\n  %.300s", seed, i+1, a[i], b[i])
			break
		}
	}
	o := trial.Options{Seed: seed, Set: map[string]string{"duration": work()}}
	t.Fatalf("seed %d: %s", seed, trial.FirstDifference(scenarios.Standard, o))
}

func TestDeterminism_ManyRunsInOneProcess(t *testing.T) {
	t.Parallel()
	want := played(t, 1)
	for range again() {
		same(t, 1, want, played(t, 1))
	}
}

func TestDeterminism_WorldsInParallel(t *testing.T) {
	t.Parallel()
	want := map[uint64]string{}
	for seed := range uint64(4) {
		want[seed] = played(t, seed)
	}
	found := make([]string, 8)
	var parallel sync.WaitGroup
	for i := range found {
		parallel.Go(func() { found[i] = played(t, uint64(i%4)) })
	}
	parallel.Wait()
	for i, text := range found {
		same(t, uint64(i%4), want[uint64(i%4)], text)
	}
}

// A world leaves nothing behind for the next one, whatever went on in it.
func TestDeterminism_AnotherWorldBetween(t *testing.T) {
	t.Parallel()
	a := played(t, 5)
	b := played(t, 6, planted.All[0].Bug)
	same(t, 5, a, played(t, 5))
	assert.NotEqual(t, a, b)
}

func TestDeterminism_AnotherSeedIsAnotherRun(t *testing.T) {
	t.Parallel()
	seen := map[string]uint64{}
	for seed := range uint64(6) {
		text := played(t, seed)
		require.NotContains(t, seen, text, "seed %d is the same run as another", seed)
		seen[text] = seed
	}
}

// Each scenario, twice: what CI does with two processes.
func TestDeterminism_EveryScenario(t *testing.T) {
	if !*long {
		t.Skip("long: .ci/run does the same with two processes")
	}
	for _, s := range scenarios.All() {
		t.Run(s.Name, func(t *testing.T) {
			var hashes []string
			for range 2 {
				r, err := trial.Run(s, trial.Options{Seed: 7})
				require.NoError(t, err)
				hashes = append(hashes, r.Report.TraceHash)
			}
			if hashes[0] != hashes[1] {
				t.Error(trial.FirstDifference(s, trial.Options{Seed: 7}))
			}
		})
	}
}

// Other processes and other machines are the same world: also one of 32 bits,
// and one without threads.
func TestDeterminism_OtherProcesses(t *testing.T) {
	if testing.Short() {
		t.Skip("short: builds a program")
	}
	t.Parallel()
	native := command{build(t, "native")}
	want := native.run(t, 1)
	assert.NotEqual(t, want, native.run(t, 2))
	t.Run("many", func(t *testing.T) {
		t.Parallel()
		for range again() {
			require.Equal(t, want, native.run(t, 1))
		}
	})
	t.Run("386", func(t *testing.T) {
		t.Parallel()
		skipIfShort(t)
		if runtime.GOOS != "linux" || runtime.GOARCH != "amd64" {
			t.Skip("this machine does not run programs for linux/386")
		}
		found := command{build(t, "ktrial-386", "GOARCH=386", "CGO_ENABLED=0")}
		assert.Equal(t, want, found.run(t, 1))
		assert.Equal(t, native.run(t, 3), found.run(t, 3))
	})
	t.Run("wasm", func(t *testing.T) {
		t.Parallel()
		skipIfShort(t)
		node, err := exec.LookPath("node")
		if err != nil {
			t.Skip("node is not installed")
		}
		runner := filepath.Join(goroot(t), "lib", "wasm", "wasm_exec_node.js")
		if _, err := os.Stat(runner); err != nil {
			t.Skip("this Go has no lib/wasm/wasm_exec_node.js")
		}
		found := command{node, "--stack-size=8192", runner, build(t, "ktrial.wasm", "GOOS=js", "GOARCH=wasm")}
		assert.Equal(t, want, found.run(t, 1))
	})
}

// skipIfShort skips what has everything compiled anew for another machine.
func skipIfShort(t *testing.T) {
	if !*long {
		t.Skip("long: go test . -run OtherProcesses -long, as .ci/run does")
	}
}

// command is a program and its first arguments.
type command []string

// run plays the standard scenario in a process of its own and returns its
// report, without the time that it took.
func (c command) run(t *testing.T, seed uint64) string {
	args := append(c[1:len(c):len(c)], "run", "standard", "--seed", strconv.FormatUint(seed, 10), "--set", "duration="+work(), "--json")
	p := exec.Command(c[0], args...)
	var trouble bytes.Buffer
	p.Stderr = &trouble
	out, err := p.Output()
	var report reports.Run
	if !assert.NoError(t, json.Unmarshal(out, &report), "%v: %v: %s", args, err, trouble.String()) {
		return ""
	}
	report.WallSeconds = 0
	text, err := json.Marshal(report)
	assert.NoError(t, err)
	return string(text)
}

// build builds the command; vars say for which machine.
func build(t *testing.T, name string, vars ...string) string {
	t.Helper()
	program := filepath.Join(t.TempDir(), name)
	c := exec.Command("go", "build", "-buildvcs=false", "-ldflags=-s -w", "-o", program, "./cmd/ktrial")
	c.Env = append(os.Environ(), vars...)
	out, err := c.CombinedOutput()
	require.NoError(t, err, "%s", out)
	return program
}

func goroot(t *testing.T) string {
	out, err := exec.Command("go", "env", "GOROOT").Output()
	require.NoError(t, err)
	return strings.TrimSpace(string(out))
}
