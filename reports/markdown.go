package reports

import (
	"fmt"
	"io"
	"slices"
	"strings"
)

// mostMarkdown is how long a run's text may be: a comment on GitHub has at most 65,536
// characters. Whole sections are left out, from the end, and named.
const mostMarkdown = 60_000

// WriteMarkdown explains a run for a comment or a chat: the verdict, what happened, why,
// the steps, what was checked, the numbers.
func (r *Run) WriteMarkdown(w io.Writer) error {
	sections := []struct{ name, text string }{
		{"the verdict", r.markdownHead()}, {"the explanation", r.markdownWhy()}, {"the numbers", r.markdownNumbers()}, {"the checks", r.markdownChecks()}, {"the faults", r.markdownFaults()},
	}
	var out strings.Builder
	var left []string
	for _, s := range sections {
		if out.Len()+len(s.text) > mostMarkdown {
			left = append(left, s.name)
			continue
		}
		out.WriteString(s.text)
	}
	if len(left) > 0 {
		fmt.Fprintf(&out, "\nToo long, and left out: %s.\n", strings.Join(left, ", "))
	}
	_, err := io.WriteString(w, out.String())
	return err
}

// plainText is text in which Markdown sees no marks.
func plainText(text string) string {
	return strings.NewReplacer("\\", "\\\\", "*", "\\*", "_", "\\_", "`", "\\`", "<", "&lt;", ">", "&gt;", "|", "\\|", "#", "\\#", "[", "\\[", "\n", " ").Replace(text)
}

func (r *Run) markdownHead() string {
	h := headline[r.Verdict]
	text := fmt.Sprintf("### %s %s, seed %d\n\n%s of virtual time, %s events, %s, trace `%s`\n", h.word, plainText(r.Scenario), r.Seed, brief(r.VirtualSeconds), count(int64(r.Events)), r.faults(), r.TraceHash)
	for _, m := range r.MissedNumbers {
		text += fmt.Sprintf("\n**Required %s: %s**\n", plainText(m.Require), plainText(m.Found))
	}
	if r.Again != "" {
		text += fmt.Sprintf("\n    %s\n", r.Again)
	}
	return text
}

func (r *Run) markdownWhy() string {
	v := r.Main()
	if v == nil {
		return ""
	}
	var b strings.Builder
	if v.Why == nil {
		fmt.Fprintf(&b, "\n**%s**\n", plainText(v.Message))
	} else {
		fmt.Fprintf(&b, "\n**%s**\n", plainText(v.Why.What))
		if v.Why.Because != "" {
			fmt.Fprintf(&b, "\n> %s\n", plainText(v.Why.Because))
		}
	}
	if v.Check != "" {
		fmt.Fprintf(&b, "\nPromised: %s\n", plainText(v.Check))
	}
	b.WriteString("\n| | | | |\n| --: | --: | --- | --- |\n")
	for i, s := range v.moments() {
		fmt.Fprintf(&b, "| %d | %s | %s | %s |\n", i+1, s.At.precise(), plainText(s.Who), plainText(s.What))
	}
	if more := len(r.Violations) - 1; more > 0 {
		fmt.Fprintf(&b, "\n%s more violations.\n", count(int64(more)))
	}
	return b.String()
}

// moments are the steps of the explanation, or else those of the story.
func (v *Violation) moments() []Moment {
	if v.Why == nil {
		return v.Story
	}
	var out []Moment
	for _, s := range v.Why.Steps {
		out = append(out, Moment{s.At, s.Host, s.Text})
	}
	return out
}

func (r *Run) markdownNumbers() string {
	if r.Numbers == nil {
		return ""
	}
	var b strings.Builder
	b.WriteString("\n| | |\n| --- | --- |\n")
	for _, row := range r.Numbers.rows() {
		fmt.Fprintf(&b, "| %s | %s |\n", row[0], plainText(row[1]))
	}
	for _, g := range r.Rebalances {
		fmt.Fprintf(&b, "| group | %s |\n", plainText(g.String()))
	}
	return b.String()
}

func (r *Run) markdownChecks() string {
	checks := slices.Clone(r.Checks)
	slices.SortStableFunc(checks, func(a, b Check) int { return compare(b.Verdict, a.Verdict) })
	var b strings.Builder
	b.WriteString("\n| verdict | check | checked |\n| --- | --- | --: |\n")
	for _, c := range checks {
		fmt.Fprintf(&b, "| %s | %s | %s |\n", c.Verdict, plainText(c.Name), count(c.Checked))
	}
	return b.String()
}

func (r *Run) markdownFaults() string {
	var b strings.Builder
	for i, f := range r.Faults {
		if i == 0 {
			b.WriteString("\nWhat struck:\n\n")
		}
		fmt.Fprintf(&b, "    %s\n", f.Text)
	}
	return b.String()
}
