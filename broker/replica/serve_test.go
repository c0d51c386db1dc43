package replica

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/ktrial/ktrial/broker/kafka"
	"github.com/ktrial/ktrial/broker/log"
	"github.com/ktrial/ktrial/broker/metadata"
	"github.com/ktrial/ktrial/broker/record"
	"github.com/ktrial/ktrial/sim/env"
)

// consumerFetch is a consumer's fetch of orders/0 without a session.
func consumerFetch(from kafka.Offset, wait time.Duration, isolation int8) *kmsg.FetchRequest {
	req := kmsg.NewPtrFetchRequest()
	req.Version, req.MaxWaitMillis, req.MinBytes, req.MaxBytes = 12, int32(wait.Milliseconds()), 1, 1<<20
	req.IsolationLevel, req.SessionEpoch = isolation, finalSessionEpoch
	t := kmsg.NewFetchRequestTopic()
	t.Topic = "orders"
	p := kmsg.NewFetchRequestTopicPartition()
	p.CurrentLeaderEpoch, p.FetchOffset, p.LastFetchedEpoch, p.PartitionMaxBytes = -1, int64(from), -1, 1<<20
	t.Partitions = append(t.Partitions, p)
	req.Topics = append(req.Topics, t)
	return req
}

func (s *stage) consume(id kafka.NodeID, req *kmsg.FetchRequest) kmsg.FetchResponseTopicPartition {
	return s.call(id, req).(*kmsg.FetchResponse).Topics[0].Partitions[0]
}

func fetched(p kmsg.FetchResponseTopicPartition) (values []string) {
	for batches := p.RecordBatches; len(batches) > 0; {
		var b record.Batch
		b, batches, _ = record.Next(batches)
		b.Records(func(r record.Record) error {
			values = append(values, string(r.Value))
			return nil
		})
	}
	return values
}

// A consumer sees what is committed, and waits for it to be.
func TestFetch_WaitsForTheHighWatermark(t *testing.T) {
	play(t, 2, nil, func(s *stage) {
		s.topic(1, 1, 2)
		s.cut(1, 2)
		s.produce(1, 1, "a")
		p := s.consume(1, consumerFetch(0, 0, 0))
		assert.Empty(t, fetched(p), "not committed yet")
		assert.Zero(t, p.HighWatermark)

		began := s.h.Uptime()
		p = s.consume(1, consumerFetch(0, 2*time.Second, 0))
		assert.Empty(t, fetched(p))
		assert.InDelta(t, 2, (s.h.Uptime() - began).Seconds(), 0.1, "max.wait")

		s.w.After(time.Second, "mend", func() { s.mend(1, 2) })
		began = s.h.Uptime()
		p = s.consume(1, consumerFetch(0, time.Minute, 0))
		assert.Equal(t, []string{"a"}, fetched(p), "answered once it is committed")
		assert.Less(t, (s.h.Uptime() - began).Seconds(), 40.0)

		p = s.consume(1, consumerFetch(99, 0, 0))
		assert.Equal(t, kerr.OffsetOutOfRange.Code, p.ErrorCode)
	})
}

// KIP-392: from version 11 on a follower serves consumers, up to its own high
// watermark.
func TestFetch_FollowersServeConsumers(t *testing.T) {
	play(t, 2, nil, func(s *stage) {
		s.topic(1, 1, 2)
		s.mustProduce(1, "a")
		req := consumerFetch(0, 10*time.Second, 0)
		assert.Equal(t, []string{"a"}, fetched(s.consume(2, req)), "once the follower knows that it is committed")

		req = consumerFetch(0, 0, 0)
		req.Version = 10
		assert.Equal(t, kerr.NotLeaderForPartition.Code, s.consume(2, req).ErrorCode, "before KIP-392")
		req = consumerFetch(0, 0, 0)
		req.Topics[0].Partitions[0].CurrentLeaderEpoch = 7
		assert.Equal(t, kerr.UnknownLeaderEpoch.Code, s.consume(2, req).ErrorCode, "epochs are compared all the same")
		assert.Equal(t, kerr.OffsetOutOfRange.Code, s.consume(2, consumerFetch(99, 0, 0)).ErrorCode)

		// Not committed: the follower has it, and must not show it.
		s.cut(2, 1)
		s.produce(1, 1, "b")
		p := s.consume(2, consumerFetch(1, 0, 0))
		assert.Empty(t, fetched(p))
		assert.EqualValues(t, 1, p.HighWatermark)
	})
}

