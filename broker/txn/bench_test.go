package txn

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ktrial/ktrial/broker/coordinator"
	"github.com/ktrial/ktrial/broker/kafka"
)

var accounts = []kafka.TopicPartition{{Topic: "accounts"}, {Topic: "accounts", Partition: 1}}

// shardOf is a shard with so many transactional ids.
func shardOf(b *testing.B, ids int) *shard {
	s := newShard()
	s.quiet = true
	for i := range ids {
		d, _, err := s.m.InitProducerID(idOf(i), 60_000, coordinator.NoProducer)
		require.NoError(b, err)
		s.run(d)
	}
	return s
}

func idOf(i int) string { return fmt.Sprintf("till-%06d", i) }

// transact plays a whole transaction.
func (s *shard) transact(b *testing.B, id string) {
	t, _ := s.m.ids.GetCommitted(id)
	by := t.producer()
	d, err := s.m.AddPartitions(id, by, accounts, 2)
	if err != nil {
		b.Fatal(err)
	}
	s.run(d)
	d, _, err = s.m.EndTxn(id, by, true, 2)
	if err != nil {
		b.Fatal(err)
	}
	s.run(d)
	s.written(0)
	s.after(0)
}

// BenchmarkTransactionalIDs has shards of different sizes: a transaction takes as long but for a logarithm, to load and to
// look for what has timed out takes time in proportion.
func BenchmarkTransactionalIDs(b *testing.B) {
	for _, n := range []int{25_000, 100_000} {
		b.Run(fmt.Sprintf("transaction/%d", n), func(b *testing.B) {
			s := shardOf(b, n)
			for i := 0; b.Loop(); i++ {
				s.transact(b, idOf(i*7919%n))
			}
		})
		b.Run(fmt.Sprintf("load/%d", n), func(b *testing.B) {
			s := shardOf(b, n)
			for b.Loop() {
				s.load()
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*n), "ns/id")
		})
		b.Run(fmt.Sprintf("timeouts/%d", n), func(b *testing.B) {
			s := shardOf(b, n)
			for b.Loop() {
				s.after(s.cfg.TimeoutCheck)
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*n), "ns/id")
		})
	}
}

// BenchmarkOutbox has markers of so many transactions wait for one broker that is down: to take them out takes time in
// proportion.
func BenchmarkOutbox(b *testing.B) {
	for _, n := range []int{2500, 10_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			o := NewOutbox(func(kafka.TopicPartition) (kafka.NodeID, bool) { return 1, true }, func(Marker) {}, nil)
			for i := range n {
				o.Send(Marker{ID: idOf(i), By: coordinator.Producer{ID: kafka.ProducerID(i)}}, accounts)
			}
			for b.Loop() {
				for _, p := range o.Take(1) {
					for _, tp := range p.Partitions {
						o.Again(p, tp)
					}
				}
				o.Route()
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*n), "ns/transaction")
		})
	}
}
