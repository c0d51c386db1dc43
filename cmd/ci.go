package cmd

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/ktrial/ktrial/reports"
	hunts "github.com/ktrial/ktrial/scenarios/hunt"
)

// Objects of --json, each with a type: lines of different kinds follow each other.
type (
	runObject struct {
		Type string `json:"type"` // run
		*reports.Run
	}
	huntObject struct {
		Type string `json:"type"` // summary
		*reports.Hunt
	}
)

func printRun(r *reports.Run) { reports.WriteJSON(stdout, runObject{"run", r}) }

// summarize prints what a hunt has found, and writes it for a CI.
func summarize(sum *reports.Hunt, asJSON bool, junit string) error {
	if asJSON {
		reports.WriteJSON(stdout, huntObject{"summary", sum})
	} else {
		sum.WriteText(stdout, style(os.Stdout))
	}
	return firstOf(writeJUnit(junit, sum), writeForGitHub(sum))
}

// writeJUnit writes a hunt to the file of --junit, if there is one.
func writeJUnit(file string, sum *reports.Hunt) error {
	if file == "" {
		return nil
	}
	if err := writeWhole(file, sum.WriteJUnit); err != nil {
		return cannotWrite("--junit "+file, err)
	}
	return nil
}

// writeForGitHub writes annotations, and the summary of the step, where the program
// runs in a GitHub workflow.
func writeForGitHub(sum *reports.Hunt) error {
	if os.Getenv("GITHUB_ACTIONS") != "true" {
		return nil
	}
	sum.WriteAnnotations(os.Stderr) // GitHub reads both; standard output may be JSON
	name := os.Getenv("GITHUB_STEP_SUMMARY")
	if name == "" {
		return nil
	}
	file, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o644)
	if err == nil {
		err = firstOf(sum.WriteSummary(file), file.Close())
	}
	if err != nil {
		return cannotWrite("GITHUB_STEP_SUMMARY", err)
	}
	return nil
}

// writeIndex writes the page of a hunt into its directory.
func writeIndex(dir, title string, sum *reports.Hunt) error {
	return writeWhole(filepath.Join(dir, hunts.IndexFile), func(w io.Writer) error { return sum.WriteIndex(w, title, "") })
}

// writeWhole writes a file that is there as it was, or whole. What is no file, such
// as /dev/stdout or a pipe, is written to and never replaced; a link stays one.
func writeWhole(file string, write func(io.Writer) error) error {
	var text bytes.Buffer
	if err := write(&text); err != nil {
		return err
	}
	if at, err := os.Stat(file); err == nil && !at.Mode().IsRegular() {
		return os.WriteFile(file, text.Bytes(), 0o644)
	}
	if target, err := filepath.EvalSymlinks(file); err == nil {
		file = target
	}
	part := file + unfinished
	if err := os.WriteFile(part, text.Bytes(), 0o644); err != nil {
		return err
	}
	if err := os.Rename(part, file); err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	return nil
}
