package main

import (
	"fmt"
	"os"
	"strings"
)

// difference is a row of differences.md: where our answers differ from Apache
// Kafka's on purpose. Each cell may have * for any text.
type difference struct {
	api, step, field, kafka, ours string
	line                          int
}

// differences are all that are listed.
type differences []*difference

// readDifferences reads the tables of a Markdown file: rows of six cells, of
// which the last is the reason.
func readDifferences(file string) (differences, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	var out differences
	for i, line := range strings.Split(string(text), "\n") {
		if !strings.HasPrefix(line, "| `") {
			continue
		}
		cells := strings.Split(strings.Trim(line, "| "), " | ")
		if len(cells) != 6 {
			return nil, fmt.Errorf("%s:%d: %d cells found, 6 expected", file, i+1, len(cells))
		}
		for j := range cells {
			cells[j] = strings.Trim(strings.TrimSpace(cells[j]), "`")
		}
		if cells[5] == "" {
			return nil, fmt.Errorf("%s:%d: no reason given", file, i+1)
		}
		out = append(out, &difference{api: cells[0], step: cells[1], field: cells[2], kafka: cells[3], ours: cells[4], line: i + 1})
	}
	return out, nil
}

// explain is the row that lists a finding, or nil.
func (ds differences) explain(f finding) *difference {
	for _, d := range ds {
		if like(d.api, f.api) && like(d.step, f.step) && like(d.field, f.path) && like(d.kafka, f.kafka) && like(d.ours, f.ours) {
			return d
		}
	}
	return nil
}

// like matches a text with a pattern in which * stands for any text.
func like(pattern, text string) bool {
	head, rest, wild := strings.Cut(pattern, "*")
	if !wild {
		return pattern == text
	}
	if !strings.HasPrefix(text, head) {
		return false
	}
	for i := len(head); i <= len(text); i++ {
		if like(rest, text[i:]) {
			return true
		}
	}
	return false
}
