package log

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ktrial/ktrial/broker/config"
	"github.com/ktrial/ktrial/broker/files"
	"github.com/ktrial/ktrial/broker/kafka"
	"github.com/ktrial/ktrial/broker/planted"
	"github.com/ktrial/ktrial/broker/record"
	"github.com/ktrial/ktrial/sim"
	"github.com/ktrial/ktrial/sim/disk"
	"github.com/ktrial/ktrial/sim/env"
)

// compactedLog is a compacted log with its cleaner, and short words for what is written.
type compactedLog struct {
	t testing.TB
	h env.Host
	*Dir
	*Log
	c *Cleaner
	// hw is the high watermark; NoOffset: the log end.
	hw kafka.Offset
}

func compacting() Config {
	cfg := tiny()
	cfg.CleanupPolicy = CleanupPolicy{Compact: true}
	cfg.DeleteRetention = 4 * time.Second
	cfg.MinDirtyRatio = 0
	cfg.SegmentBytes = 100_000
	return cfg
}

func cleaning() (cfg CleanerConfig) {
	config.Default(&cfg)
	cfg.IOBufferSize = 512
	return cfg
}

func newCompactedLog(t testing.TB, h env.Host, cfg Config, bugs ...planted.Bug) *compactedLog {
	opts := dirOptions()
	opts.Bugs = planted.Plant(bugs...)
	d, err := OpenDir(h, "data", opts)
	require.NoError(t, err)
	l := d.Get(orders)
	if l == nil {
		l, err = d.Create(orders, kafka.UUID{1}, cfg)
		require.NoError(t, err)
	}
	l.SetConfig(cfg)
	return &compactedLog{t: t, h: h, Dir: d, Log: l, c: d.NewCleaner(cleaning()), hw: kafka.NoOffset}
}

// records makes a batch of records such as "a1", key a and value a1, and "c-", a
// tombstone of c.
func records(ts int64, opts record.Options, all string) record.Batch {
	b := record.NewBuilder(opts)
	for _, word := range strings.Fields(all) {
		value := []byte(word)
		if strings.HasSuffix(word, "-") {
			value = nil
		}
		b.Append(ts, []byte(word[:1]), value)
	}
	return b.Build()
}

func (x *compactedLog) put(all string) {
	x.append(records(x.h.Now().Millis(), record.Options{}, all))
}

func (x *compactedLog) putTxn(id, epoch, sequence int, all string) {
	opts := idempotent(id, epoch, sequence)
	opts.Transactional = true
	x.append(records(x.h.Now().Millis(), opts, all))
}

func (x *compactedLog) append(b record.Batch) {
	x.t.Helper()
	_, err := x.AppendAsLeader(b, 0)
	require.NoError(x.t, err)
}

func (x *compactedLog) end(typ record.ControlType, id, epoch int) {
	x.t.Helper()
	_, err := x.AppendInternal(record.NewEndTxnMarker(typ, x.h.Now().Millis(), kafka.ProducerID(id), kafka.ProducerEpoch(epoch), 0), 0)
	require.NoError(x.t, err)
}

func (x *compactedLog) rollNow() { require.NoError(x.t, x.roll()) }

func (x *compactedLog) compacted() Compacted {
	return Compacted{x.Log, func() kafka.Offset {
		if x.hw == kafka.NoOffset {
			return x.EndOffset()
		}
		return x.hw
	}}
}

// clean has the cleaner look, and reports whether there was anything to do.
func (x *compactedLog) clean() bool {
	x.t.Helper()
	cleaned, err := x.c.CleanFilthiest([]Compacted{x.compacted()})
	require.NoError(x.t, err)
	return cleaned
}

func (x *compactedLog) reopen() {
	require.NoError(x.t, x.CloseClean(1, nil))
	*x = *newCompactedLog(x.t, x.h, x.Config())
}

// story is the batches of the log, a line for each segment.
func (x *compactedLog) story() string {
	var lines []string
	for _, s := range x.segments {
		var words []string
		require.NoError(x.t, s.scan(0, s.size, func(b record.Batch, _ int64) error {
			words = append(words, inWords(b))
			return b.Check()
		}))
		lines = append(lines, strings.Join(words, " "))
	}
	return strings.Join(lines, "\n")
}

