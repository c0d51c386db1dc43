package sim_test

import (
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ktrial/ktrial/sim"
	"github.com/ktrial/ktrial/sim/env"
	"github.com/ktrial/ktrial/sim/internal/storm"
)

var long = flag.Bool("long", false, "run the long tests, too")

func hash(t *testing.T, seed uint64) uint64 {
	t.Helper()
	h, err := storm.Run(seed)
	require.NoError(t, err)
	return h
}

func TestOneSeedIsOneRun(t *testing.T) {
	first := hash(t, 1)
	var parallel sync.WaitGroup
	for range 8 {
		parallel.Go(func() { assert.Equal(t, first, hash(t, 1)) })
	}
	parallel.Wait()
	for range 11 {
		require.Equal(t, first, hash(t, 1))
	}
}

func TestAnotherSeedIsAnotherRun(t *testing.T) {
	seen := map[uint64]uint64{}
	for seed := range uint64(10) {
		h := hash(t, seed)
		require.NotContains(t, seen, h, "seed %d", seed)
		seen[h] = seed
	}
}

func TestWorldsLeaveNothingBehind(t *testing.T) {
	a, b := hash(t, 3), hash(t, 4)
	assert.Equal(t, a, hash(t, 3))
	assert.Equal(t, b, hash(t, 4))
}

// Other machines must give the same run: a 32-bit one and one without threads.
func TestPortable(t *testing.T) {
	if !*long {
		t.Skip("long, for it compiles for other machines: go test ./sim -run Portable -long, as .ci/run does")
	}
	want := output(t, build(t, "native"))
	t.Run("386", func(t *testing.T) {
		assert.Equal(t, want, output(t, build(t, "386", "GOARCH=386", "CGO_ENABLED=0")))
	})
	t.Run("wasm", func(t *testing.T) {
		node, err := exec.LookPath("node")
		if err != nil {
			t.Skip("node is not installed")
		}
		root := strings.TrimSpace(output(t, "go", "env", "GOROOT"))
		runner := filepath.Join(root, "lib", "wasm", "wasm_exec_node.js")
		if _, err := os.Stat(runner); err != nil {
			t.Skip("this Go has no lib/wasm/wasm_exec_node.js")
		}
		assert.Equal(t, want, output(t, node, "--stack-size=8192", runner, build(t, "wasm", "GOOS=js", "GOARCH=wasm")))
	})
}

func build(t *testing.T, name string, vars ...string) string {
	t.Helper()
	program := filepath.Join(t.TempDir(), name)
	c := exec.Command("go", "build", "-o", program, "./internal/hashmain")
	c.Env = append(os.Environ(), vars...)
	out, err := c.CombinedOutput()
	require.NoError(t, err, "%s", out)
	return program
}

func output(t *testing.T, program string, args ...string) string {
	t.Helper()
	out, err := exec.Command(program, args...).CombinedOutput()
	require.NoError(t, err, "%s", out)
	return string(out)
}

func TestDifferenceNamesTheFirstStep(t *testing.T) {
	runs := 0
	d := sim.Difference(func(tr *sim.Tracing) *sim.World {
		w := sim.NewWorld(sim.Config{Seed: 1, Tracing: tr})
		defer w.Close()
		runs++
		leak := runs // stands for map order, time.Now, an address
		w.Host("broker-1").Start(func(h env.Host) {
			for i := range 10_000 {
				h.Sleep(time.Millisecond)
				if i == 7000 && leak%2 == 0 {
					h.Sleep(time.Nanosecond)
				}
			}
		})
		assert.NoError(t, w.Run(time.Minute))
		return w
	})
	require.NotNil(t, d)
	t.Log(d)
	assert.Contains(t, d.First, "broker-1: task main")
	assert.Contains(t, d.Second, "broker-1: task main")
	assert.NotEqual(t, d.First, d.Second)
}

func TestDifferenceOfARunThatEnds(t *testing.T) {
	runs := 0
	d := sim.Difference(func(tr *sim.Tracing) *sim.World {
		w := sim.NewWorld(sim.Config{Seed: 1, Tracing: tr})
		defer w.Close()
		runs++
		steps := 10 + runs%2
		w.Host("broker-1").Start(func(h env.Host) {
			for range steps {
				h.Sleep(time.Millisecond)
			}
		})
		assert.NoError(t, w.Run(time.Minute))
		return w
	})
	require.NotNil(t, d)
	t.Log(d)
	assert.True(t, d.First == "ends" || d.Second == "ends", "%v", d)
}

func TestNoDifference(t *testing.T) {
	assert.Nil(t, sim.Difference(func(tr *sim.Tracing) *sim.World {
		w := storm.Prepare(sim.Config{Seed: 9, Tracing: tr})
		defer w.Close()
		assert.NoError(t, w.Run(3*time.Second))
		return w
	}))
}

// Recording must not change the run.
func TestTracingChangesNothing(t *testing.T) {
	var hashes []uint64
	sim.Difference(func(tr *sim.Tracing) *sim.World {
		w := storm.Prepare(sim.Config{Seed: 9, Tracing: tr})
		defer w.Close()
		assert.NoError(t, w.Run(time.Second))
		hashes = append(hashes, w.Hash())
		return w
	})
	plain := storm.Prepare(sim.Config{Seed: 9})
	defer plain.Close()
	require.NoError(t, plain.Run(time.Second))
	assert.Equal(t, plain.Hash(), hashes[0])
}
