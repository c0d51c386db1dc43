package predict

import (
	"fmt"
	"strings"
)

// Text is the table for a person, in Markdown.
func Text(lines []Line) string {
	var b strings.Builder
	b.WriteString("| figure | what | published | model | model / published | |\n| --- | --- | ---: | ---: | ---: | --- |\n")
	for _, l := range lines {
		mark := "not fitted"
		if l.Fitted {
			mark = "fitted"
		}
		fmt.Fprintf(&b, "| %s | %s, %s | %s %s | %s | %.2f | %s |\n", l.Row.ID, l.Case, l.Row.Metric, number(l.Row.Value), l.Row.Unit, number(l.Model), l.Model/l.Row.Value, mark)
	}
	n, of := Within(lines, 1.2)
	twice, _ := Within(lines, 2)
	fmt.Fprintf(&b, "\nOf %d figures that were not fitted, %d are within 20%% and %d within a factor of 2.\n", of, n, twice)
	return b.String()
}

func number(v float64) string {
	switch {
	case v >= 1000:
		return fmt.Sprintf("%.0f", v)
	case v >= 1:
		return fmt.Sprintf("%.3f", v)
	}
	return fmt.Sprintf("%.5f", v)
}
