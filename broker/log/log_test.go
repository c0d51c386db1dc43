package log

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kerr"
	"pgregory.net/rapid"

	"github.com/ktrial/ktrial/broker/config"
	"github.com/ktrial/ktrial/broker/files"
	"github.com/ktrial/ktrial/broker/kafka"
	"github.com/ktrial/ktrial/broker/record"
	"github.com/ktrial/ktrial/sim"
	"github.com/ktrial/ktrial/sim/disk"
	"github.com/ktrial/ktrial/sim/env"
)

func fenced(t *testing.T, suffix string, appended bool) {
	w := sim.NewWorld(sim.Config{Seed: 1})
	defer w.Close()
	require.NoError(t, w.RunMain("host", func(h env.Host) {
		cfg := tiny()
		cfg.IndexIntervalBytes = 0
		l, err := Open(h, "orders-0", orders, cfg, Options{})
		require.NoError(t, err)
		opts := idempotent(1, 0, 0)
		opts.Transactional = true
		_, err = l.AppendAsLeader(batch(h.Now().Millis(), opts, 2, 5), 0)
		require.NoError(t, err)

		rule := &disk.Rule{Path: "*" + suffix, Err: env.ErrIO}
		w.Host("host").Disk().Add(rule)
		abort := record.NewEndTxnMarker(record.Abort, h.Now().Millis(), 1, 0, 0)
		_, err = l.AppendInternal(abort, 0)
		assert.ErrorIs(t, err, kerr.KafkaStorageError)
		assert.ErrorIs(t, err, env.ErrIO)
		w.Host("host").Disk().Remove(rule)

		want := kafka.Offset(2)
		if appended {
			want = 3
		}
		assert.Equal(t, want, l.EndOffset())
		assert.Equal(t, kafka.Offset(0), l.LastStableOffset(l.EndOffset()), "what may be aborted must not be shown")
		assert.Equal(t, !appended, l.HasOpenTxn(1))
		require.Error(t, l.Failed())
		for _, change := range []func() error{
			func() error { _, err := l.AppendInternal(abort, 0); return err },
			func() error { return l.TruncateTo(0) }, l.Flush, l.Close,
			func() error { return l.SetStartOffset(1) },
		} {
			assert.ErrorIs(t, change(), kerr.KafkaStorageError)
		}
		got, err := l.Read(0, 2, 1000, true)
		assert.NoError(t, err)
		assert.NotEmpty(t, got)
	}))
}

// A sync that fails closes the log: the next one would succeed without the
// bytes being there.
func TestFailedSyncFencesTheLog(t *testing.T) {
	w := sim.NewWorld(sim.Config{Seed: 1})
	defer w.Close()
	require.NoError(t, w.RunMain("host", func(h env.Host) {
		l, err := Open(h, "orders-0", orders, tiny(), Options{})
		require.NoError(t, err)
		_, err = l.AppendAsLeader(batch(h.Now().Millis(), record.Options{}, 2, 5), 0)
		require.NoError(t, err)
		w.Host("host").Disk().Add(&disk.Rule{Op: disk.OpSync, Err: env.ErrIO, Count: 1})
		assert.ErrorIs(t, l.Flush(), kerr.KafkaStorageError)
		assert.ErrorIs(t, l.Flush(), kerr.KafkaStorageError)
		assert.Zero(t, l.RecoveryPoint())
	}))
}

// Read gives whole batches, from the one that holds the offset.
func TestRead(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		sizes := rapid.SliceOfN(rapid.IntRange(0, 500), 1, 60).Draw(t, "sizes")
		queries := rapid.SliceOfN(rapid.SliceOfN(rapid.IntRange(0, 1000), 3, 3), 1, 20).Draw(t, "queries")
		var failed error
		sim.RunHost(t, 1, func(h env.Host) {
			l, err := Open(h, "orders-0", orders, tiny(), Options{})
			m := &model{}
			for i, size := range sizes {
				b := batch(h.Now().Millis(), record.Options{BaseOffset: m.end}, 1+i%3, size)
				m.append(b)
				if err == nil {
					err = l.AppendAsFollower(b)
				}
			}
			for i, q := range queries {
				if err == nil {
					err = readsRight(l, m, kafka.Offset(q[0])%m.end, kafka.Offset(q[1])%(m.end+1), int32(q[2]), i%2 == 0)
				}
			}
			failed = err
		})
		if failed != nil {
			t.Fatal(failed)
		}
	})
}