// What Apache Kafka 4.4 answers to a fetch that is odd.
func TestFetch_OddRequests(t *testing.T) {
	play(t, 1, nil, func(s *stage) {
		s.topic(1, 1)
		s.mustProduce(1, "a")
		s.mustProduce(1, "b")

		req := consumerFetch(0, 0, 0)
		req.Topics[0].Partitions = append(req.Topics[0].Partitions, consumerFetch(1, 0, 0).Topics[0].Partitions[0])
		parts := s.call(1, req).(*kmsg.FetchResponse).Topics[0].Partitions
		require.Len(t, parts, 1, "a partition that is named twice is answered once")
		assert.Equal(t, []string{"b"}, fetched(parts[0]), "as the last mention asks")

		req = consumerFetch(0, 0, 0)
		req.Topics[0].Partitions[0].CurrentLeaderEpoch, req.Topics[0].Partitions[0].LastFetchedEpoch = -2, -2
		p := s.consume(1, req)
		assert.Zero(t, p.ErrorCode, "an epoch below 0 is none")
		assert.EqualValues(t, -1, p.DivergingEpoch.Epoch)

		assert.Nil(t, s.consume(1, consumerFetch(0, 0, 0)).AbortedTransactions, "null for read_uncommitted")
		assert.Nil(t, s.consume(1, consumerFetch(99, 0, 0)).AbortedTransactions, "null with an error of the replica")
		req = consumerFetch(0, 0, 0)
		req.Topics[0].Topic = "unknown"
		assert.NotNil(t, s.consume(1, req).AbortedTransactions, "empty where there is no such topic")

		req = consumerFetch(0, 0, 0)
		req.Topics, req.SessionEpoch = nil, initialSessionEpoch
		assert.NotZero(t, s.call(1, req).(*kmsg.FetchResponse).SessionID, "a session may begin empty")
	})
}

// A session of which a topic was deleted: by its name the topic is known still.
func TestFetch_SessionOutlivesItsTopic(t *testing.T) {
	play(t, 1, nil, func(s *stage) {
		s.topic(1, 1)
		ask := func(id, epoch int32, with bool) *kmsg.FetchResponse {
			req := consumerFetch(0, 0, 0)
			req.Version, req.SessionID, req.SessionEpoch = 13, id, epoch
			req.Topics[0].TopicID = topicID
			if !with {
				req.Topics = nil
			}
			return s.call(1, req).(*kmsg.FetchResponse)
		}
		first := ask(0, 0, true)
		require.NotZero(t, first.SessionID)
		s.publish(&metadata.RemoveTopicRecord{TopicID: topicID})
		s.wait(time.Second)
		again := ask(first.SessionID, 1, false)
		require.Len(t, again.Topics, 1)
		assert.Equal(t, kerr.UnknownTopicOrPartition.Code, again.Topics[0].Partitions[0].ErrorCode)
		fresh := ask(0, 0, true)
		assert.Equal(t, kerr.UnknownTopicID.Code, fresh.Topics[0].Partitions[0].ErrorCode, "a new session knows the id alone")
	})
}

