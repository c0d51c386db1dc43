package broker

import (
	"fmt"
	"maps"
	"slices"

	"github.com/ktrial/ktrial/broker/config"
	"github.com/ktrial/ktrial/broker/controller"
	"github.com/ktrial/ktrial/broker/log"
	"github.com/ktrial/ktrial/broker/raft"
	"github.com/ktrial/ktrial/broker/replica"
	"github.com/ktrial/ktrial/broker/server"
)

// Settings are the configuration of a node, by Kafka's names for brokers and
// controllers: what was given, and what each component reads of it. A name that
// several components have is set in all of them.
//
// Topic holds what topics have that set nothing themselves.
type Settings struct {
	Server server.Settings
	Groups server.GroupSettings
	// Transactions are what is set of them.
	Transactions server.TransactionSettings
	Raft         raft.Settings
	Controller   controller.Settings
	Replica      replica.Config
	Topic        log.Config

	// given is what was set by name, whether it has an effect or not. It is never
	// changed in place, so that copies of Settings may share it.
	given map[string]string
}

// DefaultSettings are Kafka's defaults.
func DefaultSettings() Settings {
	var s Settings
	config.Default(&s)
	return s
}

// Set sets one configuration by its Kafka name, and refuses a value that Kafka
// would refuse. What several settings must agree on is for Check.
func (s *Settings) Set(name, value string) error {
	d := config.Find(config.Broker, name)
	if d == nil {
		return config.Unknown(name, config.Broker)
	}
	if GivenByShape(name) {
		return &config.Invalid{Name: name, Message: fmt.Sprintf("config %s is what distinguishes one node from the others: the shape of the cluster gives it, and it cannot be set", name)}
	}
	text, err := d.Parse(value)
	if err != nil {
		return err
	}
	s.given = maps.Clone(s.given)
	if s.given == nil {
		s.given = map[string]string{}
	}
	s.given[name] = text
	for _, part := range s.parts() {
		if config.Has(part, name) {
			if err := config.Set(part, name, text); err != nil {
				return err
			}
		}
	}
	if topic := config.DefaultOf(name); topic != nil && config.Has(&s.Topic, topic.Name) {
		value, _ := topic.Effective(config.FileLayer(s.given))
		if err := config.Put(&s.Topic, topic.Name, value); err != nil {
			return err
		}
	}
	return nil
}

// GivenByShape reports whether a setting distinguishes one node from the others,
// so that it cannot be set for all.
func GivenByShape(name string) bool { return slices.Contains(identity, name) }

var identity = []string{
	"advertised.listeners", "broker.id", "broker.rack", "controller.listener.names",
	"controller.quorum.bootstrap.servers", "controller.quorum.voters", "cordoned.log.dirs", "early.start.listeners",
	"inter.broker.listener.name", "listener.security.protocol.map", "listeners", "log.dir", "log.dirs",
	"metadata.log.dir", "node.id", "process.roles",
}

// SetAll sets many, in the order of their names, and checks the whole.
func (s *Settings) SetAll(values map[string]string) error {
	for _, name := range slices.Sorted(maps.Keys(values)) {
		if err := s.Set(name, values[name]); err != nil {
			return err
		}
	}
	return s.Check()
}

// Check refuses settings that contradict each other, in Kafka's words.
func (s *Settings) Check() error { return config.Check(config.Broker, s.given) }

// Given is what was set by name.
func (s *Settings) Given() map[string]string { return maps.Clone(s.given) }

// Effective are the settings of brokers and topics that have an effect here.
func Effective() (out []*config.Definition) {
	var s Settings
	for _, part := range s.parts() {
		out = append(out, config.Fields(part)...)
	}
	for _, topic := range config.Fields(&s.Topic) {
		out = append(out, topic)
		for _, name := range topic.BrokerNames {
			out = append(out, config.Find(config.Broker, name))
		}
	}
	return out
}

// parts are the components that read settings of brokers.
func (s *Settings) parts() []any {
	return []any{&s.Server, &s.Groups, &s.Transactions, &s.Raft, &s.Controller, &s.Replica}
}