func readsRight(l *Log, m *model, from, upTo kafka.Offset, most int32, minOne bool) error {
	got, err := l.Read(from, upTo, most, minOne)
	if err != nil {
		return err
	}
	var want []byte
	i := slices.IndexFunc(m.batches, func(b record.Batch) bool { return b.LastOffset() >= from })
	segment := l.segments[l.segmentAt(from)]
	for _, b := range m.batches[i:] {
		fits := len(want)+len(b) <= int(most) || len(want) == 0 && minOne
		if from >= upTo || b.LastOffset() >= upTo || b.BaseOffset() >= segment.end || !fits {
			break
		}
		want = append(want, b...)
	}
	if !bytes.Equal(got, want) {
		return fmt.Errorf("read from %d up to %d, %d bytes, %v: %d bytes, expected %d", from, upTo, most, minOne, len(got), len(want))
	}
	return nil
}

func TestReadOutOfRange(t *testing.T) {
	onDisk(t, func(h env.Host) {
		l, err := Open(h, "orders-0", orders, tiny(), Options{LogStart: 10})
		require.NoError(t, err)
		for _, o := range []kafka.Offset{9, 11} {
			_, err := l.Read(o, 20, 100, true)
			assert.ErrorIs(t, err, kerr.OffsetOutOfRange)
		}
		got, err := l.Read(10, 20, 100, true)
		assert.NoError(t, err)
		assert.Empty(t, got)
	})
}

// What a batch's records say of time is what the log says.
func TestOffsetForTimestamp(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		times := rapid.SliceOfN(rapid.Int64Range(0, 50), 1, 60).Draw(t, "times")
		start := rapid.IntRange(0, len(times)-1).Draw(t, "start")
		ask := rapid.Int64Range(0, 55).Draw(t, "ask")
		var got, newest TimestampOffset
		var found, any bool
		sim.RunHost(t, 1, func(h env.Host) {
			l, err := Open(h, "orders-0", orders, tiny(), Options{})
			must(err)
			base := h.Now().Millis()
			for i, ts := range times {
				must(l.AppendAsFollower(batch(base+ts, record.Options{BaseOffset: kafka.Offset(i), LeaderEpoch: 2}, 1, 90)))
			}
			must(l.SetStartOffset(kafka.Offset(start)))
			got, found, err = l.OffsetForTimestamp(base + ask)
			must(err)
			newest, any, err = l.OffsetOfMaxTimestamp()
			must(err)
			got.Timestamp -= base
			newest.Timestamp -= base
		})
		i := slices.IndexFunc(times[start:], func(ts int64) bool { return ts >= ask })
		if found != (i >= 0) {
			t.Fatalf("found %v, expected %v", got, i)
		}
		if want := (TimestampOffset{kafka.Offset(start + i), 0, 2}); found {
			want.Timestamp = times[start+i]
			require.Equal(t, want, got)
		}
		if top := slices.Max(times[start:]); any {
			require.Equal(t, top, newest.Timestamp)
			require.Equal(t, kafka.Offset(start+slices.Index(times[start:], top)), newest.Offset)
		}
	})
}

func must(err error) {
	if err != nil {
		panic(err)
	}
}

// OffsetForLeaderEpoch, as KIP-101 and KIP-279 have it.
func TestEndOffsetFor(t *testing.T) {
	es := epochs{{2, 10}, {5, 20}, {6, 35}}
	for _, tc := range []struct {
		ask, epoch kafka.LeaderEpoch
		end        kafka.Offset
	}{
		{6, 6, 50},  // the latest ends at the log end
		{5, 5, 35},  // where the next begins
		{4, 2, 20},  // the largest that is not greater
		{2, 2, 20},  //
		{1, 1, 10},  // before all: where the first begins
		{7, -1, -1}, // not heard of yet
		{-1, -1, -1},
	} {
		epoch, end := es.endOffset(tc.ask, 50)
		assert.Equal(t, tc.epoch, epoch, "epoch %d", tc.ask)
		assert.Equal(t, tc.end, end, "epoch %d", tc.ask)
	}
	epoch, end := epochs(nil).endOffset(3, 50)
	assert.Equal(t, []any{kafka.LeaderEpoch(-1), kafka.Offset(-1)}, []any{epoch, end})
	assert.Equal(t, kafka.LeaderEpoch(5), es.at(34))
	assert.Equal(t, kafka.LeaderEpoch(kafka.NoEpoch), es.at(9))
}

