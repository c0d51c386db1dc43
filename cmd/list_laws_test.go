package cmd

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ktrial/ktrial/checkers/laws"
	"github.com/ktrial/ktrial/scenarios"
)

// Every law of the catalogue is listed, with what it says and where it comes from.
func TestListLaws(t *testing.T) {
	s := typed(t, "list", "laws")
	require.Equal(t, 0, s.code)
	assert.Contains(t, s.out, "no replica truncates below the true high watermark (KIP-101, KIP-279; KAFKA-1211)")
	assert.NotContains(t, typed(t, "list").out, "law 23", "they are many, and listed when they are asked for")
	var all struct {
		Laws []item `json:"laws"`
	}
	require.NoError(t, json.Unmarshal([]byte(typed(t, "list", "--json").out), &all))
	own := 0 // of scenarios, which come last
	for _, s := range scenarios.All() {
		own += len(s.Laws)
	}
	require.Len(t, all.Laws, len(laws.All())+own)
	assert.Equal(t, item{"law 1", "the leader is in the ISR, or there is none (LeaderInIsr of Gustafson's KafkaReplication.tla; PartitionRegistration)"}, all.Laws[0])
}
