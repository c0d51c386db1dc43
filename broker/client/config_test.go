package client

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ktrial/ktrial/broker/config"
)

// A default yields to what is set, as in Kafka's producer.
func TestReadProducer(t *testing.T) {
	for _, x := range []struct {
		given      map[string]string
		idempotent bool
		delivery   time.Duration
	}{
		{nil, true, 2 * time.Minute},
		{map[string]string{"acks": "1"}, false, 2 * time.Minute},
		{map[string]string{"retries": "0"}, false, 2 * time.Minute},
		{map[string]string{"request.timeout.ms": "200000"}, true, 200*time.Second + 5*time.Millisecond},
		{map[string]string{"request.timeout.ms": "1000", "delivery.timeout.ms": "1005"}, true, 1005 * time.Millisecond},
		{map[string]string{"client.dns.lookup": "use_all_dns_ips"}, true, 2 * time.Minute}, // without an effect here
		{map[string]string{"transactional.id": "till-1", "transaction.timeout.ms": "5"}, true, 2 * time.Minute},
	} {
		cfg, err := ReadProducer(x.given)
		require.NoError(t, err, "%v", x.given)
		assert.Equal(t, x.idempotent, cfg.Idempotence, "%v", x.given)
		assert.Equal(t, x.delivery, cfg.DeliveryTimeout, "%v", x.given)
		assert.NoError(t, cfg.Check(), "%v", x.given)
	}
	for name, says := range map[string]string{
		"linger.mss": `config "linger.mss" is unknown; did you mean linger.ms?`,
		"acks":       "Invalid value 1.5 for configuration acks: String must be one of: all, -1, 0, 1",
	} {
		_, err := ReadProducer(map[string]string{name: "1.5"})
		assert.EqualError(t, err, says)
	}
}

func TestReadConsumer(t *testing.T) {
	cfg, err := ReadConsumer(map[string]string{"auto.offset.reset": "none", "group.id": "g", "metadata.recovery.strategy": "NONE"})
	require.NoError(t, err)
	assert.Equal(t, NoReset, cfg.AutoOffsetReset)
	assert.Equal(t, NoRecovery, cfg.Recovery)
	_, err = ReadConsumer(map[string]string{"enable.auto.commit": "true"})
	assert.EqualError(t, err, "enable.auto.commit cannot be set to true when default group id (null) is used.")
	cfg, err = ReadConsumer(map[string]string{"auto.offset.reset": "by_duration:PT1H", "partition.assignment.strategy": "org.apache.kafka.clients.consumer.StickyAssignor"})
	require.NoError(t, err)
	assert.Equal(t, ByDuration(time.Hour), cfg.AutoOffsetReset)
	assert.Equal(t, AssignorList{"sticky"}, cfg.AssignmentStrategy)
}

func TestOffsetReset_ByDuration(t *testing.T) {
	for text, want := range map[string]time.Duration{
		"by_duration:P1DT2H3M4.5S": 26*time.Hour + 3*time.Minute + 4500*time.Millisecond,
		"by_duration:PT0S":         0,
		"by_duration:pt90m":        90 * time.Minute,
		"by_duration:P2D":          48 * time.Hour,
	} {
		var r OffsetReset
		require.NoError(t, r.Set(text), text)
		assert.Equal(t, ByDuration(want), r, text)
		var again OffsetReset
		require.NoError(t, again.Set(r.String()), r.String())
		assert.Equal(t, r, again)
	}
	for _, text := range []string{"by_duration:", "by_duration:PT", "by_duration:P", "by_duration:PT-1S", "by_duration:1H", "by_duration:PT1S1M", "by_duration:PT1.5H", "by_duration:P1H"} {
		var r OffsetReset
		assert.Error(t, r.Set(text), text)
	}
	assert.Equal(t, int64(400), ByDuration(100*time.Millisecond).timestamp(500))
	assert.Zero(t, ByDuration(time.Hour).timestamp(500))
}

// Every setting that has an effect says in the catalogue what it does.
func TestWhatHasAnEffectIsExplained(t *testing.T) {
	reads := map[*config.Definition]bool{}
	for _, d := range Effective() {
		reads[d] = true
		assert.NotEmpty(t, d.About, "%s %s", d.Kind, d.Name)
	}
	for _, kind := range []config.Kind{config.Producer, config.Consumer, config.Admin} {
		for _, d := range config.All(kind) {
			assert.True(t, d.About == "" || reads[d], "%s %s is said to do something, and nothing reads it", kind, d.Name)
		}
	}
}