// A leader that never appended has noted its epoch at the log end. To truncate
// there takes the epoch away, though no record: the next leader may not know it.
func TestTruncateTakesAnEpochWithoutRecords(t *testing.T) {
	sim.RunHost(t, 1, func(h env.Host) {
		l, err := Open(h, "orders-0", orders, tiny(), Options{})
		require.NoError(t, err)
		_, err = l.AppendAsLeader(batch(h.Now().Millis(), record.Options{}, 2, 5), 0)
		require.NoError(t, err)
		require.NoError(t, l.AssignEpochStart(1, l.EndOffset()))
		require.NoError(t, l.TruncateTo(l.EndOffset()))
		assert.EqualValues(t, 2, l.EndOffset())
		assert.EqualValues(t, 0, l.LatestEpoch())
		l, err = Open(h, "orders-0", orders, tiny(), Options{})
		require.NoError(t, err)
		assert.EqualValues(t, 0, l.LatestEpoch(), "after a crash, too")
	})
}

func TestEpochsStayInOrder(t *testing.T) {
	es := epochs{{2, 10}, {5, 20}, {6, 35}}
	assert.False(t, es.assign(6, 40))
	assert.True(t, es.assign(7, 35), "no record was written in 6")
	assert.Equal(t, epochs{{2, 10}, {5, 20}, {7, 35}}, es)
	assert.True(t, es.truncateStart(25))
	assert.Equal(t, epochs{{5, 25}, {7, 35}}, es)
	assert.True(t, es.truncateEnd(35))
	assert.Equal(t, epochs{{5, 25}}, es)
	assert.False(t, es.truncateStart(25))
}

// A client's batch that must not get into a log.
func TestAppendRefuses(t *testing.T) {
	now := int64(0)
	plain := func() record.Batch { return batch(now, record.Options{}, 3, 10) }
	for _, tc := range []struct {
		name  string
		batch func() []byte
		want  error
	}{
		{"nothing", func() []byte { return nil }, kerr.InvalidRecord},
		{"a batch that is cut off", func() []byte { b := plain(); return b[:len(b)-1] }, kerr.InvalidRecord},
		{"a flipped bit", func() []byte { b := plain(); b[70] ^= 1; return b }, kerr.CorruptMessage},
		{"a base offset", func() []byte { return batch(now, record.Options{BaseOffset: 1}, 1, 1) }, kerr.InvalidRecord},
		{"a control batch", func() []byte { return record.NewEndTxnMarker(record.Commit, now, 1, 0, 0) }, kerr.InvalidRecord},
		{"a producer without sequence", func() []byte { return batch(now, idempotent(1, 0, -1), 1, 1) }, kerr.InvalidRecord},
		{"a large batch", func() []byte { return batch(now, record.Options{}, 1, 1001) }, kerr.MessageTooLarge},
		{"the future", func() []byte { return batch(now+2*time.Hour.Milliseconds(), record.Options{}, 1, 1) }, kerr.InvalidTimestamp},
	} {
		onDisk(t, func(h env.Host) {
			now = h.Now().Millis()
			cfg := tiny()
			cfg.MaxMessageBytes = 1000
			l, err := Open(h, "orders-0", orders, cfg, Options{})
			require.NoError(t, err)
			_, err = l.AppendAsLeader(tc.batch(), 0)
			assert.ErrorIs(t, err, tc.want, tc.name)
			assert.Zero(t, l.EndOffset(), tc.name)
			assert.NoError(t, l.Failed(), tc.name)
		})
	}
}

func TestAppendAsFollower(t *testing.T) {
	onDisk(t, func(h env.Host) {
		l, err := Open(h, "orders-0", orders, tiny(), Options{})
		require.NoError(t, err)
		at := func(o kafka.Offset) record.Batch { return batch(0, record.Options{BaseOffset: o}, 5, 10) }
		require.NoError(t, l.TruncateFullyAndStartAt(102))
		require.NoError(t, l.AppendAsFollower(at(100)), "the leader's log start is inside of a batch")
		assert.Equal(t, kafka.Offset(102), l.StartOffset())
		assert.Equal(t, kafka.Offset(105), l.EndOffset())
		assert.ErrorIs(t, l.AppendAsFollower(at(100)), ErrUnexpectedOffset)
		assert.ErrorIs(t, l.AppendAsFollower(at(103)), ErrUnexpectedOffset)
		damaged := at(105)
		damaged[80] ^= 1
		assert.ErrorIs(t, l.AppendAsFollower(damaged), kerr.CorruptMessage)
		assert.Equal(t, kafka.Offset(105), l.EndOffset())
		require.NoError(t, l.AppendAsFollower(append(at(105), at(110)[:50]...)))
		assert.Equal(t, kafka.Offset(110), l.EndOffset())
	})
}

