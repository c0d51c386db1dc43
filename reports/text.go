package reports

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"math"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// Style says how text may look.
type Style struct {
	Color bool // on a terminal, unless NO_COLOR
	Width int  // of the terminal, in columns; 0: there is none, and lines are of a usual width
}

// room is how many columns a text has behind an indent, of at most so many: long
// lines are hard to read however wide the terminal is.
func (s Style) room(indent, most int) int {
	if s.Width == 0 {
		return most
	}
	return min(most, max(s.Width-indent, 30))
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
	Violated:         {"FAIL", red},
	Allowed:          {"ALLOWED", yellow},
	Inconclusive:     {"INCONCLUSIVE", yellow},
	NotDeterministic: {"NOT DETERMINISTIC", red},
	Missing:          {"MISSED", red},
}

// WriteText explains a run to a person. What was broken comes first: what was
// promised, what was seen, what proves it, what went wrong around it. Then come
// what held, what the run was, and what to type next.
func (r *Run) WriteText(w io.Writer, style Style) {
	h := headline[r.Verdict]
	fmt.Fprintf(w, "%s %s seed %d after %s of virtual time (%s wall)\n", style.paint(h.color, h.word), r.Scenario, r.Seed,
		brief(r.VirtualSeconds), brief(r.WallSeconds))
	r.Replayed.write(w, style)
	for _, m := range r.MissedNumbers {
		fmt.Fprintf(w, "\n  %s\n", style.paint(red, fmt.Sprintf("required %s: %s", m.Require, m.Found)))
	}
	if r.writeViolations(w, style) || len(r.MissedNumbers) > 0 {
		fmt.Fprintln(w)
	}
	r.writeWork(w, style)
	r.writeChecks(w, style)
	r.writeAllowed(w, style)
	if r.Lesson != "" {
		fmt.Fprintf(w, "  lesson: %s\n", Wrap(r.Lesson, "          ", style.room(10, 100)))
	}
	r.writeNext(w, style)
}

func brief(seconds float64) string {
	return time.Duration(seconds * 1e9).Round(time.Millisecond * 10).String()
}

func (r *Run) writeWork(w io.Writer, style Style) {
	row := func(label, text string) {
		fmt.Fprintf(w, "  %-8s %s\n", label, Wrap(text, "           ", style.room(11, 110)))
	}
	if records := r.records(); records != "" {
		row("records", records)
	}
	if n := r.Counts[RecordsAlike]; n > 0 {
		row("alike", count(n)+" records without a producer id equal others: a duplicate of one cannot be told from the other")
	}
	if told := r.told(); told != "" {
		row("told", told)
	}
	if polls := r.Errors["poll"]; len(polls) > 0 {
		row("polls", failed(polls))
	}
	for _, g := range r.Rebalances {
		row("group", g.String())
	}
	if r.Numbers != nil {
		for _, n := range r.Numbers.rows() {
			row(n[0], n[1])
		}
	}
	row("world", fmt.Sprintf("%s events, %s, trace %s", count(int64(r.Events)), r.faults(), r.TraceHash))
	if r.Drawn != "" {
		row("drawn", r.Drawn)
	}
	r.writeSkipped(row)
	if r.Stopped != "" {
		row("stopped", r.Stopped)
	}
	for _, bug := range slices.Sorted(maps.Keys(r.Planted)) {
		p := r.Planted[bug]
		row("planted", fmt.Sprintf("%s: reached %s, infected %s, detected %s", bug, count(p.Reached), count(p.Infected), count(p.Detected)))
	}
}

// records sums up what became of the records; those that failed last, by error.
func (r *Run) records() string {
	var parts []string
	for _, c := range []struct{ key, word string }{{RecordsAcknowledged, "acknowledged"}, {RecordsInDoubt, "in doubt"}, {RecordsPolled, "polled"}} {
		if n := r.Counts[c.key]; n > 0 {
			parts = append(parts, fmt.Sprintf("%s %s", count(n), c.word))
		}
	}
	text := strings.Join(parts, ", ")
	n := r.Counts[RecordsFailed]
	switch {
	case n == 0:
		return text
	case text != "":
		text += "; "
	}
	if sends := r.Errors["send"]; len(sends) > 0 {
		return text + failed(sends)
	}
	return text + count(n) + " failed"
}

