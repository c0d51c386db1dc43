package log

import (
	"fmt"
	"strconv"
	"strings"
)

// Synonym is a broker's name for a configuration of topics. What a topic does
// not set itself its broker sets under one of these names.
type Synonym struct {
	Topic, Broker string
	// millis is how many milliseconds one of the broker's units has; 0: both
	// count the same.
	millis int64
}

// synonyms has Kafka's (ServerTopicConfigSynonyms). Of several names of one
// configuration the first has precedence.
var synonyms = []Synonym{
	{Topic: "cleanup.policy", Broker: "log.cleanup.policy"},
	{Topic: "compression.type", Broker: "compression.type"},
	{Topic: "file.delete.delay.ms", Broker: "log.segment.delete.delay.ms"},
	{Topic: "flush.messages", Broker: "log.flush.interval.messages"},
	{Topic: "flush.ms", Broker: "log.flush.interval.ms"},
	{Topic: "flush.ms", Broker: "log.flush.scheduler.interval.ms"},
	{Topic: "index.interval.bytes", Broker: "log.index.interval.bytes"},
	{Topic: "max.message.bytes", Broker: "message.max.bytes"},
	{Topic: "message.timestamp.after.max.ms", Broker: "log.message.timestamp.after.max.ms"},
	{Topic: "message.timestamp.before.max.ms", Broker: "log.message.timestamp.before.max.ms"},
	{Topic: "message.timestamp.type", Broker: "log.message.timestamp.type"},
	{Topic: "min.insync.replicas", Broker: "min.insync.replicas"},
	{Topic: "retention.bytes", Broker: "log.retention.bytes"},
	{Topic: "retention.ms", Broker: "log.retention.ms"},
	{Topic: "retention.ms", Broker: "log.retention.minutes", millis: 60_000},
	{Topic: "retention.ms", Broker: "log.retention.hours", millis: 3_600_000},
	{Topic: "segment.bytes", Broker: "log.segment.bytes"},
	{Topic: "segment.index.bytes", Broker: "log.index.size.max.bytes"},
	{Topic: "segment.jitter.ms", Broker: "log.roll.jitter.ms"},
	{Topic: "segment.jitter.ms", Broker: "log.roll.jitter.hours", millis: 3_600_000},
	{Topic: "segment.ms", Broker: "log.roll.ms"},
	{Topic: "segment.ms", Broker: "log.roll.hours", millis: 3_600_000},
	{Topic: "unclean.leader.election.enable", Broker: "unclean.leader.election.enable"},
}

// SynonymOf is what topics call the configuration that a broker calls name.
func SynonymOf(name string) (Synonym, bool) {
	for _, s := range synonyms {
		if s.Broker == name {
			return s, true
		}
	}
	return Synonym{}, false
}

// BrokerName is what a broker calls a topic's configuration. It is the only one
// of several that can be changed while the broker runs.
func BrokerName(topic string) string {
	for _, s := range synonyms {
		if s.Topic == topic {
			return s.Broker
		}
	}
	panic("log: " + topic + " has no name that brokers use")
}

// BrokerNames are all that a broker may be configured with for its topics.
func BrokerNames() (names []string) {
	for _, s := range synonyms {
		names = append(names, s.Broker)
	}
	return names
}

// Dynamic reports whether the configuration can be changed under this name
// while the broker runs (KIP-226).
func (s Synonym) Dynamic() bool { return BrokerName(s.Topic) == s.Broker }

// Value turns the broker's value into the topic's.
func (s Synonym) Value(value string) (string, error) {
	if s.millis == 0 {
		return value, nil
	}
	n, err := strconv.ParseInt(strings.TrimSpace(value), 10, 32)
	switch {
	case err != nil:
		return "", fmt.Errorf("config %s: found %q, expected a whole number", s.Broker, value)
	case n < 0:
		return "-1", nil
	}
	return strconv.FormatInt(n*s.millis, 10), nil
}
