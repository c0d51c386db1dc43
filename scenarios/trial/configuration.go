package trial

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/ktrial/ktrial/broker"
	"github.com/ktrial/ktrial/broker/config"
	"github.com/ktrial/ktrial/broker/kafka"
	"github.com/ktrial/ktrial/broker/log"
	"github.com/ktrial/ktrial/internal/nearest"
	"github.com/ktrial/ktrial/scenarios"
	"github.com/ktrial/ktrial/workloads"
)

// configuration is a scenario with the settings of one run applied.
type configuration struct {
	scenario scenarios.Scenario
	settings broker.Settings // of all servers
	set      map[string]string
}

// configure applies settings to a scenario, and refuses what Kafka would refuse
// of it, be it the scenario's own. Its error is the fault of the options, or of
// the scenario's author.
func configure(s scenarios.Scenario, shape Shape, set map[string]string) (configuration, error) {
	c := configuration{settings: broker.DefaultSettings(), set: set}
	if err := s.Check(); err != nil {
		return c, optionError{err}
	}
	if err := checkTopics(s); err != nil {
		return c, optionError{err}
	}
	s, err := shape.apply(s)
	if err != nil {
		return c, optionError{err}
	}
	c.scenario = s
	for _, name := range slices.Sorted(maps.Keys(s.Cluster.Config)) {
		if err := c.settings.Set(name, s.Cluster.Config[name]); err != nil {
			return c, optionError{fmt.Errorf("scenario %s: %w", s.Name, err)}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(set)) {
		if err := c.apply(name, set[name]); err != nil {
			return c, optionError{fmt.Errorf("%s=%s: %w", name, set[name], err)}
		}
	}
	if err := shape.checkReplicas(&c); err != nil {
		return c, optionError{err}
	}
	if err := c.check(); err != nil {
		return c, optionError{err}
	}
	return c, nil
}

// checkTopics says which topic the workload uses that the scenario does not have.
func checkTopics(s scenarios.Scenario) error {
	w, ok := s.Workload.(workloads.UsesTopics)
	if !ok {
		return nil
	}
	var names []string
	for _, t := range s.Topics {
		names = append(names, t.Name)
	}
	for _, topic := range w.UsesTopics() {
		if !slices.Contains(names, topic) {
			return fmt.Errorf("scenario %s: Workload: %w", s.Name, nearest.Unknown("topic", topic, names))
		}
	}
	return nil
}

// apply changes one thing by its name: a parameter of the workload, or a
// configuration of all kinds that have it: brokers, topics, clients. A value that
// only some kinds have a word for is meant for those: compression.type=none is a
// producer's.
func (c *configuration) apply(name, value string) error {
	kinds := config.Kinds(name)
	if len(kinds) == 0 {
		w, err := workloads.Set(c.scenario.Workload, name, value)
		if nearest.IsUnknown(err) {
			return nearest.Unknown("parameter", name, c.names())
		}
		if err == nil {
			c.scenario.Workload = w
		}
		return err
	}
	taken, err := takers(kinds, name, value)
	if err != nil {
		return err
	}
	takes := func(k config.Kind) bool { return slices.Contains(taken, k) }
	if takes(config.Broker) {
		if err := c.settings.Set(name, value); err != nil {
			return err
		}
	}
	if takes(config.Topic) {
		c.applyToTopics(name, value, !takes(config.Broker))
	}
	if takes(config.Producer) || takes(config.Consumer) {
		w, err := workloads.Set(c.scenario.Workload, name, value)
		switch {
		case err == nil:
			c.scenario.Workload = w
		case !nearest.IsUnknown(err): // a workload may have none of these clients
			return err
		}
	}
	return nil
}

// takers are the kinds that take the value. One that has other words for it does
// not; one that refuses it otherwise refuses it for all.
func takers(kinds []config.Kind, name, value string) (taken []config.Kind, err error) {
	var refused error
	for _, kind := range kinds {
		d := config.Find(kind, name)
		switch _, err := d.Parse(value); {
		case err == nil:
			taken = append(taken, kind)
		case !d.Words():
			return nil, err
		case refused == nil:
			refused = err
		}
	}
	if len(taken) == 0 {
		return nil, refused
	}
	return taken, nil
}

// names are all that can be set.
func (c *configuration) names() []string {
	var names []string
	if w, ok := c.scenario.Workload.(workloads.Settable); ok {
		names = w.Names()
	}
	for _, kind := range []config.Kind{config.Broker, config.Topic, config.Producer, config.Consumer} {
		names = append(names, config.Names(kind)...)
	}
	return names
}

// applyToTopics changes what the scenario's topics set themselves, which would
// go before the configuration of the brokers; with all, it sets it on each topic.
func (c *configuration) applyToTopics(name, value string, all bool) {
	c.scenario.Topics = slices.Clone(c.scenario.Topics)
	for i := range c.scenario.Topics {
		t := &c.scenario.Topics[i]
		if _, ok := t.Config[name]; ok || all {
			t.Config = maps.Clone(t.Config)
			if t.Config == nil {
				t.Config = map[string]string{}
			}
			t.Config[name] = value
		}
		if name == "min.insync.replicas" && t.MinInsync > 0 {
			t.MinInsync, _ = strconv.Atoi(strings.TrimSpace(value)) // it was taken, so it is a number
		}
	}
}

// check refuses what Kafka would refuse of the whole: at the start of a broker or
// of a client, and when topics are created.
func (c *configuration) check() error {
	if err := c.settings.Check(); err != nil {
		return err
	}
	for _, t := range c.scenario.Topics {
		if err := c.checkTopic(t); err != nil {
			return fmt.Errorf("topic %s: %w", t.Name, err)
		}
	}
	w, ok := c.scenario.Workload.(workloads.Settable)
	if !ok {
		return nil
	}
	if err := w.Check(); err != nil {
		return fmt.Errorf("workload: %w", err)
	}
	// Kafka's clients take it, and none of their requests has time for an answer.
	if w.Config()["request.timeout.ms"] == "0" {
		return errors.New("Invalid value 0 for configuration request.timeout.ms: Value must be at least 1 in a run, for with 0 every request of a client fails") //nolint:staticcheck // Kafka's words
	}
	return nil
}

func (c *configuration) checkTopic(t scenarios.Topic) error {
	brokers := c.scenario.Cluster.Brokers + c.scenario.Cluster.Combined
	switch {
	case kafka.TopicNameError(t.Name) != "":
		return errors.New(kafka.TopicNameError(t.Name))
	case t.Partitions < 1:
		return errors.New("Number of partitions was set to an invalid non-positive value.") //nolint:staticcheck // Kafka's words
	case t.Replicas < 1:
		return errors.New("Replication factor must be larger than 0, or -1 to use the default value.") //nolint:staticcheck // Kafka's words
	case int(t.Replicas) > brokers:
		return fmt.Errorf("Unable to replicate the partition %d time(s): The target replication factor of %d cannot be reached because only %d broker(s) are registered.", t.Replicas, t.Replicas, brokers) //nolint:staticcheck // Kafka's words
	}
	set := maps.Clone(t.Config)
	if set == nil {
		set = map[string]string{}
	}
	if t.MinInsync != 0 {
		set["min.insync.replicas"] = strconv.Itoa(t.MinInsync)
	}
	return config.CheckTopic(set, config.FileLayer(c.settings.Given()))
}

// unworkable says what Kafka finds wrong with settings of brokers that it takes all
// the same; empty: nothing. A controller of Kafka writes that into its log at each
// registration.
func (c *configuration) unworkable() string {
	beat, session := c.settings.Server.HeartbeatInterval, c.settings.Server.SessionTimeout
	if beat <= session/2 {
		return ""
	}
	return fmt.Sprintf("broker.heartbeat.interval.ms (%d ms) must be less than or equal to half of the broker.session.timeout.ms (%d ms)", beat.Milliseconds(), session.Milliseconds())
}

// setsServers reports whether this run sets anything of the servers or of topics.
func (c *configuration) setsServers() bool {
	for name := range c.set {
		if config.Find(config.Broker, name) != nil || config.Find(config.Topic, name) != nil {
			return true
		}
	}
	return false
}

// promises is what a topic's configuration promises.
func (c *configuration) promises(t scenarios.Topic) (minISR int, unclean bool) {
	cfg := c.topic(t)
	return int(cfg.MinInsyncReplicas), cfg.UncleanLeaderChoice
}

// syncsEachRecord reports whether every topic's replicas sync a record before
// they acknowledge it, so that no loss of power can take it.
func (c *configuration) syncsEachRecord() bool {
	for _, t := range c.scenario.Topics {
		if c.topic(t).FlushMessages != 1 {
			return false
		}
	}
	return true
}

// topic is the whole configuration of a topic.
func (c *configuration) topic(t scenarios.Topic) log.Config {
	cfg := c.settings.Topic
	for name, value := range t.Config {
		if !config.Has(&cfg, name) {
			continue // it has no effect here
		}
		if err := config.Set(&cfg, name, value); err != nil {
			panic(fmt.Sprintf("scenario %s: topic %s: %v, though it was checked", c.scenario.Name, t.Name, err))
		}
	}
	if t.MinInsync > 0 {
		cfg.MinInsyncReplicas = int32(t.MinInsync)
	}
	return cfg
}

// named is what differs from the defaults, by Kafka's names.
func (c *configuration) named() map[string]string {
	out := map[string]string{}
	if w, ok := c.scenario.Workload.(workloads.Configured); ok {
		maps.Copy(out, w.Config())
	}
	maps.Copy(out, c.scenario.Cluster.Config)
	for _, t := range c.scenario.Topics {
		maps.Copy(out, t.Config)
		if t.MinInsync > 0 {
			out["min.insync.replicas"] = fmt.Sprint(t.MinInsync)
		}
	}
	maps.Copy(out, c.set)
	return out
}

// fetchWait is how long a fetch may wait for records, of a consumer or a follower.
func (c *configuration) fetchWait() (wait time.Duration) {
	set := c.named()
	for _, name := range []string{"fetch.max.wait.ms", "replica.fetch.wait.max.ms"} {
		ms, _ := strconv.Atoi(set[name]) // what is not set is at its default
		wait = max(wait, time.Duration(ms)*time.Millisecond)
	}
	return wait
}

// hasty reports whether something is configured to happen more than five times a second
// that by default does not: then it may.
func (c *configuration) hasty() bool {
	const pause = 200
	for name, value := range c.named() {
		n, err := strconv.Atoi(value)
		if err != nil {
			continue
		}
		for _, kind := range config.Kinds(name) {
			byDefault, _ := strconv.Atoi(config.Find(kind, name).Default) // 0: it is no number
			//text:allow Kafka's name of a setting ends in its unit
			if strings.HasSuffix(name, ".ms") && n < pause && byDefault >= pause {
				return true
			}
		}
		if (name == "fetch.min.bytes" || name == "replica.fetch.min.bytes") && n < 1 {
			return true // a fetch does not wait
		}
	}
	return false
}

// optionError is a bad option.
type optionError struct{ error }

func (e optionError) Unwrap() error { return e.error }

// IsOption reports whether an error of Run is the fault of its options.
func IsOption(err error) bool {
	var o optionError
	return errors.As(err, &o)
}
