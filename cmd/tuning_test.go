//go:build unix

package cmd

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// consoleBlock is a part of a document with commands, each after a dollar, and what they print.
var consoleBlock = regexp.MustCompile("(?s)```console\n(.*?)```")

// What docs/tuning.md shows is what its commands print. With -rewrite the answers are
// written anew.
func TestTuningAnswers(t *testing.T) {
	if !*long {
		t.Skip("a minute or two: with -long")
	}
	const file = "../docs/tuning.md"
	text, err := os.ReadFile(file)
	require.NoError(t, err)
	dir := asCommand(t)
	played := consoleBlock.ReplaceAllStringFunc(string(text), func(block string) string {
		body := consoleBlock.FindStringSubmatch(block)[1]
		var out strings.Builder
		for line := range strings.Lines(body) {
			command, ok := strings.CutPrefix(line, "$ ")
			if !ok {
				continue
			}
			shell := exec.Command("sh", "-c", command)
			shell.Env = append(os.Environ(), "PATH="+dir+":"+os.Getenv("PATH"))
			shell.Stderr = os.Stderr
			printed, err := shell.Output()
			require.NoError(t, err, "%s", command)
			fmt.Fprintf(&out, "%s%s", line, printed)
		}
		return "```console\n" + out.String() + "```"
	})
	golden(t, file, played)
}

// asCommand is a directory with this program under the name ktrial.
func asCommand(t *testing.T) (dir string) {
	dir = t.TempDir()
	script := fmt.Sprintf("#!/bin/sh\n%s=1 exec %q \"$@\"\n", asProgram, os.Args[0])
	require.NoError(t, os.WriteFile(filepath.Join(dir, "ktrial"), []byte(script), 0o755))
	return dir
}

// Each question has an answer that was played.
func TestTuningHasAllAnswers(t *testing.T) {
	text, err := os.ReadFile("../docs/tuning.md")
	require.NoError(t, err)
	sections := regexp.MustCompile(`(?m)^### \d+\. `).Split(string(text), -1)[1:]
	require.Len(t, sections, 10)
	for i, section := range sections {
		block := consoleBlock.FindStringSubmatch(section)
		require.NotNil(t, block, "question %d has no command", i+1)
		lines := strings.Split(strings.TrimSpace(block[1]), "\n")
		require.NotContains(t, lines[len(lines)-1], "$ ", "question %d has no output: run with -long -rewrite", i+1)
	}
}
