// Package ports finds TCP ports for servers that tests start, kill and start again.
package ports

import (
	"fmt"
	"math/rand/v2"
	"net"
)

// Test is what is needed of a testing.TB.
type Test interface {
	Helper()
	Fatalf(format string, args ...any)
}

// Free finds so many ports in a row that are free, and returns the first. They lie below those that
// the operating system gives to a connection or to port 0: one of these may be gone when a
// server that was killed comes back.
func Free(t Test, n int) int {
	t.Helper()
next:
	for range 100 {
		first := 20_000 + rand.IntN(12_000)
		for p := first; p < first+n; p++ {
			l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", p))
			if err != nil {
				continue next
			}
			l.Close()
		}
		return first
	}
	t.Fatalf("a hundred times there were no %d free ports in a row between 20000 and 32000", n)
	return 0
}
