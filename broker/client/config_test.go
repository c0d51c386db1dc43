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
		{map[string]string{"transaction.timeout.ms": "5"}, true, 2 * time.Minute}, // without an effect here
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
	_, err = ReadConsumer(map[string]string{"auto.offset.reset": "by_duration:PT1H"})
	assert.ErrorContains(t, err, "auto.offset.reset", "Kafka takes it, and it is not here yet")
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
