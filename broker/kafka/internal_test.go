package kafka

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

// What Apache Kafka answers to FindCoordinator, of 50 partitions.
func TestCoordinatorPartition(t *testing.T) {
	for id, want := range map[string]int32{
		"": 0, "g": 3, "group": 47, "my-group": 12, "test": 48, "console-consumer-12345": 6,
		"polygenelubricants": 0, // the hash is -2^31
		"order-processor":    23, "é": 33,
	} {
		assert.Equal(t, want, CoordinatorPartition(id, 50), id)
	}
}
