package cmd

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// builtOrders is the service of examples/orders, as a user builds it.
func builtOrders(t *testing.T) string {
	t.Helper()
	if testing.Short() {
		t.Skip("building a program takes the go command some seconds")
	}
	file := filepath.Join(t.TempDir(), "orders.wasm")
	build := program("app", "build", ".", "-o", file)
	build.Dir = "../examples/orders"
	out, err := build.CombinedOutput()
	require.NoError(t, err, "%s", out)
	return file
}

var traceOf = regexp.MustCompile(`trace [0-9a-f]{16}`)

// A service that nothing of ktrial is linked into is tried, kept, replayed, and found guilty
// of what its configuration does not promise.
//
// All commands are of this process, which compiles the service once.
func TestApp_AServiceOnTrial(t *testing.T) {
	orders := builtOrders(t)
	dir := filepath.Join(t.TempDir(), "kept")
	careful := typed(t, "run", "leader-loses-power", "--app", orders+" -rate 50", "--seed", "1", "--out", dir)
	require.Zero(t, careful.code, careful.out+careful.err)
	again := typed(t, "replay", filepath.Join(dir, "run.json"))
	require.Zero(t, again.code, again.out+again.err)
	assert.Equal(t, traceOf.FindString(careful.out), traceOf.FindString(again.out))

	fast := []string{"run", "leader-loses-power", "--app", orders + " -rate 50 -fast", "--seed", "2"}
	allowed := typed(t, fast...)
	assert.Zero(t, allowed.code, allowed.out+allowed.err)
	assert.Contains(t, allowed.out, "acks=1")
	violated := typed(t, append(fast, "--strict")...)
	assert.Equal(t, 1, violated.code, violated.out+violated.err)

	// Another program under the same name is not the run that was kept.
	text, err := os.ReadFile(filepath.Join(dir, "run.json"))
	require.NoError(t, err)
	other := filepath.Join(t.TempDir(), "run.json")
	require.NoError(t, os.WriteFile(other, []byte(regexp.MustCompile(`"sha256": "[0-9a-f]{4}`).ReplaceAllString(string(text), `"sha256": "0000`)), 0o644))
	refused := typed(t, "replay", other)
	assert.Equal(t, exitUsage, refused.code)
	assert.Contains(t, refused.err, "it is not the one that was recorded")
}

func TestApp_SaysWhatIsWrong(t *testing.T) {
	for _, x := range []struct {
		args []string
		says string
	}{
		{[]string{"app", "build", "."}, "expected the FILE to write"},
		{[]string{"app", "build"}, "a PACKAGE, such as ./cmd/orders"},
		{[]string{"run", "standard", "--app", ""}, "expected a FILE"},
		{[]string{"run", "standard", "--app", "no-such.wasm"}, "ktrial app build PACKAGE -o no-such.wasm"},
		{[]string{"run", "standard", "--app", "app_test.go"}, "no WebAssembly module"},
	} {
		s := typed(t, x.args...)
		assert.Equal(t, exitUsage, s.code, strings.Join(x.args, " "))
		assert.Contains(t, s.err, x.says)
	}
}
