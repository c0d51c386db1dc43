package main

import (
	"os"
	"runtime/debug"
)

// A world keeps little (some ten megabytes) and throws much away: collecting
// garbage a third as often as Go would by itself saves a tenth of the time, and
// a world stays under 64 megabytes. GOGC, if set, has the last word.
const gcPercent = 300

func init() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(gcPercent)
	}
}
