package sessions

import (
	"fmt"
	"strings"
)

// Difference is a row of differences.md: where our answers differ from Apache
// Kafka's on purpose. Each cell may have * for any text.
type Difference struct {
	API, Step, Field, kafka, ours string
	Line                          int
}

// Differences are all that are listed.
type Differences []*Difference

// ReadDifferences reads the tables of a Markdown text: rows of six cells, of
// which the last is the reason.
func ReadDifferences(text string) (Differences, error) {
	var out Differences
	for i, line := range strings.Split(text, "\n") {
		if !strings.HasPrefix(line, "| `") {
			continue
		}
		cells := strings.Split(strings.Trim(line, "| "), " | ")
		if len(cells) != 6 {
			return nil, fmt.Errorf("line %d: %d cells found, 6 expected", i+1, len(cells))
		}
		for j := range cells {
			cells[j] = strings.Trim(strings.TrimSpace(cells[j]), "`")
		}
		if cells[5] == "" {
			return nil, fmt.Errorf("line %d: no reason given", i+1)
		}
		out = append(out, &Difference{API: cells[0], Step: cells[1], Field: cells[2], kafka: cells[3], ours: cells[4], Line: i + 1})
	}
	return out, nil
}

// explain is the row that lists a finding, or nil.
func (ds Differences) explain(f Finding) *Difference {
	for _, d := range ds {
		if like(d.API, f.API) && like(d.Step, f.Step) && like(d.Field, f.Path) && like(d.kafka, f.Kafka) && like(d.ours, f.Ours) {
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
