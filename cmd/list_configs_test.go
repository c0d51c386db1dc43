package cmd

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Each setting is told with its default, its bounds and what it does here.
func TestListConfigs(t *testing.T) {
	s := typed(t, "list", "configs")
	require.Equal(t, 0, s.code)
	for _, line := range []string{
		"  linger.ms                                   producer: long, default 5, [0,...]; how long a batch waits for more records (acts in bench)\n",
		"  log.retention.hours                         broker: int, default 168; default of the topics' retention.ms\n",
		"  num.io.threads                              broker: int, default 8, [1,...]; threads that handle requests, of each listener; with a profile only (acts in bench)\n",
		"  num.recovery.threads.per.data.dir           broker: int, default 2, [1,...]; no effect here\n",
		"  node.id                                     broker: int, no default, [0,...]; given by the shape of the cluster, not to be set\n",
		"  client.id                                   producer, consumer, admin: string, default \"\"; no effect here\n",
		"  internal.segment.bytes                      topic: int, default null, internal; no effect here\n",
		"  compression.gzip.level                      topic, producer: int, default -1, [1,...,9] or -1; how hard gzip tries; -1 is its default, 6 (acts in bench)\n",
	} {
		assert.True(t, strings.Contains(s.out, line), line)
	}
	assert.Regexp(t, `topic: int, default 1073741824, \[100,...\]; .* Kafka allows no less than 1048576`, s.out, "a simulator may, and says so")
	assert.NotContains(t, typed(t, "list").out, "linger.ms", "they are many, and listed when they are asked for")
}
