package cmd

import (
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"golang.org/x/term"

	"github.com/ktrial/ktrial/ledger"
)

// watching draws the lanes of each second of a run while it is played: a second takes at
// least pace, so that a person can follow.
type watching struct {
	out           io.Writer
	width, height int
	pace          time.Duration
	wait          func(time.Duration)
	rows          int // that are drawn
	last          time.Time
}

// pace is how long the lanes of a second stay.
const pace = 150 * time.Millisecond

// drawOn is what reads the events of a run that is watched on a terminal; nil: it is none,
// and nothing is drawn.
func drawOn(out *os.File) func(*ledger.Entry) {
	if !isTerminal(out) {
		fmt.Fprintln(os.Stderr, "ktrial: --watch draws on a terminal, and this is none: nothing is drawn")
		return nil
	}
	width, height, err := term.GetSize(int(out.Fd()))
	if err != nil {
		return nil
	}
	w := &watching{out: out, width: width, height: height, pace: pace, wait: time.Sleep}
	return newBoard(width, w.show).read
}

// show draws a frame over the one before, as much of it as there is room for.
func (w *watching) show(frame []string) {
	if since := time.Since(w.last); since < w.pace {
		w.wait(w.pace - since)
	}
	w.last = time.Now()
	var text strings.Builder
	if w.rows > 0 {
		fmt.Fprintf(&text, "\x1b[%dA", w.rows)
	}
	frame = w.fit(append(frame, boardLegend))
	for _, row := range frame {
		fmt.Fprintf(&text, "\r\x1b[K%s\n", row)
	}
	for range w.rows - len(frame) { // what the frame before had more
		text.WriteString("\r\x1b[K\n")
	}
	w.rows = max(w.rows, len(frame))
	_, _ = io.WriteString(w.out, text.String()) // a terminal that is gone ends nothing
}

// fit cuts rows to the width, and counts those for which there is no room.
func (w *watching) fit(frame []string) []string {
	if most := max(4, w.height-2); len(frame) > most {
		left := len(frame) - most + 1
		frame = append(frame[:most-1:most-1], fmt.Sprintf("and %d more rows: the terminal is too low for them", left))
	}
	for i, row := range frame {
		if runes := []rune(row); len(runes) > w.width {
			frame[i] = string(runes[:w.width])
		}
	}
	return frame
}
