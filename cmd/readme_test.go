//go:build unix

package cmd

import (
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// runInREADME is a block of README with one run and all that it prints.
var runInREADME = regexp.MustCompile("(?s)```\n\\$ go run ./cmd/ktrial (run [^\n]*)\n(.*?)```")

// wallTime is what a run prints and is not the same each time.
var wallTime = regexp.MustCompile(`\([0-9a-zµ.]+ wall\)`)

// The runs in README print what it shows, hashes and all. With -rewrite they are written anew.
func TestREADMEsRuns(t *testing.T) {
	const file = "../README.md"
	text, err := os.ReadFile(file)
	require.NoError(t, err)
	runs := 0
	played := runInREADME.ReplaceAllStringFunc(string(text), func(block string) string {
		runs++
		parts := runInREADME.FindStringSubmatch(block)
		run := program(strings.Fields(parts[1])...)
		run.Stderr = os.Stderr
		printed, err := run.Output()
		if _, failed := err.(*exec.ExitError); !failed { // a run that fails has an exit code of its own
			require.NoError(t, err, "%s", parts[1])
		}
		out := string(printed)
		if took := wallTime.FindString(parts[2]); took != "" {
			out = wallTime.ReplaceAllLiteralString(out, took)
		}
		if !*rewrite {
			require.Equal(t, parts[2], out, "%s: -rewrite writes it anew", parts[1])
		}
		return "```\n$ go run ./cmd/ktrial " + parts[1] + "\n" + out + "```"
	})
	require.Equal(t, 2, runs, "runs in README")
	golden(t, file, played)
}