// A session that forgets its last partition is over; the fetch that says so is
// answered for what it asks.
func TestFetch_SessionEndsWithItsLastPartition(t *testing.T) {
	play(t, 1, nil, func(s *stage) {
		s.topic(1, 1)
		s.mustProduce(1, "a")
		req := consumerFetch(0, 0, 0)
		req.SessionEpoch = initialSessionEpoch
		id := s.call(1, req).(*kmsg.FetchResponse).SessionID
		require.NotZero(t, id)
		req.SessionID, req.SessionEpoch = id, 1
		req.ForgottenTopics = []kmsg.FetchRequestForgottenTopic{{Topic: "orders", Partitions: []int32{0}}}
		resp := s.call(1, req).(*kmsg.FetchResponse)
		assert.Zero(t, resp.ErrorCode)
		assert.Zero(t, resp.SessionID)
		require.Len(t, resp.Topics, 1)
		assert.Equal(t, []string{"a"}, fetched(resp.Topics[0].Partitions[0]))
		req.SessionEpoch = 2
		assert.Equal(t, kerr.FetchSessionIDNotFound.Code, s.call(1, req).(*kmsg.FetchResponse).ErrorCode)
	})
}

// Partitions of topics that do not exist are not remembered without bound.
func TestFetch_SessionsForgetUnknownPartitions(t *testing.T) {
	play(t, 1, nil, func(s *stage) {
		s.topic(1, 1)
		unknown := func(from, n int) []kmsg.FetchRequestTopic {
			var out []kmsg.FetchRequestTopic
			for i := range n {
				topic := consumerFetch(0, 0, 0).Topics[0]
				topic.Topic = fmt.Sprint("unknown-", from+i)
				out = append(out, topic)
			}
			return out
		}
		req := consumerFetch(0, 0, 0)
		req.SessionEpoch = initialSessionEpoch
		req.Topics = unknown(0, maxUnknown+1)
		resp := s.call(1, req).(*kmsg.FetchResponse)
		assert.Zero(t, resp.SessionID)
		assert.Len(t, resp.Topics, maxUnknown+1, "answered all the same")

		req.Topics = append(unknown(0, maxUnknown), consumerFetch(0, 0, 0).Topics...)
		resp = s.call(1, req).(*kmsg.FetchResponse)
		require.NotZero(t, resp.SessionID)
		req.Topics, req.SessionID, req.SessionEpoch = unknown(maxUnknown, 500), resp.SessionID, 1
		s.call(1, req)
		for _, l := range s.nodes[1].m.sessions.list {
			assert.LessOrEqual(t, len(l.x.byKey), maxUnknown+1)
		}
	})
}

func TestFetch_MinBytesGathers(t *testing.T) {
	play(t, 1, nil, func(s *stage) {
		s.topic(1, 1)
		s.mustProduce(1, "a")
		req := consumerFetch(0, 10*time.Second, 0)
		req.MinBytes = int32(3 * len(batch("a")))
		s.w.Host("other")
		s.h.Go("producer", func() {
			s.wait(time.Second)
			s.mustProduce(1, "b")
			s.wait(time.Second)
			s.mustProduce(1, "c")
		})
		began := s.h.Uptime()
		assert.Equal(t, []string{"a", "b", "c"}, fetched(s.consume(1, req)))
		assert.InDelta(t, 2, (s.h.Uptime() - began).Seconds(), 0.2)
	})
}

func TestFetch_AtLeastOneBatchHoweverLarge(t *testing.T) {
	play(t, 1, nil, func(s *stage) {
		s.topic(1, 1)
		s.mustProduce(1, strings.Repeat("x", 5000))
		s.mustProduce(1, "small")
		req := consumerFetch(0, 0, 0)
		req.MaxBytes, req.Topics[0].Partitions[0].PartitionMaxBytes = 100, 100
		assert.Len(t, fetched(s.consume(1, req)), 1)
	})
}

