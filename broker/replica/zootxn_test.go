package replica

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/ktrial/ktrial/broker/kafka"
	"github.com/ktrial/ktrial/broker/planted"
	"github.com/ktrial/ktrial/broker/record"
)

// transactional is a batch of one record of producer 7, in its transaction of that epoch.
func transactional(epoch kafka.ProducerEpoch, value string) *kmsg.ProduceRequest {
	b := record.NewBuilder(record.Options{ProducerID: 7, ProducerEpoch: epoch, Idempotent: true, Transactional: true})
	b.Append(1000, nil, []byte(value))
	req := produceRequest(acksAll, time.Second, b.Build())
	id := "txn"
	req.TransactionID = &id
	return req
}

// mark ends the transaction of producer 7 a second from now.
func (s *stage) mark(kind record.ControlType) {
	s.w.After(time.Second, "marker", func() {
		s.nodes[1].host.Process().Go("coordinator", func() {
			m := s.nodes[1].m
			errs := m.WaitMarkers([]Marker{m.AppendMarker(orders0, EndTxn{ProducerID: 7, Kind: kind})}, time.Second)
			assert.Equal(s.t, []error{nil}, errs)
		})
	})
}

// A consumer that waits at the end of the log is answered as one that need not: with what is stable,
// and the transactions that were aborted.
func TestZ23_AFetchThatHasWaitedIsLikeOthers(t *testing.T) {
	story := func(s *stage) (waited kmsg.FetchResponseTopicPartition) {
		s.topic(1, 1)
		require.Zero(t, s.call(1, transactional(0, "a")).(*kmsg.ProduceResponse).Topics[0].Partitions[0].ErrorCode)
		s.mark(record.Abort)
		return s.consume(1, consumerFetch(0, time.Minute, 1))
	}
	play(t, 1, nil, func(s *stage) {
		p := story(s)
		assert.Equal(t, []string{"a"}, fetched(p))
		assert.Len(t, p.AbortedTransactions, 1)
	})
	bugs := planted.Plant(planted.FetchDelayedNoAbortedList)
	play(t, 1, bugs, func(s *stage) {
		p := story(s)
		assert.Equal(t, []string{"a"}, fetched(p), "the reader cannot know that it is aborted")
		assert.Empty(t, p.AbortedTransactions)
	})
	assert.Positive(t, bugs.Count(planted.FetchDelayedNoAbortedList).Infected)

	open := func(s *stage) []string {
		s.topic(1, 1)
		s.w.After(time.Second, "produce", func() {
			s.nodes[1].host.Process().Go("producer", func() { s.nodes[1].m.Produce(transactional(0, "open")) })
		})
		req := consumerFetch(0, 10*time.Second, 1)
		return fetched(s.consume(1, req))
	}
	play(t, 1, nil, func(s *stage) { assert.Empty(t, open(s)) })
	bugs = planted.Plant(planted.FetchDelayedUncommitted)
	play(t, 1, bugs, func(s *stage) { assert.Equal(t, []string{"open"}, open(s)) })
	assert.Positive(t, bugs.Count(planted.FetchDelayedUncommitted).Infected)
}

// A batch that was refused is no duplicate when it comes again (KAFKA-6683).
func TestZ24_WhatWasRefusedIsNotRemembered(t *testing.T) {
	story := func(s *stage) []string {
		s.topic(2, 1, 2)
		b := record.NewBuilder(record.Options{ProducerID: 7, Idempotent: true})
		b.Append(1, nil, []byte("once"))
		records := b.Build()
		send := func() int16 {
			return s.call(1, produceRequest(acksAll, 5*time.Second, records)).(*kmsg.ProduceResponse).Topics[0].Partitions[0].ErrorCode
		}
		s.kill(2)
		s.setISR(1)
		s.wait(time.Second)
		assert.Equal(t, kerr.NotEnoughReplicas.Code, send())
		s.start(2)
		s.inSync(1, 2)
		s.mustProduce(1, "another")
		assert.Zero(t, send(), "acknowledged")
		return s.values(1)
	}
	play(t, 2, nil, func(s *stage) { assert.Equal(t, []string{"another", "once"}, story(s)) })
	bugs := planted.Plant(planted.UpdateBeforeAppend)
	play(t, 2, bugs, func(s *stage) { assert.Equal(t, []string{"another"}, story(s), "and lost") })
	assert.Positive(t, bugs.Count(planted.UpdateBeforeAppend).Infected)
}

// What is stable is judged by one reading of the high watermark (KAFKA-9807).
func TestZ77_TheLastStableOffsetIsReadOnce(t *testing.T) {
	story := func(s *stage) (open bool) {
		s.topic(1, 1, 2)
		s.mustProduce(1, "plain")
		s.w.After(0, "producer", func() {
			s.nodes[1].host.Process().Go("producer", func() {
				m := s.nodes[1].m
				for n := range kafka.ProducerEpoch(200) {
					m.Produce(transactional(n, "open"))
					m.host.Sleep(time.Millisecond)
					m.WaitMarkers([]Marker{m.AppendMarker(orders0, EndTxn{ProducerID: 7, Epoch: n + 1, Kind: record.Abort})}, time.Second)
				}
			})
		})
		from := kafka.Offset(1)
		for range 200 {
			p := s.consume(1, consumerFetch(from, 0, 1))
			shown := 0
			for _, v := range fetched(p) {
				if v == "open" {
					shown++
				}
			}
			open = open || shown > len(p.AbortedTransactions) // all end aborted
			from = kafka.Offset(p.LastStableOffset)
		}
		return open
	}
	play(t, 2, nil, func(s *stage) { assert.False(t, story(s)) })
	bugs := planted.Plant(planted.DoubleReadLSO)
	play(t, 2, bugs, func(s *stage) { assert.True(t, story(s)) })
	assert.Positive(t, bugs.Count(planted.DoubleReadLSO).Infected)
}
