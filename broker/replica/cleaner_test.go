package replica

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/ktrial/ktrial/broker/kafka"
	"github.com/ktrial/ktrial/broker/metadata"
	"github.com/ktrial/ktrial/broker/record"
)

// set sets a topic's or, with the name "", every broker's configuration.
func (s *stage) set(topic, name, value string) {
	rec := &metadata.ConfigRecord{ResourceType: metadata.TopicResource, ResourceName: topic, Name: name, Value: &value}
	if topic == "" {
		rec.ResourceType = metadata.BrokerResource
	}
	s.publish(rec)
}

// put appends one record with a key, with acks=all.
func (s *stage) put(id kafka.NodeID, key []byte, value string) error {
	b := record.NewBuilder(record.Options{})
	b.Append(s.h.Now().Millis(), key, []byte(value))
	resp := s.call(id, produceRequest(acksAll, 5*time.Second, b.Build()))
	return kerr.ErrorForCode(resp.(*kmsg.ProduceResponse).Topics[0].Partitions[0].ErrorCode)
}

// Leader and followers compact, each by itself, from the moment on when the topic is
// compacted. A broker without such a topic has no task for it.
func TestEveryReplicaCompacts(t *testing.T) {
	play(t, 3, nil, func(s *stage) {
		s.topic(2, 1, 2, 3)
		for _, id := range s.ids {
			assert.Zero(t, s.nodes[id].m.cleaners)
		}
		s.set("", "log.cleaner.backoff.ms", "500")
		s.set("", "log.cleaner.threads", "2")
		s.set("orders", "segment.bytes", "400")
		s.set("orders", "min.cleanable.dirty.ratio", "0")
		s.set("orders", "cleanup.policy", "compact")
		s.wait(time.Second)
		assert.ErrorIs(t, s.put(1, nil, "no key"), kerr.InvalidRecord)
		for range 30 {
			require.NoError(t, s.put(1, []byte("k"), "v"))
		}
		s.wait(10 * time.Second)
		for _, id := range s.ids {
			m := s.nodes[id].m
			assert.Equal(t, 2, m.cleaners)
			assert.Less(t, m.Partition(orders0).log.Size(), int64(800), "broker %d", id)
			assert.Equal(t, kafka.Offset(30), m.Partition(orders0).LogEnd())
		}
		s.set("", "log.cleaner.threads", "1")
		s.wait(10 * time.Second)
		assert.Equal(t, 1, s.nodes[1].m.cleaners)
	})
}

// A follower that comes back late is given what its leader's compaction has left, and
// has the same table.
func TestAFollowerTakesWhatCompactionLeft(t *testing.T) {
	play(t, 3, nil, func(s *stage) {
		s.topic(1, 1, 2, 3)
		s.set("", "log.cleaner.backoff.ms", "500")
		s.set("orders", "segment.bytes", "400")
		s.set("orders", "min.cleanable.dirty.ratio", "0")
		s.set("orders", "cleanup.policy", "compact")
		s.kill(3)
		s.elect(1, 1, 2)
		s.wait(time.Second)
		for i := range 40 {
			require.NoError(t, s.put(1, []byte{'a' + byte(i%3)}, string(rune('a'+i%8))))
		}
		s.wait(10 * time.Second)
		s.start(3)
		s.until("broker 3 is in sync", func() bool { return len(s.partition().ISR) == 3 })
		want := map[string]string{"a": "h", "b": "f", "c": "g"}
		for _, id := range s.ids {
			got, records := s.table(id)
			assert.Equal(t, want, got, "broker %d", id)
			assert.Less(t, records, 15)
		}
	})
}

// table is the last value of each key in a replica's log, and how many records the log
// has.
func (s *stage) table(id kafka.NodeID) (table map[string]string, records int) {
	l := s.replica(id).log
	table = map[string]string{}
	for o := l.StartOffset(); o < l.EndOffset(); {
		batches, err := l.Read(o, l.EndOffset(), 1<<20, true)
		require.NoError(s.t, err)
		require.NotEmpty(s.t, batches)
		for len(batches) > 0 {
			b, rest, err := record.Next(batches)
			require.NoError(s.t, err)
			require.NoError(s.t, b.Records(func(r record.Record) error {
				table[string(r.Key)] = string(r.Value)
				records++
				return nil
			}))
			o, batches = b.NextOffset(), rest
		}
	}
	return table, records
}