// A fetch that waits keeps its isolation, and is told which of what it gets
// was aborted (KAFKA-5376, KAFKA-5355).
func TestFetch_ReadCommittedWaitsForTheLastStableOffset(t *testing.T) {
	play(t, 1, nil, func(s *stage) {
		s.topic(1, 1)
		const producer, epoch = 7, 0
		b := record.NewBuilder(record.Options{ProducerID: producer, ProducerEpoch: epoch, Idempotent: true, Transactional: true})
		b.Append(1000, nil, []byte("aborted"))
		req := produceRequest(acksAll, time.Second, b.Build())
		txn := "txn"
		req.TransactionID = &txn
		out := s.call(1, req).(*kmsg.ProduceResponse).Topics[0].Partitions[0]
		require.Zero(t, out.ErrorCode)

		assert.Equal(t, []string{"aborted"}, fetched(s.consume(1, consumerFetch(0, 0, 0))), "read_uncommitted")
		p := s.consume(1, consumerFetch(0, time.Second, 1))
		assert.Empty(t, fetched(p), "read_committed: the transaction is open")
		assert.Zero(t, p.LastStableOffset)
		assert.EqualValues(t, 1, p.HighWatermark)

		s.w.After(time.Second, "abort", func() {
			s.nodes[1].host.Process().Go("coordinator", func() {
				marker := record.NewEndTxnMarker(record.Abort, 1000, producer, epoch, 0)
				_, err := s.nodes[1].m.AppendLocal(orders0, marker, log.Append{Origin: log.Internal}, acksAll)
				assert.NoError(t, err)
				assert.NoError(t, s.nodes[1].m.WaitCommitted(orders0, 0, 1, 2, time.Second))
			})
		})
		p = s.consume(1, consumerFetch(0, time.Minute, 1))
		assert.EqualValues(t, 2, p.LastStableOffset)
		require.Len(t, p.AbortedTransactions, 1)
		assert.EqualValues(t, producer, p.AbortedTransactions[0].ProducerID)
		assert.EqualValues(t, 0, p.AbortedTransactions[0].FirstOffset)
	})
}

func TestProduce_Errors(t *testing.T) {
	play(t, 2, nil, func(s *stage) {
		s.topic(1, 1, 2)
		good := func() []byte { return batch("v") }
		corrupt := good()
		corrupt[len(corrupt)-1]++
		huge := batch(strings.Repeat("x", 2<<20))
		zstd := record.NewBuilder(record.Options{Codec: record.Zstd})
		zstd.Append(1, nil, []byte("v"))
		withMagic := func(magic byte) []byte {
			b := good()
			b[16] = magic
			return b
		}
		rottenAndHuge := bytes.Clone(huge)
		rottenAndHuge[len(rottenAndHuge)-1] ^= 1
		for _, c := range []struct {
			name    string
			to      kafka.NodeID
			acks    int16
			version int16
			records []byte
			want    error
		}{
			{"to a follower", 2, acksAll, 9, good(), kerr.NotLeaderForPartition},
			{"acks that do not exist", 1, 2, 9, good(), kerr.InvalidRequiredAcks},
			{"nothing", 1, 1, 9, nil, kerr.InvalidRecord},
			{"two batches", 1, 1, 9, append(good(), good()...), kerr.InvalidRecord},
			{"a batch that is cut off", 1, 1, 9, good()[:40], kerr.InvalidRecord},
			{"less than a batch has to have", 1, 1, 9, append(make([]byte, 11), 5, 0, 0, 0, 0, 2), kerr.CorruptMessage},
			{"a format that does not exist", 1, 1, 9, withMagic(3), kerr.CorruptMessage},
			{"the format before this one", 1, 1, 9, withMagic(1), kerr.InvalidRecord},
			{"rotten and too large", 1, 1, 9, rottenAndHuge, kerr.MessageTooLarge},
			{"three bytes behind the batch", 1, 1, 9, append(good(), 0, 0, 0), nil},
			{"many bytes behind the batch that are none", 1, 1, 9, append(good(), make([]byte, 20)...), kerr.CorruptMessage},
			{"bad records and bad acks", 1, 2, 9, nil, kerr.InvalidRecord},
			{"rotten bytes", 1, 1, 9, corrupt, kerr.CorruptMessage},
			{"too large", 1, 1, 9, huge, kerr.MessageTooLarge},
			{"zstd before it was known", 1, 1, 6, zstd.Build(), kerr.UnsupportedCompressionType},
			{"as it should be", 1, acksAll, 9, good(), nil},
		} {
			req := produceRequest(c.acks, time.Second, c.records)
			req.Version = c.version
			out := s.call(c.to, req).(*kmsg.ProduceResponse).Topics[0].Partitions[0]
			assert.Equal(t, kafka.Code(c.want), out.ErrorCode, c.name)
			if c.want != nil {
				assert.EqualValues(t, -1, out.BaseOffset, c.name)
			}
		}
		assert.Equal(t, []string{"v", "v"}, s.values(1), "what was refused was not appended")
	})
}

