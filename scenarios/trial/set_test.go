package trial

import (
	"testing"

	"github.com/ktrial/ktrial/scenarios"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// What is set by hand goes before what a topic of the scenario sets, and
// changes no other run of it.
func TestSettingsGoBeforeTheTopics(t *testing.T) {
	s := scenarios.UncleanElection
	r, err := prepare(s, Options{Set: map[string]string{"min.insync.replicas": "3", "unclean.leader.election.enable": "false"}})
	require.NoError(t, err)
	defer r.w.Close()
	minISR, unclean := r.config.promises(r.s.Topics[0])
	assert.Equal(t, 3, minISR)
	assert.False(t, unclean)
	assert.Equal(t, "3", r.config.named()["min.insync.replicas"])
	assert.Equal(t, 1, scenarios.UncleanElection.Topics[0].MinInsync)
	assert.Equal(t, "true", scenarios.UncleanElection.Topics[0].Config["unclean.leader.election.enable"])
}