// told sums up what programs told themselves.
func (r *Run) told() string {
	var parts []string
	for _, c := range []struct{ key, word string }{
		{SendsTold, "sends that programs count on"}, {SendsUnproven, "of them not acknowledged on the wire by then"},
		{LinesRefused, "lines not understood (see --story)"},
	} {
		if n := r.Counts[c.key]; n > 0 {
			parts = append(parts, fmt.Sprintf("%s %s", count(n), c.word))
		}
	}
	return strings.Join(parts, ", ")
}

// failed is such as: 612 failed: 611 INVALID_RECORD, 1 NOT_LEADER_OR_FOLLOWER.
func failed(byError map[string]int64) string {
	names := slices.SortedFunc(maps.Keys(byError), func(a, b string) int {
		return cmp.Or(cmp.Compare(byError[b], byError[a]), cmp.Compare(a, b))
	})
	var parts []string
	all := int64(0)
	for _, name := range names {
		parts = append(parts, count(byError[name])+" "+name)
		all += byError[name]
	}
	return count(all) + " failed: " + strings.Join(parts, ", ")
}

// faults says how many struck.
func (r *Run) faults() string {
	if r.NoFaults {
		return "no faults"
	}
	return things(len(r.Faults), "fault")
}

// writeSkipped writes the faults that did not strike as they were planned: the
// author of a plan wants to know of each.
func (r *Run) writeSkipped(row func(label, text string)) {
	if !r.OwnPlan && len(r.Skipped) > 0 {
		row("skipped", things(len(r.Skipped), "fault")+": too destructive for this configuration, or no such target at that moment (--json has them)")
		return
	}
	for _, s := range r.Skipped {
		row("skipped", fmt.Sprintf("at %v of the work (%v) %s: %s", s.At-r.WorkBegan, s.At, s.Text, s.Why))
	}
}

// compare orders verdicts by which is reported of two.
func compare(a, b Verdict) int {
	switch {
	case a == b:
		return 0
	case Worst(a, b) == a:
		return 1
	}
	return -1
}

// writeChecks writes the checks, the worst first.
func (r *Run) writeChecks(w io.Writer, style Style) {
	checks := slices.Clone(r.Checks)
	slices.SortStableFunc(checks, func(a, b Check) int { return compare(b.Verdict, a.Verdict) })
	for _, c := range checks {
		h := headline[c.Verdict]
		line := fmt.Sprintf("%-12s %s", c.Verdict, Wrap(fmt.Sprintf("%s: %s checked", c.Name, count(c.Checked)), strings.Repeat(" ", 15), style.room(15, 110)))
		fmt.Fprintf(w, "  %s\n", style.paint(h.color, line))
	}
}

// writeViolations explains each check's first violation with its story, and of
// a few more in a line each; then of the dangers that were not met. It reports
// whether there was anything to explain.
func (r *Run) writeViolations(w io.Writer, style Style) (told bool) {
	const most = 5
	by := map[string]int{}
	var order []string
	for _, v := range r.Violations {
		if by[v.Check]++; by[v.Check] == 1 {
			order = append(order, v.Check)
		}
	}
	for _, check := range order {
		n := 0
		for _, v := range r.Violations {
			if v.Check != check {
				continue
			}
			switch n++; {
			case n == 1:
				fmt.Fprintf(w, "\n  %s\n", style.paint(red, Wrap(fmt.Sprintf("%s at %v", v.Check, v.At), "  ", style.room(2, 110))))
				fmt.Fprintf(w, "    %s\n", Wrap(v.Message, "    ", style.room(4, 110)))
				v.writeProof(w, style)
			case n <= most:
				fmt.Fprintf(w, "    also at %v: %s\n", v.At, Wrap(v.Message, "      ", style.room(6, 110)))
			}
		}
		if n > most {
			fmt.Fprintf(w, "    ... and %s more (--json has them all)\n", count(int64(n-most)))
		}
	}
	if r.Verdict != Inconclusive {
		return len(order) > 0
	}
	if r.Unworkable != "" {
		fmt.Fprintf(w, "\n  %s: %s\n", style.paint(yellow, "inconclusive"), Wrap(r.Unworkable, "    ", style.room(4, 100)))
		return true // it met nothing
	}
	for _, p := range r.NotReached {
		fmt.Fprintf(w, "\n  %s: the run never met %q, so it proves little\n", style.paint(yellow, "inconclusive"), p)
	}
	return len(order)+len(r.NotReached) > 0
}

