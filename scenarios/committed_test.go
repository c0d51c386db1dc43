package scenarios

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ktrial/ktrial/broker/planted"
)

func TestALineOfCommittedSeeds(t *testing.T) {
	c, err := parseCommitted("standard-groups 230 --brokers=4 group.protocol=consumer idem.snapshot_window: group: target waits # KIP-1263: so it is")
	require.NoError(t, err)
	assert.Equal(t, "standard-groups-230-consumer", c.String())
	assert.Equal(t, "KIP-1263: so it is", c.Why)
	assert.Equal(t, "group: target waits", c.Danger)
	assert.Equal(t, []planted.Bug{"idem.snapshot_window"}, c.Plant)
	assert.Equal(t, map[string]int{"brokers": 4}, c.Shape)
	assert.EqualValues(t, 230, c.Seed)
	for line, says := range map[string]string{
		"standard 7: a danger":                      "does not say what the seed found",
		"standard: a danger # why":                  "expected a scenario and a seed",
		"standrd 7: a danger # why":                 "did you mean standard?",
		"standard 7 --brokers=many: a danger # why": "invalid syntax",
		"standard x: a danger # y":                  "invalid syntax",
	} {
		_, err := parseCommitted(line)
		assert.ErrorContains(t, err, says, line)
	}
}
