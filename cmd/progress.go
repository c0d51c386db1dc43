package cmd

import (
	"fmt"
	"os"
	"strings"
	"time"

	hunts "github.com/ktrial/ktrial/scenarios/hunt"
)

// clearLine wipes the line of progress off a terminal.
func clearLine() {
	if isTerminal(os.Stderr) {
		fmt.Fprint(os.Stderr, "\r\x1b[K")
	}
}

// huntProgress prints how far a hunt is: on a terminal in one line that changes,
// with a bar; elsewhere by a line every half minute.
func huntProgress() func(hunts.Progress) {
	show := statusLine("hunting", 30*time.Second)
	bar := isTerminal(os.Stderr)
	return func(p hunts.Progress) {
		show(p.Elapsed, func() string { return describeProgress(p, bar) })
	}
}

// describeProgress says how far a hunt is.
func describeProgress(p hunts.Progress, bar bool) string {
	rate := float64(p.Done-p.Earlier) / max(p.Elapsed.Seconds(), 1e-9)
	var parts []string
	if p.Total == 0 {
		parts = append(parts, fmt.Sprintf("%d runs", p.Done))
	} else {
		part := float64(p.Done) / float64(p.Total)
		if bar {
			parts = append(parts, drawBar(part))
		}
		parts = append(parts, fmt.Sprintf("%d of %d runs", p.Done, p.Total))
	}
	parts = append(parts, fmt.Sprintf("%d failing", p.Failures), fmt.Sprintf("%.1f a second", rate))
	if p.Total > uint64(p.Done) && rate > 0 {
		parts = append(parts, inShort(time.Duration(float64(p.Total-uint64(p.Done))/rate*float64(time.Second)))+" left")
	}
	if p.Groups > 0 {
		parts = append(parts, fmt.Sprintf("last new of %d groups %s ago", p.Groups, inShort(p.Elapsed-p.LastGroup)))
	}
	return strings.Join(append(parts, fmt.Sprintf("%d probes unreached", p.Unreached)), ", ")
}

// drawBar draws which part is done.
func drawBar(part float64) string {
	const width = 10
	full := min(width, max(0, int(part*width)))
	return "[" + strings.Repeat("#", full) + strings.Repeat(".", width-full) + "]"
}

// inShort is a duration in whole seconds.
func inShort(d time.Duration) string { return d.Round(time.Second).String() }

// statusLine shows how far a command is: on a terminal in one line that changes, of at
// most 100 characters, elsewhere by a line every so often that begins with what is done.
func statusLine(doing string, every time.Duration) (show func(elapsed time.Duration, line func() string)) {
	terminal := isTerminal(os.Stderr)
	if terminal {
		every = 200 * time.Millisecond
	}
	var last time.Duration
	return func(elapsed time.Duration, line func() string) {
		if elapsed-last < every {
			return
		}
		last = elapsed
		if terminal {
			fmt.Fprintf(os.Stderr, "\r\x1b[K%.*s", max(20, widthOf(os.Stderr)-1), line())
		} else {
			fmt.Fprintf(os.Stderr, "%s: %s\n", doing, line())
		}
	}
}
