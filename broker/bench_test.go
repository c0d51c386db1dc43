package broker_test

import (
	"fmt"
	"testing"
)

// One record at a time, acks=all, three replicas: the whole way through client
// end, wire, leader, two followers and back.
func BenchmarkProduceRoundTrip(b *testing.B) {
	c := separate(b, 1, 3, 3)
	c.client(func(u *user) {
		u.running(1, 2, 3)
		u.createTopic(1, "orders", 1, 3)
		u.publish(1, "orders", 0, "warm")
		to, id := u.leader(1, "orders", 0)
		from, at := c.w.Events(), c.w.Now()
		b.ResetTimer()
		for i := range b.N {
			if _, err := u.produce(to, id, 0, fmt.Sprint(i)); err != nil {
				b.Fatal(err)
			}
		}
		b.ReportMetric(float64(c.w.Events()-from)/float64(b.N), "events/op")
		b.ReportMetric(float64((c.w.Now()-at).Microseconds())/float64(b.N), "virtual-us/op")
	})
}

// A cluster with nothing to do.
func BenchmarkIdleSecond(b *testing.B) {
	c := separate(b, 1, 3, 3)
	c.client(func(u *user) {
		u.running(1, 2, 3)
		u.createTopic(1, "orders", 10, 3)
		from := c.w.Events()
		b.ResetTimer()
		for range b.N {
			u.h.Sleep(1e9)
		}
		b.ReportMetric(float64(c.w.Events()-from)/float64(b.N), "events/op")
	})
}