// inWords is a batch in words: its offsets, its delete horizon, its records.
func inWords(b record.Batch) string {
	var words []string
	_ = b.Records(func(r record.Record) error {
		word := string(r.Value)
		if r.Value == nil {
			word = string(r.Key) + "-"
		}
		if typ, _, err := record.ParseControl(r); b.IsControl() && err == nil {
			word = strings.ToLower(typ.String())
		}
		words = append(words, word)
		return nil
	})
	at := fmt.Sprint(b.BaseOffset())
	if b.LastOffset() > b.BaseOffset() {
		at += fmt.Sprint("-", b.LastOffset())
	}
	if _, marked := b.DeleteHorizon(); marked {
		at += "+"
	}
	return "{" + at + ": " + strings.Join(words, " ") + "}"
}

func lines(all ...string) string { return strings.Join(all, "\n") }

// What Apache Kafka 4.4 was seen to make of the same log, pass by pass.
func TestCleaner_AsKafkaDoes(t *testing.T) {
	onDisk(t, func(h env.Host) {
		x := newCompactedLog(t, h, compacting())
		x.put("a1 b1 c1")
		x.putTxn(1, 0, 0, "a2 d1")
		x.putTxn(2, 0, 0, "b9 e1")
		x.end(record.Commit, 1, 1)
		x.end(record.Abort, 2, 1)
		x.put("c- f1")
		x.rollNow()
		x.put("z1")
		assert.True(t, x.clean())
		assert.Equal(t, lines("{0-2: b1} {3-4: a2 d1} {7: commit} {8: abort} {9-10+: c- f1}", "{11: z1}"), x.story())
		assert.Equal(t, []AbortedTxn{{2, 5, 8, 9}}, x.AbortedTxns(0, 12), "one pass longer than the data")
		assert.EqualValues(t, 11, x.cleaned[orders])

		h.Sleep(14 * time.Second)
		assert.False(t, x.clean(), "without new data there is no pass: what expired stays for ever")

		x.put("d3 f2")
		x.rollNow()
		assert.True(t, x.clean())
		assert.Equal(t, lines("{0-2: b1} {3-4: a2} {7: commit} {8+: abort} {11: z1} {12-13: d3 f2}", ""), x.story())
		assert.Empty(t, x.AbortedTxns(0, 14))

		h.Sleep(5 * time.Second)
		x.put("z2 z3")
		x.rollNow()
		assert.True(t, x.clean())
		want := lines("{0-2: b1} {3-4: a2} {7: commit} {8: } {12-13: d3 f2} {14-15: z3}", "")
		assert.Equal(t, want, x.story(), "the empty marker is the last of producer 2")
		before := x.Producers()
		x.reopen()
		assert.Equal(t, want, x.story())
		assert.Equal(t, before, x.Producers())
	})
}

// With a map of two keys a pass ends where the third begins: what lies behind is
// copied as it is, and the next pass goes on there.
func TestCleaner_MapOfTwoKeys(t *testing.T) {
	onDisk(t, func(h env.Host) {
		x := newCompactedLog(t, h, compacting())
		x.c.cfg.DedupeBufferSize, x.c.cfg.LoadFactor = 2*keyMapEntry, 1
		for _, word := range []string{"a1", "b1", "c1", "a2"} {
			x.put(word)
		}
		x.rollNow()
		assert.True(t, x.clean())
		assert.Equal(t, lines("{0: a1} {1: b1} {2: c1} {3: a2}", ""), x.story())
		assert.EqualValues(t, 2, x.cleaned[orders])
		assert.True(t, x.clean())
		assert.Equal(t, lines("{1: b1} {2: c1} {3: a2}", ""), x.story())
		assert.EqualValues(t, 4, x.cleaned[orders])
		assert.False(t, x.clean())
	})
}

// The map may be full in the middle of a batch: what is mapped of it counts.
func TestCleaner_MapFullInsideOfABatch(t *testing.T) {
	onDisk(t, func(h env.Host) {
		x := newCompactedLog(t, h, compacting())
		x.c.cfg.DedupeBufferSize, x.c.cfg.LoadFactor = 2*keyMapEntry, 1
		x.put("a1 b1 a2 b2")
		x.put("b3")
		x.rollNow()
		require.True(t, x.clean())
		assert.EqualValues(t, 2, x.cleaned[orders])
		assert.Equal(t, lines("{0-3: a1 b1 a2 b2} {4: b3}", ""), x.story())
		require.True(t, x.clean())
		assert.Equal(t, lines("{0-3: a2 b2} {4: b3}", ""), x.story())
		require.True(t, x.clean())
		assert.Equal(t, lines("{0-3: a2} {4: b3}", ""), x.story())
	})
}

