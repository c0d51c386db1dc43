package broker

import (
	"reflect"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ktrial/ktrial/broker/config"
)

// Every setting that has an effect says in the catalogue what it does, and a
// field takes every value of its setting's type.
func TestWhatHasAnEffectIsExplained(t *testing.T) {
	all := Effective()
	require.NotEmpty(t, all)
	names := map[string]bool{}
	for _, d := range all {
		names[d.Name] = true
		if topic := config.DefaultOf(d.Name); topic != nil {
			d = topic
		}
		assert.NotEmpty(t, d.About, d.Name)
	}
	for _, kind := range []config.Kind{config.Broker, config.Topic} {
		for _, d := range config.All(kind) {
			assert.True(t, d.About == "" || names[d.Name], "%s %s is said to do something, and nothing reads it", kind, d.Name)
		}
	}
}

// A setting that is known and has no effect is kept.
func TestSettingsKeepWhatHasNoEffect(t *testing.T) {
	s := DefaultSettings()
	before := s
	require.NoError(t, s.SetAll(map[string]string{"num.recovery.threads.per.data.dir": " 3 ", "log.preallocate": "TRUE"}))
	assert.Equal(t, map[string]string{"num.recovery.threads.per.data.dir": "3", "log.preallocate": "true"}, s.Given())
	s.given = nil
	assert.True(t, reflect.DeepEqual(before, s))
	assert.EqualError(t, s.Set("num.recovery.threads.per.data.dir", "0"), "Invalid value 0 for configuration num.recovery.threads.per.data.dir: Value must be at least 1")
	assert.ErrorContains(t, s.Set("node.id", "3"), "the shape of the cluster gives it")
}

// What Kafka takes of a broker, though not of a topic, is taken.
func TestSettingsWiderThanATopics(t *testing.T) {
	s := DefaultSettings()
	require.NoError(t, s.SetAll(map[string]string{"log.flush.interval.ms": "-1", "log.retention.ms": "-2"}))
	assert.EqualValues(t, -1e6, s.Topic.FlushInterval)
	assert.EqualValues(t, -1e6, s.Topic.RetentionTime, "unlimited")
}

// Settings that contradict each other are refused when all are set.
func TestSettingsAreCheckedAsAWhole(t *testing.T) {
	s := DefaultSettings()
	assert.EqualError(t, s.SetAll(map[string]string{"replica.fetch.wait.max.ms": "31000"}),
		"requirement failed: replica.socket.timeout.ms should always be at least replica.fetch.wait.max.ms to prevent unnecessary socket timeouts")
	s = DefaultSettings()
	assert.NoError(t, s.SetAll(map[string]string{"replica.fetch.wait.max.ms": "31000", "replica.socket.timeout.ms": "40000", "replica.lag.time.max.ms": "40000"}))
}