func TestTopicConfigurationChangesBatches(t *testing.T) {
	onDisk(t, func(h env.Host) {
		cfg := tiny()
		require.NoError(t, config.SetAll(&cfg, map[string]string{
			"compression.type": "zstd", "message.timestamp.type": "LogAppendTime",
		}))
		l, err := Open(h, "orders-0", orders, cfg, Options{})
		require.NoError(t, err)
		info, err := l.AppendAsLeader(batch(5, idempotent(1, 0, 7), 3, 10), 4)
		require.NoError(t, err)
		assert.InDelta(t, h.Now().Millis(), info.LogAppendTime, 100)
		got, err := l.Read(0, 3, 1000, true)
		require.NoError(t, err)
		b := record.Batch(got)
		require.NoError(t, b.Check())
		assert.Equal(t, record.Zstd, b.Codec())
		assert.Equal(t, kafka.Sequence(7), b.BaseSequence())
		assert.Equal(t, info.LogAppendTime, b.MaxTimestamp())
	})
}

// While one append waits for the disk, others wait for their turn; readers and
// a flush go on with what was there.
func TestTasksTakeTurns(t *testing.T) {
	w := sim.NewWorld(sim.Config{Seed: 3})
	defer w.Close()
	var m model
	require.NoError(t, w.RunMain("host", func(h env.Host) {
		w.Host("host").Disk().Add(&disk.Rule{Delay: 5 * time.Millisecond, In: 2})
		l, err := Open(h, "orders-0", orders, tiny(), Options{})
		require.NoError(t, err)
		done := 0
		task := func(name string, f func()) {
			h.Go(name, func() { f(); done++ })
		}
		for range 30 {
			task("append", func() {
				_, err := l.AppendAsLeader(batch(h.Now().Millis(), record.Options{}, 1, 90), 1)
				must(err)
			})
			task("flush", func() { must(l.Flush()) })
			task("read", func() {
				from := l.EndOffset() / 2
				if _, err := l.Read(from, l.EndOffset(), 1000, true); err != nil && kafka.Code(err) != kerr.OffsetOutOfRange.Code {
					panic(err)
				}
			})
		}
		task("truncate", func() { must(l.TruncateTo(l.EndOffset() / 2)) })
		for done < 91 {
			h.Sleep(time.Millisecond)
		}
		w.Host("host").Disk().Mend()
		all, err := l.contents()
		require.NoError(t, err)
		for _, b := range all {
			m.append(b)
		}
		require.NoError(t, l.Flush())
		require.NoError(t, m.agrees(l))
	}))
}

func TestDirBelongsToAnother(t *testing.T) {
	for _, tc := range []struct{ name, content, want string }{
		{"cluster", "cluster.id=other\nnode.id=1\ndirectory.id=AAAAAAAAAAAAAAAAAAAAAQ\nversion=1\n", `cluster.id is "other", expected "cluster"`},
		{"node", "# by hand\ncluster.id=cluster\nnode.id=2\ndirectory.id=AAAAAAAAAAAAAAAAAAAAAQ\nversion=1\n", "node.id is 2, expected 1"},
		{"version", "version=0\nbroker.id=1\n", `version is "0", expected 1`},
		{"damage", "cluster.id=clus", `damaged: version is ""`},
	} {
		onDisk(t, func(h env.Host) {
			require.NoError(t, h.Disk().MkdirAll("data"))
			require.NoError(t, files.Write(h.Disk(), "data/meta.properties", []byte(tc.content), true))
			_, err := OpenDir(h, "data", dirOptions())
			require.Error(t, err, tc.name)
			assert.ErrorContains(t, err, tc.want)
			assert.ErrorContains(t, err, "data/meta.properties")
			names, _ := h.Disk().List("data")
			assert.Equal(t, []string{"meta.properties"}, names)
			content, _ := files.Read(h.Disk(), "data/meta.properties")
			assert.Equal(t, tc.content, string(content))
		})
	}
	onDisk(t, func(h env.Host) {
		require.NoError(t, h.Disk().MkdirAll("data/orders-0"))
		_, err := OpenDir(h, "data", dirOptions())
		assert.ErrorContains(t, err, "holds orders-0/")
	})
}

