package server

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/ktrial/ktrial/broker/kafka"
	"github.com/ktrial/ktrial/broker/metadata"
	"github.com/ktrial/ktrial/broker/raft"
	"github.com/ktrial/ktrial/broker/witness"
	"github.com/ktrial/ktrial/ledger"
	"github.com/ktrial/ktrial/sim"
	"github.com/ktrial/ktrial/sim/env"
)

// diary is replicas that write down what they are told, slowly.
type diary struct {
	host env.Host
	told []string
}

func (d *diary) Apply(im *metadata.Image, ch *metadata.Changes) {
	d.host.Sleep(10 * time.Millisecond)
	d.told = append(d.told, fmt.Sprintf("changes to %d: created %v", im.Offset, ch.CreatedTopics))
}

func (d *diary) ApplyImage(im *metadata.Image) {
	d.host.Sleep(10 * time.Millisecond)
	d.told = append(d.told, fmt.Sprintf("image %d: %d topics", im.Offset, len(im.Topics())))
}

func topicAt(o kafka.Offset, name string) raft.Batch {
	return raft.Batch{BaseOffset: o, LastOffset: o, Epoch: 1, Records: []metadata.Record{
		&metadata.TopicRecord{Name: name, TopicID: kafka.UUID{byte(o + 1)}},
	}}
}

// listening is a host that notes what is told to have been applied.
type listening struct {
	env.Host
	applied []kafka.Offset
}

func (l *listening) Tell(e ledger.Event) {
	l.applied = append(l.applied, e.(*witness.Applied).Offset)
	l.Host.Tell(e)
}

func TestPublisher(t *testing.T) {
	sim.RunHost(t, 1, func(h env.Host) {
		d := &diary{host: h}
		log := &listening{Host: h}
		p := NewPublisher(log, 1, d)
		committed := kafka.Offset(2)
		var offered []kafka.Offset
		p.Committed(topicAt(0, "a"))
		p.Start(func() bool { return p.Image().Offset >= committed }, func(im *metadata.Image) { offered = append(offered, im.Offset) })
		h.Sleep(time.Second)
		assert.Empty(t, d.told, "not caught up yet")
		assert.Equal(t, kafka.NoOffset, p.Offset())

		p.Committed(topicAt(1, "b"))
		p.Committed(topicAt(2, "c"))
		p.WaitPublished()
		assert.Equal(t, []string{"image 2: 3 topics"}, d.told)
		assert.EqualValues(t, 2, p.Offset())

		p.Committed(topicAt(3, "d"))
		h.Sleep(5 * time.Millisecond)
		p.Committed(topicAt(4, "e")) // while the replicas are still busy
		p.Committed(raft.Batch{BaseOffset: 5, LastOffset: 5, Epoch: 2})
		assert.EqualValues(t, 3, p.Image().Offset, "the image does not change under the replicas")
		h.Sleep(time.Second)

		snapshot := p.Image().Clone()
		snapshot.Offset = 90
		p.LoadSnapshot(snapshot)
		p.Committed(topicAt(91, "f"))
		h.Sleep(time.Second)
		assert.Equal(t, []string{
			"image 2: 3 topics",
			"changes to 3: created [d]",
			"changes to 5: created [e]",
			"image 91: 6 topics",
		}, d.told)
		assert.Equal(t, []kafka.Offset{2, 3, 5, 91}, log.applied)
		assert.Equal(t, log.applied, offered)
		assert.EqualValues(t, 91, p.Offset())
	})
}
