package reports

import (
	"fmt"
	"io"
	"iter"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/ktrial/ktrial/ledger"
)

// Side is one of two runs that are compared.
type Side struct {
	Name   string // what distinguishes it, such as acks=1
	Run    *Run
	Events iter.Seq[*ledger.Entry]
}

// Comparison is what two runs have in common, and where they part. Its JSON keys are a
// contract.
type Comparison struct {
	Names [2]string `json:"names"`
	// Same is how many events they have in common at the beginning; Until is the time
	// of the last of them. Equal: there is no difference.
	Same  int     `json:"same"`
	Until Seconds `json:"same_until"`
	Equal bool    `json:"equal"`
	// First are the first events that differ; nil: that run has ended.
	First [2]*Moment `json:"first"`
	// Story are the notable events from there that the other run does not have, at
	// whatever time.
	Story [2][]Moment `json:"story"`
	Rows  []Compared  `json:"numbers"`
}

// Compared is a number of both runs.
type Compared struct {
	Name  string    `json:"name"`
	Texts [2]string `json:"texts"`
	// Values are in seconds, if it is a time; nil: it is no number.
	Values *[2]float64 `json:"values,omitempty"`
}

// mostOfStory is how many notable events of each run are told.
const mostOfStory = 12

// Compare compares two runs from their first difference.
func Compare(a, b Side) *Comparison {
	c := &Comparison{Names: [2]string{a.Name, b.Name}}
	next1, stop1 := iter.Pull(a.Events)
	defer stop1()
	next2, stop2 := iter.Pull(b.Events)
	defer stop2()
	for {
		x, ok1 := next1()
		y, ok2 := next2()
		if ok1 && ok2 && sameEvent(x, y) {
			c.Same++
			c.Until = Seconds(x.At)
			continue
		}
		if c.Equal = !ok1 && !ok2; !c.Equal {
			first, second := []Moment(nil), []Moment(nil)
			c.First[0], first = parting(x, ok1, next1)
			c.First[1], second = parting(y, ok2, next2)
			c.Story = [2][]Moment{without(first, second), without(second, first)}
		}
		break
	}
	c.Rows = comparedRows(a.Run, b.Run)
	return c
}

func sameEvent(x, y *ledger.Entry) bool {
	return x.At == y.At && x.Host == y.Host && x.Event.Kind() == y.Event.Kind() && x.Event.Sentence() == y.Event.Sentence()
}

// parting is the first event in which a run is another, and the notable ones from there.
func parting(e *ledger.Entry, ok bool, next func() (*ledger.Entry, bool)) (first *Moment, story []Moment) {
	for ; ok; e, ok = next() {
		m := Moment{Seconds(e.At), e.Host, e.Event.Sentence()}
		if first == nil {
			one := m
			first = &one
		}
		if e.Event.Kind().Weight == ledger.Notable {
			story = append(story, m)
		}
	}
	return first, story
}

// without are the first moments of one run that another does not have.
func without(one, other []Moment) (out []Moment) {
	known := map[string]int{}
	for _, m := range other {
		known[m.line()]++
	}
	for _, m := range one {
		if known[m.line()]--; known[m.line()] < 0 && len(out) < mostOfStory {
			out = append(out, m)
		}
	}
	return out
}

