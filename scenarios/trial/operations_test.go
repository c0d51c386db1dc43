package trial

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/ktrial/ktrial/broker/kafka"
	"github.com/ktrial/ktrial/broker/witness"
	"github.com/ktrial/ktrial/checkers/history"
	"github.com/ktrial/ktrial/ledger"
)

// A leader that appends in the middle of what an earlier one had appended begins an
// epoch there: what the earlier one had behind it is no more.
func TestEpochsOfOperations(t *testing.T) {
	x := epochs{leads: map[*witness.Replica]bool{}, of: map[history.Value][]appended{}, keys: map[*witness.Replica]history.Value{}}
	orders := kafka.TopicPartition{Topic: "orders", Partition: 0}
	old, young := &witness.Replica{Node: 1, Partition: orders}, &witness.Replica{Node: 2, Partition: orders}
	read := func(e ledger.Event) { x.read(&ledger.Entry{Event: e}) }
	read(&witness.BecameLeader{Replica: old, Epoch: 0})
	read(&witness.Appended{Replica: old, Batch: witness.Batch{From: 0, End: 50, Epoch: 0}})
	read(&witness.Appended{Replica: old, Batch: witness.Batch{From: 50, End: 100, Epoch: 0}})
	read(&witness.BecameLeader{Replica: young, Epoch: 1})
	read(&witness.Appended{Replica: young, Batch: witness.Batch{From: 60, End: 61, Epoch: 1}})
	for offset, want := range map[int64]int32{0: 0, 59: 0, 60: 1} {
		epoch, _, known := x.at(history.Partition("orders", 0), offset)
		assert.True(t, known)
		assert.Equal(t, want, epoch, "offset %d", offset)
	}
	_, _, known := x.at(history.Partition("orders", 0), 61)
	assert.False(t, known)
}
