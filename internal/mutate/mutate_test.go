package main

import (
	"context"
	"flag"
	"fmt"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ktrial/ktrial/internal/golden"
)

var long = flag.Bool("long", false, "also build a mutant and hunt for it")

// Every place where a mistake can be made is found once, and what is made of it is Go
// on the same line.
func TestMutantsOf(t *testing.T) {
	text, err := os.ReadFile("testdata/sample.go.txt")
	require.NoError(t, err)
	all, err := mutantsOf("broker/sample/sample.go", text)
	require.NoError(t, err)
	var b strings.Builder
	for _, m := range all {
		fmt.Fprintf(&b, "%v\n\t%s\n", m, m.by)
		changed := m.apply(text)
		_, err := parser.ParseFile(token.NewFileSet(), "sample.go", changed, 0)
		require.NoError(t, err, "%s", changed)
		assert.Equal(t, strings.Count(string(text), "\n"), strings.Count(string(changed), "\n"), "lines keep their numbers")
	}
	golden.File(t, "testdata/sample.txt", b.String())
}

// The sample is the same for the same seed, and another one for another.
func TestChoose(t *testing.T) {
	root, err := filepath.Abs("../..")
	require.NoError(t, err)
	chosen := func(seed uint64) string {
		all, err := choose(plan{root: root, in: "broker/raft", n: 20, seed: seed})
		require.NoError(t, err)
		require.Len(t, all, 20)
		return fmt.Sprint(all)
	}
	assert.Equal(t, chosen(1), chosen(1))
	assert.NotEqual(t, chosen(1), chosen(2))
}

// What a program that was killed left of a line is cut off, and that mutant tried again.
func TestResults(t *testing.T) {
	dir := t.TempDir()
	rs, err := openResults(dir)
	require.NoError(t, err)
	for i, fate := range []string{killed, unseen, neverReached, noDifference, notBuilt, killed} {
		require.NoError(t, rs.add(result{Mutant: fmt.Sprintf("broker/log/log.go:%d bound \"a | b\"", i), Folder: "broker/log", Kind: "bound", Fate: fate, By: "law 2 | 3", CPUSeconds: 7}))
	}
	text, err := os.ReadFile(filepath.Join(dir, "mutants.jsonl"))
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "mutants.jsonl"), text[:len(text)-9], 0o644))
	rs, err = openResults(dir)
	require.NoError(t, err)
	assert.Len(t, rs.all, 5)
	assert.False(t, rs.known[`broker/log/log.go:5 bound "a | b"`])
	require.NoError(t, rs.summarize(dir))
	got, err := os.ReadFile(filepath.Join(dir, "mutants.md"))
	require.NoError(t, err)
	golden.File(t, "testdata/mutants.md", string(got))
}

// A mutant is built beside the source, and found; one that is never reached is given
// up early, and says so.
func TestTry(t *testing.T) {
	if !*long {
		t.Skip("long: go test ./internal/mutate -run Try -long")
	}
	root, err := filepath.Abs("../..")
	require.NoError(t, err)
	t.Chdir(root)
	file := "broker/replica/isr.go"
	text, err := os.ReadFile(filepath.Join(root, file))
	require.NoError(t, err)
	all, err := mutantsOf(file, text)
	require.NoError(t, err)
	require.NotEmpty(t, all)
	fell := 0
	for _, m := range all[:min(4, len(all))] {
		r := try(context.Background(), plan{root: root, cpu: 60}, m)
		t.Log(r)
		if r.Fate == killed {
			fell++
		}
	}
	assert.NotZero(t, fell)
}
