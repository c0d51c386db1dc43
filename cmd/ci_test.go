package cmd

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/assert/yaml"
	"github.com/stretchr/testify/require"
)

const ciDir = "../docs/ci"

// The shards of docs/ci, played here, find what one hunt finds; one that fails does not
// keep the others from being joined.
func TestShardsOfTheDocumentedCI(t *testing.T) {
	skipIfShort(t)
	t.Parallel()
	want := allFound(t)
	dir := t.TempDir()
	script := exec.Command("/bin/sh", append([]string{filepath.Join(ciDir, "shards.sh"), "3", dir, "hunt", "--shrink", "0"}, manyFail...)...)
	script.Env = append(os.Environ(), asProgram+"=1", "KTRIAL="+os.Args[0])
	out, err := script.CombinedOutput()
	require.Equal(t, 1, script.ProcessState.ExitCode(), "%s %v", out, err)
	parts, err := filepath.Glob(filepath.Join(dir, "part-?"))
	require.NoError(t, err)
	require.Len(t, parts, 3)
	s := apart(t, append([]string{"merge", "--json"}, parts...)...)
	got := without(summary(t, s.out), "kept")
	assert.Equal(t, bare(t, want), bare(t, got))
	for _, file := range []string{"index.html", "junit.xml"} {
		assert.FileExists(t, filepath.Join(dir, file))
	}

	require.NoError(t, os.RemoveAll(parts[1]))
	s = apart(t, append([]string{"merge"}, parts[0], parts[2])...)
	assert.Contains(t, s.out, "  gap: seeds 1..4: shard 1/3 is missing\n")
}

// A gap alone is exit code 2.
func TestMergeFailsOnAGap(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	var parts []string
	for shard := range 3 {
		part := filepath.Join(dir, fmt.Sprint("part-", shard))
		s := apart(t, "hunt", "standard", "--seeds", "3..5", "--set", "duration=4s", "--no-faults", "--shard", fmt.Sprintf("%d/3", shard), "--out", part)
		require.Equal(t, 0, s.code, s.out)
		parts = append(parts, part)
	}
	assert.Equal(t, 0, apart(t, append([]string{"merge"}, parts...)...).code)
	s := apart(t, "merge", parts[2], parts[0])
	assert.Equal(t, 2, s.code)
	assert.Contains(t, s.out, "  gap: seeds 3..5: shard 1/3 is missing\n")
}

// The workflow has as many jobs as it says, joins them even if one fails, and each
// command in it can be typed.
func TestDocumentedWorkflow(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(ciDir, "github.yml"))
	require.NoError(t, err)
	var workflow struct {
		Env  map[string]any
		Jobs map[string]struct {
			If       string
			Needs    string
			Strategy struct {
				FailFast bool `yaml:"fail-fast"`
				Matrix   struct{ Shard []int }
			}
			Steps []struct{ Run, Uses, If string }
		}
	}
	require.NoError(t, yaml.Unmarshal(text, &workflow))
	hunt, merge := workflow.Jobs["hunt"], workflow.Jobs["merge"]
	assert.Equal(t, workflow.Env["SHARDS"], len(hunt.Strategy.Matrix.Shard))
	for i, shard := range hunt.Strategy.Matrix.Shard {
		assert.Equal(t, i, shard)
	}
	assert.False(t, hunt.Strategy.FailFast)
	assert.Equal(t, "hunt", merge.Needs)
	assert.Equal(t, "always()", merge.If)
	commandsExist(t, string(text), 2)
}

// The pods are as many as the shards, and an exit code that would be the same again is
// not tried again.
func TestDocumentedIndexedJob(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(ciDir, "kubernetes.yaml"))
	require.NoError(t, err)
	var job struct {
		Spec struct {
			CompletionMode           string `yaml:"completionMode"`
			Completions, Parallelism int
			PodFailurePolicy         struct {
				Rules []struct {
					Action      string
					OnExitCodes struct{ Values []int } `yaml:"onExitCodes"`
				}
			} `yaml:"podFailurePolicy"`
		}
	}
	documents := strings.Split(string(text), "\n---\n")
	require.Len(t, documents, 3)
	require.NoError(t, yaml.Unmarshal([]byte(documents[0]), &job))
	assert.Equal(t, "Indexed", job.Spec.CompletionMode)
	assert.Contains(t, documents[0], fmt.Sprintf("--shard $JOB_COMPLETION_INDEX/%d ", job.Spec.Completions))
	of := map[int]string{}
	for _, rule := range job.Spec.PodFailurePolicy.Rules {
		assert.True(t, slices.IsSorted(rule.OnExitCodes.Values), "Kubernetes wants them in order")
		for _, code := range rule.OnExitCodes.Values {
			assert.Empty(t, of[code])
			of[code] = rule.Action
		}
	}
	for _, m := range regexp.MustCompile(`(?m)^  (\d+) `).FindAllStringSubmatch(exitCodes, -1) {
		var code int
		_, err := fmt.Sscan(m[1], &code)
		require.NoError(t, err)
		want := "FailIndex"
		switch code {
		case 0:
			want = "" // all is well
		case exitOurBug, exitInterrupted:
			want = "Count"
		}
		assert.Equal(t, want, of[code], "exit code %d", code)
	}
	commandsExist(t, string(text), 2)
}

// commandsExist checks each command and flag of ktrial in a text.
func commandsExist(t *testing.T, text string, least int) {
	t.Helper()
	typed := regexp.MustCompile(`ktrial (hunt|merge) (.*)`).FindAllStringSubmatch(text, -1)
	assert.GreaterOrEqual(t, len(typed), least)
	for _, m := range typed {
		target := child(command(), m[1])
		require.NotNil(t, target, m[0])
		for _, flag := range regexp.MustCompile(`--([a-z-]+)`).FindAllStringSubmatch(m[2], -1) {
			assert.NotNil(t, target.Flags().Lookup(flag[1]), "%s: there is no flag --%s", m[0], flag[1])
		}
	}
}