func TestDamagedCheckpoints(t *testing.T) {
	for name, fatal := range map[string]bool{
		recoveryPointsFile: false, logStartsFile: false, highWatermarksFile: true,
		"orders-0/" + epochsFile: false, "orders-0/" + metadataFile: true,
	} {
		onDisk(t, func(h env.Host) {
			s, err := attach(h, &model{}, 3)
			require.NoError(t, err)
			require.NoError(t, s.produce(batch(h.Now().Millis(), record.Options{}, 2, 10)))
			require.NoError(t, s.dir.CloseClean(4, offsets{orders: 2}))
			require.NoError(t, files.Write(h.Disk(), "data/"+name, []byte("0\n2\norders zero\n"), true))
			s, err = attach(h, s.m, 3)
			if fatal {
				assert.ErrorContains(t, err, name)
				return
			}
			require.NoError(t, err, name)
			assert.NoError(t, s.m.agrees(s.log), name)
			assert.Equal(t, kafka.Offset(2), s.dir.HighWatermark(orders))
		})
	}
}

// A topic may be deleted while a shutdown closes the logs one after another.
func TestDeletedWhileTheDirectoryCloses(t *testing.T) {
	onDisk(t, func(h env.Host) {
		s, err := attach(h, &model{}, 0)
		require.NoError(t, err)
		require.NoError(t, s.produce(batch(h.Now().Millis(), record.Options{}, 2, 10)))
		gone := kafka.TopicPartition{Topic: "payments"} // its turn comes after orders
		_, err = s.dir.Create(gone, kafka.UUID{2}, s.dir.Get(orders).cfg)
		require.NoError(t, err)
		h.Go("deletes", func() { assert.NoError(t, s.dir.Delete(gone)) })
		require.NoError(t, s.dir.CloseClean(4, offsets{orders: 2}))
		assert.Equal(t, []kafka.TopicPartition{orders}, s.dir.Partitions())
	})
}

func TestDirRemembers(t *testing.T) {
	onDisk(t, func(h env.Host) {
		s, err := attach(h, &model{}, 0)
		require.NoError(t, err)
		id := s.dir.ID()
		_, clean := s.dir.CleanShutdown()
		assert.False(t, clean)
		require.NoError(t, s.produce(batch(h.Now().Millis(), record.Options{}, 2, 10)))
		require.NoError(t, s.dir.CloseClean(4, offsets{orders: 2}))

		s, err = attach(h, s.m, 0)
		require.NoError(t, err)
		epoch, clean := s.dir.CleanShutdown()
		assert.True(t, clean)
		assert.Equal(t, kafka.BrokerEpoch(4), epoch)
		assert.Equal(t, id, s.dir.ID())
		assert.Equal(t, kafka.UUID{1}, s.dir.TopicID(orders))
		assert.Equal(t, []kafka.TopicPartition{orders}, s.dir.Partitions())
		assert.Equal(t, kafka.Offset(2), s.log.RecoveryPoint())

		require.NoError(t, s.dir.Delete(orders))
		l, err := s.dir.Create(orders, kafka.UUID{2}, tiny())
		require.NoError(t, err)
		assert.Zero(t, l.EndOffset())
		assert.Zero(t, s.dir.HighWatermark(orders))

		s, err = attach(h, &model{}, 0) // after a kill: no mark
		require.NoError(t, err)
		_, clean = s.dir.CleanShutdown()
		assert.False(t, clean)
		assert.Equal(t, kafka.UUID{2}, s.dir.TopicID(orders))
		h.Sleep(2 * time.Second)
		names, _ := h.Disk().List("data")
		assert.False(t, slices.ContainsFunc(names, func(n string) bool { return strings.Contains(n, deleteSuffix) }), "%v", names)
	})
}

