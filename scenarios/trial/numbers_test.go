package trial

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/ktrial/ktrial/broker/kafka"
	"github.com/ktrial/ktrial/broker/witness"
	"github.com/ktrial/ktrial/checkers/history"
	"github.com/ktrial/ktrial/ledger"
	"github.com/ktrial/ktrial/reports"
	"github.com/ktrial/ktrial/sim"
)

// Numbers of a cluster are counted from its events: which broker leads, which replicas are in sync, how far a
// group is behind.
func TestNumbersOfACluster(t *testing.T) {
	c := newCounter(func(topic string) (int, bool) { return 2, topic == "orders" }, true)
	orders, other := kafka.TopicPartition{Topic: "orders"}, kafka.TopicPartition{Topic: "__consumer_offsets"}
	first, second := &witness.Replica{Node: 1, Partition: orders}, &witness.Replica{Node: 2, Partition: orders}
	elsewhere := &witness.Replica{Node: 1, Partition: other}
	tell := func(seconds int, host string, e ledger.Event) {
		c.read(&ledger.Entry{At: time.Duration(seconds) * time.Second, Host: host, Event: e})
	}
	change := func(seconds int, at kafka.Offset, epoch kafka.LeaderEpoch, isr ...kafka.NodeID) {
		for _, controller := range []string{"controller-1", "controller-2"} { // both tell of it: the first counts
			tell(seconds, controller, &witness.PartitionCommitted{At: at, PartitionID: witness.PartitionID{Partition: orders}, LeaderEpoch: epoch, ISR: isr})
			seconds++
		}
	}
	commit := func(seconds int, offset kafka.Offset) {
		tell(seconds, "broker-1", &witness.OffsetCommitted{Group: "billing", Partition: orders, Offset: offset})
	}
	change(1, 10, 0, 1, 2)
	tell(2, "broker-1", &witness.BecameLeader{Replica: first})
	tell(2, "broker-2", &witness.BecameFollower{Replica: second})
	tell(2, "broker-1", &witness.BecameLeader{Replica: elsewhere})
	tell(3, "broker-1", &witness.Appended{Replica: first, Batch: witness.Batch{End: 100, Bytes: 1000}})
	tell(3, "broker-2", &witness.Appended{Replica: second, Batch: witness.Batch{End: 100, Bytes: 1000}})
	tell(4, "broker-1", &witness.HighWatermarkMoved{Replica: first, To: 100})
	tell(4, "broker-2", &witness.HighWatermarkMoved{Replica: second, To: 90}) // a follower's says nothing
	commit(5, 40)
	tell(6, "broker-1", &witness.HighWatermarkMoved{Replica: first, To: 130})
	commit(7, 120)
	tell(10, "broker-1", &sim.Killed{})
	change(14, 11, 1, 2)
	tell(15, "broker-2", &witness.BecameLeader{Replica: second, Epoch: 1})
	change(20, 12, 1, 2, 1)
	tell(21, "producer-1", &witness.RequestSent{Message: witness.Message{API: "Produce"}, Bytes: 70})
	tell(21, "broker-2", &witness.AnswerSent{Message: witness.Message{API: "Produce"}, Bytes: 30, Code: 6})

	n := c.conclude(history.New(), 0, 30*time.Second)
	assert.Equal(t, map[string]reports.PartitionNumbers{"orders/0": {Leaderless: reports.Seconds(5 * time.Second), BelowMinISR: reports.Seconds(6 * time.Second)}}, n.Partitions)
	assert.Equal(t, []int{1, 1, 1}, []int{n.Elections, n.Shrinks, n.Grows})
	assert.Equal(t, int64(2000), n.Disk)
	assert.Equal(t, int64(100), n.Wire)
	assert.Equal(t, map[string]reports.RequestNumbers{"Produce": {Count: 1, Errors: map[string]int64{"NOT_LEADER_OR_FOLLOWER": 1}}}, n.Requests)
	assert.Equal(t, map[string]reports.Lag{"billing": {Max: 90, MaxAt: reports.Seconds(6 * time.Second), End: 10}}, n.Lag)
}

// Numbers of records come from the history: one that was never acknowledged has no
// latency, and one that is read twice arrived the first time.
func TestNumbersOfRecords(t *testing.T) {
	at := func(ms int) time.Duration { return time.Duration(ms) * time.Millisecond }
	rec := history.NewRecorder()
	orders := history.Partition("orders", 0)
	send := func(process int64, value string, from, to int, typ history.Type) {
		e := history.Event{Process: process, Client: "producer-1", F: history.Send, Time: at(from),
			Mops: []history.Mop{{Kind: history.MopSend, Key: orders, Value: history.Text(value)}}}
		rec.Invoke(e)
		e.Time, e.Type = at(to), typ
		rec.Complete(e)
	}
	read := func(from, to int, values ...string) {
		e := history.Event{Process: 9, Client: "consumer-1", F: history.Poll, Time: at(from), Mops: []history.Mop{{Kind: history.MopPoll}}}
		rec.Invoke(e)
		e.Time, e.Type = at(to), history.OK
		for i, v := range values {
			e.Mops[0].Records = append(e.Mops[0].Records, history.Record{Key: orders, Offset: history.At(int64(i)), Value: history.Text(v)})
		}
		rec.Complete(e)
	}
	send(1, "a", 1000, 1010, history.OK)
	send(1, "b", 1020, 1900, history.Unknown)
	read(1000, 2000, "a", "b")
	send(1, "c", 2000, 4010, history.OK)
	read(4000, 5000, "a", "c")
	var n reports.Numbers
	countRecords(&n, rec.History(), at(1000))
	assert.Equal(t, 2, n.Ack.Count)
	assert.Equal(t, reports.Seconds(at(10)), n.Ack.P50)
	assert.Equal(t, reports.Seconds(at(2010)), n.Ack.Max)
	assert.Equal(t, 3, n.EndToEnd.Count)
	assert.Equal(t, reports.Seconds(at(1000)), n.EndToEnd.P50)
	assert.Equal(t, reports.Seconds(at(3000)), n.EndToEnd.Max)
	assert.Equal(t, reports.Seconds(at(3000)), n.LongestPause)
	assert.Equal(t, reports.Seconds(at(1010)), n.PauseAt)
	assert.InDelta(t, 0.75, n.Sent, 1e-9)
	assert.InDelta(t, 0.5, n.Acknowledged, 1e-9)
}
