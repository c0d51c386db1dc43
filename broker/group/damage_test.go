package group

import (
	"reflect"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kmsg"
	"pgregory.net/rapid"

	"github.com/ktrial/ktrial/broker/coordinator"
	"github.com/ktrial/ktrial/broker/coordinator/timeline"
	"github.com/ktrial/ktrial/broker/kafka"
)

// A record that cannot be read is refused, and changes nothing.
func TestMachine_RefusesDamagedRecords(t *testing.T) {
	s := newShard(kafkaDefaults)
	s.decide(coordinator.Decision{Records: []coordinator.Record{
		encode(&groupKey{"g"}, &groupMetadata{protocolType: "consumer", generation: 1, since: 5}),
		encode(&offsetKey{"g", "t", 0}, &offsetValue{offset: 7, expires: -1}),
	}})
	before := dump(s.m, timeline.Written)
	for _, rec := range []coordinator.Record{
		{},
		{Key: []byte{0}},
		{Key: []byte{0, 2, 0, 9, 'g'}, Value: []byte{0, 3}},
		{Key: tombstone(&groupKey{"g"}).Key, Value: []byte{0, 3, 0}},
		{Key: tombstone(&offsetKey{"g", "t", 0}).Key, Value: []byte{0, 9}},
	} {
		s.line.Begin(s.line.Written())
		assert.Error(t, s.m.Apply(s.line.Written()-1, rec, coordinator.NoProducer), "%v", rec)
		s.line.End()
		assert.Equal(t, before, dump(s.m, timeline.Written))
	}
}

// A group record may say anything that can be read: members twice, no protocol, a
// leader that is no member, times below zero. Clients of such a group get answers,
// and what is kept of it stays sound.
func TestMachine_LivesWithOddGroups(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		g := newGame(rt)
		var meta groupMetadata
		fill(rt, reflect.ValueOf(&meta).Elem(), "group")
		meta.generation = rapid.Int32Range(-1, 5).Draw(rt, "generation")
		meta.protocolType = rapid.SampledFrom([]string{"consumer", "connect", ""}).Draw(rt, "type")
		for i := range meta.members {
			meta.members[i].id = rapid.SampledFrom([]string{"", "m", "n"}).Draw(rt, "id")
			meta.members[i].instance = rapid.SampledFrom([]*string{nil, kmsg.StringPtr("i")}).Draw(rt, "instance")
		}
		g.decide(coordinator.Decision{Records: []coordinator.Record{encode(&groupKey{"g"}, &meta)}})
		g.failover()
		for range rapid.IntRange(0, 30).Draw(rt, "steps") {
			p := rapid.SampledFrom(g.players).Draw(rt, "player")
			switch rapid.IntRange(0, 4).Draw(rt, "what") {
			case 0:
				p.leave()
			case 1:
				p.commit(3, kafka.NoProducer)
			case 2:
				g.after(time.Duration(rapid.IntRange(0, 60).Draw(rt, "s")) * time.Second)
			default:
				p.step()
			}
			g.m.DescribeGroup("g", 6, timeline.Committed)
			require.Len(rt, g.m.ListGroups(nil, nil, timeline.Committed), g.m.groups.LenAt(timeline.Committed))
			for _, c := range g.m.classic {
				require.Equal(rt, len(c.members), count(&c.order))
			}
		}
	})
}

func count(l interface{ First() *member }) (n int) {
	for mb := l.First(); mb != nil; mb = mb.link.Next() {
		n++
	}
	return n
}
