package log

import (
	"bytes"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ktrial/ktrial/broker/config"
	"github.com/ktrial/ktrial/broker/kafka"
	"github.com/ktrial/ktrial/broker/record"
	"github.com/ktrial/ktrial/sim/env"
)

func defaults() (cfg Config) {
	config.Default(&cfg)
	return cfg
}

// kilobyte is a batch of 8 records and about 1 KiB.
func kilobyte(h env.Host) record.Batch {
	return batch(h.Now().Millis(), record.Options{}, 8, 108)
}

func BenchmarkAppend(b *testing.B) {
	benchOnDisk(b, func(h env.Host) {
		l, err := Open(h, "orders-0", orders, defaults(), Options{})
		require.NoError(b, err)
		kb := kilobyte(h)
		b.ReportAllocs()
		b.SetBytes(int64(len(kb)))
		for b.Loop() {
			kb.SetBaseOffset(0)
			if _, err := l.AppendAsLeader(kb, 1); err != nil {
				b.Fatal(err)
			}
			if l.Size() > 64<<20 {
				b.StopTimer()
				require.NoError(b, l.TruncateFullyAndStartAt(0))
				b.StartTimer()
			}
		}
	})
}

func BenchmarkAppendAsFollower(b *testing.B) {
	benchOnDisk(b, func(h env.Host) {
		l, err := Open(h, "orders-0", orders, defaults(), Options{})
		require.NoError(b, err)
		kb := kilobyte(h)
		b.ReportAllocs()
		for b.Loop() {
			kb.SetBaseOffset(l.EndOffset())
			if err := l.AppendAsFollower(kb); err != nil {
				b.Fatal(err)
			}
			if l.Size() > 64<<20 {
				b.StopTimer()
				require.NoError(b, l.TruncateFullyAndStartAt(0))
				b.StartTimer()
			}
		}
	})
}

func BenchmarkRead(b *testing.B) {
	for _, bc := range []struct {
		name string
		from func(l *Log, i int) kafka.Offset
		max  int32
	}{
		{"tail-1KiB", func(l *Log, i int) kafka.Offset { return l.EndOffset() - 8 }, 1 << 20},
		{"random-1KiB", func(l *Log, i int) kafka.Offset { return kafka.Offset(i*7919) % l.EndOffset() }, 1100},
		{"random-64KiB", func(l *Log, i int) kafka.Offset { return kafka.Offset(i*7919) % l.EndOffset() }, 64 << 10},
	} {
		b.Run(bc.name, func(b *testing.B) {
			benchOnDisk(b, func(h env.Host) {
				l := filled(b, h, 8000)
				b.ReportAllocs()
				i := 0
				for b.Loop() {
					i++
					got, err := l.Read(bc.from(l, i), l.EndOffset(), bc.max, true)
					if err != nil || len(got) == 0 {
						b.Fatal(len(got), err)
					}
				}
			})
		})
	}
}

// Recovery of 8 MiB after a kill.
func BenchmarkRecover(b *testing.B) {
	benchOnDisk(b, func(h env.Host) {
		l := filled(b, h, 8000)
		b.SetBytes(l.Size())
		for b.Loop() {
			again, err := Open(h, "orders-0", orders, defaults(), Options{})
			if err != nil || again.EndOffset() != l.EndOffset() {
				b.Fatal(err)
			}
		}
	})
}

func filled(b *testing.B, h env.Host, batches int) *Log {
	l, err := Open(h, "orders-0", orders, defaults(), Options{})
	require.NoError(b, err)
	kb := kilobyte(h)
	for range batches {
		kb.SetBaseOffset(0)
		_, err := l.AppendAsLeader(kb, 1)
		require.NoError(b, err)
	}
	require.NoError(b, l.Flush())
	return l
}

// A pass over logs of different sizes: MB/s of what it reads, twice all that is there,
// stay the same, and so does what it keeps in memory as long as the keys are as many.
func BenchmarkCleaner(b *testing.B) {
	for _, megabytes := range []int{2, 8, 32} {
		b.Run(fmt.Sprintf("%dMiB", megabytes), func(b *testing.B) {
			benchOnDisk(b, func(h env.Host) {
				b.ReportAllocs()
				for i := 0; b.Loop(); i++ {
					b.StopTimer()
					d, err := OpenDir(h, fmt.Sprint("data", i), dirOptions())
					require.NoError(b, err)
					cfg := defaults()
					cfg.CleanupPolicy.Compact, cfg.SegmentBytes = true, 1<<20
					l, err := d.Create(orders, kafka.UUID{1}, cfg)
					require.NoError(b, err)
					for n := range megabytes << 10 {
						kb := keyedKilobyte(h, n)
						_, err := l.AppendAsLeader(kb, 1)
						require.NoError(b, err)
					}
					var clean CleanerConfig
					config.Default(&clean)
					b.SetBytes(2 * l.Size())
					c := d.NewCleaner(clean)
					b.StartTimer()
					cleaned, err := c.CleanFilthiest([]Compacted{{l, l.EndOffset}})
					b.StopTimer()
					if err != nil || !cleaned {
						b.Fatal(cleaned, err)
					}
					require.NoError(b, removeTree(h.Disk(), l.dir))
					b.StartTimer()
				}
			})
		})
	}
}

// keyedKilobyte has 8 records of 10,000 keys.
func keyedKilobyte(h env.Host, n int) record.Batch {
	kb := record.NewBuilder(record.Options{})
	for i := range 8 {
		kb.Append(h.Now().Millis(), fmt.Appendf(nil, "key-%d", (n*8+i)*7919%10_000), bytes.Repeat([]byte{'v'}, 100))
	}
	return kb.Build()
}

// The list of a read_committed fetch near the end of an index with so many aborted
// transactions.
func BenchmarkAbortedTxns(b *testing.B) {
	for _, n := range []int{1000, 100_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			benchOnDisk(b, func(h env.Host) {
				l, err := Open(h, "orders-0", orders, defaults(), Options{})
				require.NoError(b, err)
				for i := range n {
					o := kafka.Offset(i * 2)
					l.active().txns.append(AbortedTxn{ProducerID: 1, First: o, Last: o + 1, LastStable: o + 2})
				}
				from := kafka.Offset(n*2 - 10)
				for b.Loop() {
					if got := l.AbortedTxns(from, from+10); len(got) != 5 {
						b.Fatal(got)
					}
				}
			})
		})
	}
}