// What is not to be touched yet.
func TestCleaner_Bounds(t *testing.T) {
	three := func(x *compactedLog) {
		x.put("a1")
		x.put("a2")
		x.rollNow()
		x.h.Sleep(time.Second)
		x.put("a3")
		x.put("a4")
		x.rollNow()
		x.put("a5")
	}
	all := lines("{0: a1} {1: a2}", "{2: a3} {3: a4}", "{4: a5}")
	for _, c := range []struct {
		name string
		set  func(x *compactedLog)
		want string
	}{
		{"the active segment stays", func(x *compactedLog) {}, lines("{3: a4}", "{4: a5}")},
		{"nothing above the high watermark", func(x *compactedLog) { x.hw = 3 }, lines("{1: a2}", "{2: a3} {3: a4}", "{4: a5}")},
		{"the batch that ends at the high watermark stays", func(x *compactedLog) { x.hw = 4 }, lines("{3: a4}", "{4: a5}")},
		{"nothing in the first segment", func(x *compactedLog) { x.hw = 1 }, all},
		{"nothing that is younger than min.compaction.lag.ms", func(x *compactedLog) {
			x.cfg.MinCompactionLag = 500 * time.Millisecond
		}, lines("{1: a2}", "{2: a3} {3: a4}", "{4: a5}")},
		{"not below the dirty ratio", func(x *compactedLog) { x.cfg.MinDirtyRatio = 1 }, all},
		{"but if it is older than max.compaction.lag.ms", func(x *compactedLog) {
			x.cfg.MinDirtyRatio, x.cfg.MaxCompactionLag = 1, 500*time.Millisecond
		}, lines("{3: a4}", "{4: a5}")},
		{"not yet older than max.compaction.lag.ms", func(x *compactedLog) {
			x.cfg.MinDirtyRatio, x.cfg.MaxCompactionLag = 1, time.Hour
		}, all},
		{"a new segment for each old one", func(x *compactedLog) {
			x.cfg.SegmentBytes = 150
		}, lines("", "{3: a4}", "{4: a5}")},
	} {
		t.Run(c.name, func(t *testing.T) {
			onDisk(t, func(h env.Host) {
				x := newCompactedLog(t, h, compacting())
				three(x)
				c.set(x)
				assert.Equal(t, c.want != all, x.clean())
				assert.Equal(t, c.want, x.story())
				require.NoError(t, segmentsAgree(x.Log))
			})
		})
	}
}

// An open transaction holds the cleaner up, though the high watermark is behind it.
func TestCleaner_NothingAboveTheLastStableOffset(t *testing.T) {
	onDisk(t, func(h env.Host) {
		x := newCompactedLog(t, h, compacting())
		x.put("a1")
		x.put("a2")
		x.rollNow()
		x.putTxn(1, 0, 0, "a3")
		x.put("a4")
		x.rollNow()
		x.put("a5")
		require.True(t, x.clean())
		assert.False(t, x.clean())
		assert.Equal(t, lines("{1: a2}", "{2: a3} {3: a4}", "{4: a5}"), x.story())
		x.end(record.Commit, 1, 0)
		require.True(t, x.clean())
		assert.Equal(t, lines("{2: } {3: a4}", "{4: a5} {5: commit}"), x.story(), "batch 2 has the last sequence of producer 1")
	})
}

// A record without a key, from before the topic was compacted, goes.
func TestCleaner_RecordsWithoutAKey(t *testing.T) {
	onDisk(t, func(h env.Host) {
		cfg := compacting()
		cfg.CleanupPolicy = CleanupPolicy{Delete: true}
		x := newCompactedLog(t, h, cfg)
		b := record.NewBuilder(record.Options{})
		b.Append(h.Now().Millis(), nil, []byte("keyless"))
		x.append(b.Build())
		x.put("a1")
		x.rollNow()
		x.SetConfig(compacting())
		require.True(t, x.clean())
		assert.Equal(t, lines("{1: a1}", ""), x.story())
	})
}

