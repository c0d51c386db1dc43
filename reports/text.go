package reports

import (
	"fmt"
	"io"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// Style says how text may look.
type Style struct {
	Color bool // on a terminal, unless NO_COLOR
}

const (
	red    = "\x1b[31m"
	green  = "\x1b[32m"
	yellow = "\x1b[33m"
	reset  = "\x1b[0m"
)

func (s Style) paint(color, text string) string {
	if !s.Color {
		return text
	}
	return color + text + reset
}

// headline is how a run is summed up in one word.
var headline = map[Verdict]struct{ word, color string }{
	Holds:            {"ok", green},
	Allowed:          {"ALLOWED", yellow},
	Violated:         {"FAIL", red},
	Inconclusive:     {"INCONCLUSIVE", yellow},
	NotDeterministic: {"NOT DETERMINISTIC", red},
}

// WriteText tells a run to a person. A run that holds is told briefly; one
// that does not says what was promised, what was seen, what proves it, what
// went wrong around it, and what to type next.
func (r *Run) WriteText(w io.Writer, style Style) {
	h := headline[r.Verdict]
	fmt.Fprintf(w, "%s %s seed %d after %s of virtual time (%s wall)\n", style.paint(h.color, h.word), r.Scenario, r.Seed,
		brief(r.VirtualSeconds), brief(r.WallSeconds))
	r.writeWork(w)
	r.writeChecks(w, style)
	r.writeViolations(w, style)
	r.writeAllowed(w)
	if r.Lesson != "" {
		fmt.Fprintf(w, "  lesson: %s\n", wrap(r.Lesson, "          ", 100))
	}
	r.writeNext(w)
}

func brief(seconds float64) string {
	return time.Duration(seconds * 1e9).Round(time.Millisecond * 10).String()
}

func (r *Run) writeWork(w io.Writer) {
	var parts []string
	for _, name := range slices.Sorted(maps.Keys(r.Counts)) {
		if n := r.Counts[name]; n > 0 {
			parts = append(parts, fmt.Sprintf("%s %s", count(n), strings.TrimPrefix(name, "records ")))
		}
	}
	if len(parts) > 0 {
		fmt.Fprintf(w, "  records  %s\n", strings.Join(parts, ", "))
	}
	fmt.Fprintf(w, "  world    %s events, %s, trace %s\n", count(int64(r.Events)), things(len(r.Faults), "fault"), r.TraceHash)
	r.writeSpared(w)
	if r.Stopped != "" {
		fmt.Fprintf(w, "  stopped  %s\n", r.Stopped)
	}
	for _, bug := range slices.Sorted(maps.Keys(r.Planted)) {
		p := r.Planted[bug]
		fmt.Fprintf(w, "  planted  %s: reached %s, infected %s, detected %s\n", bug, count(p.Reached), count(p.Infected), count(p.Detected))
	}
}

// writeSpared tells of faults that did not strike as they were planned: whoever
// wrote the plan wants to know of each.
func (r *Run) writeSpared(w io.Writer) {
	if !r.OwnPlan && len(r.Spared) > 0 {
		fmt.Fprintf(w, "  spared   %s: more than is promised to survive, or nobody there to strike (--json has them)\n", things(len(r.Spared), "fault"))
		return
	}
	for _, s := range r.Spared {
		fmt.Fprintf(w, "  spared   %s\n", wrap(fmt.Sprintf("at %v %s: %s", s.At, s.Text, s.Why), "           ", 110))
	}
}

func (r *Run) writeChecks(w io.Writer, style Style) {
	for _, c := range r.Checks {
		h := headline[c.Verdict]
		line := fmt.Sprintf("%-12s %s: %s checked", c.Verdict, c.Name, count(c.Checked))
		fmt.Fprintf(w, "  %s\n", style.paint(h.color, line))
	}
}

// writeViolations tells of each check's first violation with its story, and of
// a few more in a line each.
func (r *Run) writeViolations(w io.Writer, style Style) {
	const most = 5
	told := map[string]int{}
	for _, v := range r.Violations {
		told[v.Check]++
		switch n := told[v.Check]; {
		case n == 1:
			fmt.Fprintf(w, "\n  %s at %v\n", style.paint(red, v.Check), v.At)
			fmt.Fprintf(w, "    %s\n", wrap(v.Message, "    ", 110))
			v.writeProof(w)
		case n <= most:
			fmt.Fprintf(w, "    also at %v: %s\n", v.At, wrap(v.Message, "      ", 110))
		}
	}
	for _, c := range r.Checks {
		if more := told[c.Name] - most; more > 0 {
			fmt.Fprintf(w, "  ... and %s more of: %s (--json has them all)\n", count(int64(more)), c.Name)
		}
	}
	for _, p := range r.NotReached {
		if r.Verdict != Inconclusive {
			break
		}
		fmt.Fprintf(w, "\n  %s: the run never met %q, so it proves little\n", style.paint(yellow, "inconclusive"), p)
	}
}

// writeProof tells the argument, draws the operations, and says what happened
// around them.
func (v *Violation) writeProof(w io.Writer) {
	for _, line := range v.Proof {
		fmt.Fprintf(w, "      %s\n", wrap(line, "        ", 110))
	}
	for line := range strings.Lines(v.Lanes) {
		fmt.Fprintf(w, "      %s", line)
	}
	for _, m := range v.Story {
		fmt.Fprintf(w, "    %10s  %-13s %s\n", m.At, m.Who, m.What)
	}
}

// writeAllowed tells each reason once, with what it let off and an example of
// each anomaly.
func (r *Run) writeAllowed(w io.Writer) {
	var reasons []string
	seen := map[string][]Permitted{}
	for _, a := range r.Allowed {
		if a.Count == 0 {
			continue
		}
		if seen[a.Reason] == nil {
			reasons = append(reasons, a.Reason)
		}
		seen[a.Reason] = append(seen[a.Reason], a)
	}
	for _, reason := range reasons {
		var parts []string
		for _, a := range seen[reason] {
			parts = append(parts, count(int64(a.Count))+" "+a.Anomaly)
		}
		fmt.Fprintf(w, "  allowed  %s\n", wrap(strings.Join(parts, ", ")+", because "+reason, "           ", 100))
	}
	for _, reason := range reasons {
		for _, a := range seen[reason] {
			a.write(w)
		}
	}
}

// write tells of the example.
func (p *Permitted) write(w io.Writer) {
	if p.Message == "" {
		return
	}
	fmt.Fprintf(w, "\n  allowed, for example: %s\n", p.Anomaly)
	fmt.Fprintf(w, "    %s\n", wrap(p.Message, "    ", 110))
	if p.Example != nil {
		p.Example.writeProof(w)
	}
}

func (r *Run) writeNext(w io.Writer) {
	fmt.Fprintln(w)
	if r.Again != "" {
		fmt.Fprintf(w, "  again:   %s\n", r.Again)
	}
	switch {
	case r.Kept != "":
		fmt.Fprintf(w, "  replay:  %s\n", r.command("replay", "run.json"))
		fmt.Fprintf(w, "  check:   %s\n", r.command("check", "history.jsonl"))
	case r.Verdict == Violated:
		fmt.Fprintf(w, "  keep:    %s --out DIR\n", r.Again)
	}
}

// command is one of the program about a file of the kept run.
func (r *Run) command(name, file string) string {
	program := r.Program
	if program == "" {
		program = "ktrial"
	}
	return Command(append(strings.Fields(program), name, filepath.Join(r.Kept, file))...)
}

// Command is a command line as a shell takes it.
func Command(words ...string) string {
	var out []string
	for _, word := range words {
		out = append(out, quoted(word))
	}
	return strings.Join(out, " ")
}

func quoted(word string) string {
	odd := func(c rune) bool {
		return (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && !strings.ContainsRune("-_./=,:+@%", c)
	}
	if word != "" && !strings.ContainsFunc(word, odd) {
		return word
	}
	return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
}

// things counts what has a plural in s.
func things(n int, what string) string {
	if n != 1 {
		what += "s"
	}
	return count(int64(n)) + " " + what
}

// count writes a number with commas: 11,204.
func count(n int64) string {
	s := fmt.Sprint(n)
	for i := len(s) - 3; i > 0 && s[i-1] != '-'; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// wrap breaks text into lines of about width; further lines begin with indent.
func wrap(text, indent string, width int) string {
	var b strings.Builder
	col := 0
	for i, word := range strings.Fields(text) {
		switch {
		case i > 0 && col+1+len(word) > width:
			b.WriteString("\n" + indent)
			col = 0
		case i > 0:
			b.WriteByte(' ')
			col++
		}
		b.WriteString(word)
		col += len(word)
	}
	return b.String()
}
