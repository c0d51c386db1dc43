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

// txnLog is a log whose transactional records must be verified, with short words for
// producer 1.
type txnLog struct {
	t *testing.T
	h env.Host
	*Log
	guard Guard
}

func onTxnLog(t *testing.T, story func(x *txnLog), plant ...planted.Bug) {
	onDisk(t, func(h env.Host) {
		l, err := Open(h, "orders-0", orders, tiny(), Options{VerifyTransactions: true, Bugs: planted.Plant(plant...)})
		require.NoError(t, err)
		story(&txnLog{t: t, h: h, Log: l})
	})
}

// ask begins a verification for transaction.version 2, unless v1.
func (x *txnLog) ask(epoch, sequence int, v1 ...bool) error {
	g, err := x.BeginVerification(1, kafka.ProducerEpoch(epoch), kafka.Sequence(sequence), len(v1) == 0)
	if err == nil {
		x.guard = g
	}
	return err
}

// put appends n records with the guard that was given last.
func (x *txnLog) put(epoch, sequence, n int) error {
	return x.putWith(x.guard, Client, epoch, sequence, n)
}

func (x *txnLog) putWith(g Guard, from Origin, epoch, sequence, n int) error {
	opts := idempotent(1, epoch, sequence)
	opts.Transactional = true
	_, err := x.Append(batch(x.h.Now().Millis(), opts, n, 5), Append{Guard: g, Origin: from})
	return err
}

func (x *txnLog) marker(epoch, coordinator int, version int8) error {
	m := record.NewEndTxnMarker(record.Commit, x.h.Now().Millis(), 1, kafka.ProducerEpoch(epoch), int32(coordinator))
	_, err := x.Append(m, Append{Origin: Internal, TxnVersion: version})
	return err
}

// A transaction of transaction.version 2 from its first record to its marker, and
// what comes late.
func TestVerification_OneTransaction(t *testing.T) {
	onTxnLog(t, func(x *txnLog) {
		assert.ErrorIs(t, x.put(0, 0, 3), kerr.InvalidTxnState, "without a question")
		require.NoError(t, x.ask(0, 0))
		assert.ErrorIs(t, x.putWith(x.guard+1, Client, 0, 0, 3), kerr.InvalidTxnState, "with the answer to another")
		require.NoError(t, x.put(0, 0, 3))
		first := x.guard
		require.NoError(t, x.ask(0, 3))
		assert.Zero(t, x.guard, "the transaction is open: there is nothing to ask")
		require.NoError(t, x.put(0, 3, 1))
		assert.EqualValues(t, 0, x.LastStableOffset(x.EndOffset()))

		require.NoError(t, x.marker(1, 0, 2))
		assert.EqualValues(t, 5, x.LastStableOffset(x.EndOffset()))
		assert.Equal(t, []ProducerState{{1, 1, -1, -1, x.Producers()[0].LastTimestamp, 0, -1}}, x.Producers())

		assert.ErrorIs(t, x.putWith(first, Client, 0, 4, 1), kerr.InvalidProducerEpoch, "late, with the old epoch")
		assert.ErrorIs(t, x.ask(0, 4), kerr.InvalidProducerEpoch)
		assert.ErrorIs(t, x.putWith(first, Client, 1, 0, 1), kerr.InvalidTxnState, "the old answer is used up")
		end := x.EndOffset()
		assert.EqualValues(t, 5, end, "nothing of all that was appended")
	})
}

func TestVerification_Sequences(t *testing.T) {
	onTxnLog(t, func(x *txnLog) {
		require.NoError(t, x.ask(0, 5))
		assert.ErrorIs(t, x.put(0, 5, 1), kerr.OutOfOrderSequenceNumber, "version 2 begins at 0")
		require.NoError(t, x.ask(0, 2, true))
		assert.ErrorIs(t, x.put(0, 5, 1), kerr.OutOfOrderSequenceNumber)
	})
	onTxnLog(t, func(x *txnLog) {
		require.NoError(t, x.ask(0, 5, true))
		require.NoError(t, x.put(0, 5, 1), "of version 1 any will do when the producer is not known")
	})
	onTxnLog(t, func(x *txnLog) {
		require.NoError(t, x.ask(0, 2, true))
		require.NoError(t, x.ask(0, 0, true))
		assert.ErrorIs(t, x.put(0, 2, 1), kerr.OutOfOrderSequenceNumber, "a lower one came since, and was not appended")
		require.NoError(t, x.put(0, 0, 2))
		require.NoError(t, x.put(0, 2, 1))
	})
	onTxnLog(t, func(x *txnLog) {
		require.NoError(t, x.ask(0, 0))
		require.NoError(t, x.ask(1, 7))
		assert.ErrorIs(t, x.put(1, 7, 1), kerr.OutOfOrderSequenceNumber, "a higher epoch begins anew")
	})
	onTxnLog(t, func(x *txnLog) {
		require.NoError(t, x.ask(0, 0))
		require.NoError(t, x.putWith(x.guard, Coordinator, 0, -1, 1), "offsets of a coordinator have none")
		assert.True(t, x.HasOpenTxn(1))
	})
	onTxnLog(t, func(x *txnLog) {
		assert.ErrorIs(t, x.putWith(0, Coordinator, 0, -1, 1), kerr.InvalidTxnState)
	})
}