// A retry whose first answer was lost is answered with the first offset, but
// only once that is committed.
func TestProduce_DuplicateWaitsForTheHighWatermark(t *testing.T) {
	play(t, 2, nil, func(s *stage) {
		s.topic(1, 1, 2)
		b := record.NewBuilder(record.Options{ProducerID: 7, Idempotent: true})
		b.Append(1, nil, []byte("once"))
		records := b.Build()
		send := func(timeout time.Duration) kmsg.ProduceResponseTopicPartition {
			return s.call(1, produceRequest(acksAll, timeout, records)).(*kmsg.ProduceResponse).Topics[0].Partitions[0]
		}
		s.cut(1, 2)
		assert.Equal(t, kerr.RequestTimedOut.Code, send(time.Second).ErrorCode)
		assert.Equal(t, kerr.RequestTimedOut.Code, send(time.Second).ErrorCode, "still not committed")
		s.mend(1, 2)
		out := send(time.Minute)
		assert.Zero(t, out.ErrorCode)
		assert.Zero(t, out.BaseOffset)
		s.inSync(1, 2)
		assert.Equal(t, []string{"once"}, s.values(2))
		assert.EqualValues(t, 2, s.w.Probes()["duplicate batch re-acknowledged"])
	})
}

// Deleted records are gone from the followers too, and a follower that slept
// meanwhile begins anew where the leader's log now does.
func TestDeleteRecords(t *testing.T) {
	play(t, 3, nil, func(s *stage) {
		s.topic(1, 1, 2, 3)
		s.mustProduce(1, "a")
		s.mustProduce(1, "b")
		s.kill(3)
		s.fence(3, true)
		s.setISR(1, 2)
		for _, v := range []string{"c", "d", "e"} {
			s.mustProduce(1, v)
		}
		req := kmsg.NewPtrDeleteRecordsRequest()
		req.Version, req.TimeoutMillis = 2, 5000
		topic := kmsg.NewDeleteRecordsRequestTopic()
		topic.Topic = "orders"
		part := kmsg.NewDeleteRecordsRequestTopicPartition()
		part.Offset = 4
		topic.Partitions = append(topic.Partitions, part)
		req.Topics = append(req.Topics, topic)
		out := s.call(1, req).(*kmsg.DeleteRecordsResponse).Topics[0].Partitions[0]
		assert.Zero(t, out.ErrorCode)
		assert.EqualValues(t, 4, out.LowWatermark)
		assert.EqualValues(t, 4, s.replica(2).log.StartOffset(), "the answer waits for the followers that are alive")
		start, err := s.listOffset(1, earliestTimestamp)
		assert.NoError(t, err)
		assert.EqualValues(t, 4, start)

		s.start(3)
		s.inSync(1, 2, 3)
		assert.EqualValues(t, 4, s.replica(3).log.StartOffset())
		assert.Equal(t, []string{"e"}, s.values(3))
		assert.Positive(t, s.w.Probes()["follower began anew at the leader's log start"])
	})
}

