package log

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ktrial/ktrial/broker/config"
)

func TestEveryTopicConfigHasABrokersName(t *testing.T) {
	var cfg Config
	dynamic := map[string]bool{}
	for _, e := range config.Entries(&cfg) {
		s, ok := SynonymOf(BrokerName(e.Name))
		require.True(t, ok, e.Name)
		assert.True(t, s.Dynamic(), e.Name)
		dynamic[s.Broker] = true
	}
	for _, name := range BrokerNames() {
		s, ok := SynonymOf(name)
		require.True(t, ok, name)
		assert.True(t, config.Has(&cfg, s.Topic), name)
		assert.Equal(t, dynamic[name], s.Dynamic(), name)
	}
}

func TestSynonymsInOtherUnits(t *testing.T) {
	for _, x := range []struct{ name, value, topic, want string }{
		{"log.retention.hours", "168", "retention.ms", "604800000"},
		{"log.retention.minutes", "1", "retention.ms", "60000"},
		{"log.retention.minutes", "-1", "retention.ms", "-1"},
		{"log.roll.hours", "2", "segment.ms", "7200000"},
		{"log.segment.bytes", "100", "segment.bytes", "100"},
	} {
		s, ok := SynonymOf(x.name)
		require.True(t, ok)
		got, err := s.Value(x.value)
		require.NoError(t, err)
		assert.Equal(t, x.topic, s.Topic)
		assert.Equal(t, x.want, got)
	}
	s, _ := SynonymOf("log.roll.hours")
	_, err := s.Value("soon")
	assert.EqualError(t, err, `config log.roll.hours: found "soon", expected a whole number`)
}
