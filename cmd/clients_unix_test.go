//go:build unix

package cmd

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

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