// A topic of the same name is another topic.
func TestApply_ATopicMadeAnewBeginsEmpty(t *testing.T) {
	play(t, 2, nil, func(s *stage) {
		s.topic(1, 1, 2)
		s.mustProduce(1, "old")
		s.kill(2)
		s.publish(&metadata.RemoveTopicRecord{TopicID: topicID})
		s.wait(10 * time.Millisecond)
		assert.Nil(t, s.replica(1))
		_, err := s.produce(1, acksAll, "unknown")
		assert.Equal(t, kerr.UnknownTopicOrPartition, err)
		again := kafka.UUID{15: 2}
		s.publish(
			&metadata.TopicRecord{Name: "orders", TopicID: again},
			&metadata.PartitionRecord{TopicID: again, Replicas: []kafka.NodeID{1, 2}, ISR: []kafka.NodeID{1}, Leader: 1},
		)
		s.wait(10 * time.Millisecond)
		s.start(2)
		s.wait(time.Second)
		s.mustProduce(1, "new")
		s.wait(2 * time.Second)
		assert.Equal(t, []string{"new"}, s.values(1))
		assert.Equal(t, []string{"new"}, s.values(2), "the log that 2 had when it was away is another topic's")
	})
}

// What was committed before a restart is known to be so after it, up to the
// last checkpoint.
func TestCheckpoint_TheHighWatermarkSurvives(t *testing.T) {
	play(t, 1, nil, func(s *stage) {
		s.topic(1, 1)
		s.mustProduce(1, "a")
		s.wait(6 * time.Second)
		s.mustProduce(1, "b")
		s.kill(1)
		var opened kafka.Offset = -1
		s.start(1)
		opened = s.replica(1).checkpointed
		assert.EqualValues(t, 1, opened)
		assert.EqualValues(t, 2, s.replica(1).hw, "alone in the isr, it commits what it has")
	})
}

func TestShutdown_LeavesACleanMark(t *testing.T) {
	play(t, 1, nil, func(s *stage) {
		s.topic(1, 1)
		s.mustProduce(1, "a")
		var err error
		done := false
		n := s.nodes[1]
		n.host.Process().Go("shutdown", func() {
			err = n.m.Shutdown()
			done = true
		})
		s.until("it is down", func() bool { return done })
		assert.NoError(t, err)
		s.kill(1)
		s.start(1)
		epoch, clean := n.m.dir.CleanShutdown()
		assert.True(t, clean)
		assert.Equal(t, kafka.BrokerEpoch(101), epoch)
	})
}

// A process that has started again may find itself the leader in metadata from
// before: that was the last process, which had what this one may have lost.
func TestApply_NothingLeadsBeforeItIsRegistered(t *testing.T) {
	play(t, 2, nil, func(s *stage) {
		s.topic(1, 1, 2)
		old := s.image.Clone()
		s.kill(1)
		n := s.nodes[1]
		var m *Manager
		n.host.Start(func(h env.Host) {
			dir, err := log.OpenDir(h, "data", log.DirOptions{ClusterID: "test", NodeID: 1})
			require.NoError(t, err)
			cfg := s.cfg
			cfg.NodeID = 1
			m = NewManager(h, cfg, dir, n, nil)
			h.After(time.Second, "registered", func() { m.SetBrokerEpoch(200) })
			m.ApplyImage(old)
			h.Sleep(time.Second)
			s.image.Apply(&metadata.RegisterBrokerRecord{BrokerID: 1, BrokerEpoch: 200})
			m.Apply(s.image.Clone(), &metadata.Changes{})
		})
		s.wait(500 * time.Millisecond)
		assert.Empty(t, m.Partitions(), "no broker epoch yet")
		s.wait(time.Second)
		assert.Empty(t, m.Partitions(), "the metadata is older than the registration")
		s.wait(time.Second)
		assert.Len(t, m.Partitions(), 1)
	})
}