// comparedRows are the numbers of both, but for those that neither has.
func comparedRows(a, b *Run) (rows []Compared) {
	runs := [2]*Run{a, b}
	row := func(name string, of func(*Run) (float64, string)) {
		x, text1 := of(runs[0])
		y, text2 := of(runs[1])
		if x != 0 || y != 0 {
			rows = append(rows, Compared{Name: name, Texts: [2]string{text1, text2}, Values: &[2]float64{x, y}})
		}
	}
	length := func(name string, of func(*Run) Seconds) {
		row(name, func(r *Run) (float64, string) { s := of(r); return s.Float(), s.short() })
	}
	number := func(name string, of func(*Run) float64) {
		row(name, func(r *Run) (float64, string) { n := of(r); return n, count(int64(n + 0.5)) })
	}
	rows = append(rows, Compared{Name: "verdict", Texts: [2]string{string(a.Verdict), string(b.Verdict)}})
	for _, key := range []string{RecordsAcknowledged, RecordsInDoubt, RecordsFailed, RecordsPolled} {
		number(key, func(r *Run) float64 { return float64(r.Counts[key]) })
	}
	for _, anomaly := range anomaliesOf(a, b) {
		number("allowed: "+anomaly, func(r *Run) float64 { return float64(r.permitted(anomaly)) })
	}
	number("violations", func(r *Run) float64 { return float64(len(r.Violations)) })
	if a.Numbers == nil || b.Numbers == nil {
		return rows
	}
	number("acknowledged a second", func(r *Run) float64 { return r.Numbers.Acknowledged })
	for _, d := range []struct {
		name string
		of   func(*Run) Durations
	}{{"acknowledgement", func(r *Run) Durations { return r.Numbers.Ack }}, {"to a first consumer", func(r *Run) Durations { return r.Numbers.EndToEnd }}} {
		length(d.name+": half within", func(r *Run) Seconds { return d.of(r).P50 })
		length(d.name+": 99%", func(r *Run) Seconds { return d.of(r).P99 })
		length(d.name+": 99.9%", func(r *Run) Seconds { return d.of(r).P999 })
		length(d.name+": slowest", func(r *Run) Seconds { return d.of(r).Max })
	}
	length("longest pause of acknowledgements", func(r *Run) Seconds { return r.Numbers.LongestPause })
	number("elections", func(r *Run) float64 { return float64(r.Numbers.Elections) })
	number("ISR shrinks", func(r *Run) float64 { return float64(r.Numbers.Shrinks) })
	worst := func(of func(PartitionNumbers) Seconds) func(*Run) Seconds {
		return func(r *Run) (most Seconds) {
			for _, p := range r.Numbers.Partitions {
				most = max(most, of(p))
			}
			return most
		}
	}
	length("a partition without a leader", worst(leaderless))
	length("a partition below min.insync.replicas", worst(belowMin))
	number("largest lag", func(r *Run) (most float64) {
		for _, l := range r.Numbers.Lag {
			most = max(most, float64(l.Max))
		}
		return most
	})
	number("rebalances", func(r *Run) (n float64) {
		for _, g := range r.Rebalances {
			n += float64(g.Stable.Count)
		}
		return n
	})
	length("longest rebalance", func(r *Run) (most Seconds) {
		for _, g := range r.Rebalances {
			most = max(most, g.Stable.Max)
		}
		return most
	})
	length("standstill of partitions, in all", func(r *Run) (sum Seconds) {
		for _, g := range r.Rebalances {
			sum += g.Standstill.Sum
		}
		return sum
	})
	number("requests", func(r *Run) (n float64) {
		for _, q := range r.Numbers.Requests {
			n += float64(q.Count)
		}
		return n
	})
	number("bytes on the wire", func(r *Run) float64 { return float64(r.Numbers.Wire) })
	number("bytes appended to logs", func(r *Run) float64 { return float64(r.Numbers.Disk) })
	return rows
}

// permitted is how often an anomaly was, by whatever reason.
func (r *Run) permitted(anomaly string) (n int) {
	for _, a := range r.Allowed {
		if a.Anomaly == anomaly {
			n += a.Count
		}
	}
	return n
}

func anomaliesOf(runs ...*Run) (names []string) {
	for _, r := range runs {
		for _, a := range r.Allowed {
			if a.Count > 0 && !slices.Contains(names, a.Anomaly) {
				names = append(names, a.Anomaly)
			}
		}
	}
	return names
}

// Times says how many times as much the second run has: × 2.5; empty: it cannot be said.
func (c Compared) Times() string {
	if c.Values == nil || c.Values[0] == 0 || c.Values[1] == 0 || c.Texts[0] == c.Texts[1] {
		return ""
	}
	return "× " + strconv.FormatFloat(c.Values[1]/c.Values[0], 'g', 3, 64)
}

