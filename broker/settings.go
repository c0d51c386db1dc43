package broker

import (
	"maps"
	"slices"

	"github.com/ktrial/ktrial/broker/config"
	"github.com/ktrial/ktrial/broker/controller"
	"github.com/ktrial/ktrial/broker/log"
	"github.com/ktrial/ktrial/broker/raft"
	"github.com/ktrial/ktrial/broker/replica"
	"github.com/ktrial/ktrial/broker/server"
	"github.com/ktrial/ktrial/internal/nearest"
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
	synonym, ok := log.SynonymOf(name)
	switch {
	case ok:
		value, err := synonym.Value(value)
		if err != nil {
			return err
		}
		return config.Set(s, synonym.Topic, value)
	case config.Has(s, name):
		return config.Set(s, name, value)
	}
	return nearest.Unknown("config", name, s.Names())
}

// Names are all that Kafka's brokers and controllers know of what Set knows.
func (s *Settings) Names() []string {
	names := log.BrokerNames()
	for _, e := range s.Entries() {
		names = append(names, e.Name)
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// Entries lists the configuration as it stands, under a broker's names.
func (s *Settings) Entries() []config.Entry {
	var out []config.Entry
	for _, e := range config.Entries(s) {
		if config.Has(&s.Topic, e.Name) {
			e.Name = log.BrokerName(e.Name)
		}
		if !slices.ContainsFunc(out, func(o config.Entry) bool { return o.Name == e.Name }) {
			out = append(out, e)
		}
	}
	return out
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
