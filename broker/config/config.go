// Package config is Kafka's configuration: one catalogue of every setting that
// Kafka 4.4 defines, and of the few that only this stack has. catalogue.tsv has
// one line for a setting: its name, type, default, what is valid, how a running
// broker takes it, and what it does here. All that sets, checks or shows a
// configuration reads that line: --set and scenarios, CreateTopics, AlterConfigs
// and DescribeConfigs, `ktrial list configs`.
//
// A setting has an effect here if a struct of the stack has a field for it:
//
//	type Settings struct {
//		LagTimeMax time.Duration `kafka:"replica.lag.time.max.ms"`
//		...
//	}
//	func (Settings) ConfigKind() config.Kind { return config.Broker }
//
// Settings without a field are checked, kept and shown all the same. To add one
// that Kafka does not have, add a line to catalogue.tsv.
package config

import (
	"slices"
	"strings"

	"github.com/ktrial/ktrial/internal/nearest"
)

// Kind is what a setting belongs to. One name may be a setting of several
// kinds, with other defaults and bounds.
type Kind uint8

// The kinds of settings. Those of brokers are also those of controllers.
const (
	Broker Kind = iota
	Topic
	Group
	Producer
	Consumer
	Admin
)

var kinds = []string{"broker", "topic", "group", "producer", "consumer", "admin"}

func (k Kind) String() string { return kinds[k] }

// Definition is what there is to know of one setting.
type Definition struct {
	Kind Kind
	Name string
	Type Type
	// Default is Kafka's default, in the form that DescribeConfigs shows. It says
	// nothing if the default is null (Null), or if there is none and the setting
	// must be given (Required).
	Default        string
	Null, Required bool
	// Valid is what is valid, as Kafka prints it in its documentation; "": all
	// values of the type.
	Valid string
	// Importance is Kafka's: high, medium or low.
	Importance string
	// Update is how a running broker takes a broker's setting (KIP-226): ReadOnly,
	// PerBroker or ClusterWide.
	Update string
	// Internal settings are for tests, and shown only where they are set.
	Internal bool
	// BrokerNames are what brokers call a setting of topics or groups; one that does
	// not set it itself has the broker's. Of several names the first has precedence,
	// and only that one can be changed while a broker runs.
	BrokerNames []string
	// About says in a line what the setting does here; "" if it does nothing, or
	// nothing that its name does not say.
	About string

	check check
}

// The ways in which a running broker takes a setting.
const (
	ReadOnly    = ""
	PerBroker   = "per-broker"
	ClusterWide = "cluster-wide"
)

// Find returns a setting's definition, or nil if no setting of the kind has the
// name.
func Find(kind Kind, name string) *Definition { return catalogue[kind].byName[name] }

// All are the settings of a kind, by name.
func All(kind Kind) []*Definition { return catalogue[kind].all }

// Kinds are all kinds that have a setting of that name.
func Kinds(name string) (found []Kind) {
	for kind := range catalogue {
		if Find(Kind(kind), name) != nil {
			found = append(found, Kind(kind))
		}
	}
	return found
}

// Names are the names of a kind's settings.
func Names(kind Kind) (names []string) {
	for _, d := range All(kind) {
		names = append(names, d.Name)
	}
	return names
}

// Unknown is the error for a name that no setting of the kinds has, with the
// nearest one.
func Unknown(name string, of ...Kind) error {
	var known []string
	for _, kind := range of {
		known = append(known, Names(kind)...)
	}
	return nearest.Unknown("config", name, known)
}

// Parse checks a value as Kafka's ConfigDef does and returns it in the form in
// which it is shown. The error says what Kafka says.
func (d *Definition) Parse(value string) (string, error) {
	v, err := d.Type.parse(d.Name, value)
	if err == nil && d.check != nil {
		err = d.check(d.Name, v)
	}
	return v.text, err
}

// Value is the default as a value that may be null.
func (d *Definition) Value() *string {
	if d.Null || d.Required {
		return nil
	}
	return &d.Default
}

// Bounds says in one word or two what is valid.
func (d *Definition) Bounds() string {
	switch {
	case d.Valid != "":
		return d.Valid
	case d.Type == Boolean:
		return "[true, false]"
	}
	return "any " + d.Type.String()
}

// Words reports whether what is valid is a list of words.
func (d *Definition) Words() bool {
	return strings.HasSuffix(d.Valid, "]") && !strings.Contains(d.Valid, "...") && (d.Type == String || d.Type == List)
}

// Documentation is a line about the setting: what it does here, or what it may
// be.
func (d *Definition) Documentation() string {
	if d.About != "" || d.Type == Untyped {
		return d.About
	}
	return d.Type.String() + ", " + d.Bounds()
}

// Ours reports whether Kafka does not have the setting.
func (d *Definition) Ours() bool {
	return strings.HasPrefix(d.Name, "ktrial.") || slices.Contains(features, d.Name)
}

// features are set when a cluster is made, with `kafka-storage format --feature`;
// here they are settings.
var features = []string{"eligible.leader.replicas.version", "group.version", "transaction.version"}
