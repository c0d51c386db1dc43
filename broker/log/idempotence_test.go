package log

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kerr"

	"github.com/ktrial/ktrial/broker/kafka"
	"github.com/ktrial/ktrial/broker/planted"
	"github.com/ktrial/ktrial/broker/record"
	"github.com/ktrial/ktrial/sim/env"
)

// send is a batch of one producer, and what must become of it.
type send struct {
	epoch, sequence, records int
	want                     error
	at                       kafka.Offset // of the first record
	duplicate                bool
}

func ok(epoch, sequence, records int, at kafka.Offset) send {
	return send{epoch, sequence, records, nil, at, false}
}

func again(epoch, sequence, records int, at kafka.Offset) send {
	return send{epoch, sequence, records, nil, at, true}
}

func bad(epoch, sequence, records int, want error) send {
	return send{epoch, sequence, records, want, 0, false}
}

func TestIdempotence(t *testing.T) {
	const last = 1<<31 - 1
	for _, tc := range []struct {
		name  string
		sends []send
	}{
		{"sequences go on", []send{ok(0, 0, 3, 0), ok(0, 3, 2, 3), ok(0, 5, 1, 5)}},
		{"a gap is refused", []send{ok(0, 0, 3, 0), bad(0, 4, 1, kerr.OutOfOrderSequenceNumber), ok(0, 3, 1, 3)}},
		{"a batch is known again and has its first offset", []send{ok(0, 0, 3, 0), again(0, 0, 3, 0), ok(0, 3, 1, 3), again(0, 0, 3, 0)}},
		{"five batches are known again, no more", []send{
			ok(0, 0, 1, 0), ok(0, 1, 1, 1), ok(0, 2, 1, 2), ok(0, 3, 1, 3), ok(0, 4, 1, 4), again(0, 0, 1, 0),
			ok(0, 5, 1, 5), bad(0, 0, 1, kerr.OutOfOrderSequenceNumber), again(0, 1, 1, 1),
		}},
		{"another cut of the same records is no duplicate", []send{ok(0, 0, 3, 0), bad(0, 0, 2, kerr.OutOfOrderSequenceNumber), bad(0, 1, 2, kerr.OutOfOrderSequenceNumber)}},
		{"an unknown producer may begin anywhere", []send{ok(4, 17, 2, 0), ok(4, 19, 1, 2)}},
		{"a new epoch begins at 0", []send{ok(0, 0, 2, 0), bad(1, 2, 1, kerr.OutOfOrderSequenceNumber), ok(1, 0, 1, 2), ok(1, 1, 1, 3)}},
		{"an old epoch is fenced, duplicates too", []send{ok(0, 0, 2, 0), ok(1, 0, 1, 2), bad(0, 2, 1, kerr.InvalidProducerEpoch), bad(0, 0, 2, kerr.InvalidProducerEpoch)}},
		{"sequences wrap between batches", []send{ok(0, last-1, 2, 0), ok(0, 0, 1, 2), again(0, last-1, 2, 0), ok(0, 1, 1, 3)}},
		{"sequences wrap inside of a batch", []send{ok(0, last-1, 5, 0), again(0, last-1, 5, 0), ok(0, 3, 1, 5)}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			onDisk(t, func(h env.Host) {
				l, err := Open(h, "orders-0", orders, tiny(), Options{})
				require.NoError(t, err)
				for i, s := range tc.sends {
					end := l.EndOffset()
					info, err := l.AppendAsLeader(batch(h.Now().Millis(), idempotent(1, s.epoch, s.sequence), s.records, 5), 0)
					if s.want != nil {
						assert.ErrorIs(t, err, s.want, "send %d", i)
						assert.Equal(t, end, l.EndOffset(), "send %d", i)
						continue
					}
					require.NoError(t, err, "send %d", i)
					assert.Equal(t, s.at, info.FirstOffset, "send %d", i)
					assert.Equal(t, s.at+kafka.Offset(s.records)-1, info.LastOffset, "send %d", i)
					assert.Equal(t, s.duplicate, info.Duplicate, "send %d", i)
				}
			})
		})
	}
}

