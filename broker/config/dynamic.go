package config

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// CheckUpdate refuses what a running broker refuses of its configuration
// (KIP-226, DynamicBrokerConfig). update is all that would then be set on one
// broker, or, with perBroker false, on all of them; below is what holds where
// update says nothing, above is what holds against it.
//
// A name that Kafka does not know is taken: it may be a plugin's.
func CheckUpdate(update map[string]string, perBroker bool, below, above map[string]string) error {
	update = maps.Clone(update)
	maps.DeleteFunc(update, func(name, _ string) bool { return strings.HasPrefix(name, "config.providers") }) // what they provide, here nothing, is looked at
	names := slices.Sorted(maps.Keys(update))
	refused := func(says string, is func(name string) bool) error {
		found := slices.DeleteFunc(slices.Clone(names), func(name string) bool { return !is(name) })
		if len(found) == 0 {
			return nil
		}
		return &Invalid{found[0], fmt.Sprintf("%s: [%s]", says, strings.Join(found, ", "))}
	}
	if err := refused("Cannot update these configs dynamically", readOnly); err != nil {
		return err
	}
	if err := refused("These security configs can be dynamically updated only per-listener using the listener prefix", perListener); err != nil {
		return err
	}
	for _, name := range names {
		if err := checkValue(name, update[name]); err != nil {
			return err
		}
	}
	if !perBroker {
		if err := refused("Cannot update these configs at default cluster level, broker id must be specified", ofOneBroker); err != nil {
			return err
		}
	}
	return Check(Broker, Overlay(Overlay(Overlay(nil, below), update), above))
}

// Updatable reports whether a running broker takes one setting, for itself.
func Updatable(name, value string) bool {
	return !readOnly(name) && !perListener(name) && checkValue(name, value) == nil
}

// isThrottle: quotas of replication are settings of running brokers alone (KIP-73).
func isThrottle(name string) bool {
	switch name {
	case "leader.replication.throttled.rate", "follower.replication.throttled.rate", "replica.alter.log.dirs.io.max.bytes.per.second":
		return true
	}
	return false
}

func checkValue(name, value string) error {
	if isThrottle(name) {
		v, err := Long.parse(name, value)
		if err == nil && v.whole < 0 {
			err = invalid(name, v.text, "Value must be at least 0")
		}
		return err
	}
	d := Find(Broker, baseName(name))
	if d == nil {
		return nil
	}
	if d.Type == List && d.repeats(value) { // in a file the second is passed over (KIP-1161)
		return &Invalid{name, fmt.Sprintf("Configuration '%s' values must not be duplicated.", d.Name)}
	}
	_, err := d.Parse(value)
	return err
}

func (d *Definition) repeats(list string) bool {
	all := items(d.Shown(list))
	slices.Sort(all)
	return len(slices.Compact(all)) < len(all)
}

func readOnly(name string) bool {
	d := Find(Broker, name)
	return d != nil && d.Update == ReadOnly
}

// perListener are the settings that a broker takes only with the prefix of a
// listener (SslConfigs.RECONFIGURABLE_CONFIGS).
func perListener(name string) bool {
	switch name {
	case "ssl.keystore.type", "ssl.keystore.location", "ssl.keystore.password", "ssl.key.password",
		"ssl.truststore.type", "ssl.truststore.location", "ssl.truststore.password",
		"ssl.keystore.certificate.chain", "ssl.keystore.key", "ssl.truststore.certificates":
		return true
	}
	return false
}

func ofOneBroker(name string) bool {
	d := Find(Broker, name)
	if base := baseName(name); base != name {
		return !ofListeners(base)
	}
	return d != nil && d.Update == PerBroker
}

// prefixOf begins the names of what is set for one listener alone.
func prefixOf(listener string) string { return "listener.name." + strings.ToLower(listener) + "." }

// baseName is a name without the prefix "listener.name.NAME.", by which one
// listener is configured.
func baseName(name string) string {
	if rest, ok := strings.CutPrefix(name, "listener.name."); ok {
		if _, base, ok := strings.Cut(rest, "."); ok {
			return base
		}
	}
	return name
}

// Overlay puts one configuration over another. What it sets in one unit is not
// to be contradicted by what lies below it in another.
func Overlay(below, above map[string]string) map[string]string {
	out := maps.Clone(below)
	if out == nil {
		out = map[string]string{}
	}
	for _, name := range slices.Sorted(maps.Keys(above)) {
		for _, synonym := range Synonyms(name) {
			delete(out, synonym)
		}
	}
	maps.Copy(out, above)
	return out
}

// Synonyms are the names under which a broker knows one and the same setting,
// the strongest first: log.retention.ms, .minutes and .hours. A name without
// others is its own.
func Synonyms(broker string) []string {
	d := DefaultOf(broker)
	if d == nil || broker == "log.flush.scheduler.interval.ms" { // a default of another, and no synonym
		return []string{broker}
	}
	return d.BrokerNames
}

// AlterList adds the items of a list to another, or takes them away (KIP-339). A
// change that is empty is one item that is empty, and no list takes it.
func AlterList(have, change string, add bool) string {
	list := slices.DeleteFunc(strings.Split(have, ","), func(item string) bool { return item == "" })
	changes := strings.Split(change, ",")
	for change != "" && len(changes) > 0 && changes[len(changes)-1] == "" { // Java's split
		changes = changes[:len(changes)-1]
	}
	for _, item := range changes {
		i := slices.Index(list, item)
		switch {
		case add && i < 0:
			list = append(list, item)
		case !add && i >= 0:
			list = slices.Delete(list, i, i+1)
		}
	}
	return strings.Join(list, ",")
}