// WriteText shows both side by side.
func (c *Comparison) WriteText(w io.Writer, style Style) {
	fmt.Fprintf(w, "A  %s\nB  %s\n\n", c.Names[0], c.Names[1])
	switch {
	case c.Equal:
		fmt.Fprintf(w, "  the same from beginning to end: %s events\n", count(int64(c.Same)))
	case c.Same == 0:
		fmt.Fprintln(w, "  they differ from the beginning")
	default:
		fmt.Fprintf(w, "  the same for %s events, up to %s; the first difference:\n", count(int64(c.Same)), c.Until.precise())
	}
	for i, first := range c.First {
		if first != nil {
			fmt.Fprintf(w, "    %s %10s  %-13s %s\n", "AB"[i:i+1], first.At.precise(), first.Who, Wrap(first.What, strings.Repeat(" ", 31), style.room(31, 100)))
		} else if !c.Equal {
			fmt.Fprintf(w, "    %s has ended\n", "AB"[i:i+1])
		}
	}
	c.writeStory(w, style)
	c.writeRows(w)
}

// writeStory writes the notable events of both as two lanes on one axis of time.
func (c *Comparison) writeStory(w io.Writer, style Style) {
	if len(c.Story[0])+len(c.Story[1]) == 0 {
		return
	}
	width := 64
	if style.Width > 0 {
		width = max(24, (style.Width-16)/2)
	}
	fmt.Fprintf(w, "\n  notable events that only one of them has\n    %10s  %-*s | %s\n", "", width, "A", "B")
	a, b := c.Story[0], c.Story[1]
	for len(a)+len(b) > 0 {
		var left, right string
		var at Seconds
		switch {
		case len(b) == 0 || len(a) > 0 && a[0].At < b[0].At:
			at, left, a = a[0].At, a[0].line(), a[1:]
		case len(a) == 0 || b[0].At < a[0].At:
			at, right, b = b[0].At, b[0].line(), b[1:]
		default:
			at, left, right, a, b = a[0].At, a[0].line(), b[0].line(), a[1:], b[1:]
		}
		writeColumns(w, at, left, right, width)
	}
}

func (m Moment) line() string { return strings.TrimSpace(m.Who + " " + m.What) }

func writeColumns(w io.Writer, at Seconds, left, right string, width int) {
	lefts, rights := wrapped(left, width), wrapped(right, width)
	for i := range max(len(lefts), len(rights)) {
		time, l, r := "", "", ""
		if i == 0 {
			time = at.precise()
		}
		if i < len(lefts) {
			l = lefts[i]
		}
		if i < len(rights) {
			r = rights[i]
		}
		fmt.Fprintln(w, strings.TrimRight(fmt.Sprintf("    %10s  %-*s | %s", time, width, l, r), " "))
	}
}

// wrapped are the lines of a text.
func wrapped(text string, width int) (lines []string) {
	for line := range strings.Lines(Wrap(text, "", width)) {
		//text:allow the newline that Wrap has put there
		lines = append(lines, strings.TrimSuffix(line, "\n"))
	}
	return lines
}

func (c *Comparison) writeRows(w io.Writer) {
	fmt.Fprintf(w, "\n  %-38s %14s %14s\n", "", "A", "B")
	for _, r := range c.Rows {
		fmt.Fprintln(w, strings.TrimRight(fmt.Sprintf("  %-38s %14s %14s  %s", r.Name, r.Texts[0], r.Texts[1], r.Times()), " "))
	}
}

// At is the address of a page of a run that opens where the two part.
func (c *Comparison) At() string {
	const around = Seconds(50 * time.Millisecond)
	at := c.Until
	for _, first := range c.First {
		if first != nil {
			at = max(at, min(first.At, c.Until+around))
		}
	}
	return fmt.Sprintf("#t=%d,%d&c=%d", max(0, at-around), at+4*around, at)
}
