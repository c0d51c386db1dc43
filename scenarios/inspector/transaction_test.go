package inspector_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ktrial/ktrial/broker/kafka"
	"github.com/ktrial/ktrial/broker/record"
	"github.com/ktrial/ktrial/broker/witness"
	"github.com/ktrial/ktrial/ledger"
	"github.com/ktrial/ktrial/scenarios/inspector"
)

// transactional is a batch of producer 7 in a transaction, of one record.
func transactional(base kafka.Offset, epoch kafka.ProducerEpoch, sequence kafka.Sequence) record.Batch {
	b := record.NewBuilder(record.Options{BaseOffset: base, Transactional: true, Idempotent: true, ProducerID: 7, ProducerEpoch: epoch, BaseSequence: sequence})
	b.Append(0, nil, []byte("t"))
	return b.Build()
}

func marker(base kafka.Offset, epoch kafka.ProducerEpoch) record.Batch {
	b := record.NewEndTxnMarker(record.Commit, 0, 7, epoch, 5)
	b.SetBaseOffset(base)
	return b
}

func readCommitted(r *witness.Replica, b record.Batch) ledger.Event {
	return &witness.ReadServed{Replica: r, Batch: witness.BatchOf(b), Committed: true}
}

func txnState(epoch kafka.ProducerEpoch, to string, partitions ...kafka.TopicPartition) ledger.Event {
	return &witness.TxnState{TxnID: "till", ProducerID: 7, Epoch: epoch, To: to, Partitions: partitions, CoordinatorEpoch: 5, Version: 2}
}

func stableAt(r *witness.Replica, to kafka.Offset) ledger.Event {
	return &witness.LastStableOffsetMoved{Replica: r, To: to}
}

