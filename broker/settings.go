package broker

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/ktrial/ktrial/broker/config"
	"github.com/ktrial/ktrial/broker/controller"
	"github.com/ktrial/ktrial/broker/log"
	"github.com/ktrial/ktrial/broker/raft"
	"github.com/ktrial/ktrial/broker/replica"
	"github.com/ktrial/ktrial/broker/server"
)

// Settings are the configuration of a node, by Kafka's names: each component
// declares its own, and a name that several have is set in all of them.
//
// Topic holds what topics have that set nothing themselves, under the names
// that topics give it; Set knows the broker's names for the same
// (log.segment.bytes) too.
type Settings struct {
	Server     server.Settings
	Raft       raft.Settings
	Controller controller.Settings
	Replica    replica.Config
	Topic      log.Config
}

// DefaultSettings are Kafka's defaults.
func DefaultSettings() Settings {
	var s Settings
	config.Default(&s)
	return s
}

// Set sets one configuration by its Kafka name.
func (s *Settings) Set(name, value string) error {
	if topic, ok := topicName[name]; ok {
		scaled, err := scale(name, value)
		if err != nil {
			return err
		}
		return config.Set(s, topic, scaled)
	}
	return config.Set(s, name, value)
}

// Names are all that Set knows.
func (s *Settings) Names() []string {
	names := slices.Sorted(maps.Keys(topicName))
	for _, e := range config.Entries(s) {
		names = append(names, e.Name)
	}
	return names
}

// SetAll sets many, in the order of their names.
func (s *Settings) SetAll(values map[string]string) error {
	for _, name := range slices.Sorted(maps.Keys(values)) {
		if err := s.Set(name, values[name]); err != nil {
			return err
		}
	}
	return nil
}

// topicName is what topics call a configuration of the broker.
var topicName = map[string]string{
	"log.cleanup.policy":                  "cleanup.policy",
	"log.flush.interval.messages":         "flush.messages",
	"log.flush.interval.ms":               "flush.ms",
	"log.index.interval.bytes":            "index.interval.bytes",
	"log.index.size.max.bytes":            "segment.index.bytes",
	"log.message.timestamp.after.max.ms":  "message.timestamp.after.max.ms",
	"log.message.timestamp.before.max.ms": "message.timestamp.before.max.ms",
	"log.message.timestamp.type":          "message.timestamp.type",
	"log.retention.bytes":                 "retention.bytes",
	"log.retention.hours":                 "retention.ms",
	"log.retention.minutes":               "retention.ms",
	"log.retention.ms":                    "retention.ms",
	"log.roll.hours":                      "segment.ms",
	"log.roll.jitter.ms":                  "segment.jitter.ms",
	"log.roll.ms":                         "segment.ms",
	"log.segment.bytes":                   "segment.bytes",
	"log.segment.delete.delay.ms":         "file.delete.delay.ms",
	"message.max.bytes":                   "max.message.bytes",
}

// scale turns a value in the broker's unit into one in milliseconds.
func scale(name, value string) (string, error) {
	var factor int64
	switch {
	case strings.HasSuffix(name, ".hours"):
		factor = 3600_000
	case strings.HasSuffix(name, ".minutes"):
		factor = 60_000
	default:
		return value, nil
	}
	n, err := strconv.ParseInt(value, 10, 32)
	if err != nil {
		return "", fmt.Errorf("config %s: found %q, expected a whole number", name, value)
	}
	if n < 0 {
		return "-1", nil
	}
	return strconv.FormatInt(n*factor, 10), nil
}
