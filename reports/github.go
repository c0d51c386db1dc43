package reports

import (
	"fmt"
	"io"
	"strings"
)

// mostAnnotations is how many errors GitHub shows of one step; it drops those that
// come after them.
const mostAnnotations = 10

// WriteAnnotations writes commands that GitHub shows beside a job: an error for each
// way to fail, at most ten, and then a warning that counts the rest.
func (h *Hunt) WriteAnnotations(w io.Writer) {
	var all []string
	for i := range h.OwnBugs {
		f := &h.OwnBugs[i]
		all = append(all, annotation("error", fmt.Sprintf("%s seed %d: no verdict", f.Scenario, f.Seed), f.explained()))
	}
	for _, gap := range h.Gaps {
		all = append(all, annotation("error", "runs are missing", gap))
	}
	for i := range h.Groups {
		g := &h.Groups[i]
		title := fmt.Sprintf("%s: %v, in %s", g.Verdict, g.Fingerprint, things(g.Count, "run"))
		all = append(all, annotation("error", title, g.First.explained()))
	}
	for _, a := range all[:min(len(all), mostAnnotations)] {
		fmt.Fprintln(w, a)
	}
	if rest := len(all) - mostAnnotations; rest > 0 {
		fmt.Fprintln(w, annotation("warning", "ktrial hunt", fmt.Sprintf("%d more: see the summary of this step", rest)))
	}
}

// In a command of GitHub these characters have a meaning.
var (
	commandText     = strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A")
	commandProperty = strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A", ":", "%3A", ",", "%2C")
)

func annotation(level, title, text string) string {
	return fmt.Sprintf("::%s title=%s::%s", level, commandProperty.Replace(title), commandText.Replace(text))
}

// mostSummary is how many bytes the summary of a step may have in all; several
// commands of a step share them.
const mostSummary = 1 << 19

// WriteSummary writes a hunt as Markdown, for the summary of a step of a GitHub
// workflow. What does not fit is left out whole, and counted.
func (h *Hunt) WriteSummary(w io.Writer) error {
	var b strings.Builder
	fmt.Fprintf(&b, "### ktrial hunt: %s\n\n", h.Verdict)
	fmt.Fprintf(&b, "%s, %s events, %s virtual in %s wall: %.1f seeds per second\n\n", things(h.Runs, "run"), count(int64(h.Events)),
		brief(h.VirtualSeconds), brief(h.WallSeconds), h.SeedsPerSecond)
	for _, gap := range h.Gaps {
		fmt.Fprintf(&b, "- gap: %s\n", markdown(gap))
	}
	left := 0
	for i := range h.Groups {
		section := h.Groups[i].markdown()
		if b.Len()+len(section) > mostSummary {
			left++
			continue
		}
		b.WriteString(section)
	}
	for i := range h.OwnBugs {
		section := h.OwnBugs[i].markdown("no verdict: "+h.OwnBugs[i].Check, "")
		if b.Len()+len(section) > mostSummary {
			left++
			continue
		}
		b.WriteString(section)
	}
	if left > 0 {
		fmt.Fprintf(&b, "\n%s left out: the summary would be too long\n", things(left, "way")+" to fail")
	}
	if never := h.ProbesNeverReached; len(never) > 0 && h.Runs > 0 {
		fmt.Fprintf(&b, "\n<details><summary>%s never reached</summary>\n\n%s\n\n</details>\n", things(len(never), "probe"), markdown(strings.Join(never, ", ")))
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func (g *Group) markdown() string {
	title := fmt.Sprintf("%s: %v, in %s", g.Verdict, g.Fingerprint, things(g.Count, "run"))
	more := ""
	if s := g.Smallest; s.Shrunk {
		more = fmt.Sprintf("smallest: %s, %s\n%s\n", things(s.Faults, "fault"), things(int(s.Events), "event"), strings.Join(s.Plan, "\n"))
	}
	return g.First.markdown(title, more)
}

func (f *Failure) markdown(title, more string) string {
	text := f.explained() + "\n" + more
	fence := "```"
	for strings.Count(text, fence) > 0 {
		fence += "`"
	}
	return fmt.Sprintf("#### %s\n\n%stext\n%s%s\n\n", markdown(title), fence, text, fence)
}

// markdown has a text stand for itself.
func markdown(s string) string {
	return strings.NewReplacer("<", "&lt;", ">", "&gt;", "&", "&amp;", "|", "\\|", "*", "\\*", "_", "\\_", "`", "\\`", "\n", " ").Replace(s)
}