// Readers get across what is missing, also where a whole segment has nothing left.
func TestCleaner_ReadersGetAcrossGaps(t *testing.T) {
	onDisk(t, func(h env.Host) {
		cfg := compacting()
		cfg.SegmentBytes = 150
		x := newCompactedLog(t, h, cfg)
		for i := range 8 {
			x.put(fmt.Sprint("a", i))
		}
		x.put("b1")
		for x.clean() {
		}
		require.Greater(t, len(x.segments), 3)
		assert.Zero(t, x.segments[1].size)
		var got []string
		for o := kafka.Offset(0); o < x.EndOffset(); {
			part, err := x.Read(o, x.EndOffset(), 1000, true)
			require.NoError(t, err)
			require.NotEmpty(t, part, "stuck at offset %d", o)
			for rest := part; len(rest) > 0; {
				var b record.Batch
				b, rest, _ = record.Next(rest)
				got = append(got, inWords(b))
				o = b.NextOffset()
			}
		}
		assert.Equal(t, []string{"{7: a7}", "{8: b1}"}, got)
		at, ok, err := x.OffsetForTimestamp(0)
		require.NoError(t, err)
		assert.True(t, ok)
		assert.EqualValues(t, 7, at.Offset)
	})
}

// The log may be cut, raised or closed while the cleaner is at work: the pass ends,
// and what is there is the log as it was cut.
func TestCleaner_TheLogChangesMeanwhile(t *testing.T) {
	for _, c := range []struct {
		name string
		do   func(x *compactedLog) error
		want string
	}{
		{"truncated", func(x *compactedLog) error { return x.TruncateTo(3) }, "{0: a1} {1: a2} {2: b1}"},
		{"restarted", func(x *compactedLog) error { return x.TruncateFullyAndStartAt(7) }, ""},
		{"appended to", func(x *compactedLog) error { x.put("c1"); return nil }, lines("{2: b1} {3: a3}", "{4: c1}")},
		{"start raised", func(x *compactedLog) error { return x.SetStartOffset(3) }, lines("{2: b1} {3: a3}", "")},
		{"deleted", func(x *compactedLog) error { return x.Dir.Delete(orders) }, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			onDisk(t, func(h env.Host) {
				x := newCompactedLog(t, h, compacting())
				x.c.cfg.IOBufferSize = 1
				x.c.cfg.IOMaxBytesPerSec = 100 // several seconds
				x.put("a1")
				x.put("a2")
				x.put("b1")
				x.put("a3")
				x.rollNow()
				done := false
				h.Go("cleaner", func() { x.clean(); done = true })
				h.Sleep(1500 * time.Millisecond)
				require.False(t, done)
				require.NoError(t, c.do(x))
				h.Sleep(time.Minute)
				require.True(t, done)
				if x.closed {
					assert.Nil(t, x.Get(orders))
					return
				}
				assert.Equal(t, c.want, x.story())
				assert.LessOrEqual(t, x.cleaned[orders], x.active().base)
				require.NoError(t, segmentsAgree(x.Log))
				names, err := h.Disk().List("data/orders-0")
				require.NoError(t, err)
				assert.False(t, slices.ContainsFunc(names, func(n string) bool { return strings.HasSuffix(n, cleanedSuffix) }), "%v", names)
			})
		})
	}
}

// What was truncated and written anew was never compacted: the checkpoint goes back.
func TestCleaner_TruncationLowersTheCheckpoint(t *testing.T) {
	onDisk(t, func(h env.Host) {
		x := newCompactedLog(t, h, compacting())
		x.put("a1")
		x.rollNow()
		x.put("a2")
		x.put("b1")
		x.rollNow()
		require.True(t, x.clean())
		require.EqualValues(t, 3, x.cleaned[orders])
		require.NoError(t, x.TruncateTo(2))
		assert.EqualValues(t, 0, x.cleaned[orders], "the base of what is the active segment now")
		x.reopen()
		assert.EqualValues(t, 0, x.cleaned[orders])
	})
}

// A log whose records cannot be read is left alone from then on.
func TestCleaner_Uncleanable(t *testing.T) {
	onDisk(t, func(h env.Host) {
		x := newCompactedLog(t, h, compacting())
		x.put("a1")
		x.put("a2")
		x.rollNow()
		_, err := x.segments[0].file.WriteAt([]byte{0xff}, record.HeaderSize+3)
		require.NoError(t, err)
		assert.True(t, x.clean())
		assert.True(t, x.uncleanable)
		assert.False(t, x.clean())
		assert.NoError(t, x.Failed())
	})
}

