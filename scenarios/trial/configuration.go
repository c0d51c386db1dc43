package trial

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/ktrial/ktrial/broker"
	"github.com/ktrial/ktrial/broker/config"
	"github.com/ktrial/ktrial/internal/nearest"
	"github.com/ktrial/ktrial/scenarios"
)

// configuration is a scenario with the settings of one run applied.
type configuration struct {
	scenario scenarios.Scenario
	settings broker.Settings // of all servers
	set      map[string]string
}

// configure applies settings to a scenario. Its error is the fault of the
// options.
func configure(s scenarios.Scenario, set map[string]string) (configuration, error) {
	c := configuration{scenario: s, settings: broker.DefaultSettings(), set: set}
	if err := c.settings.SetAll(s.Cluster.Config); err != nil {
		panic(fmt.Sprintf("scenario %s: %v", s.Name, err))
	}
	for _, name := range slices.Sorted(maps.Keys(set)) {
		if err := c.apply(name, set[name]); err != nil {
			return c, err
		}
	}
	if err := c.scenario.Workload.Check(); err != nil {
		return c, optionError{err}
	}
	return c, nil
}

// apply changes one thing by its name: configuration of the cluster, of the
// clients, or a parameter of the workload.
func (c *configuration) apply(name, value string) error {
	serverErr := c.settings.Set(name, value)
	w, clientErr := c.scenario.Workload.Set(name, value)
	if clientErr == nil {
		c.scenario.Workload = w
	}
	isUnknown := func(err error) bool { return strings.Contains(err.Error(), "unknown") }
	switch {
	case serverErr == nil || clientErr == nil:
		c.applyToTopics(name, value)
		return nil
	case !isUnknown(serverErr):
		return optionError{serverErr}
	case !isUnknown(clientErr):
		return optionError{clientErr}
	}
	return optionError{nearest.Unknown("parameter", name, append(c.scenario.Workload.Names(), c.settings.Names()...))}
}

// applyToTopics changes what the scenario's topics set themselves, which would
// go before the configuration of the brokers.
func (c *configuration) applyToTopics(name, value string) {
	c.scenario.Topics = slices.Clone(c.scenario.Topics)
	for i := range c.scenario.Topics {
		t := &c.scenario.Topics[i]
		if _, ok := t.Config[name]; ok {
			t.Config = maps.Clone(t.Config)
			t.Config[name] = value
		}
		if name == "min.insync.replicas" && t.MinInsync > 0 {
			t.MinInsync, _ = strconv.Atoi(value) // the settings took it, so it is a number
		}
	}
}

// promises is what a topic's configuration promises.
func (c *configuration) promises(t scenarios.Topic) (minISR int, unclean bool) {
	cfg := c.settings.Topic
	if err := config.SetAll(&cfg, t.Config); err != nil {
		panic(fmt.Sprintf("scenario %s: topic %s: %v", c.scenario.Name, t.Name, err))
	}
	if t.MinInsync > 0 {
		cfg.MinInsyncReplicas = int32(t.MinInsync)
	}
	return int(cfg.MinInsyncReplicas), cfg.UncleanLeaderChoice
}

// named is what differs from the defaults, by Kafka's names.
func (c *configuration) named() map[string]string {
	out := map[string]string{}
	maps.Copy(out, c.scenario.Workload.Config())
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

// optionError is a bad option.
type optionError struct{ error }

func (e optionError) Unwrap() error { return e.error }

// IsOption reports whether an error of Run is the fault of its options.
func IsOption(err error) bool {
	var o optionError
	return errors.As(err, &o)
}
