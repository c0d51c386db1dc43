package replica

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/ktrial/ktrial/broker/kafka"
)

// Kafka's AbstractFetcherManager.getFetcherId: Utils.abs(31 * topic.hashCode + partition) % n.
// "test".hashCode() is 3556498 in Java; "polygenelubricants".hashCode() is the least int.
func TestFetcherOf_IsKafkas(t *testing.T) {
	for _, c := range []struct {
		topic     string
		partition int32
		n, want   int32
	}{
		{"test", 0, 1, 0}, {"test", 5, 1, 0},
		{"test", 0, 8, 6}, {"test", 1, 8, 7}, {"test", 2, 8, 0},
		{"polygenelubricants", 0, 3, 0}, // 31 * -2^31 overflows to -2^31, of which Utils.abs makes 0
		{"polygenelubricants", 1, 8, 7}, // -(2^31 - 1)
	} {
		got := fetcherOf(kafka.TopicPartition{Topic: c.topic, Partition: c.partition}, c.n)
		assert.Equal(t, c.want, got, "%s/%d of %d", c.topic, c.partition, c.n)
	}
}
