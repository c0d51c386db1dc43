package client

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ktrial/ktrial/broker/kafka"
	"github.com/ktrial/ktrial/broker/record"
	"github.com/ktrial/ktrial/sim/env"
)

// BenchmarkProduce is what one record costs, with a broker that only answers:
// alone in its batch, sent and waited for; and a hundred to a batch.
func BenchmarkProduce(b *testing.B) {
	value := []byte(strings.Repeat("x", 100))
	r := ProducerRecord{Topic: "orders", Partition: To(0), Value: value}
	bench := func(b *testing.B, set string, send func(p *Producer, n int)) {
		f := newFake(b, 1, 1, map[string]int32{"orders": 1})
		f.onProduce = func(kafka.TopicPartition, record.Batch) act {
			f.requests = f.requests[:0]
			if p := f.parts[orders(0)]; len(p.log) > 5 {
				p.log = p.log[1:]
			}
			return act{}
		}
		f.run(func(h env.Host, c *Client) {
			p := producer(b, c, quick("linger.ms=0", set))
			require.NoError(b, p.SendSync(r).Err)
			b.ReportAllocs()
			b.ResetTimer()
			send(p, b.N)
			b.StopTimer()
		})
	}
	b.Run("batch=1", func(b *testing.B) {
		bench(b, "linger.ms=0", func(p *Producer, n int) {
			for range n {
				if d := p.SendSync(r); d.Err != nil {
					b.Error(d.Err)
				}
			}
		})
	})
	b.Run("batch=100", func(b *testing.B) {
		bench(b, "linger.ms=1", func(p *Producer, n int) {
			for i := range n {
				p.Send(r, nil)
				if i%100 == 99 {
					p.Flush()
				}
			}
			p.Flush()
		})
	})
}

// BenchmarkPoll is what one record costs a consumer, a hundred to a batch.
func BenchmarkPoll(b *testing.B) {
	f := newFake(b, 1, 1, map[string]int32{"orders": 1})
	values := make([]string, 100)
	for i := range values {
		values[i] = strings.Repeat("x", 100)
	}
	for range 20 {
		f.parts[orders(0)].put(plain(values...))
	}
	f.run(func(h env.Host, c *Client) {
		consumer := consumer(b, c)
		consumer.Assign([]kafka.TopicPartition{orders(0)})
		b.ReportAllocs()
		for seen := 0; seen < b.N; {
			records, err := consumer.Poll(env.Forever)
			require.NoError(b, err)
			seen += len(records)
			if records[len(records)-1].Offset == 1999 {
				require.NoError(b, consumer.Seek(orders(0), 0))
				f.requests = f.requests[:0]
			}
		}
	})
}
