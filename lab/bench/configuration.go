package bench

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/ktrial/ktrial/broker"
	"github.com/ktrial/ktrial/broker/client"
	"github.com/ktrial/ktrial/broker/config"
	"github.com/ktrial/ktrial/broker/log"
)

// configuration is what the settings of a measurement say to each of the parts.
type configuration struct {
	settings broker.Settings
	topic    map[string]string
	producer client.ProducerConfig
	consumer client.ConsumerConfig
	log      log.Config
}

// configure checks the options, and reads each setting for all kinds that have it.
func configure(o Options) (configuration, error) {
	c := configuration{settings: broker.DefaultSettings(), topic: map[string]string{}}
	if err := o.Check(); err != nil {
		return c, err
	}
	// The costs of a profile come instead of those.
	given := map[config.Kind]map[string]string{
		config.Broker: {"ktrial.cpu.request.us": "0", "ktrial.cpu.kilobyte.us": "0"},
		config.Topic:  c.topic, config.Producer: {}, config.Consumer: {"auto.offset.reset": "earliest"},
	}
	for _, name := range slices.Sorted(maps.Keys(o.Settings)) {
		if err := give(given, name, o.Settings[name]); err != nil {
			return c, fmt.Errorf("bench: %s=%s: %w", name, o.Settings[name], err)
		}
	}
	if err := c.settings.SetAll(given[config.Broker]); err != nil {
		return c, fmt.Errorf("bench: broker: %w", err)
	}
	if err := config.CheckTopic(c.topic, config.FileLayer(c.settings.Given())); err != nil {
		return c, fmt.Errorf("bench: topic: %w", err)
	}
	var err error
	c.log = c.settings.Topic
	for name, value := range c.topic {
		if config.Has(&c.log, name) { // it has an effect, and was checked
			_ = config.Set(&c.log, name, value)
		}
	}
	if c.producer, err = client.ReadProducer(given[config.Producer]); err != nil {
		return c, fmt.Errorf("bench: producer: %w", err)
	}
	c.producer.StickyForABatch = o.StickyForABatch
	if c.consumer, err = client.ReadConsumer(given[config.Consumer]); err != nil {
		return c, fmt.Errorf("bench: consumer: %w", err)
	}
	return c, nil
}

// give puts a setting where it belongs.
func give(given map[config.Kind]map[string]string, name, value string) error {
	kinds := config.Kinds(name)
	if len(kinds) == 0 {
		if whose, rest, ok := strings.Cut(name, "."); ok {
			for kind := range given {
				if kind.String() == whose && config.Find(kind, rest) != nil {
					kinds, name = []config.Kind{kind}, rest
				}
			}
		}
	}
	if len(kinds) == 0 {
		return config.Unknown(name, config.Broker)
	}
	taken := false
	var refused error
	for _, kind := range kinds {
		if given[kind] == nil {
			continue
		}
		if _, err := config.Find(kind, name).Parse(value); err != nil {
			refused = err // compression.type=none is a producer's alone
			continue
		}
		given[kind][name], taken = value, true
	}
	if taken {
		return nil
	}
	if refused == nil {
		refused = fmt.Errorf("it is no setting of brokers, topics, producers or consumers")
	}
	return refused
}