// The cleaner may have been at work when the process ended.
func TestLeftoversOfTheCleaner(t *testing.T) {
	onDisk(t, func(h env.Host) {
		cfg := tiny()
		cfg.CleanupPolicy.Compact = true
		l, err := Open(h, "orders-0", orders, cfg, Options{})
		require.NoError(t, err)
		put := func(name string, bs ...record.Batch) {
			require.NoError(t, files.Write(h.Disk(), "orders-0/"+name, bytes.Join(asBytes(bs), nil), true))
		}
		at := func(o kafka.Offset) record.Batch { return batch(0, record.Options{BaseOffset: o}, 2, 10) }
		for o := kafka.Offset(0); o < 8; o += 2 {
			require.NoError(t, l.AppendAsFollower(at(o)))
		}
		put(fileName(0, logSuffix+swapSuffix), at(0), at(6)) // 2 to 5 were compacted away
		put(fileName(8, logSuffix+cleanedSuffix), at(8))
		put(fileName(8, logSuffix+swapSuffix), at(8)) // a split that was not finished
		put(fileName(9, logSuffix+deletedSuffix), at(8))
		put(fileName(9, indexSuffix))
		l, err = Open(h, "orders-0", orders, cfg, Options{})
		require.NoError(t, err)
		assert.Equal(t, kafka.Offset(8), l.EndOffset())
		got, err := l.contents()
		require.NoError(t, err)
		assert.Equal(t, []record.Batch{at(0), at(6)}, got)
		names, _ := h.Disk().List("orders-0")
		assert.Equal(t, []string{fileName(0, indexSuffix), fileName(0, logSuffix), fileName(0, timeIndexSuffix), epochsFile}, names)
	})
}

func asBytes(bs []record.Batch) (out [][]byte) {
	for _, b := range bs {
		out = append(out, b)
	}
	return out
}

// No checksum covers a base offset. Kafka believes one that rotted upwards; a
// log that was never compacted has no gaps, so recovery cuts it there.
func TestABaseOffsetThatRottedIsNotBelieved(t *testing.T) {
	onDisk(t, func(h env.Host) {
		at := func(o kafka.Offset) record.Batch { return batch(0, record.Options{BaseOffset: o}, 2, 10) }
		for _, rotten := range []kafka.Offset{0, 1, 3, 1<<20 + 2} {
			name := fmt.Sprintf("orders-%d", rotten)
			l, err := Open(h, name, orders, tiny(), Options{})
			require.NoError(t, err)
			require.NoError(t, l.AppendAsFollower(at(0)))
			require.NoError(t, l.AppendAsFollower(at(2)))
			require.NoError(t, l.AppendAsFollower(at(4)))
			log := bytes.Join([][]byte{at(0), at(rotten), at(4)}, nil)
			require.NoError(t, files.Write(h.Disk(), name+"/"+fileName(0, logSuffix), log, true))
			l, err = Open(h, name, orders, tiny(), Options{})
			require.NoError(t, err)
			assert.Equal(t, kafka.Offset(2), l.EndOffset(), "base offset %d", rotten)
		}
	})
}

// No checksum covers a leader epoch either. One that rotted downwards says
// nothing; one that rotted upwards stays until there is a leader again.
func TestALeaderEpochThatRotted(t *testing.T) {
	onDisk(t, func(h env.Host) {
		at := func(o kafka.Offset, epoch kafka.LeaderEpoch) record.Batch {
			return batch(0, record.Options{BaseOffset: o, LeaderEpoch: epoch}, 2, 10)
		}
		for _, x := range []struct {
			rotten kafka.LeaderEpoch
			want   epochs
		}{
			{2, epochs{{1, 0}, {3, 2}}},
			{0, epochs{{1, 0}, {3, 2}}},
			{9, epochs{{1, 0}, {3, 2}, {9, 4}}},
		} {
			name := fmt.Sprintf("orders-%d", x.rotten)
			l, err := Open(h, name, orders, tiny(), Options{})
			require.NoError(t, err)
			for o, epoch := range []kafka.LeaderEpoch{1, 3, 3, 3} {
				require.NoError(t, l.AppendAsFollower(at(2*kafka.Offset(o), epoch)))
			}
			log := bytes.Join([][]byte{at(0, 1), at(2, 3), at(4, x.rotten), at(6, 3)}, nil)
			require.NoError(t, files.Write(h.Disk(), name+"/"+fileName(0, logSuffix), log, true))
			l, err = Open(h, name, orders, tiny(), Options{})
			require.NoError(t, err)
			assert.Equal(t, kafka.Offset(8), l.EndOffset())
			assert.Equal(t, x.want, epochs(l.EpochEntries()), "epoch %d", x.rotten)
			l.AssignEpochStart(4, 8)
			assert.Equal(t, epochs{{1, 0}, {3, 2}, {4, 8}}, epochs(l.EpochEntries()), "epoch %d", x.rotten)
		}
	})
}