// A tombstone stays for delete.retention.ms after the first pass that could have
// removed it, unless the bug is planted.
func TestCleaner_TombstonesStayForTheirTime(t *testing.T) {
	for _, bugs := range [][]planted.Bug{nil, {planted.CleanTombstoneNow}} {
		onDisk(t, func(h env.Host) {
			x := newCompactedLog(t, h, compacting(), bugs...)
			x.put("a1 b1")
			x.put("a-")
			x.rollNow()
			require.True(t, x.clean())
			if bugs != nil {
				assert.Equal(t, lines("{0-1: b1} {2: }", ""), x.story(), "a reader that has a1 never learns that it is gone")
				assert.Positive(t, x.Log.opts.Bugs.Count(bugs[0]).Infected)
				return
			}
			assert.Equal(t, lines("{0-1: b1} {2+: a-}", ""), x.story())
			h.Sleep(3900 * time.Millisecond)
			x.put("c1")
			x.rollNow()
			require.True(t, x.clean())
			assert.Equal(t, lines("{0-1: b1} {2+: a-} {3: c1}", ""), x.story(), "not yet")
			h.Sleep(200 * time.Millisecond)
			x.put("c2")
			x.rollNow()
			require.True(t, x.clean())
			assert.Equal(t, lines("{0-1: b1} {4: c2}", ""), x.story())
		})
	}
}

// Wherever a pass is interrupted, by the end of the process or by a loss of power,
// the log that is found is the one before or after it, and nothing is left behind.
func TestCleaner_InterruptedAtEveryPoint(t *testing.T) {
	finished, swaps := false, int64(0)
	for at := 50 * time.Microsecond; !finished; at += 50 * time.Microsecond {
		for _, power := range []bool{false, true} {
			w := sim.NewWorld(sim.Config{Seed: 1, Disk: disk.Config{Sync: 50 * time.Microsecond}})
			host := w.Host("host")
			table := map[string]string{"a": "a3", "c": "c2", "d": "d1"}
			require.NoError(t, w.RunMain("host", func(h env.Host) {
				cfg := compacting()
				cfg.SegmentBytes = 200
				x := newCompactedLog(t, h, cfg)
				sequence := 0
				for _, words := range []string{"a1 b1", "a2 c1", "b-", "c2 a3", "d1"} {
					x.putTxn(1, 0, sequence, words)
					sequence += len(strings.Fields(words))
					if words == "b-" {
						x.end(record.Commit, 1, 0)
					}
				}
				x.end(record.Commit, 1, 0)
				x.rollNow()
				require.NoError(t, x.Flush())
				host.Disk().Add(&disk.Rule{Delay: 20 * time.Microsecond})
				w.After(at, "the end", func() {
					if power {
						host.PowerOff()
					} else {
						host.Kill()
					}
				})
				x.clean()
				finished = true
				h.Sleep(time.Hour)
			}))
			host.Disk().Mend()
			require.NoError(t, w.RunMain("host", func(h env.Host) {
				x := newCompactedLog(t, h, compacting())
				swaps += w.Probes()[ProbeSwapFinished.Name]
				for range 2 {
					names, err := h.Disk().List("data/orders-0")
					require.NoError(t, err)
					for _, n := range names {
						assert.False(t, strings.HasSuffix(n, cleanedSuffix) || strings.HasSuffix(n, swapSuffix), "%v: %v", at, names)
					}
					got, err := x.contents()
					require.NoError(t, err)
					require.Equal(t, table, readBack(got, nil, 0, x.EndOffset()), "interrupted after %v, power %v", at, power)
					require.EqualValues(t, 10, x.EndOffset())
					require.NoError(t, segmentsAgree(x.Log))
					x.clean()
				}
			}))
			w.Close()
		}
	}
	assert.Positive(t, swaps, "no recovery had to finish a swap")
}

