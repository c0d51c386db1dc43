//go:build !unix

package cmd

import "time"

// cpuTime is how long processors have worked for this program; 0: that is not known
// here.
func cpuTime() time.Duration { return 0 }
