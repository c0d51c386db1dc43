package replica

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/ktrial/ktrial/broker/kafka"
	"github.com/ktrial/ktrial/broker/wire"
)

// BenchmarkProduce is a produce with acks=all over a connection, with the
// fetches and appends of so many followers that it waits for.
func BenchmarkProduce(b *testing.B) {
	for _, c := range []struct {
		name     string
		replicas []kafka.NodeID
	}{
		{"alone", []kafka.NodeID{1}},
		{"two followers", []kafka.NodeID{1, 2, 3}},
	} {
		b.Run(c.name, func(b *testing.B) {
			playSeed(b, 1, len(c.replicas), nil, func(s *stage) {
				s.deaf = true
				s.topic(1, c.replicas...)
				conn, err := wire.Dial(s.h, "broker-1:9092", "client", time.Second)
				require.NoError(b, err)
				defer conn.Close()
				records := batch("a value of a usual size, which is not much")
				req := produceRequest(acksAll, time.Second, records)
				b.ReportAllocs()
				began := s.w.Events()
				for b.Loop() {
					resp, err := conn.Call(req, time.Second)
					if err != nil || resp.(*kmsg.ProduceResponse).Topics[0].Partitions[0].ErrorCode != 0 {
						b.Fatal(err, resp)
					}
				}
				b.ReportMetric(float64(s.w.Events()-began)/float64(b.N), "events/op")
			})
		})
	}
}

// BenchmarkIdle is a second of virtual time of three brokers with a hundred
// partitions that no client uses.
func BenchmarkIdle(b *testing.B) {
	playSeed(b, 1, 3, nil, func(s *stage) {
		s.deaf = true
		s.manyTopics(100)
		s.wait(5 * time.Second)
		b.ReportAllocs()
		for b.Loop() {
			s.wait(time.Second)
		}
	})
}
