package app

import (
	"flag"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var long = flag.Bool("long", false, "run the long tests, too")

// habits builds the program of the tests.
func habits(t *testing.T) string {
	t.Helper()
	if testing.Short() {
		t.Skip("building a program takes the go command some seconds")
	}
	file := filepath.Join(t.TempDir(), "habits.wasm")
	require.NoError(t, Build(Target{Dir: "testdata/habits", Package: ".", Output: file}))
	return file
}

func TestBuild_GivesTheSameBytesInAnotherDirectory(t *testing.T) {
	here, err := os.ReadFile(habits(t))
	require.NoError(t, err)
	elsewhere := t.TempDir()
	require.NoError(t, os.CopyFS(elsewhere, os.DirFS("testdata/habits")))
	file := filepath.Join(elsewhere, "x.wasm")
	require.NoError(t, Build(Target{Dir: elsewhere, Package: ".", Output: file}))
	there, err := os.ReadFile(file)
	require.NoError(t, err)
	assert.True(t, string(here) == string(there), "%d and %d bytes, and not the same", len(here), len(there))
}

func TestBuild_RefusesCgoAndSaysWhatToDo(t *testing.T) {
	err := Build(Target{Dir: "testdata/native", Package: ".", Output: filepath.Join(t.TempDir(), "x.wasm")})
	require.Error(t, err)
	assert.Contains(t, err.Error(), "uses cgo (native/c)")
	assert.Contains(t, err.Error(), "ktrial tap")
}

func TestBuild_SaysWhatTheCompilerSaid(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "go.mod"), []byte("module broken\n\ngo 1.24\n"), 0o644))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "main.go"), []byte("package main\n\nfunc main() { nothing() }\n"), 0o644))
	err := Build(Target{Dir: dir, Package: ".", Output: filepath.Join(dir, "x.wasm")})
	require.Error(t, err)
	assert.Contains(t, err.Error(), "undefined: nothing")
}

func TestOverlay_NamesAnAnchorThatHasMoved(t *testing.T) {
	goroot := t.TempDir()
	for _, a := range anchors {
		file := filepath.Join(goroot, "src", filepath.FromSlash(a.file))
		require.NoError(t, os.MkdirAll(filepath.Dir(file), 0o755))
		require.NoError(t, os.WriteFile(file, []byte(a.is), 0o644))
	}
	_, err := writeOverlay(goroot, "go1.99", t.TempDir())
	require.NoError(t, err)
	const moved = "os/signal/signal_unix.go"
	is := anchors[slices.IndexFunc(anchors, func(a anchor) bool { return a.file == moved })].is
	for _, content := range []string{"", is + is} {
		require.NoError(t, os.WriteFile(filepath.Join(goroot, "src", filepath.FromSlash(moved)), []byte(content), 0o644))
		_, err = writeOverlay(goroot, "go1.99", t.TempDir())
		require.Error(t, err)
		assert.Contains(t, err.Error(), moved+" of go1.99 has the anchor")
	}
}

func TestCommand(t *testing.T) {
	for _, x := range []struct {
		text string
		want []string
		err  string
	}{
		{"orders.wasm", []string{"orders.wasm"}, ""},
		{"  bin/orders.wasm  -rate 50 ", []string{"bin/orders.wasm", "-rate", "50"}, ""},
		{`orders.wasm -name 'a b' "" -x="c d"`, []string{"orders.wasm", "-name", "a b", "", "-x=c d"}, ""},
		{"member-1=orders.wasm -rate 50", []string{"member-1", "orders.wasm", "-rate", "50"}, ""},
		{"BROKERS=$KAFKA TOPIC='my orders' member-1=orders.wasm a=b", []string{"BROKERS=$KAFKA", "TOPIC=my orders", "member-1", "orders.wasm", "a=b"}, ""},
		{"./a=b/orders.wasm", []string{"./a=b/orders.wasm"}, ""},
		{"member-1=", nil, "found no FILE behind the host member-1"},
		{"orders.wasm 'open", nil, "a quote (') that does not end"},
		{"   ", nil, "expected a FILE"},
	} {
		c, err := ReadCommand(x.text)
		if x.err != "" {
			require.Error(t, err, x.text)
			assert.Contains(t, err.Error(), x.err)
			continue
		}
		require.NoError(t, err, x.text)
		got := append([]string{c.File}, c.Args...)
		if c.Host != "" {
			got = append([]string{c.Host}, got...)
		}
		got = append(slices.Clone(c.Env), got...)
		assert.Equal(t, x.want, got, x.text)
	}
}

func TestLoad_SaysWhatIsNotAProgram(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "notes.txt")
	require.NoError(t, os.WriteFile(file, []byte("hello"), 0o644))
	_, err := Load(file)
	require.Error(t, err)
	assert.Contains(t, err.Error(), "no WebAssembly module")
	_, err = Load(filepath.Join(dir, "orders.wasm"))
	require.Error(t, err)
	assert.Contains(t, err.Error(), "ktrial app build PACKAGE -o")
	require.NoError(t, os.WriteFile(file, []byte("\x00asm and nothing else"), 0o644))
	_, err = Load(file)
	require.Error(t, err)
	assert.True(t, strings.Contains(err.Error(), "is not a module that can be run"), "%v", err)
}
