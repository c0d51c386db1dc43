package scenarios

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// What is set by hand goes before what a topic of the scenario sets, and
// changes no other run of it.
func TestSettingsGoBeforeTheTopics(t *testing.T) {
	s := UncleanElection
	r, err := prepare(s, Options{Set: map[string]string{"min.insync.replicas": "3", "unclean.leader.election.enable": "false"}})
	require.NoError(t, err)
	defer r.w.Close()
	minISR, unclean := r.promised(r.s.Topics[0])
	assert.Equal(t, 3, minISR)
	assert.False(t, unclean)
	assert.Equal(t, "3", r.config()["min.insync.replicas"])
	assert.Equal(t, 1, UncleanElection.Topics[0].MinInsync)
	assert.Equal(t, "true", UncleanElection.Topics[0].Config["unclean.leader.election.enable"])
}
