//go:build unix

package cmd

import (
	"syscall"
	"time"
)

// cpuTime is how long processors have worked for this program.
func cpuTime() time.Duration {
	var used syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &used); err != nil {
		return 0
	}
	return time.Duration(used.Utime.Nano() + used.Stime.Nano())
}
