package txn

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/ktrial/ktrial/broker/coordinator"
	"github.com/ktrial/ktrial/broker/kafka"
	"github.com/ktrial/ktrial/broker/planted"
)

// post is an outbox, and where partitions are led.
type post struct {
	*Outbox
	leaders map[kafka.TopicPartition]kafka.NodeID // absent: no such partition
	written []string
}

func newPost(bugs *planted.Set) *post {
	p := &post{leaders: map[kafka.TopicPartition]kafka.NodeID{t0: 1, t1: 2, t2: 1}}
	p.Outbox = NewOutbox(func(tp kafka.TopicPartition) (kafka.NodeID, bool) {
		leader, ok := p.leaders[tp]
		return leader, ok
	}, func(m Marker) { p.written = append(p.written, m.ID) }, bugs)
	return p
}

var (
	t0 = kafka.TopicPartition{Topic: "t", Partition: 0}
	t1 = kafka.TopicPartition{Topic: "t", Partition: 1}
	t2 = kafka.TopicPartition{Topic: "t", Partition: 2}
)

func marker(id string, epoch kafka.ProducerEpoch) Marker {
	return Marker{ID: id, Shard: 3, By: coordinator.Producer{ID: 7, Epoch: epoch}}
}

func deliver(o *post, parcels []Parcel) {
	for _, p := range parcels {
		for _, tp := range p.Partitions {
			o.Delivered(p, tp)
		}
	}
}

// A transaction is written when its last partition is, and once.
func TestOutbox_Delivers(t *testing.T) {
	o := newPost(nil)
	o.Send(marker("a", 1), []kafka.TopicPartition{t0, t1, t2})
	o.Send(marker("b", 1), []kafka.TopicPartition{t0})
	assert.Equal(t, []kafka.NodeID{1, 2}, o.Brokers())
	first := o.Take(1)
	assert.Len(t, first, 2, "one parcel for each transaction")
	assert.Equal(t, []kafka.TopicPartition{t0, t2}, first[0].Partitions)
	deliver(o, first)
	assert.Equal(t, []string{"b"}, o.written)
	assert.Equal(t, []kafka.TopicPartition{t1}, o.Waiting("a"))
	second := o.Take(2)
	deliver(o, second)
	deliver(o, second)
	assert.Equal(t, []string{"b", "a"}, o.written)
	assert.Empty(t, o.Brokers())
	assert.Empty(t, o.Waiting("a"))
}

// What was refused goes to the leader of then; without one it waits for a leader, and
// of a topic that is gone nothing is left to do.
func TestOutbox_FollowsTheLeader(t *testing.T) {
	o := newPost(nil)
	o.Send(marker("a", 1), []kafka.TopicPartition{t0, t1})
	refused := o.Take(1)
	o.leaders[t0] = kafka.NoNode
	o.Again(refused[0], t0)
	o.Route()
	assert.Equal(t, []kafka.NodeID{2}, o.Brokers())
	o.leaders[t0] = 3
	o.Route()
	assert.Equal(t, []kafka.NodeID{2, 3}, o.Brokers())
	delete(o.leaders, t1)
	o.Again(o.Take(2)[0], t1)
	o.Route()
	assert.Equal(t, []kafka.TopicPartition{t0}, o.Waiting("a"))
	deliver(o, o.Take(3))
	assert.Equal(t, []string{"a"}, o.written)
}

// An abort of nothing needs no marker.
func TestOutbox_WithoutPartitions(t *testing.T) {
	o := newPost(nil)
	o.Send(marker("a", 1), nil)
	assert.Equal(t, []string{"a"}, o.written)
}

// What belongs to a delivery that is over does not touch the next one of the same id
// (KAFKA-17877); what a shard had to send goes with it.
func TestOutbox_OldDeliveries(t *testing.T) {
	for _, bug := range []planted.Bug{"", planted.TxnPendingByID} {
		bugs := planted.Plant(bug)
		o := newPost(bugs)
		o.Send(marker("a", 1), []kafka.TopicPartition{t0})
		old := o.Take(1)
		o.Drop(2)
		assert.Equal(t, []kafka.TopicPartition{t0}, o.Waiting("a"), "of another shard")
		o.Drop(3)
		assert.Empty(t, o.Waiting("a"))
		o.Again(old[0], t0)
		o.Route()
		assert.Empty(t, o.Brokers())

		o.Send(marker("a", 2), []kafka.TopicPartition{t0})
		deliver(o, old)
		if bug != "" {
			assert.Empty(t, o.Waiting("a"), "the bug loses it")
			assert.EqualValues(t, 1, bugs.Count(bug).Infected)
			continue
		}
		assert.Equal(t, []kafka.TopicPartition{t0}, o.Waiting("a"))
		o.GiveUp(old[0])
		deliver(o, o.Take(1))
		assert.Equal(t, []string{"a"}, o.written)
	}
}

// A marker that is refused for good ends without an outcome.
func TestOutbox_GivesUp(t *testing.T) {
	o := newPost(nil)
	o.Send(marker("a", 1), []kafka.TopicPartition{t0, t1})
	parcel := o.Take(1)[0]
	o.GiveUp(parcel)
	deliver(o, []Parcel{parcel})
	assert.Empty(t, o.Take(2))
	assert.Empty(t, o.written)
}
