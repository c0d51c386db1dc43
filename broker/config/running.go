package config

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// change is a configuration of a running broker, before and after.
type change struct{ now, next Values }

// CheckRunning refuses a change that a broker refuses while it runs, though it might begin so: its parts
// look at what they would have to become (DynamicBrokerConfig's reconfigurables, KIP-226). now and next
// are all that is set on the broker, and next was checked.
func CheckRunning(now, next map[string]string) error {
	c := change{Values{Broker, now}, Values{Broker, next}}
	for _, refuses := range running {
		if says := refuses(c); says != "" {
			return &Invalid{Message: "Invalid value org.apache.kafka.common.config.ConfigException: " + says + " for configuration Invalid dynamic configuration"}
		}
	}
	return nil
}

// running are in the order in which Kafka asks the parts of a broker.
var running = []func(change) string{
	limits,
	reporters,
	func(c change) string {
		return c.pools("background.threads", "num.io.threads", "num.recovery.threads.per.data.dir", "num.replica.fetchers")
	},
	func(c change) string { return c.local("log.local.retention.ms", "log.retention.ms", "retention.ms") },
	func(c change) string {
		return c.local("log.local.retention.bytes", "log.retention.bytes", "retention.bytes")
	},
	listenersStay,
	func(c change) string {
		return c.pools("remote.log.manager.copier.thread.pool.size", "remote.log.manager.expiration.thread.pool.size",
			"remote.log.manager.follower.thread.pool.size", "remote.log.reader.threads")
	},
	cleaners,
}

// reporters of metrics must be classes that a broker can load: of those there is one here.
func reporters(c change) string {
	const name = "metric.reporters"
	if c.now.Text(name) == c.next.Text(name) {
		return ""
	}
	for _, class := range items(c.next.Text(name)) {
		if class != "org.apache.kafka.common.metrics.JmxReporter" {
			return fmt.Sprintf("Validation of dynamic config update of Set(%s) failed with class class kafka.server.DynamicMetricsReporters", strings.Join(c.names(), ", "))
		}
	}
	return ""
}

// names are those that have another value.
func (c change) names() (out []string) {
	for _, name := range slices.Sorted(maps.Keys(c.next.Given)) {
		if was, had := c.now.Given[name]; !had || was != c.next.Given[name] {
			out = append(out, name)
		}
	}
	return out
}

// limits of connections are above 0, and network threads a pool, for each listener that there is: what is
// set for it alone holds before what is set for all.
func limits(c change) string {
	for _, e := range c.now.listeners() {
		prefix := prefixOf(e)
		for _, name := range []string{"max.connections", "max.connection.creation.rate"} {
			if was, is := c.now.of(prefix, name), c.next.of(prefix, name); was != is && is <= 0 {
				return fmt.Sprintf("Invalid %s %d", name, is)
			}
		}
		const threads = "num.network.threads"
		if says := pool(threads, c.now.of(prefix, threads), c.next.of(prefix, threads)); says != "" {
			return says
		}
	}
	return ""
}

// listeners are the names of a broker's.
func (v Values) listeners() (names []string) {
	for _, listener := range items(v.Text("listeners")) {
		name, _, _ := strings.Cut(listener, ":")
		names = append(names, strings.ToUpper(name))
	}
	return names
}

// of is the number that a setting has for one listener.
func (v Values) of(prefix, name string) int64 {
	if given, ok := v.Given[prefix+name]; ok {
		v.Given = map[string]string{name: given}
	}
	return v.Int(name)
}

// pools of threads grow to no more than twice their size at once, and shrink to no less than half of it.
func (c change) pools(names ...string) string {
	for _, name := range names {
		if says := pool(name, c.now.Int(name), c.next.Int(name)); says != "" {
			return says
		}
	}
	return ""
}

func pool(name string, now, next int64) string {
	why := ""
	switch {
	case next < now/2:
		why = fmt.Sprintf("value should be at least half the current value %d", now)
	case next > now*2:
		why = fmt.Sprintf("value should not be greater than double the current value %d", now)
	default:
		return ""
	}
	return fmt.Sprintf("Dynamic thread count update validation failed for %s=%d, %s", name, next, why)
}

// local: what is kept of a tiered log on the broker is no more than what is kept of it at all.
func (c change) local(name, whole, ofTopic string) string {
	kept, local := c.next.ofTopics(ofTopic), c.next.Int(name)
	unchanged := c.now.ofTopics(ofTopic) == kept && c.now.Int(name) == local
	why := ""
	switch {
	case unchanged || kept == -1 || local == -2: // -2: as the whole
	case local == -1:
		why = fmt.Sprintf("Value must not be -1 as %s value is set as %d.", whole, kept)
	case local > kept:
		why = fmt.Sprintf("Value must not be more than %s property value: %d", whole, kept)
	}
	if why == "" {
		return ""
	}
	return fmt.Sprintf("Invalid value %d for configuration %s: %s", local, name, why)
}

// listenersStay: of a listener that stays neither the security protocol changes nor what is set for it alone,
// but for its limits, threads and keys. Kafka looks only if the listeners, or what is secure about them, change.
func listenersStay(c change) string {
	looks := func(name string) bool {
		d := Find(Broker, name)
		return d != nil && d.Update == PerBroker && name != "cordoned.log.dirs" || ofListeners(name)
	}
	was, _ := c.now.protocols()
	is, _ := c.next.protocols()
	for _, name := range c.next.listeners() {
		switch {
		case !slices.Contains(c.now.listeners(), name):
		case slices.ContainsFunc(c.names(), looks) && !maps.Equal(c.now.ofOneListener(name), c.next.ofOneListener(name)):
			return fmt.Sprintf("Configs cannot be updated dynamically for existing listener ListenerName(%s), restart broker or create a new listener for update", name)
		case was[name] != is[name]:
			return fmt.Sprintf("Security protocol cannot be updated for existing listener ListenerName(%s)", name)
		}
	}
	return ""
}

// ofListeners are settings that a running broker takes for one listener, and for all.
func ofListeners(name string) bool {
	return name == "max.connections" || name == "max.connection.creation.rate" || name == "num.network.threads"
}

// ofOneListener is what is set for a listener alone and stays as it is.
func (v Values) ofOneListener(listener string) map[string]string {
	prefix := prefixOf(listener)
	out := maps.Clone(v.Given)
	maps.DeleteFunc(out, func(name, _ string) bool {
		base, ok := strings.CutPrefix(name, prefix)
		return !ok || perListener(base) || ofListeners(base)
	})
	return out
}

// cleaners are a pool with words of its own.
func cleaners(c change) string {
	const name = "log.cleaner.threads"
	switch now, next := c.now.Int(name), c.next.Int(name); {
	case next < now/2:
		return fmt.Sprintf("Log cleaner threads cannot be reduced to less than half the current value %d", now)
	case next > now*2:
		return fmt.Sprintf("Log cleaner threads cannot be increased to more than double the current value %d", now)
	}
	return ""
}
