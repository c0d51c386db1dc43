package txn

import (
	"io"
	"os"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kerr"
	"pgregory.net/rapid"

	"github.com/ktrial/ktrial/broker/coordinator"
	"github.com/ktrial/ktrial/broker/kafka"
	"github.com/ktrial/ktrial/broker/record"
)

// What Apache Kafka 4.4 wrote is read, and written again as it was: a commit and an abort of each
// version, an abort of nothing, producer ids that were used up. (Of several
// partitions in one record Kafka has no order.)
func TestRecords_OfApacheKafka(t *testing.T) {
	log, err := os.ReadFile("testdata/apache-kafka-4.4.log")
	require.NoError(t, err)
	states, rotations := map[State]int{}, 0
	for rest := log; ; {
		var b record.Batch
		b, rest, err = record.Next(rest)
		if err == io.EOF {
			break
		}
		require.NoError(t, err)
		require.NoError(t, b.Check())
		require.NoError(t, b.Records(func(r record.Record) error {
			rec := coordinator.Record{Key: r.Key, Value: r.Value}
			id, tx, err := decode(rec)
			require.NoError(t, err)
			states[tx.State]++
			if tx.Next >= 0 || tx.Previous != tx.ProducerID {
				rotations++
			}
			again, err := encode(*id, tx, 2)
			require.NoError(t, err)
			assert.Equal(t, rec.Key, again.Key)
			if len(tx.Partitions) < 2 {
				assert.Equal(t, rec.Value, again.Value, "%s at offset %d: %v", *id, r.Offset, tx)
			} else {
				assert.Len(t, again.Value, len(rec.Value))
			}
			return nil
		}))
	}
	assert.Equal(t, map[State]int{Empty: 5, Ongoing: 5, PrepareCommit: 2, PrepareAbort: 4, CompleteCommit: 2, CompleteAbort: 4}, states)
	assert.Equal(t, 4, rotations)
}

var anyTransaction = rapid.Custom(func(t *rapid.T) *Transaction {
	tx := &Transaction{
		ProducerID: kafka.ProducerID(rapid.Int64Min(0).Draw(t, "producer")),
		Previous:   kafka.ProducerID(rapid.Int64Min(-1).Draw(t, "previous")), Next: kafka.ProducerID(rapid.Int64Min(-1).Draw(t, "next")),
		Epoch: kafka.ProducerEpoch(rapid.Int16Min(0).Draw(t, "epoch")), TimeoutMillis: rapid.Int32Min(1).Draw(t, "timeout"),
		State:   rapid.SampledFrom([]State{Empty, Ongoing, PrepareCommit, PrepareAbort, CompleteCommit, CompleteAbort}).Draw(t, "state"),
		Updated: rapid.Int64().Draw(t, "updated"), Started: rapid.Int64().Draw(t, "started"),
		ClientVersion: rapid.SampledFrom([]int16{0, 1, 2}).Draw(t, "version"),
	}
	if tx.State == Ongoing || tx.State.prepared() {
		for range rapid.IntRange(0, 4).Draw(t, "partitions") {
			tx.Partitions = tx.with([]kafka.TopicPartition{{Topic: rapid.SampledFrom([]string{"a", "b"}).Draw(t, "topic"), Partition: rapid.Int32Min(0).Draw(t, "partition")}})
		}
	}
	return tx
})

// A record comes back as it was written, in both versions.
func TestRecords_RoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		tx, id := anyTransaction.Draw(t, "transaction"), rapid.StringN(1, -1, 50).Draw(t, "id")
		version := rapid.SampledFrom([]int16{0, 1, 2}).Draw(t, "transaction.version")
		rec, err := encode(id, tx, version)
		if version == 0 && tx.ClientVersion != 0 {
			require.ErrorIs(t, err, kerr.UnsupportedVersion)
			return
		}
		require.NoError(t, err)
		gotID, got, err := decode(rec)
		require.NoError(t, err)
		assert.Equal(t, id, *gotID)
		want := *tx
		if version == 0 {
			want.Previous, want.Next = kafka.NoProducer, kafka.NoProducer
		}
		assert.Equal(t, want, *got)
		assert.Equal(t, printOf(id, &want), printOf(id, got))
	})
}

// What is damaged is an error, and no panic; other types of records are skipped.
func TestRecords_Damaged(t *testing.T) {
	good, err := encode("a", &Transaction{State: Ongoing, Partitions: []kafka.TopicPartition{{Topic: "t"}}}, 2)
	require.NoError(t, err)
	for n := range good.Value {
		_, _, err := decode(coordinator.Record{Key: good.Key, Value: good.Value[:n]})
		assert.Error(t, err, "cut after %d bytes", n)
	}
	_, _, err = decode(coordinator.Record{Key: good.Key, Value: append(append([]byte{}, good.Value...), 0)})
	assert.ErrorContains(t, err, "1 bytes too many")
	wrong := append([]byte{}, good.Value...)
	wrong[2+8+2+4] = 9
	_, _, err = decode(coordinator.Record{Key: good.Key, Value: wrong})
	assert.ErrorContains(t, err, "state 9 found")
	wrong[1] = 2
	_, _, err = decode(coordinator.Record{Key: good.Key, Value: wrong})
	assert.ErrorContains(t, err, "version 2 found, at most 1 expected")
	id, _, err := decode(coordinator.Record{Key: []byte{0, 7, 1, 2}})
	assert.NoError(t, err)
	assert.Nil(t, id)
	rapid.Check(t, func(t *rapid.T) {
		_, _, _ = decode(coordinator.Record{Key: good.Key, Value: rapid.SliceOf(rapid.Byte()).Draw(t, "value")})
	})
}
