package config

import (
	"strconv"
	"time"
)

// Source says where a value comes from, with the number of DescribeConfigs.
type Source int8

// The sources of a value. Of a topic's, they are from the strongest to the weakest.
const (
	FromTopic      Source = 1
	FromBroker     Source = 2 // set on one broker while it runs
	FromAllBrokers Source = 3 // set on all of them
	FromFile       Source = 4 // what the broker was started with
	FromDefault    Source = 5
	FromGroup      Source = 8 // set on a group
)

// Layer is what is set at one level, under the names that settings have there.
type Layer struct {
	Source Source
	Get    func(name string) (value string, set bool)
}

// FileLayer is what a broker was started with.
func FileLayer(given map[string]string) Layer {
	return Layer{FromFile, func(name string) (string, bool) { v, ok := given[name]; return v, ok }}
}

// DefaultOf finds the topic's setting that a broker's setting is the default of,
// or nil.
func DefaultOf(broker string) *Definition { return brokerNames[broker] }

// Dynamic reports whether a topic's default can be changed under this broker's
// name while the broker runs.
func (d *Definition) Dynamic(broker string) bool {
	return len(d.BrokerNames) > 0 && d.BrokerNames[0] == broker
}

// Effective is a topic's value out of layers, the strongest first, and the
// source that it comes from: a layer of the topic has it under its own name, one
// of a broker under the broker's names for it.
func (d *Definition) Effective(layers ...Layer) (value string, from Source) {
	for _, layer := range layers {
		if layer.Source == FromTopic {
			if v, ok := layer.Get(d.Name); ok {
				return d.Shown(v), FromTopic
			}
			continue
		}
		for _, name := range d.BrokerNames {
			if v, ok := layer.Get(name); ok && (layer.Source == FromFile || d.Dynamic(name)) {
				return d.OfBroker(name, v), layer.Source
			}
		}
	}
	return d.Default, FromDefault
}

// OfBroker turns a broker's value into the topic's: hours and minutes into
// milliseconds, and any time below 0 for which records are kept into -1.
func (d *Definition) OfBroker(name, value string) string {
	v := d.Shown(value)
	if d.Type != Long && d.Type != Int {
		return v
	}
	n, err := strconv.ParseInt(v, 10, 64)
	if err != nil {
		return v
	}
	if u := unit(name); u != time.Millisecond {
		n *= int64(u / time.Millisecond)
	}
	if d.Name == "retention.ms" && n < 0 {
		n = -1
	}
	return strconv.FormatInt(n, 10)
}

// Shown is a value in the form in which it is shown; one that is not valid, but
// was stored, is shown as it is.
func (d *Definition) Shown(value string) string {
	if v, err := d.Type.parse(d.Name, value); err == nil {
		return v.text
	}
	return value
}