// KAFKA-7190: deleting records must not make a retry look new.
func TestProducersOutliveTheirRecords(t *testing.T) {
	onDisk(t, func(h env.Host) {
		l, err := Open(h, "orders-0", orders, tiny(), Options{})
		require.NoError(t, err)
		first := func() record.Batch { return batch(h.Now().Millis(), idempotent(1, 0, 0), 3, 5) }
		_, err = l.AppendAsLeader(first(), 0)
		require.NoError(t, err)
		require.NoError(t, l.SetStartOffset(3))
		_, err = l.ApplyRetention(3)
		require.NoError(t, err)
		info, err := l.AppendAsLeader(first(), 0)
		require.NoError(t, err)
		assert.True(t, info.Duplicate)
		assert.Equal(t, kafka.Offset(0), info.FirstOffset)

		l, err = Open(h, "orders-0", orders, tiny(), Options{LogStart: 3}) // after a kill
		require.NoError(t, err)
		info, err = l.AppendAsLeader(first(), 0)
		require.NoError(t, err)
		assert.True(t, info.Duplicate)
	})
}

// producer.id.expiration.ms may change while the log is open (KIP-226).
func TestSilentProducersAreForgotten(t *testing.T) {
	onDisk(t, func(h env.Host) {
		d, err := OpenDir(h, "data", dirOptions())
		require.NoError(t, err)
		l, err := d.Create(orders, kafka.UUID{1}, tiny())
		require.NoError(t, err)
		known := func() bool {
			l.ExpireProducers()
			return len(l.Producers()) > 0
		}
		_, err = l.AppendAsLeader(batch(h.Now().Millis(), idempotent(1, 0, 0), 3, 5), 0)
		require.NoError(t, err)
		h.Sleep(2 * time.Hour)
		assert.True(t, known(), "a day by default")
		d.SetProducerExpiry(3 * time.Hour)
		assert.True(t, known())
		d.SetProducerExpiry(time.Hour)
		assert.False(t, known())

		_, err = l.AppendAsLeader(batch(h.Now().Millis(), idempotent(1, 0, 3), 1, 5), 0)
		require.NoError(t, err, "an unknown producer may begin anywhere")
		d.SetProducerExpiry(0)
		h.Sleep(2 * time.Hour)
		assert.True(t, known(), "the default again")
	})
}

// A snapshot holds the last batch of each producer; the four before it come back
// from the log, be it in one segment or in many, and be there many others.
func TestRestartKeepsTheWindow(t *testing.T) {
	for _, tc := range []struct {
		segment int32
		batches int
	}{{300, 22}, {1 << 20, 3}, {1 << 20, 22}, {1 << 20, 60}} {
		batches := tc.batches
		onDisk(t, func(h env.Host) {
			cfg := tiny()
			cfg.SegmentBytes = tc.segment
			l, err := Open(h, "orders-0", orders, cfg, Options{})
			require.NoError(t, err)
			put := func(id, sequence int) (AppendInfo, error) {
				return l.AppendAsLeader(batch(h.Now().Millis(), idempotent(id, 0, sequence), 1, 5), 0)
			}
			first := map[[2]int]kafka.Offset{}
			for sequence := range batches {
				for id := 1; id <= 2; id++ {
					info, err := put(id, sequence)
					require.NoError(t, err)
					first[[2]int{id, sequence}] = info.FirstOffset
				}
			}
			require.NoError(t, l.Close())
			l, err = Open(h, "orders-0", orders, cfg, Options{Clean: true})
			require.NoError(t, err)
			for id := 1; id <= 2; id++ {
				for sequence := max(0, batches-window); sequence < batches; sequence++ {
					info, err := put(id, sequence)
					require.NoError(t, err, "producer %d, sequence %d", id, sequence)
					assert.True(t, info.Duplicate)
					assert.Equal(t, first[[2]int{id, sequence}], info.FirstOffset)
				}
				if batches > window {
					_, err := put(id, batches-window-1)
					assert.ErrorIs(t, err, kerr.OutOfOrderSequenceNumber, "five are known again, no more")
				}
			}
		})
	}
}

