package zoo

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/ktrial/ktrial/broker/planted"
	"github.com/ktrial/ktrial/reports"
)

// WriteMarkdown writes the kill matrix: each bug with the cheapest way to find it from
// inside and from outside, then where each was found. eventsPerSecond is how many
// events a CPU second plays, which makes seconds out of events.
func (z Zoo) WriteMarkdown(w io.Writer, runs []Run, eventsPerSecond float64) {
	m := z.Matrix(runs)
	z.writeHead(w, m, runs, eventsPerSecond)
	fmt.Fprintf(w, "\n## Each bug\n\n")
	fmt.Fprintf(w, "| bug | zoo | what the wrong code does | from inside | CPU s | from outside | CPU s |\n| --- | --- | --- | --- | --- | --- | --- |\n")
	for _, row := range m {
		e := entry(row[0].Bug)
		in, inCost := how(row, insideOf, eventsPerSecond)
		out, outCost := how(row, outsideOf, eventsPerSecond)
		fmt.Fprintf(w, "| %s | %s | %s (%s) | %s | %s | %s | %s |\n", row[0].name(), e.Zoo, e.About, e.Ref, in, inCost, out, outCost)
	}
	z.writePlaces(w, m)
}

func (z Zoo) writeHead(w io.Writer, m [][]Found, runs []Run, eventsPerSecond float64) {
	inside, outside := 0, 0
	var idle, unplayed []string
	events := uint64(0)
	for _, r := range runs {
		events += r.Events
	}
	for _, row := range m {
		_, in := cheapest(row, insideOf)
		_, out := cheapest(row, outsideOf)
		if in != nil {
			inside++
		}
		if out != nil {
			outside++
		}
		if !wasPlayed(row) {
			unplayed = append(unplayed, row[0].name())
		} else if !slices.ContainsFunc(row, func(f Found) bool { return f.Infected > 0 }) {
			idle = append(idle, row[0].name())
		}
	}
	fmt.Fprintf(w, "# The zoo: what finds which planted bug\n\nWritten by `ktrial zoo`. Each bug was played alone, with seeds 1 to %d at most, in each of %d scenarios: until clients saw it\n"+
		"(from outside: also when something does not make progress any more), further seeds only where its branch was reached; with\n"+
		"the setting that it needs (`docs/planted.md`). From inside: a law broke, or an assertion of the stack. %s runs, %s events.\n\n", z.Last, len(z.Scenarios), reports.Count(int64(len(runs))), reports.Count(int64(events)))
	if open := z.open(m); len(open) > 0 {
		fmt.Fprintf(w, "Of %s of a bug and a scenario seeds are yet to be played, from %d on.\n\n", plural(len(open), "pair"), slices.Min(open)+1)
	}
	fmt.Fprintf(w, "Of %d rows (a bug alone, or with those that take away what hides it) %d were found from inside, %d from outside.", len(m)-len(unplayed), inside, outside)
	if len(unplayed) > 0 {
		fmt.Fprintf(w, " Not played: %s.", strings.Join(unplayed, ", "))
	}
	if len(idle) > 0 {
		fmt.Fprintf(w, " Of %s the result was never another than the right one (infected 0): %s.", plural(len(idle), "row"), strings.Join(idle, ", "))
	}
	fmt.Fprintf(w, "\n\nCPU seconds are events of all runs up to the first that finds the bug, at %s events a second of one core, which is the mean\nof these runs. A law ends its run, so what it finds costs less than what clients see.\n", reports.Count(int64(eventsPerSecond)))
}

// open is how many seeds were played so far of each bug in a scenario that has further ones.
func (z Zoo) open(m [][]Found) (seeds []int) {
	for _, row := range m {
		for _, f := range row {
			if f.isOpen() && uint64(f.Seeds) < z.Last {
				seeds = append(seeds, f.Seeds)
			}
		}
	}
	return seeds
}

// name is the bug, with those that take away what hides it.
func (f *Found) name() string {
	var names []string
	for _, bug := range (Row{f.Bug, f.Unmasked}).plants() {
		names = append(names, fmt.Sprintf("`%s`", bug))
	}
	return strings.Join(names, " with ")
}

func wasPlayed(row []Found) bool {
	return slices.ContainsFunc(row, func(f Found) bool { return f.Seeds > 0 })
}

func plural(n int, noun string) string {
	if n == 1 {
		return "one " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

// how is the cheapest way to find a bug, and what it costs.
func how(row []Found, of func(*Found) *Find, eventsPerSecond float64) (text, cost string) {
	f, find := cheapest(row, of)
	if !wasPlayed(row) {
		return "not played", ""
	}
	if find == nil {
		return "not found", ""
	}
	return fmt.Sprintf("%s, seed %d: %s", f.Scenario, find.Seed, find.Check), fmt.Sprintf("%.2f", float64(find.Events)/eventsPerSecond)
}

// writePlaces writes for each bug where it was found, and where it was met and not seen.
func (z Zoo) writePlaces(w io.Writer, m [][]Found) {
	fmt.Fprintf(w, "\n## Where each bug was found\n\nBehind a scenario stands the first seed that found the bug from inside, and behind the stroke from outside; `-`: none did. Unseen: its\n"+
		"branch made a difference there, and nothing showed it. Reached: in how many scenarios it was only evaluated.\n\n"+
		"| bug | found in | unseen in | reached | checks that broke in some run |\n| --- | --- | --- | --- | --- |\n")
	for _, row := range m {
		var found, unseen []string
		reached := 0
		for i := range row {
			switch f := &row[i]; {
			case f.Inside != nil || f.Outside != nil:
				found = append(found, fmt.Sprintf("%s %s/%s", f.Scenario, f.Inside.seed(), f.Outside.seed()))
			case f.Infected > 0:
				unseen = append(unseen, f.Scenario)
			case f.Reached > 0:
				reached++
			}
		}
		fmt.Fprintf(w, "| %s | %s | %s | %d | %s |\n", row[0].name(), strings.Join(found, ", "), strings.Join(unseen, ", "), reached, strings.Join(checksOf(row), "; "))
	}
}

func (f *Find) seed() string {
	if f == nil {
		return "-"
	}
	return fmt.Sprint(f.Seed)
}

// checksOf are all checks that broke in some run of a bug.
func checksOf(row []Found) (checks []string) {
	for _, f := range row {
		for _, check := range f.Checks {
			if !slices.Contains(checks, check) {
				checks = append(checks, check)
			}
		}
	}
	slices.Sort(checks)
	if checks == nil {
		return []string{"none"}
	}
	return checks
}

func entry(bug planted.Bug) planted.Entry {
	i := slices.IndexFunc(planted.All, func(e planted.Entry) bool { return e.Bug == bug })
	if i < 0 {
		panic("zoo: there is no planted bug " + string(bug))
	}
	return planted.All[i]
}
