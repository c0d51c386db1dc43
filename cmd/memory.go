package cmd

import (
	"os"
	"runtime/debug"
)

// A world keeps little (some ten megabytes) and throws more away: collecting
// garbage a little less often than Go would by itself saves one part in twenty
// of the time, and a world stays under 64 megabytes. GOGC, if set, has the last
// word.
const gcPercent = 150

// A history is the opposite: it is kept whole, in large pieces without pointers,
// which cost nothing to look through. Garbage on top of it is only memory.
const gcPercentOfHistory = 40

// A measurement keeps what it has written for as long as it lasts: some ten megabytes
// for each second of 200,000 records.
const gcPercentOfBench = 40

func init() { collectAt(gcPercent) }

func collectAt(percent int) {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(percent)
	}
}