func TestPlantedNoDuplicateWindow(t *testing.T) {
	onDisk(t, func(h env.Host) {
		bugs := planted.Plant(planted.NoDuplicateWindow)
		l, err := Open(h, "orders-0", orders, tiny(), Options{Bugs: bugs})
		require.NoError(t, err)
		put := func() error {
			_, err := l.AppendAsLeader(batch(h.Now().Millis(), idempotent(1, 0, 0), 3, 5), 0)
			return err
		}
		require.NoError(t, put())
		assert.Zero(t, bugs.Count(planted.NoDuplicateWindow).Infected)
		assert.ErrorIs(t, put(), kerr.OutOfOrderSequenceNumber)
		assert.Equal(t, int64(1), bugs.Count(planted.NoDuplicateWindow).Infected)
	})
}

// A transaction: what it hides, what its end shows, and which producer may end
// it.
func TestTransactions(t *testing.T) {
	onDisk(t, func(h env.Host) {
		l, err := Open(h, "orders-0", orders, tiny(), Options{})
		require.NoError(t, err)
		put := func(id, epoch, sequence int, txn bool) error {
			opts := idempotent(id, epoch, sequence)
			opts.Transactional = txn
			_, err := l.AppendAsLeader(batch(h.Now().Millis(), opts, 2, 5), 0)
			return err
		}
		end := func(typ record.ControlType, id, epoch int, coordinator int32) error {
			_, err := l.AppendInternal(record.NewEndTxnMarker(typ, h.Now().Millis(), kafka.ProducerID(id), kafka.ProducerEpoch(epoch), coordinator), 0)
			return err
		}
		stable := func() kafka.Offset { return l.LastStableOffset(l.EndOffset()) }

		require.NoError(t, put(1, 0, 0, true)) // 0, 1
		require.NoError(t, put(2, 0, 0, true)) // 2, 3
		require.NoError(t, put(3, 0, 0, false))
		assert.Equal(t, kafka.Offset(0), stable())
		assert.True(t, l.HasOpenTxn(1))
		assert.ErrorIs(t, put(1, 0, 2, false), kerr.InvalidTxnState)
		assert.ErrorIs(t, end(record.Abort, 1, -1, 5), kerr.InvalidProducerEpoch)

		require.NoError(t, end(record.Abort, 1, 0, 5)) // 6
		assert.Equal(t, kafka.Offset(0), l.LastStableOffset(6), "its marker is not below the high watermark")
		assert.Equal(t, kafka.Offset(2), stable())
		assert.Equal(t, []AbortedTxn{{1, 0, 6, 2}}, l.AbortedTxns(0, 3))
		assert.Empty(t, l.AbortedTxns(7, 9))

		assert.ErrorIs(t, end(record.Commit, 1, 0, 4), kerr.TransactionCoordinatorFenced)
		require.NoError(t, end(record.Commit, 2, 0, 5)) // 7
		assert.Equal(t, kafka.Offset(8), stable())
		assert.Len(t, l.AbortedTxns(0, 8), 1)

		require.NoError(t, end(record.Abort, 1, 1, 6), "an end without a transaction raises the epoch")
		assert.ErrorIs(t, put(1, 0, 2, true), kerr.InvalidProducerEpoch)
		require.NoError(t, put(1, 1, 0, true))
	})
}

// KAFKA-6683, KAFKA-7866: what the disk refuses leaves no trace in the state,
// and nothing is appended after it.
func TestDiskErrorsFenceTheLog(t *testing.T) {
	for _, tc := range []struct {
		name, file string
		appended   bool // the batch itself is in the log
	}{
		{"the segment", ".log", false},
		{"the offset index", ".index", true},
		{"the index of aborted transactions", ".txnindex", true},
	} {
		t.Run(tc.name, func(t *testing.T) { fenced(t, tc.file, tc.appended) })
	}
}