// A marker takes the guard away: the answer is about a transaction that is over. Only
// the question for the next transaction, in the marker's own epoch, goes on.
func TestVerification_MarkersAndGuards(t *testing.T) {
	onTxnLog(t, func(x *txnLog) {
		require.NoError(t, x.ask(0, 0, true))
		require.NoError(t, x.marker(0, 0, 1))
		assert.ErrorIs(t, x.put(0, 0, 1), kerr.InvalidTxnState)
	})
	onTxnLog(t, func(x *txnLog) {
		require.NoError(t, x.ask(0, 0))
		require.NoError(t, x.marker(1, 0, 2))
		assert.ErrorIs(t, x.put(1, 0, 1), kerr.InvalidTxnState)
	})
	onTxnLog(t, func(x *txnLog) {
		require.NoError(t, x.ask(1, 0))
		require.NoError(t, x.marker(1, 0, 2))
		assert.NoError(t, x.put(1, 0, 1))
	})
	onTxnLog(t, func(x *txnLog) {
		require.NoError(t, x.ask(0, 0))
		x.setProducerExpiry(time.Minute)
		x.h.Sleep(2 * time.Minute)
		x.ExpireProducers()
		assert.ErrorIs(t, x.put(0, 0, 1), kerr.InvalidTxnState)
	})
}

// Markers by hand: what Apache Kafka 4.4 answers.
func TestVerification_Markers(t *testing.T) {
	onTxnLog(t, func(x *txnLog) {
		require.NoError(t, x.marker(0, 5, 1), "without a transaction, too")
		assert.ErrorIs(t, x.marker(0, 4, 1), kerr.TransactionCoordinatorFenced)
		require.NoError(t, x.marker(3, 5, 1))
		assert.ErrorIs(t, x.marker(2, 5, 1), kerr.InvalidProducerEpoch)
	})
	late := func(x *txnLog, version int8) error {
		require.NoError(t, x.ask(0, 0))
		require.NoError(t, x.put(0, 0, 1))
		require.NoError(t, x.marker(1, 0, version))
		require.NoError(t, x.marker(1, 0, version), "written again, as after a change of the coordinator")
		require.NoError(t, x.ask(1, 0))
		require.NoError(t, x.put(1, 0, 1))
		return x.marker(1, 0, version)
	}
	onTxnLog(t, func(x *txnLog) {
		assert.ErrorIs(t, late(x, 2), kerr.InvalidProducerEpoch)
		assert.EqualValues(t, 3, x.LastStableOffset(x.EndOffset()), "the second transaction is still open (KAFKA-19446)")
		assert.NoError(t, x.marker(2, 0, 2))
	})
	onTxnLog(t, func(x *txnLog) {
		assert.NoError(t, late(x, 1), "a sender that does not tell the version still ends the wrong one")
	})
}