func TestEventsOfTransactionsBecomeLaws(t *testing.T) {
	offsets := kafka.TopicPartition{Topic: "__consumer_offsets", Partition: 3}
	written := &witness.MarkerWritten{Partition: orders0.Partition, ProducerID: 7, Epoch: 1, CoordinatorEpoch: 5, Commit: true}
	for _, test := range []struct {
		name    string
		then    []ledger.Event
		law     int
		message string
	}{
		{"a transaction", []ledger.Event{
			txnState(0, "Ongoing", offsets, orders0.Partition), appended(of[1], transactional(2, 0, 0)),
			txnState(1, "PrepareCommit", offsets, orders0.Partition), appended(of[1], marker(3, 1)), written,
			txnState(1, "CompleteCommit"), readCommitted(of[1], transactional(2, 0, 0)), appended(of[1], transactional(4, 1, 0)),
		}, 0, ""},
		{"it is read before its marker", []ledger.Event{
			appended(of[1], transactional(2, 0, 0)), readCommitted(of[1], transactional(2, 0, 0)),
		}, 67, "orders/0: broker-1 gave a read_committed consumer what lies up to 3; producer 7 has a transaction open there since 2"},
		{"the last stable offset stays where it begins", []ledger.Event{
			appended(of[1], transactional(2, 0, 0)), stableAt(of[1], 2),
		}, 0, ""},
		{"the last stable offset passes it", []ledger.Event{
			appended(of[1], transactional(2, 0, 0)), appended(of[2], transactional(2, 0, 0)), appended(of[3], transactional(2, 0, 0)),
			&witness.FollowerFetched{Replica: of[1], Follower: 2, From: 3}, &witness.FollowerFetched{Replica: of[1], Follower: 3, From: 3},
			&witness.HighWatermarkMoved{Replica: of[1], To: 3}, stableAt(of[1], 3),
		}, 67, "orders/0: broker-1 has last stable offset 3, expected 2 by its transactions and its high watermark 3"},
		{"the last stable offset goes back", []ledger.Event{
			stableAt(of[1], 2), stableAt(of[1], 1),
		}, 67, "orders/0: broker-1 has last stable offset 1, expected 2 by its transactions and its high watermark 2"},
		{"by a consumer that takes what is not committed", []ledger.Event{
			appended(of[1], transactional(2, 0, 0)), read(of[1], transactional(2, 0, 0)),
		}, 0, ""},
		{"what its producer sent before the marker comes behind it", []ledger.Event{
			appended(of[1], transactional(2, 0, 0)), appended(of[1], marker(3, 1)), appended(of[1], transactional(4, 0, 1)),
		}, 61, "orders/0: broker-1 appended a batch of producer 7 in epoch 0, after one in epoch 1"},
		{"a marker without a decision", []ledger.Event{
			txnState(0, "Ongoing", orders0.Partition), written,
		}, 65, "transactional id till: orders/0 has a marker that says commit of producer 7 in epoch 1, and it is not decided yet"},
		{"another coordinator has loaded it", []ledger.Event{
			txnState(0, "Ongoing", orders0.Partition),
			&witness.ShardLoaded{Shard: &witness.Shard{Node: 2, Shard: kafka.TopicPartition{Topic: kafka.TransactionsTopic, Partition: 3}}, Epoch: 6}, written,
		}, 0, ""},
		{"complete without a marker", []ledger.Event{
			txnState(0, "Ongoing", orders0.Partition), txnState(1, "PrepareCommit", orders0.Partition), txnState(1, "CompleteCommit"),
		}, 66, "transactional id till: it is CompleteCommit, and orders/0, which its transaction had, has no marker of producer 7 in epoch 1"},
		{"of a topic that is deleted", []ledger.Event{
			txnState(0, "Ongoing", orders0.Partition), txnState(1, "PrepareCommit", orders0.Partition),
			&witness.TopicDeleted{At: 22, Topic: "orders", ID: orders0.Topic}, txnState(1, "CompleteCommit"),
		}, 0, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			in := inspect()
			in.tell(replicated()...)
			in.tell(test.then...)
			if test.law == 0 {
				assert.Empty(t, in.broken)
				return
			}
			require.NotEmpty(t, in.broken)
			assert.Equal(t, test.law, in.broken[0].Law.Number, in.broken[0])
			assert.Equal(t, test.message, in.broken[0].Text())
		})
	}
}

// The cleaner of a host tells no replica: its host says whose log it is.
func TestTheCleanerOfAHost(t *testing.T) {
	in := inspect()
	in.tell(replicated()...)
	in.tell(appended(of[1], transactional(2, 0, 0)))
	replaced := &witness.SegmentsReplaced{Log: witness.Log{Partition: orders0.Partition}, To: 2}
	in.Read(&ledger.Entry{Host: "broker-1", Event: replaced})
	assert.Empty(t, in.broken)
	replaced.To = 3
	in.Read(&ledger.Entry{Host: "broker-1", Event: replaced})
	require.NotEmpty(t, in.broken)
	assert.Equal(t, "orders/0: broker-1 has cleaned its log up to 3; its high watermark is 2", in.broken[0].Text())
}

func TestATransactionHangsInTheEnd(t *testing.T) {
	in := inspect()
	in.tell(replicated()...)
	in.tell(txnState(0, "Ongoing", orders0.Partition), appended(of[1], transactional(2, 0, 0)), txnState(1, "PrepareAbort", orders0.Partition))
	for _, r := range of[2:] {
		in.tell(appended(r, transactional(2, 0, 0)))
	}
	in.Quiet(func(*inspector.Partition) bool { return false })
	var texts []string
	for _, f := range in.broken {
		if f.Law.Number == 72 {
			texts = append(texts, f.Text())
		}
	}
	assert.Equal(t, []string{
		"transactional id till: orders/0 has a transaction of producer 7 in epoch 0 open since 2; its coordinator has it PrepareAbort with [orders/0]",
		"transactional id till: it is PrepareAbort in the end",
	}, texts)
}
