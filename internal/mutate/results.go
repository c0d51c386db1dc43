package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// results are those of mutants that were tried, kept in mutants.jsonl.
type results struct {
	file  *os.File
	all   []result
	known map[string]bool
}

func openResults(dir string) (*results, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	name := filepath.Join(dir, "mutants.jsonl")
	text, err := os.ReadFile(name)
	if err != nil && !os.IsNotExist(err) {
		return nil, err
	}
	rs := &results{known: map[string]bool{}}
	whole := text[:bytes.LastIndexByte(text, '\n')+1] // what was killed left a part of a line
	for line := range bytes.Lines(whole) {
		var r result
		if err := json.Unmarshal(line, &r); err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		rs.all, rs.known[r.Mutant] = append(rs.all, r), true
	}
	if rs.file, err = os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o644); err != nil {
		return nil, err
	}
	return rs, rs.file.Truncate(int64(len(whole)))
}

// alarmsFile keeps what fails without any mistake: the commands that play it.
const alarmsFile = "alarms.json"

// alarms are those of an earlier call, or of a hunt that is made now.
func (rs *results) alarms(ctx context.Context, p plan) (map[string]bool, error) {
	name := filepath.Join(p.out, alarmsFile)
	text, err := os.ReadFile(name)
	known := map[string]bool{}
	if err == nil {
		return known, json.Unmarshal(text, &known)
	}
	if !os.IsNotExist(err) {
		return nil, err
	}
	fmt.Fprintf(os.Stderr, "mutate: a hunt of %d CPU seconds without any mistake\n", p.cpu)
	if known, err = alarms(ctx, p); err != nil {
		return nil, err
	}
	if text, err = json.Marshal(known); err != nil {
		return nil, err
	}
	return known, os.WriteFile(name, append(text, '\n'), 0o644)
}

// add writes a result at once.
func (rs *results) add(r result) error {
	rs.all = append(rs.all, r)
	text, err := json.Marshal(r)
	if err == nil {
		_, err = rs.file.Write(append(text, '\n'))
	}
	return err
}

// summarize writes mutants.md.
func (rs *results) summarize(dir string) error {
	return os.WriteFile(filepath.Join(dir, "mutants.md"), []byte(summary(rs.all)), 0o644)
}

// fates are in the order of the summary.
var fates = []string{killed, unseen, noDifference, neverReached, notBuilt}

// summary says how many mutants of each folder and kind fell, and which survived and
// why. The score is of those that are reached and make a difference.
func summary(all []result) string {
	all = slices.SortedFunc(slices.Values(all), func(a, b result) int { return strings.Compare(a.Mutant, b.Mutant) })
	var b strings.Builder
	fell, stood := count(all, killed), count(all, unseen)
	fmt.Fprintf(&b, "# Mutants of the stack\n\nWritten by `go run ./internal/mutate`: small mistakes, one at a time, hunted for without unit tests.\n\n")
	fmt.Fprintf(&b, "%d of %d mutants that are reached and make a difference were killed", fell, fell+stood)
	if fell+stood > 0 {
		fmt.Fprintf(&b, " (%d%%)", 100*fell/(fell+stood))
	}
	fmt.Fprintf(&b, ".\n")
	for _, by := range []struct {
		what string
		of   func(result) string
	}{{"folder", func(r result) string { return r.Folder }}, {"kind", func(r result) string { return r.Kind }}} {
		fmt.Fprintf(&b, "\n| %s | %s |\n| --- |%s\n", by.what, strings.Join(fates, " | "), strings.Repeat(" --- |", len(fates)))
		for _, name := range names(all, by.of) {
			mine := slices.DeleteFunc(slices.Clone(all), func(r result) bool { return by.of(r) != name })
			fmt.Fprintf(&b, "| %s |", name)
			for _, fate := range fates {
				fmt.Fprintf(&b, " %d |", count(mine, fate))
			}
			fmt.Fprintln(&b)
		}
	}
	for _, fate := range []string{unseen, noDifference, neverReached} {
		if count(all, fate) == 0 {
			continue
		}
		fmt.Fprintf(&b, "\n## Survived: %s\n\n", fate)
		for _, r := range all {
			if r.Fate == fate {
				fmt.Fprintf(&b, "- `%s`\n", strings.ReplaceAll(r.Mutant, "`", "'"))
			}
		}
	}
	fmt.Fprintf(&b, "\n## Killed\n\n| mutant | by | CPU s |\n| --- | --- | --- |\n")
	for _, r := range all {
		if r.Fate == killed {
			fmt.Fprintf(&b, "| `%s` | %s | %.0f |\n", strings.ReplaceAll(strings.ReplaceAll(r.Mutant, "|", "\\|"), "`", "'"), strings.ReplaceAll(r.By, "|", "\\|"), r.CPUSeconds)
		}
	}
	return b.String()
}

func count(all []result, fate string) (n int) {
	for _, r := range all {
		if r.Fate == fate {
			n++
		}
	}
	return n
}

func names(all []result, of func(result) string) (names []string) {
	for _, r := range all {
		names = append(names, of(r))
	}
	slices.Sort(names)
	return slices.Compact(names)
}