// What planted bugs of transactions do to a log.
func TestVerification_Planted(t *testing.T) {
	infected := func(x *txnLog, bug planted.Bug) int64 { return x.opts.Bugs.Count(bug).Infected }
	onTxnLog(t, func(x *txnLog) {
		require.NoError(t, x.ask(0, 0, true))
		require.NoError(t, x.marker(0, 0, 1), "it comes between the answer and the append")
		assert.NoError(t, x.put(0, 0, 1))
		assert.EqualValues(t, 1, infected(x, planted.TxnVerifyNotRechecked))
		assert.EqualValues(t, 1, x.LastStableOffset(x.EndOffset()), "nothing will end this one")
	}, planted.TxnVerifyNotRechecked)
	onTxnLog(t, func(x *txnLog) {
		require.NoError(t, x.ask(0, 0))
		require.NoError(t, x.put(0, 0, 1))
		require.NoError(t, x.marker(1, 0, 2))
		require.NoError(t, x.ask(1, 0))
		require.NoError(t, x.put(1, 0, 1))
		assert.NoError(t, x.marker(1, 0, 2), "the marker of the transaction before")
		assert.EqualValues(t, 4, x.LastStableOffset(x.EndOffset()), "has ended the open one")
		assert.EqualValues(t, 1, infected(x, planted.TxnMarkerEpochGE))
	}, planted.TxnMarkerEpochGE)
	onTxnLog(t, func(x *txnLog) {
		require.NoError(t, x.ask(0, 0))
		require.NoError(t, x.put(0, 0, 1))
		require.NoError(t, x.marker(1, 0, 2))
		assert.ErrorIs(t, x.marker(1, 1, 2), kerr.InvalidProducerEpoch, "the next coordinator sends it again, in vain")
		assert.EqualValues(t, 1, infected(x, planted.TxnMarkerStrictNoRetry))
	}, planted.TxnMarkerStrictNoRetry)
}

// Two producers interleaved: the index, the list that a read_committed consumer is
// given, and the last stable offset after each step.
func TestAbortedTransactionsAndTheLastStableOffset(t *testing.T) {
	onDisk(t, func(h env.Host) {
		l, err := Open(h, "orders-0", orders, tiny(), Options{})
		require.NoError(t, err)
		put := func(id, sequence, n int) {
			opts := idempotent(id, 0, sequence)
			opts.Transactional = true
			_, err := l.AppendAsLeader(batch(h.Now().Millis(), opts, n, 5), 0)
			require.NoError(t, err)
		}
		end := func(typ record.ControlType, id int) {
			_, err := l.AppendInternal(record.NewEndTxnMarker(typ, h.Now().Millis(), kafka.ProducerID(id), 0, 0), 0)
			require.NoError(t, err)
		}
		stable := func(want kafka.Offset) {
			t.Helper()
			assert.Equal(t, want, l.LastStableOffset(l.EndOffset()))
		}
		const a, b = 1, 2
		put(a, 0, 2)
		put(b, 0, 2)
		put(a, 2, 1)
		stable(0)
		end(record.Abort, b)
		stable(0)
		_, err = l.AppendAsLeader(batch(h.Now().Millis(), record.Options{}, 1, 5), 0) // 6
		require.NoError(t, err)
		end(record.Abort, a)
		stable(8)
		put(b, 2, 1)
		end(record.Commit, b)
		stable(10)

		check := func(l *Log) {
			t.Helper()
			ofA, ofB := AbortedTxn{a, 0, 7, 8}, AbortedTxn{b, 2, 5, 0}
			for from, want := range map[kafka.Offset][]AbortedTxn{0: {ofB, ofA}, 5: {ofB, ofA}, 6: {ofA}, 7: {ofA}, 8: nil, 9: nil} {
				assert.Equal(t, want, l.AbortedTxns(from, l.EndOffset()), "from offset %d", from)
			}
			assert.EqualValues(t, 10, l.LastStableOffset(l.EndOffset()))
		}
		check(l)
		require.NoError(t, l.Flush())
		again, err := Open(h, "orders-0", orders, tiny(), Options{}) // as after a kill
		require.NoError(t, err)
		check(again)
		content, err := h.Disk().Stat("orders-0/" + fileName(0, txnIndexSuffix))
		require.NoError(t, err)
		assert.EqualValues(t, 2*txnEntry, content)
	})
}

// A transaction that ended stays in the way of the last stable offset until its marker
// is below the high watermark; a new leader, too, waits for that.
func TestLastStableOffsetWaitsForTheMarkerToBeCommitted(t *testing.T) {
	onDisk(t, func(h env.Host) {
		l, err := Open(h, "orders-0", orders, tiny(), Options{})
		require.NoError(t, err)
		opts := idempotent(1, 0, 0)
		opts.Transactional = true
		data := batch(h.Now().Millis(), opts, 2, 5)
		marker := record.NewEndTxnMarker(record.Commit, h.Now().Millis(), 1, 0, 0)
		marker.SetBaseOffset(2)
		require.NoError(t, l.AppendAsFollower(append(data, marker...)))
		for hw, want := range []kafka.Offset{0, 0, 0, 3} {
			assert.Equal(t, want, l.LastStableOffset(kafka.Offset(hw)), "high watermark %d", hw)
		}
	})
}