// A marker stays as long as a batch of its transaction does, also where that lies in
// another group of segments (KAFKA-8351). Without its marker a transaction that was
// committed is found open when the log is read again.
func TestCleaner_MarkersStayAsLongAsTheirData(t *testing.T) {
	for _, bugs := range [][]planted.Bug{nil, {planted.CleanTxnStatePerGroup}} {
		onDisk(t, func(h env.Host) {
			cfg := compacting()
			cfg.SegmentBytes = 250
			x := newCompactedLog(t, h, cfg, bugs...)
			x.putTxn(1, 0, 0, "a1 b1")
			x.put("c1 d1")
			x.rollNow()
			x.put("e1 f1")
			x.end(record.Commit, 1, 0)
			x.rollNow()
			require.True(t, x.clean())
			require.Len(t, x.segments, 3, "two groups")
			h.Sleep(5 * time.Second)
			x.put("g1")
			x.rollNow()
			require.True(t, x.clean())
			require.NoError(t, x.dropSnapshots(func(kafka.Offset) bool { return true }))
			x.abandon()

			y := newCompactedLog(t, h, cfg)
			open, stable := y.HasOpenTxn(1), y.LastStableOffset(y.EndOffset())
			if bugs != nil {
				assert.True(t, open)
				assert.EqualValues(t, 0, stable, "and no read_committed consumer gets any further")
				assert.Positive(t, x.Log.opts.Bugs.Count(bugs[0]).Infected)
				return
			}
			assert.False(t, open)
			assert.EqualValues(t, y.EndOffset(), stable)
		})
	}
}

// With compact,delete old segments go as well, and what the checkpoint said of them
// counts no more.
func TestCleaner_CompactAndDelete(t *testing.T) {
	onDisk(t, func(h env.Host) {
		cfg := compacting()
		cfg.CleanupPolicy.Delete = true
		cfg.RetentionTime = 10 * time.Second
		x := newCompactedLog(t, h, cfg)
		x.put("a1 b1")
		x.put("a2")
		x.rollNow()
		require.True(t, x.clean())
		h.Sleep(15 * time.Second)
		x.put("c1")
		x.put("c2")
		x.rollNow()
		n, err := x.ApplyRetention(x.EndOffset())
		require.NoError(t, err)
		assert.Equal(t, 1, n)
		assert.EqualValues(t, 3, x.StartOffset())
		x.cleaned[orders] = 1 // as after a crash before the pass was checkpointed
		require.True(t, x.clean())
		assert.Equal(t, lines("{4: c2}", ""), x.story())
		assert.EqualValues(t, 5, x.cleaned[orders])
	})
}

// A record must leave the active segment in time to be compacted in time.
func TestCleaner_MaxCompactionLagRollsSegments(t *testing.T) {
	onDisk(t, func(h env.Host) {
		cfg := compacting()
		cfg.MaxCompactionLag = time.Minute
		x := newCompactedLog(t, h, cfg)
		x.put("a1")
		h.Sleep(50 * time.Second)
		x.put("a2")
		assert.Len(t, x.segments, 1)
		h.Sleep(11 * time.Second)
		x.put("a3")
		assert.Len(t, x.segments, 2)
		cfg.CleanupPolicy = CleanupPolicy{Delete: true}
		x.SetConfig(cfg)
		h.Sleep(2 * time.Minute)
		x.put("a4")
		assert.Len(t, x.segments, 2, "it is of compacted topics")
	})
}

// Two cleaners do not work on one log, and each takes the one with the larger part to
// do.
func TestCleaner_TheFilthiestFirst(t *testing.T) {
	onDisk(t, func(h env.Host) {
		x := newCompactedLog(t, h, compacting())
		other := kafka.TopicPartition{Topic: "others"}
		y, err := x.Dir.Create(other, kafka.UUID{2}, compacting())
		require.NoError(t, err)
		x.put("a1")
		x.rollNow()
		require.True(t, x.clean())
		x.put("a2")
		x.rollNow()
		_, err = y.AppendAsLeader(records(h.Now().Millis(), record.Options{}, "a1 a2"), 0)
		require.NoError(t, err)
		require.NoError(t, y.roll())

		both := []Compacted{x.compacted(), {y, y.EndOffset}}
		slow, fast := x.Dir.NewCleaner(cleaning()), x.Dir.NewCleaner(cleaning())
		slow.cfg.IOBufferSize, slow.cfg.IOMaxBytesPerSec = 1, 10
		h.Go("slow", func() { _, _ = slow.CleanFilthiest(both) })
		h.Sleep(time.Second)
		assert.True(t, y.BeingCleaned(), "all of it is dirty")
		assert.False(t, x.BeingCleaned())
		cleaned, err := fast.CleanFilthiest(both)
		require.NoError(t, err)
		assert.True(t, cleaned)
		assert.Equal(t, lines("{1: a2}", ""), x.story())
		cleaned, err = fast.CleanFilthiest(both)
		require.NoError(t, err)
		assert.False(t, cleaned, "the other one is at work")
	})
}

