package cmd

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ktrial/ktrial/broker/planted"
	"github.com/ktrial/ktrial/scenarios"
)

// The zoo goes on with the runs that it has, also after one that was half written.
func TestZoo(t *testing.T) {
	dir := t.TempDir()
	args := strings.Fields("zoo repl.truncate_to_hw --in leadership-ping-pong --seeds 2 --json --out " + dir)
	first := typed(t, args...)
	require.Equal(t, 0, first.code, first.err)
	row := decoded(t, first.out)["matrix"].([]any)[0].([]any)[0].(map[string]any)
	assert.Equal(t, 1.0, row["inside"].(map[string]any)["seed"])
	assert.Equal(t, "all observations agree", row["outside"].(map[string]any)["check"])
	matrix, err := os.ReadFile(filepath.Join(dir, "zoo.md"))
	require.NoError(t, err)
	assert.Contains(t, string(matrix), "| leadership-ping-pong 1/1 |")

	file := filepath.Join(dir, "zoo.jsonl")
	text, err := os.ReadFile(file)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(file, append(text, `{"type":"run","bug":"repl.tr`...), 0o644))
	assert.Equal(t, first.out, typed(t, args...).out, "nothing is played again")
	now, err := os.ReadFile(file)
	require.NoError(t, err)
	assert.Equal(t, string(text), string(now))

	require.NoError(t, os.WriteFile(file, []byte("{}\n"), 0o644))
	for _, c := range []struct{ args, says string }{
		{strings.Join(args, " "), `zoo.jsonl:1: found type "", expected run or cpu`},
		{"zoo repl.truncate", "did you mean repl.truncate_to_hw"},
		{"zoo --in standrd", "did you mean standard"},
		{"zoo --seeds 0", "--seeds 0: expected 1 or more"},
		{"zoo --jobs 0", "--jobs 0: expected 1 or more"},
	} {
		s := typed(t, strings.Fields(c.args)...)
		assert.Equal(t, exitUsage, s.code, c.args)
		assert.Contains(t, s.err, c.says)
	}
}

// docs/zoo.md speaks of bugs and scenarios that there are.
func TestDocumentedZoo(t *testing.T) {
	text, err := os.ReadFile("../docs/zoo.md")
	require.NoError(t, err)
	bugs := map[string]bool{}
	for _, e := range planted.All {
		bugs[string(e.Bug)] = true
	}
	found := regexp.MustCompile("(?m)^\\| `([a-z0-9_.]+)` \\|").FindAllStringSubmatch(string(text), -1)
	assert.Greater(t, len(found), 20)
	for _, m := range found {
		assert.True(t, bugs[m[1]], "there is no planted bug %s: write docs/zoo.md anew (ktrial zoo --out DIR)", m[1])
	}
	played := regexp.MustCompile(`([a-z0-9-]+) (?:\d+|-)/(?:\d+|-)`).FindAllStringSubmatch(string(text), -1)
	if _, matrix, ok := strings.Cut(string(text), "\n## Each bug in each scenario\n"); ok { // of a scenario a row, as it was written before
		matrix, _, _ = strings.Cut(matrix, "\n## ")
		played = append(played, regexp.MustCompile(`(?m)^\| ([a-z0-9-]{4,}) \| [^-]`).FindAllStringSubmatch(matrix, -1)...)
	}
	require.NotEmpty(t, played)
	for _, m := range played {
		if m[1] == "scenario" {
			continue
		}
		_, err := scenarios.Find(m[1])
		assert.NoError(t, err, "write docs/zoo.md anew")
	}
}