// writeProof writes the argument, draws the operations, and says what happened
// around them; or how it came about, if that is known.
func (v *Violation) writeProof(w io.Writer, style Style) {
	v.Why.WriteText(w, style)
	for _, line := range v.Proof {
		fmt.Fprintf(w, "      %s\n", Wrap(line, "        ", style.room(8, 110)))
	}
	for line := range strings.Lines(v.Lanes) {
		fmt.Fprintf(w, "      %s", line)
	}
	if v.Why != nil {
		return
	}
	for _, m := range v.Story {
		fmt.Fprintf(w, "    %10s  %-13s %s\n", m.At, m.Who, Wrap(m.What, strings.Repeat(" ", 30), style.storyRoom()))
	}
}

// WriteText explains how it came about: what happened, the cause, the steps.
func (y *Why) WriteText(w io.Writer, style Style) {
	if y == nil {
		return
	}
	fmt.Fprintf(w, "    %s: %s\n", y.Kind, Wrap(y.What, "      ", style.room(6, 110)))
	if y.Because != "" {
		fmt.Fprintf(w, "    why: %s\n", Wrap(y.Because, "         ", style.room(9, 110)))
	}
	for i, s := range y.Steps {
		fmt.Fprintf(w, "    %2d %10s  %-13s %s\n", i+1, s.At.precise(), s.Host, Wrap(s.Text, strings.Repeat(" ", 33), style.storyRoom()))
	}
	if y.Left > 0 {
		fmt.Fprintf(w, "       and %s between them\n", things(y.Left, "step"))
	}
}

// precise is a time with tenths of milliseconds: 6.0364s.
func (s Seconds) precise() string { return fmt.Sprintf("%.4fs", time.Duration(s).Seconds()) }

// storyRoom is the width of a story's third column: a line of it stays one line
// unless the terminal is too narrow.
func (s Style) storyRoom() int {
	if s.Width == 0 {
		return math.MaxInt
	}
	return max(s.Width-30, 30)
}

// writeAllowed writes each reason once, with what it let off and an example of
// each anomaly.
func (r *Run) writeAllowed(w io.Writer, style Style) {
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
		fmt.Fprintf(w, "  allowed  %s\n", Wrap(strings.Join(parts, ", ")+", because "+reason, "           ", style.room(11, 100)))
	}
	if r.Strict {
		return // they are violations, and explained as such
	}
	for _, reason := range reasons {
		for _, a := range seen[reason] {
			a.write(w, style)
		}
	}
}

// write explains the example.
func (p *Permitted) write(w io.Writer, style Style) {
	if p.Message == "" {
		return
	}
	fmt.Fprintf(w, "\n  allowed, for example: %s\n", p.Anomaly)
	fmt.Fprintf(w, "    %s\n", Wrap(p.Message, "    ", style.room(4, 110)))
	if p.Example != nil {
		p.Example.writeProof(w, style)
	}
}

func (r *Run) writeNext(w io.Writer, style Style) {
	fmt.Fprintln(w)
	if r.Again != "" {
		fmt.Fprintf(w, "  again:   %s\n", r.Again)
	}
	switch {
	case r.Kept != "":
		fmt.Fprintf(w, "  replay:  %s\n", r.command("replay", "run.json"))
		r.writeCheck(w, style)
	case r.Verdict == Violated:
		fmt.Fprintf(w, "  keep:    %s --out DIR\n", r.Again)
	}
}

// writeCheck says how to judge the history, unless that would not show what the
// run broke.
func (r *Run) writeCheck(w io.Writer, style Style) {
	seenByClients := func(v Violation) bool { return v.Anomaly != "" }
	switch {
	case len(r.Violations) == 0 || slices.ContainsFunc(r.Violations, seenByClients):
		fmt.Fprintf(w, "  check:   %s\n", r.command("check", "history.jsonl"))
	case slices.ContainsFunc(r.Violations, func(v Violation) bool { return v.Inside }):
		fmt.Fprintf(w, "  check:   %s\n", Wrap("the run broke a law inside the cluster before clients could notice, so what they saw (history.jsonl) does not show it", "           ", style.room(11, 110)))
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
		//text:allow a command line
		return (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && !strings.ContainsRune("-_./=,:+@%", c)
	}
	//text:allow a command line
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
func count(n int64) string { return Count(n) }

// Count is a number with its thousands apart: 12,461.
func Count(n int64) string {
	s := fmt.Sprint(n)
	for i := len(s) - 3; i > 0 && s[i-1] != '-'; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// Wrap breaks text into lines of about width; further lines begin with indent.
func Wrap(text, indent string, width int) string {
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
