//go:build unix

package cmd

import (
	"fmt"
	"os"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ktrial/ktrial/scenarios"
	"github.com/ktrial/ktrial/scenarios/trial"
	"github.com/ktrial/ktrial/sim/wasi"
)

// Compiled code and the interpreter play the same run.
func TestClients_TheInterpreterGivesTheSameTrace(t *testing.T) {
	file := builtClient(t, "franz")
	module, err := os.ReadFile(file)
	require.NoError(t, err)
	hashes := map[string]bool{}
	for _, interpreter := range []bool{false, true} {
		p, err := wasi.Load("franz", module, wasi.Options{Interpreter: interpreter})
		require.NoError(t, err)
		r, err := trial.Run(scenarios.LeaderLosesPower, trial.Options{Seed: 7, Set: map[string]string{"duration": "8s"}, Apps: []trial.App{
			{File: file, Args: []string{"produce", "-rate", "20"}, Program: p},
		}})
		require.NoError(t, err)
		hashes[r.Report.TraceHash] = true
		p.Close()
	}
	assert.Len(t, hashes, 1)
}

// Twenty programs fit into one world.
func TestClients_TwentyProgramsInAWorldNeedLessThan600MB(t *testing.T) {
	franz := builtClient(t, "franz")
	args := []string{"run", "leader-loses-power", "--seed", "1", "--set", "duration=10s"}
	for i := range 20 {
		role := " produce -rate 5"
		if i%2 == 1 {
			role = " group"
		}
		args = append(args, "--app", franz+role)
	}
	cmd := program(args...)
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, string(out))
	most := cmd.ProcessState.SysUsage().(*syscall.Rusage).Maxrss / 1024 // kilobytes, on Linux
	t.Logf("%d MB", most)
	assert.Less(t, most, int64(600))
}

// Twenty processes play one seed: however many threads each has, and however often garbage is
// collected in it and in the programs, the trace is the same to the byte.
func TestClients_TwentyProcessesGiveOneTrace(t *testing.T) {
	franz := builtClient(t, "franz")
	seen := map[string]int{}
	for i := range 20 {
		cmd := program("run", "leader-loses-power", "--seed", "7",
			"--app", franz+" produce", "--app", "GOGC=5 "+franz+" produce", "--app", franz+" group")
		cmd.Env = append(cmd.Env, fmt.Sprint("GOMAXPROCS=", []int{1, 2, 8}[i%3]), fmt.Sprint("GOGC=", []int{10, 50, 100, 400}[i%4]))
		out, err := cmd.CombinedOutput()
		require.NoError(t, err, string(out))
		seen[traceOf.FindString(string(out))]++
	}
	assert.Len(t, seen, 1)
	assert.NotContains(t, seen, "")
}
