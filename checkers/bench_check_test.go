//go:build unix

package checkers

import (
	"fmt"
	"io"
	"runtime"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// BenchmarkCheck is what `ktrial check` does with a file of JSON lines: that
// what an operation costs does not depend on how many there are, and how much
// memory they take. The lines are made up while they are read; what that costs
// is measured by itself and taken off.
//
// CPU-seconds are those of all threads: beside busy neighbours they say more
// than a clock does.
func BenchmarkCheck(b *testing.B) {
	sizes := []int{10_000, 100_000}
	if *long {
		sizes = append(sizes, 1_000_000, 10_000_000)
	}
	for _, ops := range sizes {
		b.Run(fmt.Sprint(ops), func(b *testing.B) {
			written, writing := timed(func() int64 {
				n, err := io.Copy(io.Discard, newTraffic(ops))
				require.NoError(b, err)
				return n
			})
			b.SetBytes(written)
			runtime.GC()
			b.ResetTimer()
			_, judging := timed(func() int64 {
				for range b.N {
					checkTraffic(b, ops)
				}
				return 0
			})
			wall := judging.wall/time.Duration(b.N) - writing.wall
			cpu := judging.cpu/time.Duration(b.N) - writing.cpu
			b.ReportMetric(0, "ns/op") // it counts the writing, too
			b.ReportMetric(wall.Seconds(), "seconds")
			b.ReportMetric(cpu.Seconds(), "CPU-seconds")
			b.ReportMetric(float64(cpu.Nanoseconds())/float64(ops), "CPU-ns/operation")
			b.ReportMetric(float64(peakMemory()>>20), "peak-MB")
		})
	}
}

func checkTraffic(b *testing.B, ops int) {
	j, err := JudgeReader("traffic", newTraffic(ops), Options{})
	require.NoError(b, err)
	require.Equal(b, Holds, j.Verdict, "%v", j)
	require.Equal(b, ops, j.Examined.Operations)
}

type took struct{ wall, cpu time.Duration }

func timed(do func() int64) (int64, took) {
	start, before := time.Now(), usage()
	n := do()
	after := usage()
	spent := func(u syscall.Rusage) time.Duration {
		return time.Duration(u.Utime.Nano() + u.Stime.Nano())
	}
	return n, took{time.Since(start), spent(after) - spent(before)}
}

func usage() (u syscall.Rusage) {
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		panic(err)
	}
	return u
}

// peakMemory is the most that the process had resident so far.
func peakMemory() int64 {
	u := usage()
	if runtime.GOOS == "darwin" {
		return int64(u.Maxrss)
	}
	return int64(u.Maxrss) << 10
}