// A follower's gaps come from its leader. What a kill leaves of them is not taken for
// damage.
func TestGapsOfALeaderAreKept(t *testing.T) {
	w := sim.NewWorld(sim.Config{Seed: 1})
	defer w.Close()
	require.NoError(t, w.RunMain("host", func(h env.Host) {
		x := newCompactedLog(t, h, compacting())
		for _, o := range []kafka.Offset{3, 4, 9} {
			require.NoError(t, x.AppendAsFollower(records(h.Now().Millis(), record.Options{BaseOffset: o}, fmt.Sprint("a", o))))
		}
	}))
	w.Host("host").Kill()
	require.NoError(t, w.RunMain("host", func(h env.Host) {
		opts := dirOptions() // whose configuration compacts nothing, as that of any broker
		d, err := OpenDir(h, "data", opts)
		require.NoError(t, err)
		x := &compactedLog{t: t, Log: d.Get(orders)}
		assert.Equal(t, "{3: a3} {4: a4} {9: a9}", x.story())
		assert.EqualValues(t, 10, x.EndOffset())
	}))
}

// testdata/compaction has the segments of compacted topics as Apache Kafka 4.4.0 wrote
// them, and what its cleaner made of the first of them: to the byte what ours does, with
// the indexes. The transactions are those of two producers, interleaved, some aborted;
// the second pass over them finds markers without data, and tombstones with horizons.
func TestCleaner_TheBytesOfKafka(t *testing.T) {
	for _, c := range []struct {
		name       string
		firstDirty kafka.Offset
		end, upTo  kafka.Offset
	}{
		{"keyed", 0, 1252, 939},
		{"transactions", 0, 48, 46},
		{"transactions-again", 46, 80, 78},
	} {
		t.Run(c.name, func(t *testing.T) {
			onDisk(t, func(h env.Host) {
				cfg := defaults()
				cfg.CleanupPolicy = CleanupPolicy{Compact: true}
				newCompactedLog(t, h, cfg)
				const dir = "data/orders-0/"
				dirty := filepath.Join("testdata/compaction", c.name, "dirty")
				names, err := os.ReadDir(dirty)
				require.NoError(t, err)
				for _, n := range names {
					b, err := os.ReadFile(filepath.Join(dirty, n.Name()))
					require.NoError(t, err)
					require.NoError(t, files.Write(h.Disk(), dir+n.Name(), b, true))
				}
				require.NoError(t, writeOffsets(h.Disk(), "data/"+cleanedOffsetsFile, offsets{orders: c.firstDirty}))
				require.NoError(t, writeOffsets(h.Disk(), "data/"+recoveryPointsFile, offsets{orders: c.upTo}))
				for _, n := range []string{indexSuffix, timeIndexSuffix} { // of the empty log
					require.NoError(t, h.Disk().Remove(dir+fileName(0, n)))
				}
				x := newCompactedLog(t, h, cfg)
				require.EqualValues(t, c.end, x.EndOffset())

				want := cleanByKafka(t, c.name, logSuffix)
				cfg.DeleteRetention = horizonOf(want) - time.Duration(h.Now().Millis())*time.Millisecond
				x.SetConfig(cfg)
				require.True(t, x.clean())
				assert.EqualValues(t, c.upTo, x.cleaned[orders])
				for _, suffix := range segmentFiles {
					got, err := files.Read(h.Disk(), dir+fileName(0, suffix))
					if !errors.Is(err, env.ErrNotExist) {
						require.NoError(t, err)
					}
					assert.Equal(t, cleanByKafka(t, c.name, suffix), got, suffix)
				}
			})
		})
	}
}

// cleanByKafka is a file of the segment that Kafka's cleaner made; nil: there is none.
func cleanByKafka(t *testing.T, name, suffix string) []byte {
	b, err := os.ReadFile(filepath.Join("testdata/compaction", name, "clean", fileName(0, suffix)))
	if !errors.Is(err, os.ErrNotExist) {
		require.NoError(t, err)
	}
	return b
}

// horizonOf is the latest delete horizon in a segment: what Kafka's clock made it in
// its last pass.
func horizonOf(segment []byte) (latest time.Duration) {
	for len(segment) > 0 {
		var b record.Batch
		b, segment, _ = record.Next(segment)
		if at, marked := b.DeleteHorizon(); marked {
			latest = max(latest, time.Duration(at)*time.Millisecond)
		}
	}
	return latest
}
